package cqueues

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/script"
)

// A poll is one wait for several things, of which each has its place among the
// arguments. Its fields belong to the owner goroutine but for what fire touches.
type poll struct {
	lib      *Library
	wake     func()
	ready    []atomic.Bool // by place
	release  []func()
	timeout  time.Duration // the shortest; -1 is none
	at       int           // its place
	watching []watched
}

// watched is a descriptor in a poll.
type watched struct{ fd, at int }

// A pollable is an object of ours that a poll can wait for. The function fire may be
// called by any goroutine, more than once. What watch returns ends the watching.
type pollable interface {
	watch(lib *Library, fire func()) (release func(), err error)
}

// pollAll waits for the arguments from the first-th on, and returns those that are ready.
func (lib *Library) pollAll(c *script.Call, first int) error {
	p, err := lib.pollArgs(c, first)
	if err != nil {
		return err
	}
	var values []any
	for i := range p.ready {
		if p.ready[i].Load() {
			values = append(values, c.Ref(first+i))
		}
	}
	return c.Return(values...)
}

// pollArgs waits until one of the arguments from the first-th on is ready. Without any it
// only lets others have their turn.
func (lib *Library) pollArgs(c *script.Call, first int) (*poll, error) {
	n := max(c.NArgs()-first+1, 0)
	p := &poll{lib: lib, ready: make([]atomic.Bool, n), timeout: -1}
	var failed error
	err := c.Pause(func(wake func()) func() {
		p.wake = wake
		for i := range p.ready {
			if failed = p.add(c, first+i, i); failed != nil {
				break
			}
		}
		if failed != nil || n == 0 {
			wake()
		}
		p.setTimeout(c)
		lib.polled[p] = struct{}{}
		return p.end
	})
	if err == nil {
		err = failed
	}
	return p, err
}

// end stops watching.
func (p *poll) end() {
	delete(p.lib.polled, p)
	for _, release := range p.release {
		release()
	}
}

// firing says that what has place i is ready.
func (p *poll) firing(i int) func() {
	return func() {
		p.ready[i].Store(true)
		p.wake()
	}
}

// add begins to wait for argument arg, whose place is i.
func (p *poll) add(c *script.Call, arg, i int) error {
	if c.IsNil(arg) {
		return nil
	}
	if c.Type(arg) == "number" {
		p.atMost(script.Seconds(c.Number(arg)), i)
		return nil
	}
	if h, ok := c.Arg(arg).(*script.Handle); ok {
		if _, ok := h.Value.(pollable); ok {
			return p.addHandle(c, h, arg, i)
		}
	}
	return p.addDescribed(c, arg, i)
}

// atMost bounds the wait.
func (p *poll) atMost(d time.Duration, i int) {
	if p.timeout < 0 || d < p.timeout {
		p.timeout, p.at = d, i
	}
}

func (p *poll) addHandle(c *script.Call, h *script.Handle, arg, i int) error {
	object, ok := h.Value.(pollable)
	if !ok {
		c.ArgError(arg, "%s cannot be polled", h.Class.Name)
	}
	release, err := object.watch(p.lib, p.firing(i))
	if release != nil {
		p.release = append(p.release, release)
	}
	return err
}

// describe is Lua: the descriptor of an object, or what stands for one, its events and its
// timeout, each of which may be a method.
const describe = `
local function of(object, key)
	local value = object[key]
	if type(value) == 'function' then return value(object) end
	return value
end
return function(object) return of(object, 'pollfd'), of(object, 'events'), of(object, 'timeout') end`

// addDescribed begins to wait for an object of a script, which describes itself.
func (p *poll) addDescribed(c *script.Call, arg, i int) error {
	if p.lib.describe == nil {
		fn, err := c.LibraryText("cqueues.poll", describe)
		if err != nil {
			return err
		}
		p.lib.describe = fn
	}
	parts, err := p.lib.describe.Call(c.Ref(arg))
	if err != nil {
		return err
	}
	parts = append(parts, nil, nil, nil)
	if seconds, ok := parts[2].(float64); ok {
		p.atMost(script.Seconds(seconds), i)
	}
	switch fd := parts[0].(type) {
	case *script.Handle:
		return p.addHandle(c, fd, arg, i)
	case float64:
		return p.addDescriptor(int(fd), parts[1], i)
	}
	return nil
}

// addDescriptor waits for a descriptor; events are letters: r and w.
func (p *poll) addDescriptor(fd int, events any, i int) error {
	text, _ := events.(string)
	var want fdwatch.Events
	if strings.Contains(text, "w") {
		want |= fdwatch.Writable
	}
	if want == 0 || strings.ContainsAny(text, "rp") {
		want |= fdwatch.Readable
	}
	fire := p.firing(i)
	watch, err := p.lib.Watcher.Watch(fd, want, func(fdwatch.Events, error) { fire() })
	if err != nil {
		return err
	}
	p.watching = append(p.watching, watched{fd, i})
	p.release = append(p.release, watch.Close)
	return nil
}

// await waits for one object, and up to a time (-1: without end). over tells that it is
// over.
func (lib *Library) await(c *script.Call, w pollable, timeout time.Duration) (over bool, err error) {
	var failed error
	err = c.Pause(func(wake func()) func() {
		release, err := w.watch(lib, wake)
		if failed = err; err != nil {
			wake()
			return nil
		}
		var alarm *clock.Alarm
		if timeout >= 0 {
			alarm = lib.Alarms.After(timeout, wake)
		}
		return func() {
			over = alarm != nil && !alarm.Stop()
			if release != nil {
				release()
			}
		}
	})
	return over, errors.Join(err, failed)
}

// setTimeout lets the wait end by its timeout, and the controller know when that is.
func (p *poll) setTimeout(c *script.Call) {
	if p.timeout < 0 {
		return
	}
	alarm := p.lib.Alarms.After(p.timeout, p.firing(p.at))
	p.release = append(p.release, func() { alarm.Stop() })
	if task, _ := c.Task(); p.lib.owners[task] != nil {
		j := p.lib.owners[task]
		j.until = p.lib.Clock.Mono() + p.timeout
		p.release = append(p.release, func() { j.until = -1 })
	}
}

// sleep is cqueues.sleep.
func (lib *Library) sleep(c *script.Call) error {
	c.Number(1)
	if _, err := lib.pollArgs(c, 1); err != nil {
		return err
	}
	return c.Return()
}

// cancel is cqueues.cancel: what waits for a descriptor goes on.
func (lib *Library) cancel(c *script.Call) error {
	fd := c.Int(1, 0, 1<<30)
	for p := range lib.polled {
		for _, w := range p.watching {
			if w.fd == fd {
				p.firing(w.at)()
			}
		}
	}
	return c.Return()
}
