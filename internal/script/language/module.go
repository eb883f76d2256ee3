package language

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
)

// moduleFuncs are how packages of Lua 5.1 name themselves.
var moduleFuncs = []script.Func{
	{Name: "module", Args: "name, ...", Min: 1, Fn: baseModule},
}

// baseModule makes a table that is global under its name, dots included, and the
// environment of the calling chunk, and gives it to the functions behind the name.
func baseModule(c *script.Call) error {
	l, name := c.Stack(), c.String(1)
	l.Field(lua.RegistryIndex, "_LOADED")
	loaded := l.Top()
	if l.Field(loaded, name); !l.IsTable(-1) {
		globalTable(c, name)
		l.PushValue(-1)
		l.SetField(loaded, name)
	}
	module := l.Top()
	if l.Field(module, "_NAME"); l.IsNil(-1) {
		l.PushValue(module)
		l.SetField(module, "_M")
		l.PushString(name)
		l.SetField(module, "_NAME")
		l.PushString(name[:strings.LastIndexByte(name, '.')+1])
		l.SetField(module, "_PACKAGE")
	}
	frame, ok := lua.Stack(l, 1)
	if !ok {
		return script.Usage("'module' is not called from a Lua function")
	}
	lua.Info(l, "f", frame)
	if err := setEnvironment(c.VM(), l, module); err != nil {
		return err
	}
	for option := 2; option <= c.NArgs(); option++ {
		l.PushValue(option)
		l.PushValue(module)
		l.Call(1, 0)
	}
	return nil
}

// globalTable pushes the table that a name with dots has among the globals; what is not
// there is made.
func globalTable(c *script.Call, name string) {
	l := c.Stack()
	l.PushGlobalTable()
	for part := range strings.SplitSeq(name, ".") {
		l.Field(-1, part)
		if l.IsNil(-1) {
			l.Pop(1)
			l.NewTable()
			l.PushValue(-1)
			l.SetField(-3, part)
		}
		if !l.IsTable(-1) {
			c.Raise(script.Usage(fmt.Sprintf("name conflict for module '%s'", name)))
		}
		l.Remove(-2)
	}
}

// packageSeeall lets a module see the globals.
func packageSeeall(c *script.Call) error {
	c.NeedTable(1)
	l := c.Stack()
	if !l.MetaTable(1) {
		l.NewTable()
		l.PushValue(-1)
		l.SetMetaTable(1)
	}
	l.PushGlobalTable()
	l.SetField(-2, "__index")
	return nil
}
