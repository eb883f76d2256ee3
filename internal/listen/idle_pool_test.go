package listen

import (
	"testing"

	"kresd/internal/limits"
)

// Of the goroutines that have nothing to do so many are kept and no more, the one that was
// busy last has the next job, and none is kept, nor is there one to take, when the server has
// ended.
func TestTheIdleGoroutineThatWasBusyLastHasTheNextJob(t *testing.T) {
	p := &idlePool{}
	if p.take(job{}) {
		t.Error("there is an idle goroutine in none")
	}
	var all []chan job
	for p.add(make(chan job, 1)) {
		all = append(all, p.idle[len(p.idle)-1])
	}
	if len(all) != limits.IdleResolvers {
		t.Errorf("%d are idle, want %d at most", len(all), limits.IdleResolvers)
	}
	q := &Query{}
	if !p.take(job{query: q}) || len(all[len(all)-1]) != 1 {
		t.Fatal("the last one is not taken first")
	}
	if j := <-all[len(all)-1]; j.query != q {
		t.Error("it got something else to do")
	}
	p.close()
	if _, open := <-all[0]; open || p.take(job{}) || p.add(make(chan job, 1)) {
		t.Error("after the end somebody is idle")
	}
}
