package resolve_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// delegatedTo is evil.com., which delegates sub.evil.com. to ten names.
func delegatedTo(name func(i int) string) zones {
	const d = "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n"
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, "sub.evil.com. NS %s\n", name(i))
	}
	return zones{"com.": d, "evil.com.": d + b.String()}
}

// Where the servers of a zone fail, its further names are not looked up for the same
// request: they were asked 20 questions for one (NXNSAttack). A zone that answers is asked
// for as many names as before.
func TestNamesInAZoneThatFailsAreNotLookedUp(t *testing.T) {
	for _, c := range []struct {
		what string
		rule authority.Rule
		most uint64
	}{
		{"answers SERVFAIL", authority.Rcode(dns.RcodeServerFailure), 4}, // each with EDNS and without
		{"refuses", authority.Rcode(dns.RcodeRefused), 1},
		{"is lame", authority.Lame(), 1},
		{"is silent", authority.Drop(), limits.RetriesPerServer + 1},
		{"says that the names do not exist", nil, limits.NSAddrFetchPerReferral},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, basic(merge(example(""), delegatedTo(func(i int) string { return fmt.Sprintf("n%d.example.com.", i) }))))
			if c.rule != nil {
				w.net.Host("192.0.2.1").Play(c.rule)
			}
			if got := w.ask("www.sub.evil.com.", "A"); got != "SERVFAIL" {
				t.Errorf("the server %s: got %s", c.what, got)
			}
			if n := w.net.Host("192.0.2.1").Queries(); n > c.most || c.rule == nil && n < c.most {
				t.Errorf("the server %s: %d questions to it, want %d", c.what, n, c.most)
			}
		})
	}
}

// A server that is silent at first and answers then is no reason to give its zone up.
func TestAZoneThatAnswersAfterAllIsAskedOn(t *testing.T) {
	for range 10 { // which name comes first is drawn
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, basic(merge(example("n0.example.com. A 192.0.2.67\n"),
				delegatedTo(func(i int) string { return fmt.Sprintf("n%d.example.com.", i%2) }),
				zones{"sub.evil.com.": "sub.evil.com. NS n0.example.com.\nwww.sub.evil.com. A 192.0.2.80\n"})))
			seen := 0
			w.net.Host("192.0.2.1").Play(func(x *authority.Exchange) {
				if seen++; seen == 1 {
					x.Reply = nil
				}
			})
			if got := w.ask("www.sub.evil.com.", "A"); got != "NOERROR; www.sub.evil.com. A 192.0.2.80" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Name servers whose zones are all given to servers that do not serve them are not looked
// up one after the other.
func TestFewLameZonesAreTriedForOneDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zs := delegatedTo(func(i int) string { return fmt.Sprintf("n.v%d.com.", i) })
		for i := range 10 {
			zs["com."] += fmt.Sprintf("v%d.com. NS ns.v%d.com.\nns.v%d.com. A 192.0.2.%d\n", i, i, i, 100+i)
		}
		w := newWorld(t, basic(zs))
		w.ask("www.sub.evil.com.", "A")
		asked := 0
		for _, q := range w.asked() {
			if strings.Contains(q, "n.v") {
				asked++
			}
		}
		if asked == 0 || asked > limits.LameNSPerRequest {
			t.Errorf("%d zones were asked, want %d: %v", asked, limits.LameNSPerRequest, w.asked())
		}
	})
}

// A silent server that serves the zones of all name servers of a delegation is not asked
// about a name of each (NRDelegationAttack): one request came to 21 questions. A server
// that answers at last is asked on.
func TestASilentServerIsNotAskedForEachOfItsZones(t *testing.T) {
	for _, c := range []struct {
		what     string
		silent   uint64 // so many questions it leaves
		least    uint64
		want     string
		mostSent int
	}{
		{"is silent", 1000, limits.SilentInLookups, "SERVFAIL", 12},
		{"answers at last", 1, 2, "NOERROR; www.sub.evil.com. A 192.0.2.80", 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			zs := delegatedTo(func(i int) string { return fmt.Sprintf("ns.nr%d.evil.com.", i) })
			text := "d.evil.com. A 192.0.2.67\n"
			for i := range 10 {
				text += fmt.Sprintf("nr%d.evil.com. NS d.evil.com.\n", i)
				zs[fmt.Sprintf("nr%d.evil.com.", i)] = fmt.Sprintf("nr%d.evil.com. NS d.evil.com.\nns.nr%d.evil.com. A 192.0.2.67\n", i, i)
			}
			zs["sub.evil.com."] = strings.ReplaceAll(zs["evil.com."], "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n", "") + "www.sub.evil.com. A 192.0.2.80\n"
			zs["evil.com."] += text
			w := newWorld(t, basic(zs))
			d := w.net.Host("192.0.2.67")
			d.Play(authority.DropFirst(c.silent))
			if got := w.ask("www.sub.evil.com.", "A"); got != c.want {
				t.Errorf("the server %s: got %s, want %s", c.what, got, c.want)
			}
			sent := w.asked()
			if n := d.Queries(); n < c.least || c.silent > c.least && n > limits.SilentInLookups || len(sent) > c.mostSent {
				t.Errorf("the server %s: %d questions to it, %d in all: %v", c.what, n, len(sent), sent)
			}
		})
	}
}

// What one question of a request has shown to be no zone cut, the next one does not ask
// about again.
func TestANodeThatIsNoCutIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(merge(example("x.deep.example.com. TXT x\n"), delegatedTo(func(i int) string { return fmt.Sprintf("n%d.deep.example.com.", i) }))))
		w.ask("www.sub.evil.com.", "A")
		nodes, names := 0, 0
		for _, q := range w.net.Host("192.0.2.1").Seen() {
			switch {
			case q.Name == "deep.example.com.":
				nodes++
			case strings.HasPrefix(q.Name, "n"):
				names++
			}
		}
		if nodes != 1 || names < 2 {
			t.Errorf("asked %d times about the node and %d times about names below", nodes, names)
		}
	})
}
