package language

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
)

// Open opens the standard libraries, puts a recover around each of
// their functions, and replaces or completes what differs from Lua 5.1.
func Open(c *script.Call) {
	vm, l := c.VM(), c.Stack()
	lua.OpenLibraries(l)
	l.PushGlobalTable()
	catchLibrary(vm, l, "_G", 1)
	l.Pop(1)
	for _, lib := range []struct {
		name  string
		funcs []script.Func
	}{
		{"_G", baseFuncs},
		{"_G", loadFuncs},
		{"_G", environmentFuncs},
		{"_G", moduleFuncs},
		{"_G", garbageFuncs},
		{"string", stringFuncs},
		{"string", patternFuncs},
		{"table", tableFuncs},
		{"math", mathFuncs()},
		{"os", osFuncs},
		{"bit", bitFuncs},
		{"coroutine", coroutineFuncs},
		{"debug", debugFuncs},
	} {
		extend(vm, l, lib.name, lib.funcs)
	}
	fixMath(vm, l)
	openIO(vm, l)
	fixPackage(vm, l)
}

// catchLibrary puts a recover around the functions of the table on top of the
// stack and of the libraries in it.
func catchLibrary(vm *script.VM, l *lua.State, name string, depth int) {
	var names []string
	for l.PushNil(); l.Next(-2); l.Pop(1) {
		if key, ok := l.ToValue(-2).(string); ok && key != "_G" {
			names = append(names, key)
		}
	}
	for _, key := range names {
		l.Field(-1, key)
		switch {
		case l.IsTable(-1) && depth > 0:
			catchLibrary(vm, l, key, depth-1)
		case l.IsGoFunction(-1) && l.ToGoFunction(-1) != nil && !hasUpvalues(l):
			l.PushGoFunction(vm.Machine().Caught(key, l.ToGoFunction(-1)))
			l.SetField(-3, key)
		}
		l.Pop(1)
	}
}

// hasUpvalues tells whether the function on top of the stack has upvalues,
// which a wrapper would lose.
func hasUpvalues(l *lua.State) bool {
	if _, ok := lua.UpValue(l, l.Top(), 1); ok {
		l.Pop(1)
		return true
	}
	return false
}

// extend puts functions into a library, which is made if it is absent.
func extend(vm *script.VM, l *lua.State, library string, funcs []script.Func) {
	if library == "_G" {
		l.PushGlobalTable()
	} else {
		lua.SubTable(l, globals(l), library)
		l.Remove(-2)
	}
	for _, f := range funcs {
		f.Min, f.Max = 0, -1 // as in Lua, what is missing is seen where it is used, and what is too much is dropped
		short := f.Name
		if library != "_G" {
			f.Name = library + "." + short
		}
		vm.PushFunc(l, f)
		l.SetField(-2, short)
	}
	l.Pop(1)
}

// globals pushes the global table and returns its index.
func globals(l *lua.State) int {
	l.PushGlobalTable()
	return l.Top()
}
