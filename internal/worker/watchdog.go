package worker

import (
	"context"
	"fmt"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// feedWatchdogs tells whoever watches that this worker does its work: the service
// manager, or in a group the supervisor.
func (w *Worker) feedWatchdogs() {
	if every := w.o.Notify.WatchdogInterval() / 2; every > 0 {
		w.group.Go("watchdog", func() { w.feedWatchdog(every, every, w.o.Notify.Alive) })
	}
	if every := w.o.Link.WatchdogInterval(); every > 0 {
		w.group.Go("watchdog", func() { w.feedWatchdog(every, limits.AliveAnswer, w.o.Link.Alive) })
	}
}

// feedWatchdog tells it whenever the worker answers itself within some time, and all
// that receive move on.
func (w *Worker) feedWatchdog(every, within time.Duration, alive func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if w.answersItself(within) && w.receives() {
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
