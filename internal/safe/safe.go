// Package safe starts goroutines that cannot take the process down.
//
// A panic in one request must not end the answers of all others (a Go process
// dies with its first unrecovered panic), so every goroutine of the program is
// started here and nowhere else: a panic is recovered, counted and handed to a
// hook that its owner chose. What Go does not let anybody recover from
// (concurrent map writes, a stack over its limit, memory exhausted, a fault in
// C) is not caught here; the supervisor restarts the process for those.
//
// Nothing here restarts the function that panicked: only its owner knows
// whether its state is still sound.
package safe

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A Panic is what was recovered: the goroutine's name, the value given to
// panic, and the stack at that moment. It is an error so that it can be
// returned or logged as one.
type Panic struct {
	Name  string
	Value any
	Stack []byte
}

// Error says which goroutine panicked and with what, in one line.
func (p *Panic) Error() string { return fmt.Sprintf("panic in %s: %v", p.Name, p.Value) }

// A Group starts goroutines that share one hook and one counter. The zero
// value is ready to use; a nil *Group works too, and counts nothing.
type Group struct {
	// OnPanic is told of each recovered panic, on the goroutine that
	// panicked. Nil means a report on standard error.
	OnPanic func(*Panic)

	panics  atomic.Uint64
	running sync.WaitGroup
}

// Go runs fn on a new goroutine named name.
func (g *Group) Go(name string, fn func()) {
	if g == nil {
		go g.Run(name, fn)
		return
	}
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		g.Run(name, fn)
	}()
}

// Run calls fn on the calling goroutine and returns the panic that ended it,
// or nil. Request handlers use it to turn a panic into an answer.
func (g *Group) Run(name string, fn func()) (p *Panic) {
	defer func() {
		if v := recover(); v != nil {
			p = &Panic{Name: name, Value: v, Stack: debug.Stack()}
			g.report(p)
		}
	}()
	fn()
	return nil
}

// Panics is the number of panics recovered so far.
func (g *Group) Panics() uint64 {
	if g == nil {
		return 0
	}
	return g.panics.Load()
}

// Wait returns when every goroutine started by Go has returned.
func (g *Group) Wait() {
	if g != nil {
		g.running.Wait()
	}
}

func (g *Group) report(p *Panic) {
	if g != nil {
		g.panics.Add(1)
		if g.OnPanic != nil {
			callHook(g.OnPanic, p)
			return
		}
	}
	toStderr(p)
}

// callHook keeps a hook that panics itself from ending the process.
func callHook(hook func(*Panic), p *Panic) {
	defer func() {
		if v := recover(); v != nil {
			toStderr(p)
		}
	}()
	hook(p)
}

func toStderr(p *Panic) {
	fmt.Fprintf(os.Stderr, "[system] %v\n%s", p, p.Stack)
}

// Go runs fn on a new goroutine named name and gives a recovered panic's
// value to onPanic; with a nil onPanic the panic is reported on standard
// error. For one goroutine on its own; several belong in a Group.
func Go(name string, onPanic func(any), fn func()) {
	g := &Group{}
	if onPanic != nil {
		g.OnPanic = func(p *Panic) { onPanic(p.Value) }
	}
	g.Go(name, fn)
}
