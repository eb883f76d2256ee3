package resolve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// Whatever becomes of questions (answered in time or late, lost, given up, more
// than a zone may have), every one ends in its time and a quick zone is quick
// again afterwards.
func TestNoPlaceIsLeftTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := "example.com. NS a.example.com.\nexample.com. NS b.example.com.\na.example.com. A 192.0.2.1\nb.example.com. A 192.0.2.2\n"
		w := newWorld(t, basic(zones{"com.": two, "example.com.": two + "*.example.com. A 192.0.2.10\n"}))
		unsteady := func(x *authority.Exchange) {
			if rand.IntN(4) == 0 {
				x.Reply = nil
			}
			x.Delay = time.Duration(rand.IntN(1500)) * time.Millisecond
		}
		for _, server := range []string{"192.0.2.1", "192.0.2.2"} {
			w.net.Host(server).Play(unsteady)
		}
		var wg sync.WaitGroup
		const places = limits.MaxOutstandingPerZone + limits.QueuedPerZone
		for i := range 2 * places {
			wg.Go(func() {
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
				r := w.request(fmt.Sprintf("n%d.example.com.", i), "A")
				if rand.IntN(4) == 0 {
					r.Patience = time.Duration(1+rand.IntN(2000)) * time.Millisecond
				}
				start := time.Now()
				w.driver.Resolve(context.Background(), r)
				if took := time.Since(start); took > limits.RequestDeadline {
					t.Errorf("%s took %v", r.Name, took)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Minute) // nobody is dead any more
		for _, server := range []string{"192.0.2.1", "192.0.2.2"} {
			w.net.Host(server).Play(authority.Delay(100 * time.Millisecond))
		}
		turnedAway := w.counters.Get(limits.OutstandingZone)
		for i := range places {
			wg.Go(func() {
				name := fmt.Sprintf("again%d.example.com.", i)
				if got, want := w.ask(name, "A"), "NOERROR; "+name+" A 192.0.2.10"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
		wg.Wait()
		if n := w.counters.Get(limits.OutstandingZone) - turnedAway; n != 0 {
			t.Errorf("%d turned away", n)
		}
	})
}
