package language

import (
	"errors"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
)

// environmentFuncs are those of Lua 5.1, made of the upvalue _ENV that 5.2 has
// instead. A function that uses no global has none, and nothing to set.
var environmentFuncs = []script.Func{
	{Name: "getfenv", Args: "[function or level]", Max: 1, Fn: baseGetfenv},
	{Name: "setfenv", Args: "function or level, table", Min: 2, Max: 2, Fn: baseSetfenv},
}

// setEnvironment makes the table at index env the environment of the function on top of
// the stack.
func setEnvironment(vm *script.VM, l *lua.State, env int) error {
	fn := l.Top()
	if l.IsGoFunction(fn) {
		return errors.New("'setfenv' cannot change the environment of this function")
	}
	if n := environmentUpvalue(l); n > 0 {
		// A function of its own brings an upvalue that no other shares.
		if err := vm.Load(l, "return _ENV", "=setfenv"); err != nil {
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
func pushFunction(c *script.Call) {
	if c.NArgs() > 0 && c.Stack().TypeOf(1) == lua.TypeFunction {
		c.Stack().PushValue(1)
		return
	}
	level := c.OptInt(1, 0, 1000, 1)
	frame, ok := lua.Stack(c.Stack(), level)
	if level == 0 || !ok {
		c.Raise(script.Usage("setfenv and getfenv work on functions here, not on level 0"))
	}
	lua.Info(c.Stack(), "f", frame)
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

func baseGetfenv(c *script.Call) error {
	if n, isNumber := c.Stack().ToValue(1).(float64); isNumber && n == 0 {
		c.Stack().PushGlobalTable()
		return c.ReturnFrom(c.Stack().Top())
	}
	pushFunction(c)
	if n := environmentUpvalue(c.Stack()); n > 0 {
		lua.UpValue(c.Stack(), c.Stack().Top(), n)
		return c.ReturnFrom(c.Stack().Top())
	}
	c.Stack().PushGlobalTable()
	return c.ReturnFrom(c.Stack().Top())
}

func baseSetfenv(c *script.Call) error {
	c.NeedTable(2)
	pushFunction(c)
	if err := setEnvironment(c.VM(), c.Stack(), 2); err != nil {
		return err
	}
	return c.ReturnFrom(c.Stack().Top())
}
