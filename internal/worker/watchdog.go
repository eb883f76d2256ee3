package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// feedWatchdogs tells whoever watches that this worker does its work: the service
// manager, or in a group the supervisor.
func (w *Worker) feedWatchdogs() {
	if every := w.o.Notify.WatchdogInterval() / 2; every > 0 {
		w.group.Go("watchdog", func() {
			w.each(every, func(time.Duration) {
				if w.receives() && w.answersItself(every, nil) {
					w.o.Notify.Alive()
				}
			})
		})
	}
	if every := w.o.Link.WatchdogInterval(); every > 0 {
		w.superviseItself(every, w.o.Link)
	}
}

// each calls do every so often, with the time that has passed since it began to last.
func (w *Worker) each(every time.Duration, do func(since time.Duration)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := w.clock.Mono(); ; {
		select {
		case <-tick.C:
			now := w.clock.Mono()
			do(now - last)
			last = now
		case <-w.ctx.Done():
			return
		}
	}
}

// A watcher hears of a worker's health: a *ipc.Link.
type watcher interface {
	Alive()
	Hangs(why string)
}

// superviseItself tells the supervisor every so often that this worker is alive, and, where
// it is sure of it, that it hangs. The question is asked beside, because the supervisor has
// less patience than a rule that is a script, or asks others, may take for its part of the
// answer.
func (w *Worker) superviseItself(every time.Duration, supervisor watcher) {
	p := &pulse{}
	w.group.Go("watchdog question", func() {
		w.each(every, func(time.Duration) {
			p.ask(w.clock.Mono())
			if w.answersItself(limits.AliveAnswer, p) {
				p.answered()
			}
		})
	})
	w.group.Go("watchdog", func() {
		var d diagnosis
		w.each(every, func(since time.Duration) {
			silence, waits := p.now(w.clock.Mono())
			alive, why := d.look(every, since, w.receives(), silence, waits)
			switch {
			case alive:
				supervisor.Alive()
			case why != "" && !awaitsDisk():
				supervisor.Hangs(why)
			}
		})
	})
}

// A pulse is what is known of the questions that a worker asks itself. As a Reception it
// hears that one waits for something else than this worker: for a script, or for servers,
// as rules may have it.
type pulse struct {
	asked atomic.Int64 // when the first one was that is not answered, in nanoseconds of Clock.Mono; 0: none
	waits atomic.Bool  // one has waited since
}

// ask takes note of a question that is asked now. Where one before it had no answer in its
// time, the silence has begun with that one, and what is known of it stays.
func (p *pulse) ask(now time.Duration) {
	if p.asked.CompareAndSwap(0, int64(max(now, 1))) {
		p.waits.Store(false)
	}
}

func (p *pulse) answered() { p.asked.Store(0) }

// now is how long no question has been answered that was asked, and whether one has waited
// for something else meanwhile. That is looked at first: the next question, which has not
// waited yet, must not inherit the silence of one that is answered at this moment.
func (p *pulse) now(now time.Duration) (silence time.Duration, waits bool) {
	waits = p.waits.Load()
	if asked := p.asked.Load(); asked != 0 {
		silence = now - time.Duration(asked)
	}
	return silence, waits
}

// Await implements resolve.Reception.
func (p *pulse) Await(int, time.Duration) (readable, held bool) {
	p.waits.Store(true)
	return false, false
}

// Pass implements resolve.Reception.
func (p *pulse) Pass() { p.waits.Store(true) }

// A diagnosis is what is known of a worker by looks at it, one after the other.
type diagnosis struct {
	inTime time.Duration // for which looks have come when they should: the worker had processors
	deaf   time.Duration // for which nobody has received
}

// look tells whether a worker is alive, or why it is sure that it hangs; else neither is
// known. Looks that come late say that the machine is busy, or was suspended, and then
// nothing is sure.
func (d *diagnosis) look(every, since time.Duration, receives bool, silence time.Duration, waits bool) (alive bool, hangs string) {
	if d.inTime += since; since > every+every/2 {
		d.inTime = 0
	}
	if d.deaf += since; receives {
		d.deaf = 0
	}
	switch {
	case d.deaf >= limits.AliveSure && d.inTime >= d.deaf:
		return false, "what comes to one of its addresses is not received"
	case d.deaf > 0:
		return false, ""
	case silence < limits.AliveSure, waits && silence < limits.AliveAnswer:
		return true, ""
	case !waits && d.inTime >= silence:
		return false, fmt.Sprintf("a question to itself, which waits for no other, has not been answered for %.1f s", silence.Seconds())
	}
	return false, ""
}

// awaitsDisk tells whether a thread of this process waits for a disk, or for what else is
// no fault of its own.
func awaitsDisk() bool {
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	for _, path := range threads {
		text, _ := os.ReadFile(path)
		if _, rest, _ := strings.Cut(string(text), "\nState:\t"); strings.HasPrefix(rest, "D") {
			return true
		}
	}
	return false
}

// receives tells whether no listener's thread leaves what has come lying.
func (w *Worker) receives() bool {
	addr, stuck := w.server.Stuck()
	if stuck {
		w.seldom.Say("watchdog: receives", func(more string) {
			w.log.Error(fmt.Sprintf("nobody receives what comes to %s@%d%s", addr.Addr(), addr.Port(), more))
		})
	}
	return !stuck
}

// answersItself asks the worker a question on the driver's way, as a client would,
// and tells whether it was answered in the given time. Which answer does not count:
// rules may have any of this name, and the network is nothing that a restart mends.
// A worker that is stuck does not come back from here, and is missed.
func (w *Worker) answersItself(within time.Duration, p *pulse) bool {
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	silent := time.AfterFunc(within, func() {
		w.seldom.Say("watchdog: answers", func(more string) {
			w.log.Error(fmt.Sprintf("the watchdog's question was not answered within %v%s", within, more))
		})
	})
	defer silent.Stop()
	req := &resolve.Request{Question: localhost, RD: true, Alone: true}
	if p != nil {
		req.Reception = p
	}
	w.resolve(ctx, req)
	return ctx.Err() == nil
}
