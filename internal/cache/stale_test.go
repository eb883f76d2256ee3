package cache

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

const aDay = 86400

// stale asks for what is known and was known; what is over gets a TTL of 1.
func (w *world) stale(q resolve.Question, cd bool) (o resolve.Outcome, stale bool, judged []string) {
	o, stale = w.Stale(w.request(q, func(r *resolve.Request) { r.CD = cd }), aDay, func(q resolve.Question, over uint32) (uint32, bool) {
		judged = append(judged, fmt.Sprintf("%s %d over %d", q.Name, q.Type, over))
		return 1, true
	}, nil)
	return o, stale, judged
}

func TestWhatIsOverIsFoundOnDemand(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 30, "\x01\x02\x03\x04")))
	if o, stale, _ := w.stale(q, false); o.Kind != resolve.Positive || stale || o.Answer[0].TTL != 30 {
		t.Errorf("alive: %+v, stale %v", o, stale)
	}
	w.pass(30 + 60)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("what is over was found by an ordinary look: %+v", o)
	}
	o, stale, judged := w.stale(q, false)
	if o.Kind != resolve.Positive || !stale || !o.Cached || o.Answer[0].TTL != 1 {
		t.Errorf("over: %+v, stale %v", o, stale)
	}
	if got := strings.Join(judged, "; "); got != "www.example. 1 over 60" {
		t.Errorf("judged %q", got)
	}
	refuse := func(resolve.Question, uint32) (uint32, bool) { return 0, false }
	if o, _ := w.Stale(w.request(q), aDay, refuse, nil); o.Kind != resolve.Pending {
		t.Errorf("refused and told all the same: %+v", o)
	}
	w.pass(aDay - 61)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Positive {
		t.Error("gone before its time of grace")
	}
	w.pass(1)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Pending {
		t.Errorf("found after its time of grace: %+v", o)
	}
}

// What was learnt last counts: a name that was denied after it had an address
// has none, also when both are over.
func TestTheLatestOfWhatIsOverCounts(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	address := positive(rrset(t, insecure, "www.example.", wire.TypeA, 30, "\x01\x02\x03\x04"))
	nothing := denial(resolve.NXDomain, soa(t, insecure, "example.", 30, 30))
	w.learn(q, address)
	w.pass(40)
	w.learn(q, nothing)
	w.pass(40)
	o, stale, _ := w.stale(q, false)
	if o.Kind != resolve.NXDomain || o.Rcode != wire.RcodeNXDomain || !stale || len(o.Authority) == 0 || o.Authority[0].TTL != 1 {
		t.Errorf("denied last: %+v", o)
	}
	w.learn(q, address)
	w.pass(40)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Positive {
		t.Errorf("back again: %+v", o)
	}
}

func TestAChainMayBePartlyOver(t *testing.T) {
	w := newWorld(t)
	q := question(t, "a.example.", wire.TypeA)
	alias := func(from, to string, ttl uint32) {
		o := positive(rrset(t, insecure, from, wire.TypeCNAME, ttl, string(name(t, to))))
		o.Kind, o.Target = resolve.Alias, name(t, to)
		w.learn(question(t, from, wire.TypeA), o)
	}
	alias("a.example.", "b.example.", 3600)
	alias("b.example.", "c.example.", 30)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Pending {
		t.Errorf("a chain without an end was told: %+v", o)
	}
	w.learn(question(t, "c.example.", wire.TypeA), positive(rrset(t, insecure, "c.example.", wire.TypeA, 3600, "\x01\x02\x03\x04")))
	w.pass(100)
	o, stale, judged := w.stale(q, false)
	if o.Kind != resolve.Positive || !stale || len(o.Answer) != 3 {
		t.Fatalf("%+v, stale %v", o, stale)
	}
	for i, ttl := range []uint32{3500, 1, 3500} {
		if o.Answer[i].TTL != ttl {
			t.Errorf("TTL of %s is %d, want %d", o.Answer[i].Owner, o.Answer[i].TTL, ttl)
		}
	}
	if len(judged) != 1 || judged[0] != "b.example. 1 over 70" {
		t.Errorf("judged %q", judged)
	}
	alias("c.example.", "a.example.", 3600)
	w.Remove(name(t, "c.example."), true, 1) // the address
	alias("c.example.", "a.example.", 3600)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Pending {
		t.Errorf("an endless chain was told: %+v", o)
	}
}

func TestStaleDataKeepTheirRank(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, bogus, "www.example.", wire.TypeA, 30, "\x01\x02\x03\x04")))
	w.pass(100)
	if o, _, _ := w.stale(q, false); o.Kind != resolve.Pending {
		t.Errorf("bogus data were told: %+v", o)
	}
	if o, _, _ := w.stale(q, true); o.Kind != resolve.Positive {
		t.Errorf("with CD: %+v", o)
	}
}

// An answer of old is not kept as a new one, and the failure behind it is, with
// its own reason.
func TestAStaleAnswerIsAFailureToTheCache(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	old := rrset(t, insecure, "www.example.", wire.TypeA, 1, "\x01\x02\x03\x04")
	res := resultOf(insecure, old)
	res.NoCache, res.Stale, res.EDE, res.Failure = true, true, 3, resolve.ErrLame
	w.answered(q, res)
	if _, ok := w.ask(q, client{}); ok {
		t.Error("a stale answer is told as fresh")
	}
	req := w.request(q)
	if !w.fails(req) || req.Result.EDE != 22 {
		t.Errorf("the failure is not remembered with its reason: %+v", req.Result)
	}

	other := question(t, "slow.example.", wire.TypeA)
	res.Failure = errors.Join(resolve.ErrPatience)
	w.answered(other, res)
	if w.fails(w.request(other)) {
		t.Error("a question that was given up early is remembered as failed")
	}
}

// A delegation that is over leads to the servers that it named, with the addresses
// that were known then, unless one that is alive is as close.
func TestADelegationThatIsOverIsFoundOnDemand(t *testing.T) {
	w := newWorld(t)
	www := name(t, "www.example.")
	w.Keep(&zonecut.Cut{Name: name(t, "example."), Expires: w.now() + 60, NS: []zonecut.NameServer{{Name: name(t, "ns.test.")}}}, w.now())
	q := question(t, "ns.test.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "ns.test.", wire.TypeA, 30, "\xc0\x00\x02\x01")))
	if cut := w.StaleCut(0, www, w.now(), aDay); cut != nil {
		t.Errorf("alive: %+v", cut)
	}
	w.pass(61)
	cut := w.StaleCut(0, www, w.now(), aDay)
	if cut == nil || cut.Name != name(t, "example.") || len(cut.NS) != 1 || len(cut.NS[0].Addrs) != 1 || cut.Expires != w.now() {
		t.Errorf("over: %+v", cut)
	}
	if cut := w.StaleCut(0, name(t, "www.test."), w.now(), aDay); cut != nil {
		t.Errorf("for another zone: %+v", cut)
	}
	w.pass(aDay)
	if cut := w.StaleCut(0, www, w.now(), aDay); cut != nil {
		t.Errorf("after its time of grace: %+v", cut)
	}
}

// Behind the first link that has ended, others are asked before what has ended is told.
func TestWhatIsBehindALinkOfOldIsAskedFor(t *testing.T) {
	w := newWorld(t)
	q, target := question(t, "www.example.", wire.TypeA), question(t, "a.test.", wire.TypeA)
	alias := rrset(t, insecure, "www.example.", wire.TypeCNAME, 30, string(name(t, "a.test.")))
	w.learn(q, resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{alias}, Target: target.Name})
	w.learn(target, positive(rrset(t, insecure, "a.test.", wire.TypeA, 30, "\x01\x02\x03\x04")))
	w.pass(60)
	allow := func(resolve.Question, uint32) (uint32, bool) { return 1, true }
	for answers, want := range map[bool]string{true: "\x05\x06\x07\x08", false: "\x01\x02\x03\x04"} {
		var asked []resolve.Question
		o, stale := w.Stale(w.request(q), aDay, allow, func(q resolve.Question) (resolve.Outcome, bool) {
			asked = append(asked, q)
			return positive(rrset(t, insecure, "a.test.", wire.TypeA, 30, "\x05\x06\x07\x08")), answers
		})
		if len(asked) != 1 || asked[0] != target || !stale || len(o.Answer) != 2 || string(o.Answer[1].Data[0]) != want {
			t.Errorf("answered %v: asked for %v, stale %v, %+v", answers, asked, stale, o)
		}
	}
	w.learn(q, resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{alias}, Target: target.Name})
	o, stale := w.Stale(w.request(q), aDay, allow, func(resolve.Question) (resolve.Outcome, bool) {
		t.Error("asked for what has just failed")
		return resolve.Outcome{}, false
	})
	if !stale || len(o.Answer) != 2 {
		t.Errorf("the target has ended: stale %v, %+v", stale, o)
	}
}
