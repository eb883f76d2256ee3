package machine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A queue holds jobs for the owner goroutine. Putting never blocks, so that
// the owner itself and timers may put; who puts bounds the number.
type queue struct {
	mu   sync.Mutex
	jobs []job
	wake chan struct{} // holds one token while jobs may be there

	waiting  atomic.Int64 // len(jobs)
	commands atomic.Int64 // how many of these are
}

// A job runs on the owner goroutine. A command is one for which code of an event gives
// way (giveway.go).
type job struct {
	run     func()
	command bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(run func()) { q.add(job{run: run}) }

func (q *queue) add(j job) {
	q.mu.Lock()
	q.jobs = append(q.jobs, j)
	q.count(j, 1)
	q.mu.Unlock()
	q.signal()
}

// count keeps the counters; mu is held.
func (q *queue) count(j job, n int64) {
	if q.waiting.Add(n); j.command {
		q.commands.Add(n)
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the oldest job, or nil.
func (q *queue) take() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil
	}
	j := q.jobs[0]
	q.jobs[0] = job{}
	q.jobs = q.jobs[1:]
	q.count(j, -1)
	if len(q.jobs) > 0 {
		q.signal()
	}
	return j.run
}

// takeCommand returns the oldest command, or nil.
func (q *queue) takeCommand() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.jobs, func(j job) bool { return j.command })
	if i < 0 {
		return nil
	}
	j := q.jobs[i]
	q.jobs = slices.Delete(q.jobs, i, i+1)
	q.count(j, -1)
	return j.run
}

// serve runs the oldest job, if there is one.
func (q *queue) serve() bool {
	job := q.take()
	if job != nil {
		job()
	}
	return job != nil
}

// A door stands before a queue of jobs. The zero value is open.
type door struct {
	mu     sync.Mutex
	closed bool
	kept   []func()
}

func (d *door) put(q *queue, job func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		d.kept = append(d.kept, job)
		return
	}
	q.put(job)
}

func (d *door) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

func (d *door) release(q *queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = false
	for _, job := range d.kept {
		q.put(job)
	}
	d.kept = nil
}
