package script

import (
	"errors"
	"os"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"
	"golang.org/x/sys/unix"
)

// luaPath is where require looks after the directory of modules: in the working
// directory, which is the run directory, and where Lua 5.1 packages of the system are.
const luaPath = "./?.lua;./?/init.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua;" +
	"/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"

// fixPackage replaces the search for Lua modules by one that loads text only,
// and adds the names of Lua 5.1.
func (vm *VM) fixPackage(l *lua.State) {
	l.Global("package")
	l.PushNil()
	l.SetField(-2, "loadlib")
	l.PushString("") // there are no compiled packages
	l.SetField(-2, "cpath")
	vm.pushFunc(l, Func{Name: "package.seeall", Args: "module", Max: -1, Fn: packageSeeall})
	l.SetField(-2, "seeall")
	l.Field(-1, "path")
	path, _ := l.ToString(-1)
	l.Pop(1)
	l.PushString(strings.Replace(path, "./?.lua", luaPath, 1)) // LUA_PATH may have put other places beside the default
	l.SetField(-2, "path")
	l.Field(-1, "searchers")
	vm.pushFunc(l, Func{Name: "package.searchers[1]", Args: "name", Min: 1, Fn: searchPreload})
	l.RawSetInt(-2, 1)
	vm.pushFunc(l, Func{Name: "package.searchers[2]", Args: "name", Min: 1, Fn: searchLua})
	l.RawSetInt(-2, 2)
	l.SetField(-2, "loaders")
	l.Pop(1)
	for _, name := range []string{"bit", "bit32", "coroutine"} {
		vm.preload(l, name, name)
	}
}

// Preload makes require(name) return a global, which exists. For the owner goroutine.
func (vm *VM) Preload(name, global string) { vm.preload(vm.m.Stack(), name, global) }

// preload makes require(name) return a global library.
func (vm *VM) preload(l *lua.State, name, global string) {
	l.Field(lua.RegistryIndex, "_LOADED")
	l.Global(global)
	l.SetField(-2, name)
	l.Pop(1)
}

// pathFiles are the files that package.path has for a module, in the order in which
// they are tried.
func pathFiles(l *lua.State, name string) ([]string, error) {
	l.Global("package")
	l.Field(-1, "path")
	path, ok := l.ToValue(-1).(string)
	l.Pop(2)
	if !ok {
		return nil, Usage("'package.path' must be a string")
	}
	var files []string
	for template := range strings.SplitSeq(path, ";") {
		if file := strings.ReplaceAll(template, "?", strings.ReplaceAll(name, ".", "/")); file != "" {
			files = append(files, file)
		}
	}
	return files, nil
}

// ModuleFile is the file that require(name) would load, "" when there is none, and
// the files that it looks for. For the owner goroutine.
func (vm *VM) ModuleFile(name string) (file string, tried []string) {
	tried, err := pathFiles(vm.m.Stack(), name)
	if err != nil {
		return "", nil
	}
	if i := slices.IndexFunc(tried, readable); i >= 0 {
		file = tried[i]
	}
	return file, tried
}

// searchPreload looks for a module in package.preload. The text that it returns where
// there is none begins what require says, and searchLua's goes on with it.
func searchPreload(c *Call) error {
	l, name := c.l, c.String(1)
	l.Field(lua.RegistryIndex, "_PRELOAD")
	l.Field(-1, name)
	if l.IsNil(-1) {
		return c.Return("there is no package.preload['" + name + "']")
	}
	return c.multi(l.Top())
}

// searchLua looks for a module's file in package.path.
func searchLua(c *Call) error {
	l, name := c.l, c.String(1)
	files, err := pathFiles(l, name)
	if err != nil {
		return err
	}
	for _, file := range files {
		if !readable(file) {
			continue
		}
		if err := c.vm.loadFile(l, file); err != nil {
			return Usage("error loading module '" + name + "' from file '" + file + "': " + err.Error())
		}
		l.PushString(file)
		return c.multi(l.Top() - 1)
	}
	if told, absent := c.vm.absent.Packages[name]; absent {
		return errors.New(errorWord + told)
	}
	return c.Return(", and none of " + Places(name, files))
}

// Places lists the files that a module may be, in few words: the names once, and the
// directories.
func Places(module string, files []string) string {
	var names, dirs []string
	path := "/" + strings.ReplaceAll(module, ".", "/")
	for _, file := range files {
		at := max(strings.LastIndex(file, path), 0)
		if dir := file[:at]; !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		if name := strings.TrimPrefix(file[at:], "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names)*len(dirs) != len(files) {
		return strings.Join(files, ", ")
	}
	return strings.Join(names, ", ") + " in " + strings.Join(dirs, ", ")
}

// SetModuleDir puts dir/?.lua and dir/?/init.lua in front of the path of
// require; a second call replaces the first. For the owner goroutine.
func (vm *VM) SetModuleDir(dir string) {
	l := vm.m.Stack()
	l.Global("package")
	l.Field(-1, "path")
	path, _ := l.ToValue(-1).(string)
	l.Pop(1)
	path = strings.TrimPrefix(path, modulePath(vm.moduleDir))
	vm.moduleDir = dir
	l.PushString(modulePath(dir) + path)
	l.SetField(-2, "path")
	l.Pop(1)
}

func modulePath(dir string) string {
	if dir == "" {
		return ""
	}
	dir = strings.TrimSuffix(dir, "/")
	return dir + "/?.lua;" + dir + "/?/init.lua;"
}

// readable tells whether path names a file that can be opened.
func readable(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // waits for no writer of a FIFO
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && !info.IsDir()
}
