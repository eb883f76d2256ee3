package resolve_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// Names made up below a zone whose servers are silent take so many places and no
// more, so many wait for a place, and the rest are told at once; another zone's
// questions are not concerned (HARDENING B6).
func TestOneZoneHasSoManyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ns strings.Builder
		for i := range 13 {
			fmt.Fprintf(&ns, "slow.com. NS ns%d.slow.com.\nns%d.slow.com. A 192.0.2.%d\n", i, i, 100+i)
		}
		w := newWorld(t, basic(merge(example("www.example.com. A 192.0.2.10\n"), zones{"com.": ns.String(), "slow.com.": ns.String()})))
		w.ask("warm.slow.com.", "A")
		for i := range 13 {
			w.net.Host(fmt.Sprintf("192.0.2.%d", 100+i)).Play(authority.Drop())
		}
		const turnedAway = 100
		const flood = limits.MaxOutstandingPerZone + limits.QueuedPerZone + turnedAway
		var wg sync.WaitGroup
		for i := range flood {
			wg.Go(func() { w.ask(fmt.Sprintf("n%d.slow.com.", i), "A") })
		}
		synctest.Wait() // the first questions of all wait for answers
		if got, want := w.counters.Get(limits.OutstandingZone), uint64(turnedAway); got != want {
			t.Errorf("%d questions turned away, want %d of %d", got, want, flood)
		}
		if got := w.ask("www.example.com.", "A"); got != "NOERROR; www.example.com. A 192.0.2.10" {
			t.Errorf("another zone: %s", got)
		}
		r := w.request("late.slow.com.", "A")
		w.driver.Resolve(t.Context(), r)
		if want := "too many questions wait for the servers of slow.com., limit outstanding_per_zone"; r.Result.EDEText != want {
			t.Errorf("got %q, want %q", r.Result.EDEText, want)
		}
		wg.Wait()
		r = w.request("later.slow.com.", "A")
		w.driver.Resolve(t.Context(), r)
		if strings.HasPrefix(r.Result.EDEText, "too many") {
			t.Error("places are not given back")
		}
	})
}

// On a busy machine more questions than a zone has places came together, and
// those that found none failed at once, though its server answered all.
func TestQuestionsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("*.example.com. A 192.0.2.10\n")))
		w.ask("warm.example.com.", "A")
		w.net.Host("192.0.2.1").Play(authority.Delay(300 * time.Millisecond))
		var wg sync.WaitGroup
		for i := range limits.MaxOutstandingPerZone + limits.QueuedPerZone {
			wg.Go(func() {
				name := fmt.Sprintf("n%d.example.com.", i)
				if got, want := w.ask(name, "A"), "NOERROR; "+name+" A 192.0.2.10"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
		wg.Wait()
		if n := w.counters.Get(limits.OutstandingZone); n != 0 {
			t.Errorf("%d turned away", n)
		}
	})
}
