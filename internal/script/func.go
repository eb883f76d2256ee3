package script

import (
	"fmt"

	lua "github.com/Shopify/go-lua"
)

// PushFunc puts f on the stack as a Lua function.
func (vm *VM) PushFunc(l *lua.State, f Func) {
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
		c.vm.Push(c.l, v)
	}
	return len(c.results)
}
