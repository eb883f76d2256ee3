// Package events is the global event: timers and watched descriptors of scripts, whose
// callbacks run one at a time, so that commands and hooks get their turn between two.
package events

import (
	"container/list"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/script"
)

// A Host is what events stand on.
type Host struct {
	VM     *script.VM
	Alarms *clock.Alarms // timers of scripts
	// Descriptors tells what can be read.
	Descriptors *fdwatch.Watcher
	Counters    *limits.Counters
}

// Events are the timers and the watched descriptors of one worker. All of its state
// belongs to the Lua machine's owner goroutine, where callbacks run, one at a time.
type Events struct {
	d    *Host
	live map[int]*event
	free []int // ids of ended events, for reuse
	next int

	// What is due waits here, once for each event, however often that is rescheduled
	// meanwhile. Only the first is in the machine's queue, so that a command gets its turn
	// between two callbacks, however many are due. mu is for the events' generation and
	// place, too.
	mu     sync.Mutex
	due    list.List // of firing
	queued bool
}

// firing is one event that is due, if it is still of this generation.
type firing struct {
	e          *event
	generation int
	ready      readiness // of a descriptor
}

// readiness is what became of a watched descriptor.
type readiness struct {
	events fdwatch.Events
	err    error // it was closed
}

type event struct {
	id    int
	fn    func(id int, r readiness) error
	every time.Duration // 0: once
	armed *clock.Alarm
	watch *fdwatch.Watch // of a descriptor; nil: a timer
	// generation tells a firing that was on its way from one that counts.
	generation int
	place      *list.Element // among those that are due; nil: it is not

	running bool            // its callback has not returned
	stop    func(why error) // it, where it gives way to a command
	missed  *firing         // what came meanwhile

	told   time.Time // when an error of the callback was reported
	untold int       // errors since then
}

// Install makes the global.
func Install(d *Host) *Events {
	t := &Events{d: d, live: map[int]*event{}, next: 1}
	d.VM.RegisterObject(script.Object{
		Name:      "event",
		Protected: true,
		Funcs: []script.Func{
			{Name: "after", Args: "ms, function", Min: 2, Max: 2, Fn: t.luaAfter},
			{Name: "recurrent", Args: "ms, function", Min: 2, Max: 2, Fn: t.luaRecurrent},
			{Name: "reschedule", Args: "id, ms", Min: 2, Max: 2, Fn: t.luaReschedule},
			{Name: "socket", Args: "descriptor, function", Min: 2, Max: 2, Fn: t.luaSocket},
			{Name: "cancel", Args: "id", Min: 1, Max: 1, Fn: t.luaCancel},
		},
	})
	// The manual writes e.cancel(e), though events are numbers.
	d.VM.NumberIndex("event")
	return t
}

func (t *Events) luaAfter(c *script.Call) error {
	return t.luaTimer(c, interval(c, 1), 0)
}

// luaRecurrent runs the function first in the next turn of the loop; an interval
// of 0 degenerates to once.
func (t *Events) luaRecurrent(c *script.Call) error {
	return t.luaTimer(c, 0, interval(c, 1))
}

func (t *Events) luaTimer(c *script.Call, first, every time.Duration) error {
	fn := c.Function(2)
	e, err := t.start(func(id int, _ readiness) error { return fn.Run(float64(id)) })
	if err != nil {
		return err
	}
	e.every = every
	t.arm(e, first)
	return c.Return(e.id)
}

func (t *Events) luaReschedule(c *script.Call) error {
	e, after := t.live[eventID(c)], interval(c, 2)
	if e == nil || e.watch != nil {
		return c.Return(false)
	}
	e.every = 0
	t.arm(e, after)
	return c.Return(true)
}

func (t *Events) luaSocket(c *script.Call) error {
	fd, fn := c.Int(1, 0, math.MaxInt32), c.Function(2)
	e, err := t.start(func(id int, r readiness) error {
		var status syscall.Errno
		errors.As(r.err, &status)
		return fn.Run(float64(id), float64(-int(status)), float64(r.events&(fdwatch.Readable|fdwatch.Writable)))
	})
	if err != nil {
		return err
	}
	e.watch, err = t.d.Descriptors.Watch(fd, fdwatch.Readable, func(ready fdwatch.Events, err error) {
		t.isDue(firing{e, 0, readiness{ready, err}})
	})
	if err != nil {
		t.end(e)
		return err
	}
	return c.Return(e.id)
}

func (t *Events) luaCancel(c *script.Call) error {
	e := t.live[eventID(c)]
	if e != nil {
		t.end(e)
		if e.running {
			e.stop(errCancelled)
		}
	}
	return c.Return(e != nil)
}

// errCancelled is why a callback ends that would run on.
var errCancelled = errors.New("ended: its event was cancelled")

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
	return time.Duration(ms) * time.Millisecond // a fraction is cut off, as in the original
}

// After runs fn once, like an event that no script knows of.
func (t *Events) After(d time.Duration, fn func() error) {
	t.arm(t.begin(func(int, readiness) error { return fn() }), d)
}

// start makes an event for a script, unless there are too many.
func (t *Events) start(fn func(int, readiness) error) (*event, error) {
	if len(t.live) >= limits.LuaEvents {
		t.d.Counters.Hit(limits.Events)
		return nil, script.Usage(fmt.Sprintf("there are %d events already", len(t.live)))
	}
	return t.begin(fn), nil
}

func (t *Events) begin(fn func(int, readiness) error) *event {
	e := &event{id: t.newID(), fn: fn}
	t.live[e.id] = e
	return e
}

func (t *Events) newID() int {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	t.next++
	return t.next - 1
}

func (t *Events) arm(e *event, d time.Duration) {
	f := firing{e: e, generation: t.retract(e)}
	e.armed = t.d.Alarms.After(d, func() { t.isDue(f) })
}

// retract keeps an event from firing for what was so far, and is its new generation.
func (t *Events) retract(e *event) int {
	e.armed.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.place != nil {
		t.due.Remove(e.place)
		e.place = nil
	}
	e.generation++
	return e.generation
}

func (t *Events) isDue(f firing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.generation != f.e.generation { // it was rescheduled or cancelled just now
		return
	}
	if f.e.place = t.due.PushBack(f); !t.queued {
		t.queued = true
		t.d.VM.Post(t.turn)
	}
}

// turn runs the first that is due. The next one queues before, because a callback may
// wait for something.
func (t *Events) turn(*script.Call) error {
	f, ok := t.first()
	if !ok {
		return nil
	}
	return t.fire(f)
}

// first takes the first that is due, if it was not retracted, and has the machine come back
// for the next.
func (t *Events) first() (f firing, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.due.Front(); at != nil {
		f, ok = t.due.Remove(at).(firing), true
		f.e.place = nil
	}
	if t.queued = t.due.Len() > 0; t.queued {
		t.d.VM.Post(t.turn)
	}
	return f, ok
}

// fire runs the callback. A timer that was neither rescheduled by it nor is
// recurrent ends. An error ends nothing but the call. What comes while the callback of an
// event waits for something comes when that has returned.
func (t *Events) fire(f firing) error {
	e := f.e
	if t.live[e.id] != e || e.generation != f.generation {
		return nil
	}
	if e.running {
		e.missed = &f
		return nil
	}
	if e.every > 0 {
		t.arm(e, e.every)
	}
	generation := e.generation
	e.running, e.stop = true, t.d.VM.Stopper()
	err := e.fn(e.id, f.ready)
	e.running = false
	switch {
	case t.live[e.id] != e:
	case tooLong(err) || f.ready.err != nil:
		t.end(e)
	case e.watch != nil:
		t.watchOn(e, f.ready.events)
	case e.every == 0 && e.generation == generation:
		t.end(e)
	}
	if missed := e.missed; missed != nil {
		e.missed = nil
		t.isDue(*missed)
	}
	return e.report(err)
}

// tooLong tells whether a callback was ended since it would hold up all others. Its event
// would do that again.
func tooLong(err error) bool {
	var i *script.Interrupt
	return errors.As(err, &i)
}

// watchOn goes on to watch a descriptor after its callback. One whose other end is gone is
// ready for good, and left alone for a while.
func (t *Events) watchOn(e *event, ready fdwatch.Events) {
	if ready&fdwatch.HungUp != 0 {
		e.armed = t.d.Alarms.After(limits.LuaHungUpPause, e.watch.Again)
		return
	}
	e.watch.Again()
}

// report is the error that the log gets to see: not each of an event that fails again
// and again.
func (e *event) report(err error) error {
	var lua *script.Error
	if !errors.As(err, &lua) {
		return err
	}
	if time.Since(e.told) < limits.LuaErrorPause {
		e.untold++
		return nil
	}
	if e.untold > 0 {
		again := *lua
		again.Message += fmt.Sprintf(" (this event failed %d times since the last report)", e.untold)
		err = &again
	}
	e.told, e.untold = time.Now(), 0
	return err
}

func (t *Events) end(e *event) {
	if t.live[e.id] != e {
		return
	}
	t.retract(e)
	if e.watch != nil {
		e.watch.Close()
	}
	delete(t.live, e.id)
	t.free = append(t.free, e.id)
}
