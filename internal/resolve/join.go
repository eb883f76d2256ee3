package resolve

import (
	"context"
	"slices"
	"sync"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// flights are the resolutions that others may join.
type flights struct {
	mu sync.Mutex
	m  map[flightKey]*flight
}

// flightKey holds all that one answer depends on.
type flightKey struct {
	Question
	cd, rd  bool
	options Options
	cut     *zonecut.Cut
	join    string
	// hasty: those who wait longer get nothing from one who gives up early.
	hasty bool
}

// flight is one resolution with followers. result is valid when done is closed.
type flight struct {
	done    chan struct{} // made by the first who waits
	waiters int
	do      bool // what the leader's client wants to see
	result  *Result
}

// shared resolves r, or waits for an equal request that is being resolved.
func (d *Driver) shared(ctx context.Context, layers []*Layer, r *Request) {
	if r.Alone {
		d.resolve(layers, r)
		return
	}
	key := flightKey{r.Question, r.CD, r.RD, r.Options, r.Cut, r.Join, r.impatient()}
	f, leads, full := d.flights.join(key, mayFollow(r))
	switch {
	case full:
		// A client that hears nothing asks again, and finds the answer in the cache.
		d.cfg.Counters.Hit(limits.WaitersQuestion)
		r.Result.Fail(errJoined)
		r.Result.Drop = true
	case leads:
		d.lead(layers, r, key, f)
	default:
		d.wait(ctx, f, r)
	}
}

// lead resolves for all who joined. They get a result even when it panics.
func (d *Driver) lead(layers []*Layer, r *Request, key flightKey, f *flight) {
	ended := false
	defer func() {
		if d.flights.land(key); f.done == nil {
			return // nobody waits
		}
		res := Result{EDE: ede.None}
		if res.Fail(errJoined); ended {
			res, f.do = r.Result.clone(), r.DO
		}
		f.result = &res
		close(f.done)
	}()
	d.resolve(layers, r)
	ended = true
}

// wait waits for a leader, at most as long as r would have taken by itself.
func (d *Driver) wait(ctx context.Context, f *flight, r *Request) {
	patience, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	if r.Tell != nil {
		r.Tell(nil, JoinedRequest{})
	}
	select {
	case <-f.done:
		r.Result = f.result.clone()
		// The leader keeps the answer; a hundred copies of it need not be kept.
		r.Result.NoCache = r.Result.NoCache || r.DO == f.do
	case <-patience.Done():
		err := context.Cause(ctx)
		if err == nil {
			err = d.timeUp(r)
		}
		r.Result.Fail(err)
	}
}

// mayFollow is how many may wait for the flight that r is about to join. Loopback
// is exempt, as it is from limits.WaitersPerClient: there may be a whole forwarder
// behind it, whose clients all ask for one name when its time in the cache is over.
func mayFollow(r *Request) int {
	if r.Client.Addr().IsLoopback() {
		return limits.PendingPerWorker
	}
	return limits.WaitersPerQuestion
}

// join finds the flight of key, if no more than so many wait for it, or starts it.
func (fs *flights) join(key flightKey, most int) (f *flight, leads, full bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f = fs.m[key]; f == nil {
		if fs.m == nil {
			fs.m = make(map[flightKey]*flight)
		}
		f = &flight{}
		fs.m[key] = f
		return f, true, false
	}
	if f.waiters >= most {
		return nil, false, true
	}
	if f.waiters++; f.done == nil {
		f.done = make(chan struct{})
	}
	return f, false, false
}

// land ends a flight: nobody joins it any more.
func (fs *flights) land(key flightKey) {
	fs.mu.Lock()
	delete(fs.m, key)
	fs.mu.Unlock()
}

// clone copies the lists, so that two requests may reorder their answers.
func (res *Result) clone() Result {
	c := *res
	c.Answer = slices.Clone(res.Answer)
	c.Authority = slices.Clone(res.Authority)
	c.Additional = slices.Clone(res.Additional)
	return c
}
