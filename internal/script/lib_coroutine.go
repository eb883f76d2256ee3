package script

import (
	"runtime"
	"weak"

	lua "github.com/Shopify/go-lua"
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
	{Name: "isyieldable", Max: 0, Fn: func(c *Call) error { return c.Return(c.vm.now.mayYield() == nil) }},
	{Name: "close", Args: "coroutine", Min: 1, Max: 1, Fn: coroutineClose},
}

// A coroutine is a thread in the hands of scripts. To them it is a state of the
// machine that is never used; the thread that it stands for does not refer to it,
// or nothing would tell when scripts have forgotten it.

// newCoroutine makes a coroutine of the function in argument 1.
func (c *Call) newCoroutine() *lua.State {
	if c.Type(1) != "function" {
		c.typeError(1, "function")
	}
	t, err := c.vm.begin(c.l, 1)
	if err != nil {
		c.Raise(Usage(err.Error()))
	}
	return t.show()
}

// coroutine is the coroutine in argument i, and its thread.
func (c *Call) coroutine(i int) (*lua.State, *thread) {
	if i <= c.args {
		if co, ok := c.l.ToValue(i).(*lua.State); ok {
			return co, c.vm.coroutines[weak.Make(co)]
		}
	}
	c.typeError(i, "coroutine")
	return nil, nil
}

// AttachTask makes a task of the coroutine in argument i, which must be suspended.
func (c *Call) AttachTask(ready func(), i int) (*Task, error) {
	co, t := c.coroutine(i)
	if t == nil || t.status != suspended || t.task != nil {
		c.ArgError(i, "a suspended coroutine expected that nobody else runs")
	}
	return t.asTask(co, ready, 0), nil
}

func coroutineCreate(c *Call) error {
	c.l.PushLightUserData(c.newCoroutine())
	return c.multi(c.l.Top())
}

func coroutineResume(c *Call) error {
	co, t := c.coroutine(1)
	switch _, err := t.resumeAs(co, c.NArgs()-1); err {
	case nil, errRaised:
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

// resumeAs is resume for the coroutine that t is in the hands of scripts; it
// keeps the coroutine from being forgotten meanwhile.
func (t *thread) resumeAs(co *lua.State, args int) (results int, err error) {
	results, err = t.resume(args)
	runtime.KeepAlive(co)
	return results, err
}

func coroutineWrap(c *Call) error {
	co := c.newCoroutine()
	c.vm.pushFunc(c.l, Func{Name: "wrap", Args: "...", Max: -1, Fn: func(c *Call) error {
		n, err := c.vm.coroutines[weak.Make(co)].resumeAs(co, c.NArgs())
		switch err.(type) {
		case nil:
			return c.multi(c.l.Top() - n + 1)
		case *Interrupt:
			return err
		}
		if err == errRaised {
			c.l.Error()
		}
		return Usage(err.Error())
	}})
	return c.multi(c.l.Top())
}

func coroutineYield(c *Call) error {
	n, err := c.vm.yield(c.NArgs())
	if err != nil {
		return Usage(err.Error())
	}
	return c.multi(c.l.Top() - n + 1)
}

func coroutineStatus(c *Call) error {
	_, t := c.coroutine(1)
	return c.Return(t.status.String())
}

// coroutineRunning returns the coroutine that runs; nil outside of one.
func coroutineRunning(c *Call) error {
	co := c.vm.now.seen.Value()
	if co == nil {
		return c.Return(nil)
	}
	c.l.PushLightUserData(co)
	return c.multi(c.l.Top())
}

// coroutineClose ends a coroutine that is suspended. It returns false and the error
// of one that an error has ended.
func coroutineClose(c *Call) error {
	_, t := c.coroutine(1)
	if t.status != suspended && t.status != dead {
		return Usage("cannot close a " + t.status.String() + " coroutine")
	}
	t.abandon()
	if raised := t.raised; raised != nil {
		t.raised = nil
		return c.Return(false, raised)
	}
	return c.Return(true)
}
