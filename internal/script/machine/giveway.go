package machine

import (
	"iter"
	"time"

	"kresd/internal/limits"
)

// Giving way
//
// The code of an event may run for a minute. Who types a command meanwhile, perhaps to
// cancel that event, shall not wait as long: from limits.LuaTurn on the code gives way,
// between two instructions, to one command or mapped expression that waits, as a function
// of ours does that steps aside (turn.go), and goes on. Other events do not come between.
//
// What requests wait for would fail before such code ends, or a command. From
// limits.LuaHookTurn on, by when the log tells of it, both give way to all of that which
// waits, and have the machine for as long as it took, limits.LuaHookPause at least, before
// they give way again. Until then scripts may count on one thing at a time. A configuration
// file gives way to nobody.

// giveWay lets others have the machine, if they wait and the code has had its turn.
func (m *Machine) giveWay() {
	r := m.now.run
	switch {
	case r == nil:
	case m.hooksWait() && m.givesWayToHooks(r):
		began := time.Now()
		m.letBetween((*Thread).hooksBetween)
		now := time.Now()
		for r := range m.runs() {
			r.toHooks = now.Add(max(limits.LuaHookPause, now.Sub(began)))
		}
	case m.isWanted() && m.givesWayToCommands(r):
		m.letBetween((*Thread).commandBetween)
		now := time.Now()
		for r := range m.runs() {
			r.gaveWay = now
		}
	}
}

// hooksWait tells whether what requests wait for is to begin or to go on.
func (m *Machine) hooksWait() bool { return m.hooks.waiting.Load()+m.hooksBack.waiting.Load() > 0 }

// isWanted tells whether somebody waits for whom code of an event gives way.
func (m *Machine) isWanted() bool {
	return m.jobs.commands.Load()+m.mapped.waiting.Load()+m.aside.waiting.Load() > 0
}

func (m *Machine) givesWayToHooks(r *run) bool {
	return time.Since(r.since) >= limits.LuaHookTurn && time.Now().After(r.toHooks) && m.only(Event, Console, Mapped)
}

func (m *Machine) givesWayToCommands(r *run) bool {
	began := r.since
	if r.gaveWay.After(began) {
		began = r.gaveWay
	}
	return time.Since(began) >= limits.LuaTurn && m.only(Event)
}

// letBetween has another thread do something, and goes on. It ends the code that runs if
// somebody has stopped that meanwhile.
func (m *Machine) letBetween(do func(*Thread)) {
	for r := range m.runs() {
		r.givesWay, r.stopped = true, nil
	}
	_ = m.countingNoTime(func() error {
		m.lend(do)
		return nil
	})
	var stopped error
	for r := range m.runs() {
		if r.givesWay = false; r.stopped != nil {
			stopped = r.stopped
		}
	}
	if stopped != nil {
		m.interrupt(stopped)
	}
}

// runs are the evaluations in which the running code is, those of the threads that wait
// for it to yield included.
func (m *Machine) runs() iter.Seq[*run] {
	return func(yield func(*run) bool) {
		for t := m.now; t != nil; t = t.resumer {
			for r := t.run; r != nil; r = r.outer {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// lend hands the machine to another thread, which gives it back when it has done something.
func (m *Machine) lend(do func(*Thread)) {
	me, other, events := m.now, m.newThread(), 0
	if m.only(Event) {
		events = 1
	}
	m.away, m.eventsAway = m.away+1, m.eventsAway+events
	m.gaveWay.put(func() { m.now = me; me.turn <- struct{}{} })
	other.status = running
	m.now = other
	m.opts.Goroutines.Go("lua", func() { do(other) })
	<-me.turn
	m.away, m.eventsAway = m.away-1, m.eventsAway-events
}

// commandBetween does one job to which code of an event gives way: what has stepped aside
// goes on, or a command runs until it ends or waits.
func (t *Thread) commandBetween() {
	m := t.m
	if giveBack := m.aside.take(); giveBack != nil {
		t.end()
		giveBack()
		return
	}
	if !m.mapped.serve() {
		if command := m.jobs.takeCommand(); command != nil {
			command()
		}
	}
	t.serve()
}

// hooksBetween does all that requests wait for by now. What has waited itself goes on
// afterwards.
func (t *Thread) hooksBetween() {
	m := t.m
	for range m.hooks.waiting.Load() {
		m.hooks.serve()
	}
	if giveBack := m.hooksBack.take(); giveBack != nil {
		t.end()
		giveBack()
		return
	}
	t.serve()
}

// Stopper returns what ends the evaluation that runs now, for the owner goroutine: it acts
// while that evaluation gives way, and not where its code runs or waits for something.
func (m *Machine) Stopper() (stop func(why error)) {
	r := m.now.run
	return func(why error) {
		if r.givesWay {
			r.stopped = why
		}
	}
}
