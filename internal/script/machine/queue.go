package machine

import "sync"

// A queue holds jobs for the owner goroutine. Putting never blocks, so that
// the owner itself and timers may put; who puts bounds the number.
type queue struct {
	mu   sync.Mutex
	jobs []func()
	wake chan struct{} // holds one token while jobs may be there
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(job func()) {
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	q.mu.Unlock()
	q.signal()
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
	job := q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	if len(q.jobs) > 0 {
		q.signal()
	}
	return job
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
