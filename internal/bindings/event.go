package bindings

import (
	"math"
	"sync"
	"time"

	"kresd/internal/clock"
	"kresd/internal/script"
)

// timers are the events of one worker. All of its state belongs to the Lua
// machine's owner goroutine, where callbacks run, one at a time.
type timers struct {
	d    *Daemon
	live map[int]*timer
	free []int // ids of ended events, for reuse
	next int

	// What is due waits here. Only the first is in the machine's queue, so that a
	// command gets its turn between two callbacks, however many are due.
	mu     sync.Mutex
	due    []firing
	queued bool
}

// firing is one event that is due, if it is still of this generation.
type firing struct {
	e          *timer
	generation int
}

type timer struct {
	id    int
	fn    func(id int) error
	every time.Duration // 0: once
	armed *clock.Timer
	// generation tells a firing that was on its way from one that counts.
	generation int
}

func installEvent(d *Daemon) *timers {
	t := &timers{d: d, live: map[int]*timer{}, next: 1}
	d.VM.RegisterObject(script.Object{
		Name:      "event",
		Protected: true,
		Help:      "timers; times are in milliseconds, use the constants sec, minute, hour",
		Funcs: funcs(
			script.Func{Name: "after", Args: "ms, function", Min: 2, Max: 2, Help: "call a function once after some time", Fn: t.luaAfter},
			script.Func{Name: "recurrent", Args: "ms, function", Min: 2, Max: 2, Help: "call a function now and again after each interval", Fn: t.luaRecurrent},
			script.Func{Name: "reschedule", Args: "id, ms", Min: 2, Max: 2, Help: "let a running event fire once after some time from now", Fn: t.luaReschedule},
			script.Func{Name: "cancel", Args: "id", Min: 1, Max: 1, Help: "end an event", Fn: t.luaCancel},
		),
	})
	// The manual writes e.cancel(e), though events are numbers.
	d.VM.NumberIndex("event")
	return t
}

func (t *timers) luaAfter(c *script.Call) error {
	return c.Return(float64(t.start(interval(c, 1), 0, callback(c))))
}

// luaRecurrent runs the function first in the next turn of the loop; an interval
// of 0 degenerates to once.
func (t *timers) luaRecurrent(c *script.Call) error {
	return c.Return(float64(t.start(0, interval(c, 1), callback(c))))
}

func (t *timers) luaReschedule(c *script.Call) error {
	e, after := t.live[eventID(c)], interval(c, 2)
	if e == nil {
		return c.Return(false)
	}
	e.every = 0
	t.arm(e, after)
	return c.Return(true)
}

func (t *timers) luaCancel(c *script.Call) error {
	e := t.live[eventID(c)]
	if e != nil {
		t.end(e)
	}
	return c.Return(e != nil)
}

func eventID(c *script.Call) int {
	n := c.Number(1)
	if n != math.Trunc(n) || math.IsInf(n, 0) {
		c.ArgError(1, "the whole number of an event expected, got %s", c.String(1))
	}
	if n < 1 || n > math.MaxInt32 {
		return 0 // no event has it
	}
	return int(n)
}

func interval(c *script.Call, i int) time.Duration {
	ms := c.Number(i)
	if !(ms >= 0 && ms < float64(math.MaxInt64/int64(time.Millisecond))) {
		c.ArgError(i, "milliseconds of at least 0 expected, and below 300 years")
	}
	return time.Duration(ms * float64(time.Millisecond))
}

func callback(c *script.Call) func(int) error {
	fn := c.Function(2)
	return func(id int) error {
		_, err := fn.Call(float64(id))
		return err
	}
}

// after runs fn once, like an event that no script knows of.
func (t *timers) after(d time.Duration, fn func() error) {
	t.start(d, 0, func(int) error { return fn() })
}

func (t *timers) start(first, every time.Duration, fn func(int) error) int {
	e := &timer{id: t.newID(), fn: fn, every: every}
	t.live[e.id] = e
	t.arm(e, first)
	return e.id
}

func (t *timers) newID() int {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	t.next++
	return t.next - 1
}

func (t *timers) arm(e *timer, d time.Duration) {
	e.armed.Stop()
	e.generation++
	f := firing{e, e.generation}
	e.armed = t.d.Clock.AfterFunc(d, func() { t.isDue(f) })
}

func (t *timers) isDue(f firing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due = append(t.due, f); !t.queued {
		t.queued = true
		t.d.VM.Post(t.turn)
	}
}

// turn runs the first that is due. The next one queues before, because a callback may
// wait for something.
func (t *timers) turn(*script.Call) error {
	t.mu.Lock()
	f := t.due[0]
	t.due = t.due[1:]
	if t.queued = len(t.due) > 0; t.queued {
		t.d.VM.Post(t.turn)
	} else {
		t.due = nil
	}
	t.mu.Unlock()
	return t.fire(f.e, f.generation)
}

// fire runs the callback. A timer that was neither rescheduled by it nor is
// recurrent ends; so does one whose callback failed, with the machine's word on
// standard error.
func (t *timers) fire(e *timer, generation int) error {
	if t.live[e.id] != e || e.generation != generation {
		return nil
	}
	if e.every > 0 {
		t.arm(e, e.every)
		generation = e.generation
	}
	if err := e.fn(e.id); err != nil {
		t.end(e)
		return err
	}
	if t.live[e.id] == e && e.every == 0 && e.generation == generation {
		t.end(e)
	}
	return nil
}

func (t *timers) end(e *timer) {
	if t.live[e.id] != e {
		return
	}
	e.armed.Stop()
	e.generation++
	delete(t.live, e.id)
	t.free = append(t.free, e.id)
}
