package resolve_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// Name servers whose zones have a server each that answers with errors are not looked up one
// after the other, and none of these servers is asked on and on (NXNSAttack): SERVFAIL came
// to 27 questions. The same with two such zones, and then one whose server answers.
func TestFewZonesThatFailAreTriedForOneDelegation(t *testing.T) {
	for what, c := range map[string]struct {
		rule authority.Rule
		most int
	}{
		"serve other zones":                {authority.Lame(), 11},
		"refuse":                           {authority.Rcode(dns.RcodeRefused), 11},
		"answer SERVFAIL":                  {serverFailure, 10},
		"answer SERVFAIL and know no EDNS": {authority.Rcode(dns.RcodeServerFailure), 11},
	} {
		for zones, want := range map[int]string{10: "SERVFAIL", 3: "NOERROR; www.sub.evil.com. A 192.0.2.80"} {
			synctest.Test(t, func(t *testing.T) {
				zs := delegatedTo(func(i int) string { return fmt.Sprintf("n.v%d.com.", i%zones) })
				for i := range zones {
					zs["com."] += fmt.Sprintf("v%d.com. NS nsv%d.com.\nnsv%d.com. A 192.0.2.%d\n", i, i, i, 100+i)
				}
				zs["v0.com."] = "v0.com. NS nsv0.com.\nn.v0.com. A 192.0.2.67\n"
				zs["sub.evil.com."] = "sub.evil.com. NS n.v0.com.\nwww.sub.evil.com. A 192.0.2.80\n"
				w := newWorld(t, basic(zs))
				for i := range zones {
					if zones == 10 || i > 0 {
						w.net.Host(fmt.Sprintf("192.0.2.%d", 100+i)).Play(c.rule)
					}
				}
				got := w.ask("www.sub.evil.com.", "A")
				if sent := len(w.asked()); got != want || sent > c.most+2 || zones == 10 && sent > c.most {
					t.Errorf("servers of %d zones that %s: %s after %d questions, want %s after at most %d: %v",
						zones, what, got, sent, want, c.most, w.asked())
				}
			})
		}
	}
}

// serverFailure answers as a server that knows EDNS.
func serverFailure(x *authority.Exchange) {
	x.Reply = new(dns.Msg).SetRcode(x.Query, dns.RcodeServerFailure)
	if x.Query.IsEdns0() != nil {
		x.Reply.SetEdns0(1232, false)
	}
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
		{"is silent", 1000, limits.SilentInLookups, "SERVFAIL", 11},
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

// apart is sub.evil.com., whose name servers lie in a zone each with a server of its own, as
// many as there are rules; nil: the server answers.
func apart(t *testing.T, rules ...authority.Rule) *world {
	zs := zones{"com.": "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n", "evil.com.": "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n"}
	sub := "www.sub.evil.com. A 192.0.2.80\n"
	for i := range rules {
		zs["evil.com."] += fmt.Sprintf("sub.evil.com. NS ns.nr%d.evil.com.\nnr%d.evil.com. NS d%d.evil.com.\nd%d.evil.com. A 192.0.2.%d\n", i, i, i, i, 100+i)
		zs[fmt.Sprintf("nr%d.evil.com.", i)] = fmt.Sprintf("nr%d.evil.com. NS d%d.evil.com.\nns.nr%d.evil.com. A 192.0.2.67\n", i, i, i)
		sub += fmt.Sprintf("sub.evil.com. NS ns.nr%d.evil.com.\n", i)
	}
	zs["sub.evil.com."] = sub
	w := newWorld(t, basic(zs))
	for i, rule := range rules {
		if rule != nil {
			w.net.Host(fmt.Sprintf("192.0.2.%d", 100+i)).Play(rule)
		}
	}
	return w
}

// A silent server of its own behind each name server made one request 27 questions: each was
// asked three times and looked up under other addresses (NRDelegationAttack).
func TestSilentServersOfManyZonesAreAskedLittle(t *testing.T) {
	const most = 11
	for range 10 { // which name comes first is drawn
		synctest.Test(t, func(t *testing.T) {
			w := apart(t, slices.Repeat([]authority.Rule{authority.Drop()}, 10)...)
			if got := w.ask("www.sub.evil.com.", "A"); got != "SERVFAIL" {
				t.Errorf("got %s", got)
			}
			if sent := w.asked(); len(sent) > most || len(sent) < 6 {
				t.Errorf("%d questions, want at most %d: %v", len(sent), most, sent)
			}
		})
	}
}

// One good zone among as many as are tried is found in time, whichever comes first, and so
// is one whose server loses the first questions.
func TestOneGoodZoneAmongSilentOnes(t *testing.T) {
	for what, rules := range map[string][]authority.Rule{
		"two are silent":                     {authority.Drop(), authority.Drop(), nil},
		"one is silent, one loses two":       {authority.Drop(), authority.DropFirst(2)},
		"one loses two, there is no other":   {authority.DropFirst(2)},
		"each loses the first question":      {authority.DropFirst(1), authority.DropFirst(1)},
		"one is silent, one loses the first": {authority.Drop(), authority.DropFirst(1)},
	} {
		for range 10 {
			synctest.Test(t, func(t *testing.T) {
				w := apart(t, rules...)
				start := time.Now()
				if got := w.ask("www.sub.evil.com.", "A"); got != "NOERROR; www.sub.evil.com. A 192.0.2.80" {
					t.Errorf("%s: got %s: %v", what, got, w.asked())
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("%s: took %v", what, took)
				}
			})
		}
	}
}

// A request failed though look-ups beside it were under way, where the one that it had begun
// itself failed and the servers of several zones had not answered yet: those that were only
// just asked are among them, and may be slow.
func TestALookupBesideIsWaitedForWhereNoneIsBegun(t *testing.T) {
	refuses := func(x *authority.Exchange) {
		x.Delay = 500 * time.Millisecond
		authority.Rcode(dns.RcodeRefused)(x)
	}
	for what, rules := range map[string][]authority.Rule{
		"two are slow": {refuses, authority.Drop(), authority.Delay(time.Second), authority.Delay(time.Second)},
	} {
		for range 30 { // which name comes first is drawn
			synctest.Test(t, func(t *testing.T) {
				w := apart(t, rules...)
				start := time.Now()
				if got := w.ask("www.sub.evil.com.", "A"); got != "NOERROR; www.sub.evil.com. A 192.0.2.80" || time.Since(start) > 5*time.Second {
					t.Errorf("%s: got %s after %v: %v", what, got, time.Since(start), w.asked())
				}
			})
		}
	}
}

// A name server that is silent at its IPv4 address was not looked up under an IPv6 one for a
// look-up: the delegation to it has glue of one family.
func TestTheOtherFamilyOfASilentServerIsLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zs := zones{
			"com.":          "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n",
			"evil.com.":     "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\nsub.evil.com. NS ns.nr.evil.com.\nnr.evil.com. NS d.evil.com.\nd.evil.com. A 192.0.2.100\nd.evil.com. AAAA 2001:db8::100\n",
			"nr.evil.com.":  "nr.evil.com. NS d.evil.com.\nns.nr.evil.com. A 192.0.2.67\n",
			"sub.evil.com.": "sub.evil.com. NS ns.nr.evil.com.\nwww.sub.evil.com. A 192.0.2.80\n",
		}
		w := newWorld(t, basic(zs))
		w.net.Host("192.0.2.100").Play(authority.Drop())
		w.net.Host("192.0.2.66").Play(func(x *authority.Exchange) { // glue of one family alone
			x.Reply.Extra = slices.DeleteFunc(x.Reply.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeAAAA })
		})
		if got := w.ask("www.sub.evil.com.", "A"); got != "NOERROR; www.sub.evil.com. A 192.0.2.80" {
			t.Errorf("got %s: %v", got, w.asked())
		}
	})
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
