package priming

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

type fixture struct {
	layer *resolve.Layer
	clock *clock.Fake
	group safe.Group
	fakeRoots
	asked []resolve.Question
	fail  bool

	notices []string
	how     []resolve.Request // how each question was asked
	answers map[uint16][]resolve.Set
	forward bool          // a rule forwards what is asked
	hold    chan struct{} // an answer waits for it
}

// fakeRoots are root hints, and the servers that were learnt by them.
type fakeRoots struct {
	module.Roots
	hints, used *zonecut.Cut
}

func (r *fakeRoots) RootHints() *zonecut.Cut { return r.hints }

func (r *fakeRoots) UseLearnt(by, servers *zonecut.Cut) {
	if by != r.hints {
		panic("learnt by other hints")
	}
	r.used = servers
}

func name(text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(1e9, 0))}
	hints := &zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{{Name: name("a.root."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
	f.hints = hints
	inst, err := Module().Open(&module.Host{
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(), Roots: &f.fakeRoots, Notice: func(l string) { f.notices = append(f.notices, l) },
		Resolve: func(_ context.Context, req *resolve.Request) {
			q := req.Question
			f.asked = append(f.asked, q)
			f.how = append(f.how, resolve.Request{Question: q, RD: req.RD, DO: req.DO, CD: req.CD, Options: req.Options})
			if f.hold != nil {
				<-f.hold
			}
			if req.Options.Forward = f.forward; f.answers != nil {
				req.Result.Answer = f.answers[q.Type]
				return
			}
			set := wire.RRset{Owner: q.Name, Type: q.Type, Class: q.Class, TTL: 100}
			switch {
			case f.fail:
				req.Result.Rcode = wire.RcodeServFail
				return
			case q.Type == wire.TypeNS:
				set.Data = [][]byte{[]byte(name("a.root.")), []byte(name("b.root."))}
			case q.Type == wire.TypeA:
				set.Data = [][]byte{{192, 0, 2, 2}}
			}
			req.Result.Answer = []resolve.Set{{RRset: set}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.layer = inst.Layer
	return f
}

func (f *fixture) send(cut string) {
	f.layer.Checkout(&resolve.Request{}, &resolve.Query{Question: resolve.Question{Name: name("www.example."), Type: wire.TypeA}, Cut: &zonecut.Cut{Name: name(cut)}})
	f.group.Wait()
}

func TestTheFirstQuestionToTheRootStartsPriming(t *testing.T) {
	f := newFixture(t)
	f.send("example.")
	if len(f.asked) != 0 {
		t.Fatal("a question to another zone started priming")
	}
	f.layer.Checkout(&resolve.Request{}, &resolve.Query{Question: resolve.Question{Name: name("www.example."), Type: wire.TypeA},
		Options: resolve.Options{Forward: true}, Cut: &zonecut.Cut{Name: dnsname.Root, Hints: true}})
	f.group.Wait()
	if len(f.asked) != 0 {
		t.Fatal("a question to a forwarder started priming")
	}
	f.send(".")
	if f.used == nil || len(f.used.NS) != 2 {
		t.Fatalf("used %+v, want a.root. and b.root.", f.used)
	}
	if a := f.used.Find(name("b.root.")).Addrs; len(a) != 1 || a[0] != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("addresses of the server that the hints lack: %v", a)
	}
	n := len(f.asked)
	f.clock.Advance(99 * time.Second)
	f.send(".")
	if len(f.asked) != n {
		t.Error("primed again before the TTL was over")
	}
	f.clock.Advance(2 * time.Second)
	f.send(".")
	if len(f.asked) == n {
		t.Error("not primed again after the TTL")
	}
}

func TestFailureKeepsTheHintsAndWaits(t *testing.T) {
	f := newFixture(t)
	f.fail = true
	f.send(".")
	f.send(".")
	if f.used != nil || len(f.asked) != 1 {
		t.Errorf("used %v after %d questions; want the hints kept and one question", f.used, len(f.asked))
	}
	f.fail = false
	f.clock.Advance(retry)
	f.send(".")
	if f.used == nil {
		t.Error("not tried again after a failure")
	}
}

func setOf(owner string, t uint16, ttl uint32, data ...[]byte) resolve.Set {
	return resolve.Set{RRset: wire.RRset{Owner: name(owner), Type: t, Class: wire.ClassIN, TTL: ttl, Data: data}}
}

// The root's name servers are asked for past the cache, with their proofs; what the hints do
// not know is asked for as usual, and told.
func TestHowTheRootIsAsked(t *testing.T) {
	f := newFixture(t)
	f.send(".")
	if len(f.how) != 3 {
		t.Fatalf("asked %v, want for the name servers and two addresses", f.asked)
	}
	for i, r := range f.how {
		if !r.RD || !r.DO || r.CD || r.Options.BypassCache != (i == 0) {
			t.Errorf("%v: RD %v, DO %v, CD %v, past the cache %v", r.Question, r.RD, r.DO, r.CD, r.Options.BypassCache)
		}
	}
	if len(f.notices) != 1 || f.notices[0] != "priming: the root names b.root., which the root hints do not know" {
		t.Errorf("told %q", f.notices)
	}
	if ns := f.used.NS[0]; ns.Name != name("a.root.") || ns.Addrs[0] != netip.MustParseAddr("192.0.2.1") || !f.used.Hints || !f.used.Name.IsRoot() {
		t.Errorf("what the hints know: %+v", f.used)
	}
}

// What is no answer about the root teaches nothing, and that is told.
func TestWhatTeachesNothing(t *testing.T) {
	server := []byte(name("a.root."))
	for what, c := range map[string]struct {
		answers map[uint16][]resolve.Set
		forward bool
		learnt  int
	}{
		"an answer":              {map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeNS, 100, server)}}, false, 1},
		"none":                   {map[uint16][]resolve.Set{}, false, 0},
		"that of a forwarder":    {map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeNS, 100, server)}}, true, 0},
		"one of another type":    {map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeCNAME, 100, server)}}, false, 0},
		"one about another name": {map[uint16][]resolve.Set{wire.TypeNS: {setOf("com.", wire.TypeNS, 100, server)}}, false, 0},
		"one behind another":     {map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeSOA, 100, server), setOf(".", wire.TypeNS, 100, server)}}, false, 1},
		"a name without address": {map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeNS, 100, []byte(name("b.root.")))}}, false, 0},
		"an address that is none": {map[uint16][]resolve.Set{
			wire.TypeNS: {setOf(".", wire.TypeNS, 100, server, []byte(name("b.root.")))}, wire.TypeA: {setOf("b.root.", wire.TypeA, 100, []byte{1, 2, 3})},
		}, false, 1},
		"an alias before an address": {map[uint16][]resolve.Set{
			wire.TypeNS: {setOf(".", wire.TypeNS, 100, server, []byte(name("b.root.")))},
			wire.TypeA:  {setOf("b.root.", wire.TypeCNAME, 100, []byte{1, 2, 3, 4}), setOf("c.root.", wire.TypeA, 100, []byte{192, 0, 2, 9})},
		}, false, 2},
	} {
		f := newFixture(t)
		f.answers, f.forward = c.answers, c.forward
		f.send(".")
		got := 0
		if f.used != nil {
			got = len(f.used.NS)
			for _, ns := range f.used.NS {
				if len(ns.Addrs) != 1 {
					t.Errorf("%s: %s has %v", what, ns.Name, ns.Addrs)
				}
			}
		}
		const failed = "priming: the root's name servers could not be learnt; the root hints stay in use"
		if got != c.learnt || (len(f.notices) > 0 && f.notices[0] == failed) != (c.learnt == 0) {
			t.Errorf("%s: %d name servers, want %d; told %q", what, got, c.learnt, f.notices)
		}
	}
}

// One priming runs at a time, and the question that primes starts none.
func TestOnePrimingAtATime(t *testing.T) {
	f := newFixture(t)
	f.hold = make(chan struct{})
	ask := func(qname string, t uint16, cut *zonecut.Cut) {
		f.layer.Checkout(&resolve.Request{}, &resolve.Query{Question: resolve.Question{Name: name(qname), Type: t}, Cut: cut})
	}
	root := &zonecut.Cut{Name: dnsname.Root}
	ask(".", wire.TypeNS, root)
	ask("com.", wire.TypeNS, nil)
	f.group.Wait()
	for _, q := range []uint16{wire.TypeNS, wire.TypeA, wire.TypeDS} {
		ask("com.", q, root)
	}
	for range 3 {
		f.hold <- struct{}{}
	}
	if f.group.Wait(); len(f.asked) != 3 {
		t.Errorf("asked %v", f.asked)
	}
	other := newFixture(t)
	other.layer.Checkout(&resolve.Request{}, &resolve.Query{Question: resolve.Question{Name: dnsname.Root, Type: wire.TypeDNSKEY}, Cut: root})
	if other.group.Wait(); len(other.asked) == 0 {
		t.Error("another question about the root does not prime")
	}
}

// No more name servers are taken than a delegation may have.
func TestManyNameServers(t *testing.T) {
	f := newFixture(t)
	var data [][]byte
	for i := range limits.MaxNSPerDelegation + 5 {
		n := fmt.Sprintf("s%d.root.", i)
		data = append(data, []byte(name(n)))
		f.hints.NS = append(f.hints.NS, zonecut.NameServer{Name: name(n), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	}
	f.answers = map[uint16][]resolve.Set{wire.TypeNS: {setOf(".", wire.TypeNS, 100, data...)}}
	if f.send("."); f.used == nil || len(f.used.NS) != limits.MaxNSPerDelegation {
		t.Errorf("used %+v", f.used)
	}
}
