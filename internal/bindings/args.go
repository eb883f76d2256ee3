package bindings

import (
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// funcs is a list of functions, which reads better than a slice literal.
func funcs(list ...script.Func) []script.Func { return list }

// functionValue is the function that stands under key in the table that is argument 1.
func functionValue(c *script.Call, key string, v any) *script.Ref {
	fn, ok := v.(*script.Ref)
	if !ok || fn.Type() != "function" {
		c.ArgError(1, "%s: a function expected", key)
	}
	return fn
}

// listed is a list of texts as scripts get one.
func listed(texts []string) *luavalue.Table {
	values := make([]any, len(texts))
	for i, s := range texts {
		values[i] = s
	}
	return luavalue.List(values...)
}
