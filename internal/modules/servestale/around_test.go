package servestale_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// formerly has the cache know a delegation that is over.
func (w *world) formerly(zone string) {
	now := w.now.Load()
	w.cache.Keep(0, &zonecut.Cut{Name: name(w, zone), Expires: now + 10, NS: []zonecut.NameServer{
		{Name: name(w, "ns."+zone), Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.2")}},
	}}, now)
	w.now.Add(20)
}

// That nobody of an old delegation answers is remembered like other failures: each
// further question of a client cost one to a server.
func TestServersOfOldAreNotAskedAtOnceAgain(t *testing.T) {
	w := newWorld(t)
	w.formerly("example.")
	w.plays(refusing)
	w.want("at first", w.ask("new.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
	if n := w.plays(refusing); n == 0 {
		t.Error("nobody was asked")
	}
	for range 5 {
		w.want("again", w.ask("new.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
	}
	if n := w.plays(refusing); n > 0 {
		t.Errorf("%d questions for 5 of a client about what had failed a moment ago", n)
	}
	w.now.Add(6)
	w.want("later", w.ask("new.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
	if n := w.plays(honest); n < 2 {
		t.Errorf("%d questions later", n)
	}
}

// A zone whose servers take longer than serve_stale.timeout could not be resolved
// at all once its delegation was over, however often a client asked.
func TestSlowServersBehindAnOldDelegation(t *testing.T) {
	w := newWorld(t)
	w.formerly("example.")
	if err := w.set("timeout", 100.0); err != nil {
		t.Fatal(err)
	}
	w.plays(func(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(1700 * time.Millisecond): // longer than those of old are waited for, too
			return honest(ctx, q)
		}
	})
	w.want("at first", w.ask("www.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
	w.group.Wait()
	w.want("then", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, ede.None, 30)
}

// What a client's question may cost is counted once, whoever is asked for it.
func TestTheBudgetIsOne(t *testing.T) {
	w := newWorld(t)
	w.formerly("example.")
	w.plays(refusing)
	req := w.request("new.example.", resolve.Options{})
	w.driver.Resolve(t.Context(), req)
	if n := w.plays(refusing); req.Budget.Sent() != n {
		t.Errorf("%d questions were sent, %d are counted", n, req.Budget.Sent())
	}
}

// Each question of a client cost some to servers while the parent was silent, and
// was told for as long as those liked, whom nobody vouches for any more.
func TestWhatServersOfOldSayIsAtHandForAMoment(t *testing.T) {
	w := newWorld(t)
	w.formerly("example.")
	w.good = netip.MustParseAddr("198.51.100.2")
	w.plays(refusing)
	for range 5 {
		w.want("www", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 5)
	}
	first := w.plays(refusing)
	w.now.Add(3)
	w.want("a moment later", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 5)
	if n := w.plays(refusing); first == 0 || n > 0 {
		t.Errorf("%d questions at first, %d a moment later", first, n)
	}
	w.now.Add(6)
	w.want("later", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 5)
	if n := w.plays(refusing); n == 0 {
		t.Error("nobody was asked later")
	}
}
