package script

import (
	"errors"

	lua "github.com/Shopify/go-lua"
)

// environmentFuncs are those of Lua 5.1, made of the upvalue _ENV that 5.2 has
// instead. A function that uses no global has none, and nothing to set.
var environmentFuncs = []Func{
	{Name: "getfenv", Args: "[function or level]", Max: 1, Fn: baseGetfenv},
	{Name: "setfenv", Args: "function or level, table", Min: 2, Max: 2, Fn: baseSetfenv},
}

// setEnvironment makes the table at index env the environment of the function on top of
// the stack.
func (vm *VM) setEnvironment(l *lua.State, env int) error {
	fn := l.Top()
	if l.IsGoFunction(fn) {
		return errors.New("'setfenv' cannot change the environment of this function")
	}
	if n := environmentUpvalue(l); n > 0 {
		// A function of its own brings an upvalue that no other shares.
		if err := vm.load(l, "return _ENV", "=setfenv"); err != nil {
			return err
		}
		l.PushValue(env)
		lua.SetUpValue(l, l.Top()-1, 1)
		lua.UpValueJoin(l, fn, n, fn+1, 1)
	}
	l.SetTop(fn)
	return nil
}

// pushFunction pushes the function that argument 1 names: itself, or the
// level of the caller.
func pushFunction(c *Call) {
	if c.NArgs() > 0 && c.l.TypeOf(1) == lua.TypeFunction {
		c.l.PushValue(1)
		return
	}
	level := c.OptInt(1, 0, 1000, 1)
	frame, ok := lua.Stack(c.l, level)
	if level == 0 || !ok {
		c.Raise(Usage("setfenv and getfenv work on functions here, not on level 0"))
	}
	lua.Info(c.l, "f", frame)
}

// environmentUpvalue is the number of the upvalue _ENV of the function on top
// of the stack, or 0.
func environmentUpvalue(l *lua.State) int {
	for i := 1; ; i++ {
		name, ok := lua.UpValue(l, l.Top(), i)
		if !ok {
			return 0
		}
		l.Pop(1)
		if name == "_ENV" {
			return i
		}
	}
}

func baseGetfenv(c *Call) error {
	if n, isNumber := c.l.ToValue(1).(float64); isNumber && n == 0 {
		c.l.PushGlobalTable()
		return c.multi(c.l.Top())
	}
	pushFunction(c)
	if n := environmentUpvalue(c.l); n > 0 {
		lua.UpValue(c.l, c.l.Top(), n)
		return c.multi(c.l.Top())
	}
	c.l.PushGlobalTable()
	return c.multi(c.l.Top())
}

func baseSetfenv(c *Call) error {
	c.needTable(2)
	pushFunction(c)
	if err := c.vm.setEnvironment(c.l, 2); err != nil {
		return err
	}
	return c.multi(c.l.Top())
}
