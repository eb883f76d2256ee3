package resolve

import (
	"errors"
	"net/netip"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What is lame, or asks for another answer, is not shown to the layers behind.
func TestWhatLayersBehindSee(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  Kind
		state State
		seen  bool
	}{{"an answer", NoData, Consume, true}, {"lame", Lame, Consume, false}, {"another answer is wanted", NoData, Produce, false}} {
		s, q, _ := alone()
		seen := false
		s.layers = []*Layer{
			{Name: "judges", Consume: func(_ *Request, q *Query, _ *wire.Msg) State {
				q.Outcome.Kind = c.kind
				return c.state
			}},
			{Name: "behind", Consume: func(*Request, *Query, *wire.Msg) State {
				seen = true
				return Consume
			}},
		}
		q.run.msg = &wire.Msg{}
		if err := s.consume(q); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if seen != c.seen {
			t.Errorf("%s: seen %v, want %v", c.name, seen, c.seen)
		}
	}
}

// Late answers to what was asked before are of use as long as there is no outcome.
func TestHowLongLateAnswersAreWaitedFor(t *testing.T) {
	for kind, want := range map[Kind]bool{Pending: false, Lame: false, NoData: true, NXDomain: true, Positive: true, Alias: true} {
		s, q, _ := alone()
		ended := false
		q.run.late.end = func() { ended = true }
		q.Outcome, q.run.msg = Outcome{Kind: kind, Target: far}, &wire.Msg{}
		if err := s.decide(q); err != nil {
			t.Errorf("kind %d: %v", kind, err)
		}
		if ended != want {
			t.Errorf("kind %d: given up %v, want %v", kind, ended, want)
		}
	}
}

// A chain counts for questions that aliases are followed for, the steps before this
// query included.
func TestChainsThatAreTooLong(t *testing.T) {
	for _, c := range []struct {
		qtype  uint16
		before int
		chain  int
		want   error
	}{
		{wire.TypeA, 0, limits.MaxCNAMEChain, nil},
		{wire.TypeA, 0, limits.MaxCNAMEChain + 1, ErrChain},
		{wire.TypeA, 1, limits.MaxCNAMEChain, ErrChain},
		{wire.TypeCNAME, limits.MaxCNAMEChain, 1, nil},
		{wire.TypeANY, limits.MaxCNAMEChain, 1, nil},
	} {
		s, q, _ := alone()
		q.Type, q.Steps = c.qtype, c.before
		q.Outcome.Kind = Positive
		for range c.chain {
			q.Outcome.Answer = append(q.Outcome.Answer, Set{RRset: wire.RRset{Type: wire.TypeCNAME}})
		}
		if err := s.decide(q); !errors.Is(err, c.want) {
			t.Errorf("type %d, %d steps behind %d: got %v, want %v", c.qtype, c.chain, c.before, err, c.want)
		}
	}
}

// keeper notes which delegations are kept.
type keeper struct {
	nothing
	kept []dnsname.Name
}

func (k *keeper) Keep(_ Partition, cut *zonecut.Cut, _ int64) { k.kept = append(k.kept, cut.Name) }

// A referral leads closer to the name, or nowhere: what leads up, aside or nowhere
// is of no use, and nothing of it is kept (RFC 1034, section 5.3.3, step 4b).
func TestWhereReferralsMayLead(t *testing.T) {
	for _, c := range []struct {
		name string
		to   dnsname.Name
		ok   bool
	}{{"down", www, true}, {"nowhere else", example, false}, {"up", dnsname.Root, false}, {"aside", far, false}, {"down, beside the name", "\x03ftp" + example, false}} {
		s, q, _ := alone()
		cuts := &keeper{}
		s.cfg.Cuts = cuts
		q.run.msg, q.run.useless = &wire.Msg{}, 2
		q.Outcome = Outcome{Kind: Referral, Cut: &zonecut.Cut{Name: c.to, NS: []zonecut.NameServer{{Name: far}}}}
		if err := s.descend(q); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		switch {
		case c.ok && (q.Cut.Name != c.to || len(cuts.kept) != 1 || !q.run.fresh || q.run.useless != 0):
			t.Errorf("%s: asks %s, kept %v, fresh %v, %d useless in a row", c.name, q.Cut.Name, cuts.kept, q.run.fresh, q.run.useless)
		case !c.ok && (q.Cut.Name != example || len(cuts.kept) != 0 || q.run.useless != 3):
			t.Errorf("%s: asks %s, kept %v, %d useless in a row", c.name, q.Cut.Name, cuts.kept, q.run.useless)
		}
		if q.run.phase != phaseAsk {
			t.Errorf("%s: phase %d", c.name, q.run.phase)
		}
	}
}

// What an answer rests on is as good as the worst of it, and a denial as good as what stands
// beside it.
func TestTheLowestRankCounts(t *testing.T) {
	set := func(r rank.Rank) Set { return Set{Rank: r} }
	for _, c := range []struct {
		o    Outcome
		want rank.Rank
	}{
		{Outcome{}, rank.Initial},
		{Outcome{Answer: []Set{set(rank.Secure), set(rank.Insecure)}}, rank.Insecure},
		{Outcome{Answer: []Set{set(rank.Secure)}, Authority: []Set{set(rank.Insecure)}}, rank.Insecure},
		{Outcome{Authority: []Set{set(rank.Secure)}}, rank.Secure},
		{Outcome{Kind: Positive, Answer: []Set{set(rank.Secure)}}, rank.Secure},
		{Outcome{Kind: NoData, Answer: []Set{set(rank.Secure)}}, rank.Insecure | rank.Auth},
		{Outcome{Kind: NXDomain, Answer: []Set{set(rank.Secure)}}, rank.Insecure | rank.Auth},
		{Outcome{Kind: NXDomain, Answer: []Set{set(rank.Try)}}, rank.Try},
		{Outcome{Kind: NXDomain, Answer: []Set{set(rank.Secure)}, Authority: []Set{set(rank.Secure)}}, rank.Secure},
		{Outcome{Kind: NXDomain}, rank.Initial},
	} {
		if got := c.o.Rank(); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.o, got, c.want)
		}
	}
}

// Octets of answers and depth of dependencies are bounded; the answer that crosses
// the limit still counts.
func TestOctetsAndDepthAreBounded(t *testing.T) {
	counters := &limits.Counters{}
	b := NewBudget(counters)
	b.Received(limits.MaxUpstreamBytesPerRequest)
	if err := b.Send(); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	b.Received(1)
	if err := b.Send(); !errors.Is(err, ErrBudget) || counters.Get(limits.UpstreamBytes) != 1 {
		t.Errorf("beyond the limit: %v", err)
	}
	s, q, counters := alone()
	q.Depth = limits.MaxRecursionDepth
	if _, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{}); !errors.Is(err, ErrDepth) || counters.Get(limits.RecursionDepth) != 1 {
		t.Errorf("too deep: %v", err)
	}
	q.Depth--
	if sub, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{}); err != nil || sub.Depth != limits.MaxRecursionDepth {
		t.Errorf("as deep as may be: %v", err)
	}
	for err := error(nil); err == nil; {
		_, err = s.r.Push(&Query{}, Question{far, wire.TypeA, wire.ClassIN}, Options{})
	}
	if n := len(s.r.Plan.stack); n != limits.MaxQueriesPerPlan || counters.Get(limits.PlanQueries) != 1 {
		t.Errorf("%d queries on one plan", n)
	}
}

// Without DO a client gets no proofs beside its answer (RFC 4035, section 3.2.1).
func TestWhoSeesProofs(t *testing.T) {
	for _, do := range []bool{false, true} {
		s, _, _ := alone()
		layer := &Layer{Name: "knows", Begin: func(r *Request) State {
			r.Result.Authority = []Set{{RRset: wire.RRset{Owner: example, Type: wire.TypeSOA}}, {RRset: wire.RRset{Owner: example, Type: wire.TypeNSEC}}}
			return Done
		}}
		s.cfg.Layers = func() []*Layer { return []*Layer{layer} }
		r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, DO: do}
		s.Resolve(t.Context(), r)
		if got, want := len(r.Result.Authority), map[bool]int{false: 1, true: 2}[do]; got != want {
			t.Errorf("DO %v: %d sets of authority, want %d", do, got, want)
		}
	}
}

// What a request leaves on its plan waits for no late answer.
func TestAnAbandonedPlanWaitsForNothing(t *testing.T) {
	s, _, _ := alone()
	ended := false
	layer := &Layer{Name: "asks", Produce: func(r *Request, q *Query) State {
		if q.Parent != nil {
			return r.Fail(ErrBudget)
		}
		q.run.late.end = func() { ended = true }
		if _, err := r.Push(q, Question{far, wire.TypeA, wire.ClassIN}, Options{}); err != nil {
			return r.Fail(err)
		}
		return Yield
	}}
	s.cfg.Layers = func() []*Layer { return []*Layer{layer} }
	r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, Alone: true}
	s.Resolve(t.Context(), r)
	if !errors.Is(r.Result.Failure, ErrBudget) || !ended {
		t.Errorf("%v, ended %v", r.Result.Failure, ended)
	}
}

// Glue of a name server's own parent is used where the mode allows, and never that
// of a rule or the hints.
func TestGlueOfTheParentSide(t *testing.T) {
	for _, c := range []struct {
		name          string
		strict, hints bool
		want          bool
	}{{"as usual", false, false, true}, {"strict", true, false, false}, {"hints", false, true, false}} {
		s, q, _ := alone()
		q.Options.Strict = c.strict
		q.Cut.NS = []zonecut.NameServer{{Name: far}}
		s.cfg.Cuts = parents{&zonecut.Cut{Name: far, Hints: c.hints, NS: []zonecut.NameServer{{Name: far, Addrs: []netip.Addr{server(1).Addr()}}}}}
		if got := s.parentSide(q, far); got != c.want || got != (len(q.Cut.NS[0].Addrs) == 1) {
			t.Errorf("%s: found %v, addresses %v", c.name, got, q.Cut.NS[0].Addrs)
		}
	}
}

// The servers are named that let a request's time run out, unless one answered.
func TestWhoLetTheTimeRunOut(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: []netip.Addr{server(1).Addr(), server(2).Addr()}}}
	if err := s.inTime(q, ErrDeadline); err != ErrDeadline {
		t.Errorf("nobody was asked: %v", err)
	}
	q.run.faults.failed(server(1), ErrTimeout)
	if err := s.inTime(q, ErrBudget); err != ErrBudget {
		t.Errorf("another failure: %v", err)
	}
	if err := s.inTime(q, ErrDeadline); !errors.Is(err, ErrDeadline) || err.Error() != "no server of example. answered in time" {
		t.Errorf("one was silent: %v", err)
	}
	q.run.faults.useless(server(2), wire.RcodeRefused)
	if err := s.inTime(q, ErrDeadline); err != ErrDeadline {
		t.Errorf("another one answered: %v", err)
	}
}
