package script

import lua "github.com/Shopify/go-lua"

// Global is the value of a global, as functions of scripts see it. For the owner
// goroutine.
func (vm *VM) Global(name string) *Ref {
	l := vm.m.Stack()
	l.CheckStack(lua.MinStack)
	l.Global(name)
	defer l.Pop(1)
	return vm.RefTo(l, -1)
}

// setGlobal pops a value and makes it global, past the guard.
func (vm *VM) setGlobal(name string) {
	l := vm.m.Stack()
	l.PushGlobalTable()
	l.Insert(-2)
	l.PushString(name)
	l.Insert(-2)
	l.RawSet(-3)
	l.Pop(1)
}

// SetGlobal makes v global. For the owner goroutine.
func (vm *VM) SetGlobal(name string, v any) {
	vm.Push(vm.m.Stack(), v)
	vm.setGlobal(name)
}
