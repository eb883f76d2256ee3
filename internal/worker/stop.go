package worker

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
)

// wait returns when the worker is to end.
func (w *Worker) wait(signals <-chan os.Signal) { w.asked(signals, nil) }

// asked waits for the wish to end, or for done, and tells whether it was the
// former.
func (w *Worker) asked(signals <-chan os.Signal, done <-chan struct{}) bool {
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				return true
			}
			w.reload()
		case <-w.o.Link.Drain():
			return true
		case <-w.o.Link.Closed():
			w.log.Warn("the supervisor is gone: ending too")
			return true
		case <-w.quit:
			return true
		case <-done:
			return false
		}
	}
}

// reload is what SIGHUP asks for. In a group the supervisor does it, which nobody
// waits for here.
func (w *Worker) reload() {
	w.group.Go("ask for a reload", func() {
		ctx, cancel := context.WithTimeout(w.ctx, limits.ConsoleRunTime)
		defer cancel()
		if _, err := w.reloads.ask(ctx, "SIGHUP"); err != nil {
			w.log.Warn(fmt.Sprintf("SIGHUP: no reload: %v", err))
		}
	})
}

// stop ends in order: leave the port group and answer what was accepted, commit
// what waits to be written, remove the control socket. A second signal ends at
// once.
func (w *Worker) stop(signals <-chan os.Signal) int {
	w.o.Link.Stopping()
	w.o.Notify.Forget()
	w.o.Notify.Stopping()
	done := make(chan struct{})
	w.group.Go("stop", func() {
		defer close(done)
		w.drain()
	})
	limit := time.NewTimer(limits.DrainTime - limits.DrainGrace)
	defer limit.Stop()
	for {
		select {
		case <-done:
			return 0
		case <-limit.C:
			w.consoles.close()
			return 0
		case s := <-signals:
			if s != syscall.SIGHUP {
				w.consoles.close()
				return 1
			}
		}
	}
}

func (w *Worker) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), limits.DrainAnswerTime)
	defer cancel()
	w.server.Drain(ctx)
	w.abandon()
}

// abandon gives up everything but the listeners.
func (w *Worker) abandon() {
	w.consoles.close()
	w.cancel()
	w.closeModules()
	w.upstream.Close()
	w.storage.finish()
	w.vm.Close()
	w.watcher.Close()
}

// closeModules unloads all modules where they are loaded and unloaded, too: on the Lua
// machine. Of one that is busy they are left to the end of the process.
func (w *Worker) closeModules() {
	ctx, cancel := context.WithTimeout(context.Background(), limits.LuaHookTime)
	defer cancel()
	_ = w.vm.Do(ctx, func(*script.Call) error {
		w.chain.Close()
		return nil
	})
}
