package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// A run is one evaluation in progress.
type run struct {
	Evaluation
	outer *run      // the evaluation that waits until this one is done, or nil
	since time.Time // when it began, later by what it has waited since
	took  memory

	gaveWay  time.Time // when it went on after it had given way to a command last
	toHooks  time.Time // before this it does not give way to what requests wait for again
	givesWay bool      // others have the machine, and it would run
	stopped  error     // why it is not to go on then
}

// An Evaluation says on whose behalf code runs, and how much it may take.
type Evaluation struct {
	Context context.Context // nil: never ends
	Kind    Kind
	Budget  time.Duration // running time; 0: unlimited
	Echo    io.Writer     // where what it prints is shown as well; may be nil

	part bool // of the evaluation that it runs in: its time, memory and turns count as that one's
}

// A Kind says why Lua code runs.
type Kind int

// The kinds of evaluation.
const (
	Internal Kind = iota // the program's own
	Config               // a configuration file
	Console              // a command
	Mapped               // an expression relayed by map()
	Event                // a timer or another callback
	Hooked               // a function that a request waits for
)

// hookInterval is how many instructions pass between two looks at the clock:
// some ten microseconds.
const hookInterval = 1000

// watch is the machine's count hook.
func (m *Machine) watch(l *lua.State, _ lua.Debug) {
	m.Check(l)
	m.giveWay()
}

// Check ends the evaluation that runs when it is overdue, and tells of one that runs
// long. Functions of ours call it, since the machine looks while its own code runs.
func (m *Machine) Check(l *lua.State) {
	m.tellLong(l)
	if err := m.overdue(); err != nil {
		m.interrupt(err)
	}
}

// interrupt ends the evaluation that runs, where its code stands. It is not a Lua error:
// those run message handlers, in which no hook fires, and can be caught.
func (m *Machine) interrupt(why error) {
	l := m.now.l
	panic(&Interrupt{Reason: why, Where: FilePosition(l), traceback: Traceback(l, 0)})
}

// tellLong lets the owner know of code that has run for long without a pause, and where
// it stands, once in a while.
func (m *Machine) tellLong(l *lua.State) {
	r := m.now.run
	if r == nil || m.opts.OnLong == nil {
		return
	}
	now := time.Now()
	if ran := now.Sub(r.since); ran > limits.LuaLongRun && now.Sub(m.toldLong) > limits.LuaLongPause {
		m.toldLong = now
		m.opts.OnLong(strings.TrimSuffix(Position(l), ": "), ran)
	}
}

func (m *Machine) overdue() error {
	r := m.now.run
	if r == nil {
		return nil
	}
	if r.Budget > 0 {
		now := time.Now()
		if now.Sub(r.since) > r.Budget {
			return fmt.Errorf("ended: it ran longer than %v", r.Budget)
		}
		if err := r.took.exceeded(now); err != nil {
			return err
		}
	}
	select {
	case <-m.closed:
		return ErrClosed
	default:
	}
	if r.Context != nil && r.Context.Err() != nil {
		return endOf(r.Context)
	}
	return nil
}

// endOf says why a context ended, in words for whoever reads the message.
func endOf(ctx context.Context) error { return wording.Reason(context.Cause(ctx)) }

// EnterPart is Enter for what is a part of the evaluation that runs.
func (m *Machine) EnterPart(body func(l *lua.State) error) error {
	e := m.now.run.Evaluation
	e.part = true
	return m.Enter(e, body)
}

// Enter runs body as an evaluation and returns its error, or the Lua error
// that was raised inside.
func (m *Machine) Enter(e Evaluation, body func(l *lua.State) error) error {
	t := m.now
	r := &run{Evaluation: e, outer: t.run, since: time.Now()}
	if e.part && t.run != nil {
		r.since, r.took, r.gaveWay, r.toHooks = t.run.since, t.run.took, t.run.gaveWay, t.run.toHooks
	}
	l, top := t.l, t.l.Top()
	t.run = r
	defer func() {
		t.run = r.outer
		l.SetTop(top)
	}()
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	var result error
	l.PushGoFunction(m.Caught("", func(l *lua.State) int {
		result = body(l)
		return 0
	}))
	if err := m.ProtectedCall(l, 0, 0, 0); err != nil {
		return err
	}
	return result
}

// Echo shows what a command prints to the client that sent it.
func (m *Machine) Echo(text string) {
	if r := m.now.run; r != nil && r.Echo != nil {
		_, _ = io.WriteString(r.Echo, text)
	}
}

// Kind is that of the evaluation that runs.
func (m *Machine) Kind() Kind { return m.now.run.Kind }

// Within tells whether the evaluation that runs, or one that waits for it, is of kind.
func (m *Machine) Within(kind Kind) bool {
	for r := m.now.run; r != nil; r = r.outer {
		if r.Kind == kind {
			return true
		}
	}
	return false
}

// Exit is the error that ends the evaluation in which a script has ended the process. No
// event's code runs any more.
func (m *Machine) Exit() error {
	m.exiting = true
	return &Interrupt{Reason: ErrExit, Where: FilePosition(m.now.l)}
}
