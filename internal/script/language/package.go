package language

import (
	"errors"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
)

// fixPackage replaces the search for Lua modules by one that loads text only,
// and adds the names of Lua 5.1.
func fixPackage(vm *script.VM, l *lua.State) {
	l.Global("package")
	l.PushNil()
	l.SetField(-2, "loadlib")
	l.PushString("") // there are no compiled packages
	l.SetField(-2, "cpath")
	vm.PushFunc(l, script.Func{Name: "package.seeall", Args: "module", Max: -1, Fn: packageSeeall})
	l.SetField(-2, "seeall")
	l.Field(-1, "path")
	path, _ := l.ToString(-1)
	l.Pop(1)
	l.PushString(strings.Replace(path, "./?.lua", luaPath, 1)) // LUA_PATH may have put other places beside the default
	l.SetField(-2, "path")
	l.Field(-1, "searchers")
	vm.PushFunc(l, script.Func{Name: "package.searchers[1]", Args: "name", Min: 1, Fn: searchPreload})
	l.RawSetInt(-2, 1)
	vm.PushFunc(l, script.Func{Name: "package.searchers[2]", Args: "name", Min: 1, Fn: searchLua})
	l.RawSetInt(-2, 2)
	l.SetField(-2, "loaders")
	l.Pop(1)
	for _, name := range []string{"bit", "bit32", "coroutine"} {
		vm.Preload(name, name)
	}
}

// searchPreload looks for a module in package.preload. The text that it returns where
// there is none begins what require says, and searchLua's goes on with it.
func searchPreload(c *script.Call) error {
	l, name := c.Stack(), c.String(1)
	l.Field(lua.RegistryIndex, "_PRELOAD")
	l.Field(-1, name)
	if l.IsNil(-1) {
		return c.Return("there is no package.preload['" + name + "']")
	}
	return c.ReturnFrom(l.Top())
}

// searchLua looks for a module's file in package.path.
func searchLua(c *script.Call) error {
	l, name := c.Stack(), c.String(1)
	file, files, err := c.VM().FindModule(l, name)
	if err != nil {
		return err
	}
	if file != "" {
		if err := c.VM().LoadFile(l, file); err != nil {
			return script.Usage("error loading module '" + name + "' from file '" + file + "': " + err.Error())
		}
		l.PushString(file)
		return c.ReturnFrom(l.Top() - 1)
	}
	if told := c.VM().AbsentPackage(name); told != "" {
		return errors.New(told)
	}
	return c.Return(", and none of " + script.Places(name, files))
}

// luaPath is where require looks after the directory of modules: in the working
// directory, which is the run directory, and where Lua 5.1 packages of the system are.
const luaPath = "./?.lua;./?/init.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua;" +
	"/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
