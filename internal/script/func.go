package script

import (
	"fmt"

	lua "github.com/Shopify/go-lua"
)

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
	vm.push(vm.m.Stack(), v)
	vm.setGlobal(name)
}

// pushFunc puts f on the stack as a Lua function.
func (vm *VM) pushFunc(l *lua.State, f Func) {
	l.PushGoFunction(vm.m.Caught(f.Name, func(l *lua.State) int {
		c := &Call{vm: vm, l: l, fn: &f, args: l.Top()}
		vm.m.Check(l) // calls may be long, and the hook counts instructions only
		if c.args < f.Min || (f.Max >= f.Min && c.args > f.Max) {
			c.Raise(Usage(fmt.Sprintf("wrong number of arguments to '%s'; usage: %s", f.Name, f.usage())))
		}
		if err := f.Fn(c); err != nil {
			c.Raise(err)
		}
		return c.pushResults()
	}))
}

func (c *Call) pushResults() int {
	if c.spread > 0 {
		return max(0, c.l.Top()-c.spread+1)
	}
	if !c.l.CheckStack(len(c.results) + lua.MinStack) {
		c.Raise(Usage("too many results"))
	}
	for _, v := range c.results {
		c.vm.push(c.l, v)
	}
	return len(c.results)
}

// extend puts functions into a library, which is made if it is absent.
func (vm *VM) extend(l *lua.State, library string, funcs []Func) {
	if library == "_G" {
		l.PushGlobalTable()
	} else if lua.SubTable(l, globals(l), library); true {
		l.Remove(-2)
	}
	for _, f := range funcs {
		f.Min, f.Max = 0, -1 // as in Lua, what is missing is seen where it is used, and what is too much is dropped
		short := f.Name
		if library != "_G" {
			f.Name = library + "." + short
		}
		vm.pushFunc(l, f)
		l.SetField(-2, short)
	}
	l.Pop(1)
}

// globals pushes the global table and returns its index.
func globals(l *lua.State) int {
	l.PushGlobalTable()
	return l.Top()
}
