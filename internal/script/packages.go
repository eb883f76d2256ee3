package script

import (
	"errors"
	"os"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"
	"golang.org/x/sys/unix"

	"kresd/internal/script/machine"
)

// Preload makes require(name) return a global, which exists. For the owner goroutine.
func (vm *VM) Preload(name, global string) {
	l := vm.m.Stack()
	l.Field(lua.RegistryIndex, "_LOADED")
	l.Global(global)
	l.SetField(-2, name)
	l.Pop(1)
}

// Require is require(name), whose error is that of the file: where, and what. For the
// owner goroutine.
func (vm *VM) Require(name string) (*Ref, error) {
	l := vm.m.Stack()
	if !l.CheckStack(lua.MinStack) {
		return nil, errors.New("stack overflow")
	}
	defer l.SetTop(l.Top())
	l.Global("require")
	l.PushString(name)
	err := vm.m.ProtectedCall(l, 1, 1, 0)
	if e := new(Error); errors.As(err, &e) { // who calls is said by whoever tells the error
		e.Message = strings.TrimPrefix(e.Message, machine.Position(l))
	}
	if err != nil {
		return nil, err
	}
	return vm.RefTo(l, -1), nil
}

// Preloaded tells whether a script has put a loader for require(name) into
// package.preload. For the owner goroutine.
func (vm *VM) Preloaded(name string) bool {
	l := vm.m.Stack()
	l.CheckStack(lua.MinStack)
	defer l.SetTop(l.Top())
	l.Field(lua.RegistryIndex, "_PRELOAD")
	l.Field(-1, name)
	return l.TypeOf(-1) == lua.TypeFunction && !l.IsGoFunction(-1)
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
	file, tried, err := vm.FindModule(vm.m.Stack(), name)
	if err != nil {
		return "", nil
	}
	return file, tried
}

// FindModule is ModuleFile that tells why nothing can be looked for.
func (vm *VM) FindModule(l *lua.State, name string) (file string, tried []string, err error) {
	if tried, err = pathFiles(l, name); err != nil {
		return "", nil, err
	}
	i := slices.IndexFunc(tried, func(file string) bool { _, ok := vm.Code(file); return ok })
	if i < 0 {
		i = slices.IndexFunc(tried, readable)
	}
	if i >= 0 {
		file = tried[i]
	}
	return file, tried, nil
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

// AbsentPackage is what is said to who requires an absent package, or "".
func (vm *VM) AbsentPackage(name string) string {
	if told, absent := vm.absent.Packages[name]; absent {
		return ErrorWord + told
	}
	return ""
}
