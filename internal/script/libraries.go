package script

import lua "github.com/Shopify/go-lua"

// openLibraries opens the standard libraries, puts a recover around each of
// their functions, and replaces or completes what differs from Lua 5.1.
func (vm *VM) openLibraries(l *lua.State) {
	lua.OpenLibraries(l)
	l.PushGlobalTable()
	vm.catchLibrary(l, "_G", 1)
	l.Pop(1)
	for _, lib := range []struct {
		name  string
		funcs []Func
	}{
		{"_G", baseFuncs},
		{"_G", loadFuncs},
		{"_G", environmentFuncs},
		{"_G", moduleFuncs},
		{"_G", garbageFuncs},
		{"string", stringFuncs},
		{"string", patternFuncs},
		{"table", tableFuncs},
		{"math", mathFuncs},
		{"os", osFuncs},
		{"bit", bitFuncs},
		{"coroutine", coroutineFuncs},
		{"debug", debugFuncs},
	} {
		vm.extend(l, lib.name, lib.funcs)
	}
	vm.fixMath(l)
	vm.openIO(l)
	vm.fixPackage(l)
	vm.addGlobals()
	vm.installGuard(l)
}

// catchLibrary puts a recover around the functions of the table on top of the
// stack and of the libraries in it.
func (vm *VM) catchLibrary(l *lua.State, name string, depth int) {
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
			vm.catchLibrary(l, key, depth-1)
		case l.IsGoFunction(-1) && l.ToGoFunction(-1) != nil && !hasUpvalues(l):
			l.PushGoFunction(vm.m.Caught(key, l.ToGoFunction(-1)))
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
