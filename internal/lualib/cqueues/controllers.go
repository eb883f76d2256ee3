package cqueues

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// controllerClass are controllers as scripts have them.
func (lib *Library) controllerClass() *script.Class {
	class := &script.Class{Name: "controller"}
	self := func(fn func(c *script.Call, q *controller) error) func(*script.Call) error {
		return func(c *script.Call) error { return fn(c, c.Handle(1, class).(*held).controller) }
	}
	class.Methods = []script.Func{
		{Name: "wrap", Args: "function, ...", Min: 2, Max: -1, Fn: self(wrap)},
		{Name: "attach", Args: "coroutine", Min: 2, Max: 2, Fn: self(attach)},
		{Name: "step", Args: "[seconds]", Min: 1, Max: 2, Fn: self(func(c *script.Call, q *controller) error {
			failed, err := q.step(c, seconds(c, 2))
			return told(c, failed, err)
		})},
		{Name: "loop", Args: "[seconds]", Min: 1, Max: 2, Fn: self(func(c *script.Call, q *controller) error {
			failed, err := q.loop(c, seconds(c, 2))
			return told(c, failed, err)
		})},
		{Name: "errors", Args: "[seconds]", Min: 1, Max: 2, Fn: self(eachError)},
		{Name: "empty", Min: 1, Max: 1, Fn: self(func(c *script.Call, q *controller) error { return c.Return(len(q.jobs) == 0) })},
		{Name: "count", Min: 1, Max: 1, Fn: self(func(c *script.Call, q *controller) error { return c.Return(len(q.jobs)) })},
		{Name: "timeout", Min: 1, Max: 1, Fn: self(untilNext)},
		{Name: "pollfd", Min: 1, Max: 1, Fn: self(pollDescriptor)},
		{Name: "events", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return("r") }},
		{Name: "cancel", Args: "descriptor", Min: 2, Max: 2, Fn: func(c *script.Call) error { c.Shift(); return lib.cancel(c) }},
		{Name: "close", Min: 1, Max: 1, Fn: self(func(c *script.Call, q *controller) error { q.close(); return c.Return() })},
	}
	return class
}

// itself returns the controller that a method was called on.
func itself(c *script.Call) error { return c.Return(c.Ref(1)) }

// wrap takes a function in as a coroutine.
func wrap(c *script.Call, q *controller) error {
	fn := c.Function(2)
	var args []any
	for i := 3; i <= c.NArgs(); i++ {
		args = append(args, c.Ref(i))
	}
	if err := q.begin(func(ready func()) (*script.Task, error) { return c.NewTask(ready, fn, args...) }); err != nil {
		return err
	}
	return itself(c)
}

func attach(c *script.Call, q *controller) error {
	if err := q.begin(func(ready func()) (*script.Task, error) { return c.AttachTask(ready, 2) }); err != nil {
		return err
	}
	return itself(c)
}

// told returns what step and loop do: true, or false with the error, no number, and the
// coroutine that failed.
func told(c *script.Call, failed *failure, err error) error {
	switch {
	case err != nil:
		return err
	case failed == nil:
		return c.Return(true)
	}
	return c.Return(false, failed.value(), nil, failed.task.Coroutine())
}

// value is what the coroutine raised.
func (f *failure) value() any {
	if raised := f.task.Raised(); raised != nil {
		return raised
	}
	return f.err.Error()
}

// eachError is an iterator over the errors of loop.
func eachError(c *script.Call, q *controller) error {
	timeout, from := seconds(c, 2), q.lib.Clock.Mono()
	return c.Return(c.NewFunction(script.Func{Name: "errors", Max: -1, Fn: func(c *script.Call) error {
		left := timeout
		if timeout >= 0 {
			left = max(0, timeout-(q.lib.Clock.Mono()-from))
		}
		failed, err := q.loop(c, left)
		if failed == nil || err != nil {
			return err
		}
		return c.Return(failed.value(), nil, failed.task.Coroutine())
	}}))
}

// untilNext is how many seconds the first coroutine waits at most; nil: none waits for
// time.
func untilNext(c *script.Call, q *controller) error {
	q.mu.Lock()
	ready := len(q.ready) > 0
	q.mu.Unlock()
	if ready {
		return c.Return(0)
	}
	first := time.Duration(-1)
	for j := range q.jobs {
		if j.until >= 0 && (first < 0 || j.until < first) {
			first = j.until
		}
	}
	if first < 0 {
		return c.Return(nil)
	}
	return c.Return(max(0, first-q.lib.Clock.Mono()).Seconds())
}

// pollDescriptor is a descriptor that can be read while a coroutine can go on, for
// event.socket and other loops.
func pollDescriptor(c *script.Call, q *controller) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notice < 0 {
		fd, err := unix.Eventfd(min(uint(len(q.ready)), 1), unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("no descriptor for a controller: %w", err)
		}
		q.notice = fd
		q.lib.Watcher.Own(fd)
	}
	return c.Return(q.notice)
}

// running is cqueues.running: the controller whose coroutine runs, and whether that is the
// very coroutine that runs.
func (lib *Library) running(c *script.Call) error {
	task, direct := c.Task()
	j := lib.owners[task]
	if j == nil {
		return c.Return(nil, false)
	}
	return c.Return(j.of.handle(), direct)
}
