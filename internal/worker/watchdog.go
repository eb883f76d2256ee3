package worker

import (
	"context"
	"fmt"
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
			w.feedWatchdog(every, func() bool { return w.receives() && w.answersItself(every) }, w.o.Notify.Alive)
		})
	}
	if every := w.o.Link.WatchdogInterval(); every > 0 {
		answered := &atomic.Int64{}
		answered.Store(int64(w.clock.Mono()))
		now := func() { answered.Store(int64(w.clock.Mono())) }
		w.group.Go("watchdog question", func() {
			w.feedWatchdog(every, func() bool { return w.answersItself(limits.AliveAnswer) }, now)
		})
		// The supervisor has less patience than a rule that is a script may take for its
		// part of the answer, and is not to wait for that.
		w.group.Go("watchdog", func() {
			w.feedWatchdog(every, func() bool {
				return w.clock.Mono()-time.Duration(answered.Load()) < limits.AliveAnswer && w.receives()
			}, w.o.Link.Alive)
		})
	}
}

// feedWatchdog calls alive each time when the worker is well.
func (w *Worker) feedWatchdog(every time.Duration, well func() bool, alive func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if well() {
				alive()
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// receives tells whether no listener's thread leaves what has come lying.
func (w *Worker) receives() bool {
	addr, stuck := w.server.Stuck()
	if stuck {
		w.log.Error(fmt.Sprintf("nobody receives what comes to %s@%d", addr.Addr(), addr.Port()))
	}
	return !stuck
}

// answersItself asks the worker a question on the driver's way, as a client would,
// and tells whether it was answered in the given time. Which answer does not count:
// rules may have any of this name, and the network is nothing that a restart mends.
// A worker that is stuck does not come back from here, and is missed.
func (w *Worker) answersItself(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	silent := time.AfterFunc(within, func() {
		w.log.Error(fmt.Sprintf("the watchdog's question was not answered within %v", within))
	})
	defer silent.Stop()
	w.resolve(ctx, &resolve.Request{
		Question: localhost,
		RD:       true,
	})
	return ctx.Err() == nil
}
