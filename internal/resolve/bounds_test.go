package resolve

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Of a delegation to many name servers some are asked, of one to fewer all.
func TestHowManyNameServersOfADelegationAreAsked(t *testing.T) {
	for have, want := range map[int]int{
		limits.MaxNSPerDelegation - 1: limits.MaxNSPerDelegation - 1, limits.MaxNSPerDelegation: limits.MaxNSPerDelegation,
		limits.MaxNSPerDelegation + 1: limits.MaxNSPerDelegation, 3 * limits.MaxNSPerDelegation: limits.MaxNSPerDelegation,
	} {
		s, q, _ := alone()
		cut := &zonecut.Cut{Name: www}
		for i := range have {
			cut.NS = append(cut.NS, zonecut.NameServer{Name: dnsname.Name([]byte{2, 'a' + byte(i%26), 'a' + byte(i/26), 0}), Addrs: hosts(byte(i))})
		}
		if s.moveTo(q, cut); len(q.Cut.NS) != want || q.Cut.Name != www {
			t.Errorf("of %d name servers %d are asked, want %d", have, len(q.Cut.NS), want)
		}
	}
}

// Of the addresses that the cache has of a name server some are taken, be it before the first
// question or later.
func TestHowManyAddressesTheCacheTells(t *testing.T) {
	var many []netip.Addr
	want := 1 + limits.ExtraAddrs(1)
	for i := range byte(want + 3) {
		many = append(many, server(i).Addr())
	}
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	s.cfg.Cuts = knows{addrs: many}
	if s.refill(q); q.Cut.Addresses() != want {
		t.Errorf("%d addresses of a name server, want %d", q.Cut.Addresses(), want)
	}
	s, q, _ = alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if s.gain(q, far, nil) || s.gain(q, far, [][]byte{{1, 2, 3}}) {
		t.Error("nothing, and what is no address, are addresses more")
	}
	var data [][]byte
	for _, a := range many {
		data = append(data, a.AsSlice())
	}
	if !s.gain(q, far, data) || q.Cut.Addresses() != want {
		t.Errorf("%d addresses of an answer, want %d", q.Cut.Addresses(), want)
	}
	if s.gain(q, far, data) {
		t.Error("what is known is an address more")
	}
}

// Before a look-up begins beside a query the cache is asked for further addresses.
func TestTheCacheIsAskedBeforeALookUp(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}
	s.cfg.Cuts = knows{addrs: hosts(1, 2)}
	s.lookBeside(q)
	if !q.run.ns.refilled || q.Cut.Addresses() != 2 {
		t.Errorf("%d addresses", q.Cut.Addresses())
	}
	q.run.quit()
	s.running.Wait()
}

// A look-up beside counts as long as it is under way. One of a name that waits for the query
// itself is not tried twice.
func TestLookUpsBesideAreCounted(t *testing.T) {
	s, q, _ := alone()
	release := make(chan struct{})
	s.layers = []*Layer{{Name: "waits", Produce: func(r *Request, _ *Query) State { <-release; return r.Fail(ErrLame) }}}
	q.Cut.NS = []zonecut.NameServer{{Name: far}, {Name: near}}
	for n := 1; n <= limits.LookupsBeside; n++ {
		if !s.lookBeside(q) || int(s.r.work.beside.Load()) != n {
			t.Errorf("%d are under way, want %d", s.r.work.beside.Load(), n)
		}
	}
	if s.lookBeside(q) {
		t.Error("one more than may be is begun")
	}
	close(release)
	s.running.Wait()
	if n := s.r.work.beside.Load(); n != 0 {
		t.Errorf("%d are under way at the end", n)
	}
	s, q, _ = alone()
	q.Cut.NS, q.Question = []zonecut.NameServer{{Name: far}}, Question{far, wire.TypeA, wire.ClassIN}
	if s.lookBeside(q) || len(s.lookable(q)) != 0 {
		t.Errorf("a name that waits for itself is looked up, or may be: %v", s.lookable(q))
	}
}

// Where the servers of so many zones are silent each is asked once.
func TestServersOfManySilentZonesAreAskedOnce(t *testing.T) {
	var l silences
	for i := range byte(limits.SilentZonesTried) {
		e := zonecut.Endpoint{Addr: server(i)}
		l.change(e, dnsname.Name([]byte{1, 'a' + i, 0}), 1, 1)
		if got, want := l.mute(e), int(i)+1 >= limits.SilentZonesTried; got != want {
			t.Errorf("with %d silent zones a server is mute: %t", i+1, got)
		}
	}
}

// To make room an eighth of the names is forgotten, and no more and no less.
func TestHowMuchAThrottleForgets(t *testing.T) {
	var th throttle
	for i := range limits.ThrottledNames + 1 {
		th.add(place{name: dnsname.Name([]byte{3, byte(i), byte(i >> 8), byte(i >> 16), 0})}, 1000)
	}
	if want := limits.ThrottledNames - limits.ThrottledNames/8 + 1; len(th.m) != want {
		t.Errorf("%d names are left, want %d", len(th.m), want)
	}
}

// Where no further question fits on the plan a name server is looked up no more.
func TestALookUpThatDoesNotFitOnThePlan(t *testing.T) {
	s, q, _ := alone()
	var told []Step
	s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
	s.r.Plan.work = s.r.work
	s.r.work.pushed.Store(limits.MaxQueriesPerPlan)
	f := &fetch{name: far, types: []uint16{wire.TypeA, wire.TypeAAAA}}
	if s.look(q, f) || len(f.types) != 0 || len(told) != 1 || q.run.ns.fetches != 0 {
		t.Errorf("%d types are left, %d name servers were looked up, told %v", len(f.types), q.run.ns.fetches, told)
	}
}

// So many servers are asked at once only to learn about them, and no zone keeps the place of
// one that is not asked.
func TestHowManyAreExploredAtOnce(t *testing.T) {
	for before, want := range map[int32]bool{limits.ExploringAtOnce: false, limits.ExploringAtOnce - 1: true} {
		synctest.Test(t, func(t *testing.T) {
			s, q, all := inTrouble(2)
			asked := make(chan Exchange, 1)
			s.cfg.Explore, s.cfg.Exchanger, s.cfg.Context = true, secretly{asked, nil}, t.Context()
			s.cfg.Servers = selection.New(selection.Config{Clock: clock.Real()})
			s.cfg.Servers.Answered(all[0].Endpoint, selection.Answer{RTT: time.Millisecond})
			s.exploring.Store(before)
			var told []Step
			s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
			all[0].Known = true
			began := time.Now()
			for i := 0; len(asked) == 0 && i < 10000; i++ {
				s.explore(q, all[0])
				synctest.Wait()
			}
			if got := len(asked) > 0; got != want {
				t.Errorf("with %d under way one more is asked: %t", before, got)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("the client waited %v, though all had left", took)
			}
			if len(told) != len(asked) || len(told) > 0 && told[0] != (Explored{peer(q, all[1])}) {
				t.Errorf("told %v", told)
			}
			if s.exploring.Load() != before || s.zones.Taken(q.Cut.Name) != 0 || s.Panics() != 0 {
				t.Errorf("%d are under way, %d places of the zone taken, %d panics", s.exploring.Load(), s.zones.Taken(q.Cut.Name), s.Panics())
			}
		})
	}
}

// The keys of a zone, which a layer inquires right after its first answer, are not asked of a
// second server only to learn about that.
func TestInquiriesDoNotExplore(t *testing.T) {
	for _, literal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, q, all := inTrouble(2)
			asked := make(chan Exchange, 1)
			s.cfg.Explore, s.cfg.Exchanger, s.cfg.Context = true, secretly{asked, nil}, t.Context()
			s.cfg.Servers = selection.New(selection.Config{Clock: clock.Real()})
			s.cfg.Servers.Answered(all[0].Endpoint, selection.Answer{RTT: time.Millisecond})
			q.Literal = literal
			for i := 0; len(asked) == 0 && i < 1000; i++ {
				s.explore(q, all[0])
				synctest.Wait()
			}
			if got := len(asked) > 0; got == literal {
				t.Errorf("with an inquiry %t, another server is asked: %t", literal, got)
			}
		})
	}
}

// patient is an Exchanger whose servers let a request wait to its end.
type patient struct{}

func (patient) Exchange(ctx context.Context, _ Exchange) (Reply, error) {
	<-ctx.Done()
	return Reply{}, ctx.Err()
}

// A request ends when its patience is over, and one without when its time is, and says how
// long it has taken.
func TestWhenARequestEnds(t *testing.T) {
	for patience, want := range map[time.Duration]error{0: ErrDeadline, 300 * time.Millisecond: ErrPatience} {
		synctest.Test(t, func(t *testing.T) {
			s, q, _ := inTrouble(1)
			s.cfg.Exchanger, s.cfg.Cuts = patient{}, parents{q.Cut}
			s.cfg.Layers = func() []*Layer { return nil }
			s.cfg.Context = t.Context()
			r := &Request{Question: q.Question, RD: true, Patience: patience}
			began := time.Now()
			s.Resolve(t.Context(), r)
			took := time.Since(began)
			if wait := r.patience(); !errors.Is(r.Result.Failure, want) || took > wait || took < wait-limits.DeadlineStep || r.Result.Took != took {
				t.Errorf("patience %v: %v after %v, told as %v", patience, r.Result.Failure, took, r.Result.Took)
			}
		})
	}
}

// A request is resolved at the expense of the budget that it brings, and what it and its
// look-ups push counts together.
func TestWhoseBudgetARequestSpends(t *testing.T) {
	s, q, _ := inTrouble(1)
	s.cfg.Cuts = parents{q.Cut}
	var seen *Budget
	s.cfg.Layers = func() []*Layer {
		return []*Layer{{Name: "looks", Produce: func(r *Request, _ *Query) State { seen = r.Budget; return r.Fail(ErrLame) }}}
	}
	own := NewBudget(s.cfg.Counters)
	for _, budget := range []*Budget{own, nil} {
		r := &Request{Question: q.Question, Budget: budget}
		s.Resolve(t.Context(), r)
		if budget != nil && seen != own || budget == nil && (seen == nil || seen == own) || seen != r.Budget {
			t.Errorf("spent is %p of %p", seen, budget)
		}
		if r.Plan.work != r.work || r.work.pushed.Load() != 1 {
			t.Errorf("%d queries count", r.work.pushed.Load())
		}
	}
}

// The root, the top-level domains and what the operator named are asked by everybody.
func TestWhoseServersAreEverybodys(t *testing.T) {
	s, _, _ := alone()
	for _, c := range []struct {
		cut  zonecut.Cut
		want bool
	}{
		{zonecut.Cut{Name: dnsname.Root}, true}, {zonecut.Cut{Name: example}, true}, {zonecut.Cut{Name: www}, false}, {zonecut.Cut{Name: www, Hints: true}, true},
	} {
		if got := infrastructure(&c.cut); got != c.want || (s.mayWait(&c.cut) > limits.MaxOutstandingPerZone) != c.want {
			t.Errorf("%s: %t, %d may wait", c.cut.Name, got, s.mayWait(&c.cut))
		}
	}
}
