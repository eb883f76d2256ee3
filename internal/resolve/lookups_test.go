package resolve

import (
	"net/netip"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// knows is a Cuts that has addresses of every name server.
type knows struct {
	nothing
	addrs []netip.Addr
}

func (k knows) Addrs(Partition, dnsname.Name, int64) ([]netip.Addr, bool, bool) {
	return k.addrs, false, false
}

func hosts(n ...byte) (all []netip.Addr) {
	for _, n := range n {
		all = append(all, server(n).Addr())
	}
	return all
}

const near dnsname.Name = "\x04near\x04test\x00"

// What promises most is looked up first: a name server without an address, the one of which
// a look-up has just denied a family, and the family that was not in trouble. Among equals it is drawn.
func TestWhatIsLookedUpFirst(t *testing.T) {
	const a, aaaa = wire.TypeA, wire.TypeAAAA
	for _, c := range []struct {
		name  string
		asked netip.AddrPort // the server in trouble
		first dnsname.Name
		ns    []zonecut.NameServer
		want  map[lookup]bool
	}{
		{"none has an address", netip.AddrPort{}, "", []zonecut.NameServer{{Name: far}, {Name: near}},
			map[lookup]bool{{far, a}: true, {far, aaaa}: true, {near, a}: true, {near, aaaa}: true}},
		{"one has", netip.AddrPort{}, "", []zonecut.NameServer{{Name: far, Addrs: hosts(1)}, {Name: near}}, map[lookup]bool{{near, a}: true, {near, aaaa}: true}},
		{"IPv4 is in trouble", server(1), "", []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}, map[lookup]bool{{far, aaaa}: true}},
		{"IPv6 is in trouble", netip.MustParseAddrPort("[2001:db8::1]:53"), "", []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}, map[lookup]bool{{far, a}: true}},
		{"no server of one is left", server(1), "", []zonecut.NameServer{{Name: far, Addrs: hosts(1)}, {Name: near}}, map[lookup]bool{{near, aaaa}: true}},
		{"one whose other family is denied", netip.AddrPort{}, near, []zonecut.NameServer{{Name: far}, {Name: near}}, map[lookup]bool{{near, a}: true, {near, aaaa}: true}},
		{"one whose other family is denied, and that is in trouble", server(1), near, []zonecut.NameServer{{Name: far}, {Name: near}}, map[lookup]bool{{near, aaaa}: true}},
	} {
		s, q, _ := alone()
		q.Server.Addr, q.Cut.NS = c.asked, c.ns
		got := map[lookup]bool{}
		for range 200 {
			if name, family, ok := s.nextLookup(q, c.first); ok {
				got[lookup{name, family}] = true
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: looked up are %v, want %v", c.name, got, c.want)
		}
		for l := range got {
			if !c.want[l] {
				t.Errorf("%s: looked up are %v, want %v", c.name, got, c.want)
			}
		}
	}
}

// The cache is asked once for further addresses of a zone's name servers, and tells no more
// than there may be.
func TestFurtherAddressesAreTakenFromTheCacheOnce(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}
	cut := q.Cut
	s.cfg.Cuts = knows{addrs: hosts(1)}
	if s.refill(q) {
		t.Error("an address that the delegation told is one more")
	}
	q.run.ns.refilled = false
	s.cfg.Cuts = knows{addrs: hosts(1, 2)}
	if !s.refill(q) || q.Cut.Addresses() != 2 {
		t.Errorf("%d addresses", q.Cut.Addresses())
	}
	s.cfg.Cuts = knows{addrs: hosts(1, 2, 3)}
	if s.refill(q) || q.Cut.Addresses() != 2 {
		t.Errorf("asked again: %d addresses", q.Cut.Addresses())
	}
	if cut.Addresses() != 1 {
		t.Error("a delegation that others read has changed")
	}
}

// A delegation without addresses gets those that the cache knows; it stays as it is for
// others.
func TestADelegationIsFilledFromTheCache(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}, {Name: near, Addrs: hosts(9)}}
	cut := q.Cut
	var many []netip.Addr
	want := 1 + limits.ExtraAddrs(2)
	for i := range byte(want + 2) {
		many = append(many, server(i).Addr())
	}
	s.cfg.Cuts = knows{addrs: many}
	s.fill(q)
	if got := len(q.Cut.Find(far).Addrs); got != want {
		t.Errorf("%d addresses of one, want %d", got, want)
	}
	if got := len(q.Cut.Find(near).Addrs); got != 1 {
		t.Errorf("%d addresses of one whose address the delegation tells", got)
	}
	if cut.Addresses() != 1 {
		t.Error("a delegation that others read has changed")
	}
}

// Whether a look-up may begin beside a query, and what it counts for.
func TestWhenALookUpBesideBegins(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*solver, *Query)
		want bool
	}{
		{"as usual", func(*solver, *Query) {}, true},
		{"no zone is known", func(_ *solver, q *Query) { q.Cut = nil }, false},
		{"the operator named the servers", func(_ *solver, q *Query) { q.Cut.Hints = true }, false},
		{"too deep", func(_ *solver, q *Query) { q.Depth = limits.MaxRecursionDepth }, false},
		{"so many are under way", func(s *solver, _ *Query) { s.r.work.beside.Store(limits.LookupsBeside) }, false},
		{"one less", func(s *solver, _ *Query) { s.r.work.beside.Store(limits.LookupsBeside - 1) }, true},
		{"nobody is left", func(_ *solver, q *Query) { q.Cut.NS = nil }, false},
		{"the name waits for this query", func(_ *solver, q *Query) {
			q.Parent = &Query{Question: Question{far, wire.TypeAAAA, wire.ClassIN}}
		}, false},
		{"the name waits for this query, for another type", func(_ *solver, q *Query) {
			q.Parent = &Query{Question: Question{far, wire.TypeDS, wire.ClassIN}}
		}, true},
	} {
		s, q, _ := alone()
		s.cfg.Layers = func() []*Layer { return nil }
		q.Cut.NS = []zonecut.NameServer{{Name: far}}
		c.set(s, q)
		if got := s.lookBeside(q); got != c.want {
			t.Errorf("%s: begun %v, want %v", c.name, got, c.want)
		}
		if !c.want && q.run.beside.open != 0 {
			t.Errorf("%s: %d are waited for", c.name, q.run.beside.open)
		}
		if q.run.ns.fetches > 0 != c.want || int(s.r.work.nsFetches.Load()) != q.run.ns.fetches {
			t.Errorf("%s: %d name servers are looked up for the zone, %d for the request", c.name, q.run.ns.fetches, s.r.work.nsFetches.Load())
		}
		q.run.quit()
		s.running.Wait()
	}
}

// A name server counts once, whichever of its families are looked up.
func TestANameServerIsCountedOnceForBothFamilies(t *testing.T) {
	s, q, _ := alone()
	s.cfg.Layers = func() []*Layer { return nil }
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	for i, want := range []bool{true, true, false} {
		if got := s.lookBeside(q); got != want {
			t.Errorf("look-up %d begins: %v; looked up: %v", i+1, got, q.run.ns.looked)
		}
	}
	if q.run.ns.fetches != 1 || s.r.work.nsFetches.Load() != 1 || q.run.beside.open != 2 {
		t.Errorf("%d name servers for the zone, %d for the request, %d look-ups are open", q.run.ns.fetches, s.r.work.nsFetches.Load(), q.run.beside.open)
	}
	q.run.quit()
	s.running.Wait()
}

// What a look-up beside has come to: where its name has no address at all, it counts as one
// that leads nowhere, and where only its own family is denied, the other is looked up.
func TestWhatALookUpBesideComesTo(t *testing.T) {
	for _, c := range []struct {
		name         string
		looked       []lookup // already
		has          []netip.Addr
		o            Outcome
		err          error
		found        bool
		unresolvable int32
		open         int
	}{
		{"an address", nil, nil, Outcome{Kind: Positive, Answer: []Set{{RRset: wire.RRset{Type: wire.TypeA, Data: [][]byte{{192, 0, 2, 7}}}}}}, nil, true, 0, 0},
		{"no address of its family", nil, nil, Outcome{Kind: NoData}, nil, false, 0, 1},
		{"no address of either", []lookup{{far, wire.TypeAAAA}}, nil, Outcome{Kind: NoData}, nil, false, 1, 0},
		{"no address more", []lookup{{far, wire.TypeAAAA}}, hosts(1), Outcome{Kind: NoData}, nil, false, 0, 0},
		{"no such name", nil, nil, Outcome{Kind: NXDomain}, nil, false, 1, 0},
		{"nothing", nil, nil, Outcome{}, ErrNoServer, false, 0, 0},
		{"nothing, of either", []lookup{{far, wire.TypeAAAA}}, nil, Outcome{}, ErrNoServer, false, 1, 0},
	} {
		s, q, _ := alone()
		s.cfg.Layers = func() []*Layer { return nil }
		q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: c.has}}
		q.run.ns.looked = append(c.looked, lookup{far, wire.TypeA})
		q.run.beside.open, q.run.beside.names = 1, []dnsname.Name{far}
		sub := &Query{Question: Question{far, wire.TypeA, wire.ClassIN}, Outcome: c.o, Err: c.err}
		if got := s.heard(q, sub); got != c.found {
			t.Errorf("%s: found %v, want %v", c.name, got, c.found)
		}
		if got := s.r.work.unresolvable.Load(); got != c.unresolvable {
			t.Errorf("%s: %d name servers lead nowhere, want %d", c.name, got, c.unresolvable)
		}
		if b := &q.run.beside; b.open != c.open || len(b.names) != c.open {
			t.Errorf("%s: %d look-ups are open, of %v, want %d", c.name, b.open, b.names, c.open)
		}
		q.run.quit()
		s.running.Wait()
	}
}

// A look-up on the plan that was given up may be begun again.
func TestALookUpThatWasGivenUpMayBeginAgain(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	sub, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	q.run.ns.fetch = &fetch{name: far, sub: sub}
	q.run.ns.looked = []lookup{{far, wire.TypeA}, {near, wire.TypeA}}
	s.giveUp(q)
	if s.r.Plan.Current() != q || q.run.ns.fetch != nil {
		t.Error("it is still waited for")
	}
	if len(q.run.ns.looked) != 1 || q.run.ns.looked[0].name != near {
		t.Errorf("looked up already: %v", q.run.ns.looked)
	}
}

// Glue of a name server that lies elsewhere is tried once; then it is looked up.
func TestGlueIsTriedOnce(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	q.run.ns.looked = []lookup{{far, wire.TypeA}}
	s.cfg.Cuts = parents{&zonecut.Cut{Name: far, NS: []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}}}
	if !s.glued(q, far) || len(q.run.ns.looked) != 0 {
		t.Errorf("the glue is not used, or in earnest: %v", q.run.ns.looked)
	}
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if s.glued(q, far) {
		t.Error("the glue is tried again")
	}
}
