package kresc

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/reload"
)

// reloadingWorker starts a worker with those reloads and returns its run directory.
func reloadingWorker(t *testing.T, r console.Reloads) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kresc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "tty"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "tty", "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := console.Serve(l, console.Options{Eval: func() console.Evaluator { return toy{"0", new(atomic.Int64)} }, Reloads: r,
		Identity: console.Identity{Count: 1, PID: math.MaxInt32 - 1, Version: "1"}})
	t.Cleanup(s.Close)
	return dir
}

// A played is what a worker says of reloads.
type played struct {
	asked func(ctx context.Context) (int, error)
	state func() *reload.State
	check func() []string
}

func (p played) Ask(ctx context.Context) (int, error) { return p.asked(ctx) }
func (p played) State() *reload.State                 { return p.state() }
func (p played) ConfigCommand() string                { return "" }
func (p played) Defaults() (json.RawMessage, error)   { return nil, nil }
func (p played) Check() []string                      { return p.check() }
func (p played) OnDisk() reload.OnDisk                { return reload.OnDisk{} }

// Ctrl-C ends kresc at once, whatever a worker that hangs was asked.
func TestAReloadOfAWorkerThatHangsIsInterrupted(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	number := func(context.Context) (int, error) { return 1, nil }
	for what, c := range map[string]struct {
		args   []string
		worker func(reached func()) played
		says   string
	}{
		"asked": {[]string{"reload"}, func(reached func()) played {
			return played{asked: func(context.Context) (int, error) { reached(); <-hang; return 1, nil }}
		}, "interrupted: it is not known whether the reload was taken"},
		"followed": {[]string{"reload"}, func(reached func()) played {
			return played{asked: number, state: func() *reload.State { reached(); <-hang; return &reload.State{} }}
		}, "what becomes of the reload is not awaited"},
		"awaited": {[]string{"reload"}, func(reached func()) played {
			return played{asked: number, state: func() *reload.State { reached(); return &reload.State{Asked: 1} }}
		}, "what becomes of the reload is not awaited"},
		"checked": {[]string{"config", "check"}, func(reached func()) played {
			return played{check: func() []string { reached(); <-hang; return nil }}
		}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			pressed := make(chan time.Time, 1)
			press := sync.OnceFunc(func() { // the worker is asked again, perhaps when nobody minds Ctrl-C any more
				pressed <- time.Now()
				_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
			})
			_, errs, status := run(t, "", append(c.args, reloadingWorker(t, c.worker(press)))...)
			if status != statusInterrupted || !strings.Contains(errs, c.says) {
				t.Errorf("status %d, %q; want %d and %q", status, errs, statusInterrupted, c.says)
			}
			if took := time.Since(<-pressed); took > limits.ClientWelcome-time.Second {
				t.Errorf("it went on for %v", took)
			}
		})
	}
}

// What is told is the outcome of the reload that was asked for, and not that of the latest,
// which may be somebody else's.
func TestAReloadIsJudgedByItsOwnRun(t *testing.T) {
	ended := func(runs ...reload.Run) played {
		last := runs[len(runs)-1].Last
		s := &reload.State{Asked: last, Begun: last, Ended: last, Workers: 2, Runs: runs}
		return played{asked: func(context.Context) (int, error) { return 3, nil }, state: func() *reload.State { return s }}
	}
	good, bad := reload.Run{Replaced: 2}, reload.Run{Replaced: 1, Errors: []string{"worker 1 (pid 7) serves on"}}
	of := func(r reload.Run, first, last int) reload.Run { r.First, r.Last = first, last; return r }
	for what, c := range map[string]struct {
		worker    played
		out, errs string
		status    int
	}{
		"the other failed": {ended(of(good, 2, 3), of(bad, 4, 4)), "reloaded, 2 workers replaced\n", "", 0},
		"this one failed":  {ended(of(bad, 3, 3), of(good, 4, 9)), "", "worker 1 (pid 7) serves on\nkresc: group 2147483646: half reloaded: 1 of 2 workers are replaced", statusRaised},
		"it is forgotten":  {ended(of(good, 5, 5)), "", "what became of this reload is not known any more", statusNobody},
	} {
		t.Run(what, func(t *testing.T) {
			out, errs, status := run(t, "", "reload", reloadingWorker(t, c.worker))
			if status != c.status || !strings.HasSuffix(out, c.out) || !strings.Contains(errs, c.errs) {
				t.Errorf("status %d, %q, %q; want %d, %q, %q", status, out, errs, c.status, c.out, c.errs)
			}
		})
	}
}
