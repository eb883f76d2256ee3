// Package cqueues is the library cqueues for scripts: controllers, whose coroutines wait
// for time, descriptors and each other without holding up anybody.
//
// Coroutines are tasks of package script. Where one waits it is parked, and its
// controller has it run again when what it waits for is there (poll.go). A script steps
// its own controllers; that of worker.coroutine is stepped by the worker
// (background.go). What waits outside of any controller steps aside.
//
// Of the original it lacks threads of the system, its own DNS resolver, the replacing
// of methods (interpose), and datagrams. Streams are Lua text over the library socket.
package cqueues

import (
	"os"
	"time"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/safe"
	"kresd/internal/script"
)

// A Host is what the libraries of one machine stand on.
type Host struct {
	VM      *script.VM
	Alarms  *clock.Alarms
	Watcher *fdwatch.Watcher
	Clock   *clock.Clock
	// Goroutines starts what waits for signals.
	Goroutines *safe.Group
}

// A Library is cqueues in one machine. Its methods are for the owner goroutine.
type Library struct {
	Host
	controllers, conditions *script.Class
	owners                  map[*script.Task]*job
	polled                  map[*poll]struct{}
	background              *Background    // nil before it is used
	dropped                 chan os.Signal // signals that scripts block
	describe                *script.Ref    // tells what an object of a script polls; nil at first
}

// New makes the library, which has nothing before a script uses it.
func New(h Host) *Library {
	lib := &Library{Host: h, dropped: make(chan os.Signal, 1), owners: map[*script.Task]*job{}, polled: map[*poll]struct{}{}}
	lib.controllers = lib.controllerClass()
	lib.conditions = lib.conditionClass()
	return lib
}

// Libraries are what scripts can require of it.
func (lib *Library) Libraries() []script.Library {
	return []script.Library{
		{Name: "cqueues", Help: "coroutines that wait without holding up others", Open: lib.open},
		{Name: "cqueues.condition", Help: "what coroutines wait for and signal to each other", Open: lib.openCondition},
		{Name: "cqueues.promise", Help: "values that a coroutine will have", Open: lib.openPromise},
		{Name: "cqueues.notify", Help: "changes of files in a directory", Open: lib.openNotify},
		{Name: "cqueues.socket", Help: "streams over TCP, paths and TLS with buffers, lines and modes", Open: openSocket},
		{Name: "cqueues.signal", Help: "signals to this process", Open: lib.openSignal},
		{Name: "cqueues.errno", Help: "numbers and texts of the system's errors", Open: openErrno},
		{Name: "cqueues.auxlib", Help: "small helpers", Open: openAuxlib},
	}
}

// open makes the table cqueues.
func (lib *Library) open(c *script.Call) (any, error) {
	core := c.LibraryTable("cqueues", []script.Func{
		{Name: "new", Max: 0, Fn: func(c *script.Call) error { return c.Return(lib.newController(nil).handle()) }},
		{Name: "sleep", Args: "seconds", Min: 1, Max: 1, Fn: lib.sleep},
		{Name: "poll", Args: "object or seconds, ...", Max: -1, Fn: func(c *script.Call) error { return lib.pollAll(c, 1) }},
		{Name: "running", Max: 0, Fn: lib.running},
		{Name: "monotime", Max: 0, Fn: func(c *script.Call) error { return c.Return(lib.Clock.Boot().Seconds()) }},
		{Name: "type", Args: "value", Min: 1, Max: 1, Fn: typeFunc(lib.controllers, "controller")},
		{Name: "cancel", Args: "descriptor", Min: 1, Max: 1, Fn: lib.cancel},
	}, script.Entry{Key: "VERSION", Value: 20200726})
	return c.LibraryText("cqueues", "local core = ... core.resume, core.wrap = coroutine.resume, coroutine.wrap return core", core)
}

// typeFunc is the function type of a library: the name of the class for its objects, nil
// for all else.
func typeFunc(class *script.Class, name string) func(*script.Call) error {
	return func(c *script.Call) error {
		if _, ok := c.HandleOf(1, class); ok {
			return c.Return(name)
		}
		return c.Return(nil)
	}
}

// seconds is the time in argument i, which is not negative; -1 when it is left out.
func seconds(c *script.Call, i int) time.Duration {
	if c.IsNil(i) {
		return -1
	}
	s := c.Number(i)
	if !(s >= 0) {
		c.ArgError(i, "seconds of at least 0 expected")
	}
	return script.Seconds(s)
}
