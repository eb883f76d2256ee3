package resolve_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/authority"
)

// toPass is a Reception that may be passed on.
type toPass struct{ passed atomic.Bool }

func (*toPass) Await(int, time.Duration) (readable, held bool) { return false, false }

func (r *toPass) Pass() { r.passed.Store(true) }

// noLease is what it is to come too late.
type noLease struct{}

func (noLease) Take([]byte, int) bool { return false }
func (noLease) Return([]byte)         {}

// Who waits for another request, for a lease, for a late answer or for a look-up beside
// passes the reception on; who asks a server does not.
func TestWhatARequestWaitsForPassesItsReception(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nold.example.com. A 192.0.2.11\n")))
		begin := func(all *sync.WaitGroup, name string) *toPass {
			r, p := w.request(name, "A"), &toPass{}
			r.Reception = p
			all.Go(func() { w.driver.Resolve(context.Background(), r) })
			return p
		}
		expect := func(what string, p *toPass, want bool) {
			if t.Helper(); p.passed.Load() != want {
				t.Errorf("%s: passed on %v, want %v", what, p.passed.Load(), want)
			}
		}
		var all sync.WaitGroup
		lone := begin(&all, "old.example.com.")
		all.Wait()
		expect("a question that servers answer", lone, false)

		w.net.Host("192.0.2.1").Play(authority.Delay(30 * time.Millisecond))
		first := begin(&all, "www.example.com.")
		time.Sleep(10 * time.Millisecond)
		second := begin(&all, "www.example.com.")
		all.Wait()
		expect("the first of equal questions", first, false)
		expect("the second, which waits for it", second, true)

		w.driver.Share(noLease{})
		leased := begin(&all, "www.example.com.")
		all.Wait()
		expect("a question without a lease", leased, true)

		w.net.Host("192.0.2.1").Play(authority.Delay(1500 * time.Millisecond))
		late := begin(&all, "old.example.com.")
		all.Wait()
		expect("a question whose answer is late", late, true)
	})
}
