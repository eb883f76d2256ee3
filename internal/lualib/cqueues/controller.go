package cqueues

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// A controller runs coroutines: each of those that can go on, once a step.
type controller struct {
	lib  *Library
	jobs map[*job]struct{} // all that have not ended; the owner goroutine's
	// worker steps the controller when it is called, from any goroutine; nil where a
	// script does.
	worker func()
	seen   weak.Pointer[held]

	mu     sync.Mutex
	ready  []*job
	wakes  map[*func()]struct{} // what waits for one that can go on
	notice int                  // descriptor that can be read while one can go on; -1: nobody asked
}

// A job is one of the coroutines.
type job struct {
	of    *controller
	task  *script.Task
	until time.Duration // on the clock's monotonic scale; -1: it does not wait for time
}

// held is a controller in the hands of scripts. The coroutines do not refer to it, so
// that a controller which nobody can step any more ends with them.
type held struct{ *controller }

func (lib *Library) newController(worker func()) *controller {
	return &controller{lib: lib, jobs: map[*job]struct{}{}, worker: worker, notice: -1}
}

// handle is the controller for a script. It ends when scripts forget it.
func (q *controller) handle() *script.Handle {
	h := q.seen.Value()
	if h == nil {
		h = &held{q}
		q.seen = weak.Make(h)
		if q.worker == nil {
			runtime.AddCleanup(h, (*controller).forgotten, q)
		}
	}
	return &script.Handle{Class: q.lib.controllers, Value: h}
}

// forgotten ends the coroutines and the descriptor, some time later.
func (q *controller) forgotten() {
	q.lib.VM.Post(func(*script.Call) error { q.close(); return nil })
}

func (q *controller) close() {
	for j := range q.jobs {
		q.drop(j)
		j.task.End()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = nil
	if q.notice >= 0 {
		q.lib.Watcher.Disown(q.notice)
		_ = unix.Close(q.notice)
		q.notice = -1
	}
}

func (q *controller) drop(j *job) {
	delete(q.jobs, j)
	delete(q.lib.owners, j.task)
}

// begin takes in a coroutine, which make makes.
func (q *controller) begin(make func(ready func()) (*script.Task, error)) error {
	j := &job{of: q, until: -1}
	task, err := make(func() { q.canGoOn(j) })
	if err != nil {
		return err
	}
	j.task = task
	q.jobs[j] = struct{}{}
	q.lib.owners[task] = j
	q.canGoOn(j)
	return nil
}

// canGoOn is called when a coroutine does not have to wait any more, by any goroutine.
func (q *controller) canGoOn(j *job) {
	q.mu.Lock()
	q.ready = append(q.ready, j)
	wakes := q.wakes
	q.wakes = nil
	if q.notice >= 0 {
		_, _ = unix.Write(q.notice, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	q.mu.Unlock()
	for wake := range wakes {
		(*wake)()
	}
	if q.worker != nil {
		q.worker()
	}
}

// watch fires when a coroutine can go on.
func (q *controller) watch(_ *Library, fire func()) (func(), error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) > 0 {
		fire()
		return nil, nil
	}
	if q.wakes == nil {
		q.wakes = map[*func()]struct{}{}
	}
	q.wakes[&fire] = struct{}{}
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.wakes, &fire)
	}, nil
}

// take gives the coroutines that can go on, at most n.
func (q *controller) take(n int) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.ready))
	now := slices.Clone(q.ready[:n])
	if q.ready = slices.Delete(q.ready, 0, n); len(q.ready) == 0 {
		q.ready = nil
		if q.notice >= 0 {
			var count [8]byte
			_, _ = unix.Read(q.notice, count[:])
		}
	}
	return now
}

// putBack returns coroutines that had no turn.
func (q *controller) putBack(jobs []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = append(slices.Clone(jobs), q.ready...)
}

// A failure is the error that ended a coroutine.
type failure struct {
	err  error
	task *script.Task
}

// run lets up to n coroutines go on, until one fails.
func (q *controller) run(n int) (ran int, failed *failure, err error) {
	now := q.take(n)
	for i, j := range now {
		ended, err := j.task.Run()
		if ended {
			q.drop(j)
		}
		if err == nil {
			continue
		}
		q.putBack(now[i+1:])
		if over := (*script.Interrupt)(nil); errors.As(err, &over) {
			return i + 1, nil, err
		}
		return i + 1, &failure{err, j.task}, nil
	}
	return len(now), nil, nil
}

// all is more coroutines than there can be.
const all = 1 << 30

// step runs each coroutine that can go on, and waits before, up to a time (-1: without
// end), where none can.
func (q *controller) step(c *script.Call, timeout time.Duration) (*failure, error) {
	ran, failed, err := q.run(all)
	if ran > 0 || failed != nil || err != nil || timeout == 0 || len(q.jobs) == 0 {
		return failed, err
	}
	if _, err := q.lib.await(c, q, timeout); err != nil {
		return nil, err
	}
	_, failed, err = q.run(all)
	return failed, err
}

// loop steps until nothing is left, until one fails, or up to a time.
func (q *controller) loop(c *script.Call, timeout time.Duration) (*failure, error) {
	end := q.lib.Clock.Mono() + timeout
	for len(q.jobs) > 0 {
		left := time.Duration(-1)
		if timeout >= 0 {
			if left = end - q.lib.Clock.Mono(); left < 0 {
				return nil, nil
			}
		}
		if failed, err := q.step(c, left); failed != nil || err != nil {
			return failed, err
		}
		if left == 0 {
			return nil, nil
		}
	}
	return nil, nil
}
