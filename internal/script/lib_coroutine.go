package script

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
)

// coroutineFuncs are the library of Lua 5.1, with isyieldable and close of later
// ones. A coroutine may yield wherever it is: in pcall, metamethods, iterators.
var coroutineFuncs = []Func{
	{Name: "create", Args: "function", Min: 1, Max: 1, Fn: coroutineCreate},
	{Name: "resume", Args: "coroutine, ...", Min: 1, Fn: coroutineResume},
	{Name: "yield", Args: "...", Max: -1, Fn: coroutineYield},
	{Name: "status", Args: "coroutine", Min: 1, Max: 1, Fn: coroutineStatus},
	{Name: "wrap", Args: "function", Min: 1, Max: 1, Fn: coroutineWrap},
	{Name: "running", Max: 0, Fn: coroutineRunning},
	{Name: "isyieldable", Max: 0, Fn: func(c *Call) error { return c.Return(c.vm.m.MayYield() == nil) }},
	{Name: "close", Args: "coroutine", Min: 1, Max: 1, Fn: coroutineClose},
}

// newCoroutine makes a coroutine of the function in argument 1.
func (c *Call) newCoroutine() *lua.State {
	if c.Type(1) != "function" {
		c.typeError(1, "function")
	}
	co, err := c.vm.m.NewCoroutine(c.l, 1)
	if err != nil {
		c.Raise(Usage(err.Error()))
	}
	return co
}

// thread is the thread of the coroutine in argument i.
func (c *Call) thread(i int) *machine.Thread { return c.vm.m.Coroutine(c.coroutine(i)) }

func coroutineCreate(c *Call) error {
	c.l.PushLightUserData(c.newCoroutine())
	return c.multi(c.l.Top())
}

func coroutineResume(c *Call) error {
	switch _, err := c.vm.m.Resume(c.coroutine(1), c.NArgs()-1); err {
	case nil, machine.ErrRaised:
		c.l.PushBoolean(err == nil)
		c.l.Insert(2)
		return c.multi(2)
	default:
		return c.refused(err)
	}
}

// refused returns that a coroutine could not be resumed, or ends the evaluation.
func (c *Call) refused(err error) error {
	if i, ok := err.(*Interrupt); ok {
		return i
	}
	return c.Return(false, err.Error())
}

func coroutineWrap(c *Call) error {
	co := c.newCoroutine()
	c.vm.pushFunc(c.l, Func{Name: "wrap", Args: "...", Max: -1, Fn: func(c *Call) error {
		n, err := c.vm.m.Resume(co, c.NArgs())
		switch err.(type) {
		case nil:
			return c.multi(c.l.Top() - n + 1)
		case *Interrupt:
			return err
		}
		if err == machine.ErrRaised {
			c.l.Error()
		}
		return Usage(err.Error())
	}})
	return c.multi(c.l.Top())
}

func coroutineYield(c *Call) error {
	n, err := c.vm.m.Yield(c.NArgs())
	if err != nil {
		return Usage(err.Error())
	}
	return c.multi(c.l.Top() - n + 1)
}

func coroutineStatus(c *Call) error { return c.Return(c.thread(1).Status()) }

// coroutineRunning returns the coroutine that runs; nil outside of one.
func coroutineRunning(c *Call) error {
	co := c.vm.m.Running()
	if co == nil {
		return c.Return(nil)
	}
	c.l.PushLightUserData(co)
	return c.multi(c.l.Top())
}

// coroutineClose ends a coroutine that is suspended. It returns false and the error
// of one that an error has ended.
func coroutineClose(c *Call) error {
	t := c.thread(1)
	raised, ok := t.Close()
	switch {
	case !ok:
		return Usage("cannot close a " + t.Status() + " coroutine")
	case raised != nil:
		return c.Return(false, raised)
	}
	return c.Return(true)
}
