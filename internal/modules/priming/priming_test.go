package priming

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
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
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(), Roots: &f.fakeRoots, Notice: func(string) {},
		Resolve: func(_ context.Context, req *resolve.Request) {
			q := req.Question
			f.asked = append(f.asked, q)
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
