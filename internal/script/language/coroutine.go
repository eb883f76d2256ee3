package language

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
	"kresd/internal/script/machine"
)

// coroutineFuncs are the library of Lua 5.1, with isyieldable and close of later
// ones. A coroutine may yield wherever it is: in pcall, metamethods, iterators.
var coroutineFuncs = []script.Func{
	{Name: "create", Args: "function", Min: 1, Max: 1, Fn: coroutineCreate},
	{Name: "resume", Args: "coroutine, ...", Min: 1, Fn: coroutineResume},
	{Name: "yield", Args: "...", Max: -1, Fn: coroutineYield},
	{Name: "status", Args: "coroutine", Min: 1, Max: 1, Fn: coroutineStatus},
	{Name: "wrap", Args: "function", Min: 1, Max: 1, Fn: coroutineWrap},
	{Name: "running", Max: 0, Fn: coroutineRunning},
	{Name: "isyieldable", Max: 0, Fn: func(c *script.Call) error { return c.Return(c.VM().Machine().MayYield() == nil) }},
	{Name: "close", Args: "coroutine", Min: 1, Max: 1, Fn: coroutineClose},
}

// newCoroutine makes a coroutine of the function in argument 1.
func newCoroutine(c *script.Call) *lua.State {
	c.NeedFunction(1)
	co, err := c.VM().Machine().NewCoroutine(c.Stack(), 1)
	if err != nil {
		c.Raise(script.Usage(err.Error()))
	}
	return co
}

// thread is the thread of the coroutine in argument i.
func thread(c *script.Call, i int) *machine.Thread { return c.VM().Machine().Coroutine(c.Coroutine(i)) }

func coroutineCreate(c *script.Call) error {
	c.Stack().PushLightUserData(newCoroutine(c))
	return c.ReturnFrom(c.Stack().Top())
}

func coroutineResume(c *script.Call) error {
	switch _, err := c.VM().Machine().Resume(c.Coroutine(1), c.NArgs()-1); err {
	case nil, machine.ErrRaised:
		c.Stack().PushBoolean(err == nil)
		c.Stack().Insert(2)
		return c.ReturnFrom(2)
	default:
		return refused(c, err)
	}
}

// refused returns that a coroutine could not be resumed, or ends the evaluation.
func refused(c *script.Call, err error) error {
	if i, ok := err.(*script.Interrupt); ok {
		return i
	}
	return c.Return(false, err.Error())
}

func coroutineWrap(c *script.Call) error {
	co := newCoroutine(c)
	c.VM().PushFunc(c.Stack(), script.Func{Name: "wrap", Args: "...", Max: -1, Fn: func(c *script.Call) error {
		n, err := c.VM().Machine().Resume(co, c.NArgs())
		switch err.(type) {
		case nil:
			return c.ReturnFrom(c.Stack().Top() - n + 1)
		case *script.Interrupt:
			return err
		}
		if err == machine.ErrRaised {
			c.Stack().Error()
		}
		return script.Usage(err.Error())
	}})
	return c.ReturnFrom(c.Stack().Top())
}

func coroutineYield(c *script.Call) error {
	n, err := c.VM().Machine().Yield(c.NArgs())
	if err != nil {
		return script.Usage(err.Error())
	}
	return c.ReturnFrom(c.Stack().Top() - n + 1)
}

func coroutineStatus(c *script.Call) error { return c.Return(thread(c, 1).Status()) }

// coroutineRunning returns the coroutine that runs; nil outside of one.
func coroutineRunning(c *script.Call) error {
	co := c.VM().Machine().Running()
	if co == nil {
		return c.Return(nil)
	}
	c.Stack().PushLightUserData(co)
	return c.ReturnFrom(c.Stack().Top())
}

// coroutineClose ends a coroutine that is suspended. It returns false and the error
// of one that an error has ended.
func coroutineClose(c *script.Call) error {
	t := thread(c, 1)
	raised, ok := t.Close()
	switch {
	case !ok:
		return script.Usage("cannot close a " + t.Status() + " coroutine")
	case raised != nil:
		return c.Return(false, raised)
	}
	return c.Return(true)
}
