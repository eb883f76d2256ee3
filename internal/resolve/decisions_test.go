package resolve

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
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

// nothing is a Cuts that knows nothing.
type nothing struct{}

func (nothing) Closest(Partition, dnsname.Name, int64) *zonecut.Cut { return nil }
func (nothing) Addrs(Partition, dnsname.Name, int64) ([]netip.Addr, bool, bool) {
	return nil, false, false
}
func (nothing) Keep(Partition, *zonecut.Cut, int64) {}

const (
	example = dnsname.Name("\x07example\x00")
	www     = dnsname.Name("\x03www\x07example\x00")
	far     = dnsname.Name("\x03far\x04test\x00")
)

// alone is a solver of a request for www.example. A, whose query is past the
// cache and asks the servers of example.
func alone() (*solver, *Query, *limits.Counters) {
	counters := &limits.Counters{}
	d := NewDriver(Config{Counters: counters, Cuts: nothing{}, Servers: selection.New(selection.Config{Clock: clock.Real()})})
	r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, Budget: NewBudget(counters), ctx: context.Background(), work: &work{}}
	r.Plan.counters = counters
	s := &solver{Driver: d, r: r}
	q := &Query{Question: r.Question, Cut: &zonecut.Cut{Name: example}}
	if err := r.Plan.Push(q); err != nil {
		panic(err)
	}
	r.root = q
	q.enter(phaseAsk)
	return s, q, counters
}

func server(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 53)
}

// CD and RD are for forwarders: an authority has nothing to validate and does not
// recurse.
func TestOnlyForwardersAreAskedToRecurse(t *testing.T) {
	s, q, _ := alone()
	s.r.CD = true
	if x := s.exchangeOf(q, Server{}, selection.Choice{}); x.CD || x.RD {
		t.Errorf("an authority is asked with CD %v, RD %v", x.CD, x.RD)
	}
	q.Cut, q.Options.Forward = &zonecut.Cut{Name: dnsname.Root, Hints: true}, true
	if x := s.exchangeOf(q, Server{}, selection.Choice{}); !x.CD || !x.RD {
		t.Errorf("a forwarder is asked with CD %v, RD %v", x.CD, x.RD)
	}
	s.r.CD = false
	if x := s.exchangeOf(q, Server{}, selection.Choice{}); x.CD {
		t.Error("a forwarder is asked with CD that nobody set")
	}
}

func TestHowAServerIsAsked(t *testing.T) {
	ds, above := &wire.RRset{Owner: example, Type: wire.TypeDS}, &wire.RRset{Owner: dnsname.Root, Type: wire.TypeDS}
	for _, c := range []struct {
		name    string
		options Options
		ds      *wire.RRset
		plain   bool
		choice  selection.Choice
		want    Server
	}{
		{"as usual", Options{}, nil, false, selection.Choice{}, Server{}},
		{"it cannot EDNS", Options{}, nil, false, selection.Choice{Cannot: selection.NoEDNS}, Server{NoEDNS: true}},
		{"it cannot EDNS, and its zone has keys", Options{}, ds, false, selection.Choice{Cannot: selection.NoEDNS}, Server{}},
		{"it cannot EDNS, and the zone above has keys", Options{}, above, false, selection.Choice{Cannot: selection.NoEDNS}, Server{NoEDNS: true}},
		{"as it asked for", Options{}, ds, true, selection.Choice{}, Server{NoEDNS: true}},
		{"it destroys case", Options{}, nil, false, selection.Choice{Cannot: selection.NoCase}, Server{NoCase: true}},
		{"it needs TCP", Options{}, nil, false, selection.Choice{Cannot: selection.NeedTCP}, Server{TCP: true}},
		{"to confirm", Options{}, nil, false, selection.Choice{Confirm: true}, Server{TCP: true}},
		{"as a last resort", Options{}, nil, false, selection.Choice{Resort: true}, Server{TCP: true}},
		{"as options say", Options{TCPOnly: true, NoEDNS: true, KeepCase: true}, ds, false, selection.Choice{}, Server{TCP: true, NoEDNS: true, NoCase: true}},
	} {
		_, q, _ := alone()
		q.Options, q.Cut.DS = c.options, c.ds
		c.choice.Addr = server(1)
		if q.Server.Addr = server(1); c.plain {
			q.RetryWithoutEDNS()
		}
		c.want.Addr = server(1)
		if got := serverOf(q, c.choice); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A server that is to be asked again is the one that answered last, or none.
func TestTheServerThatAnsweredIsAskedAgain(t *testing.T) {
	s, q, _ := alone()
	q.Server.Addr = server(1)
	q.RetryWithoutEDNS()
	if c, ok := s.choose(q); !ok || c.Addr != server(1) {
		t.Errorf("chosen: %v %v", c.Addr, ok)
	}
	if c, ok := s.choose(q); ok {
		t.Errorf("asked a third time: %v", c.Addr)
	}
	q.RetryWithoutEDNS()
	q.Server.Addr = server(2) // whose late answer was taken meanwhile
	if c, ok := s.choose(q); ok {
		t.Errorf("asked again though another one answered: %v", c.Addr)
	}
}

func TestTheFirstOutcomeThatIsHeldBackCounts(t *testing.T) {
	s, q, _ := alone()
	q.HoldBack(Outcome{Kind: NXDomain})
	q.HoldBack(Outcome{Kind: NoData})
	if err := s.exhausted(q); err != nil || q.Outcome.Kind != NXDomain || q.Outcome.Origin != HeldBack || q.run.phase != phaseConsume {
		t.Errorf("%v: kind %d, origin %d, phase %d", err, q.Outcome.Kind, q.Outcome.Origin, q.run.phase)
	}
	q.moveTo(q.Cut)
	if q.HoldsBack() {
		t.Error("servers of another cut inherit it")
	}
}

func TestTimeoutsAreThoseOfOneZoneCut(t *testing.T) {
	s, q, _ := alone()
	s.timedOut(q, selection.Choice{Endpoint: zonecut.Endpoint{Addr: server(1)}})
	s.timedOut(q, selection.Choice{Endpoint: zonecut.Endpoint{Addr: server(2)}})
	if q.Timeouts() != 2 {
		t.Errorf("%d timeouts", q.Timeouts())
	}
	if q.moveTo(q.Cut); q.Timeouts() != 0 {
		t.Errorf("%d timeouts of servers that were not asked", q.Timeouts())
	}
}

// A failure over TCP says nothing about a server's UDP, unless TCP is all that the
// query may use.
func TestWithoutTCP(t *testing.T) {
	for _, c := range []struct {
		name     string
		only     bool
		choice   selection.Choice
		rejected bool
	}{
		{"to confirm", false, selection.Choice{Confirm: true}, false},
		{"to confirm, and TCP is all", true, selection.Choice{Confirm: true}, true},
		{"after truncation", false, selection.Choice{}, true},
		{"as a last resort", false, selection.Choice{Resort: true}, false},
		{"as it needs TCP", false, selection.Choice{Cannot: selection.NeedTCP}, false},
		{"as it needs TCP, and TCP is all", true, selection.Choice{Cannot: selection.NeedTCP}, true},
	} {
		s, q, _ := alone()
		q.Options.TCPOnly, c.choice.Addr = c.only, server(1)
		q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: []netip.Addr{server(1).Addr()}}}
		s.withoutTCP(q, c.choice)
		if got := !s.asks(q, c.choice); got != c.rejected {
			t.Errorf("%s: rejected %v, want %v", c.name, got, c.rejected)
		}
		if again := c.choice.Resort || c.choice.Cannot != 0; (q.Timeouts() == 1) != (again && !c.rejected) {
			t.Errorf("%s: %d timeouts", c.name, q.Timeouts())
		}
	}
}

func TestNoSocketIsForgivenOnce(t *testing.T) {
	s, q, _ := alone()
	if err := s.noSocket(q); err != nil {
		t.Errorf("the first time: %v", err)
	}
	if err := s.noSocket(q); !errors.Is(err, ErrLocal) {
		t.Errorf("the second time: %v", err)
	}
}

// A lease is for all that the answer depends on, and for nothing else.
func TestLeasesTellQuestionsApart(t *testing.T) {
	_, q, _ := alone()
	keys := map[string]string{}
	note := func(what string, q *Query, cd bool) {
		k := string(leaseKey(q, cd))
		if other := keys[k]; other != "" {
			t.Errorf("%s and %s have one lease", what, other)
		}
		keys[k] = what
	}
	note("the question", q, false)
	note("with CD", q, true)
	other := func(change func(*Query)) *Query {
		_, q, _ := alone()
		change(q)
		return q
	}
	note("another name", other(func(q *Query) { q.Name = far }), false)
	note("another type", other(func(q *Query) { q.Type = wire.TypeAAAA }), false)
	note("another class", other(func(q *Query) { q.Class = 3 }), false)
	note("forwarded", other(func(q *Query) { q.Options.Forward, q.Cut.Hints = true, true }), false)
	if again := leaseKey(other(func(q *Query) { q.Cut.Name = dnsname.Root }), false); keys[string(again)] != "the question" {
		t.Error("one question has two leases")
	}
}

type neverLeases struct{ asked int }

func (l *neverLeases) Take([]byte, int) bool { l.asked++; return false }
func (l *neverLeases) Return([]byte)         {}

func TestWhoWantsFreshDataTakesNoLease(t *testing.T) {
	s, q, _ := alone()
	leases := &neverLeases{}
	s.Share(leases)
	q.Options.BypassCache = true
	if !s.leased(q) || leases.asked != 0 {
		t.Errorf("asked for %d leases", leases.asked)
	}
	q.Options.BypassCache, q.Parent = false, &Query{}
	if !s.leased(q) || leases.asked != 0 {
		t.Errorf("a sub-query asked for %d leases", leases.asked)
	}
}

// The target of an alias inherits what the client wants, and nothing of where the
// alias came from.
func TestWhatTheTargetOfAnAliasInherits(t *testing.T) {
	const sibling dnsname.Name = "\x07sibling\x00"
	for _, c := range []struct {
		name    string
		forward bool
		byName  bool
		target  dnsname.Name
		want    Options
	}{
		{"by iteration", false, false, far, Options{NoIPv4: true}},
		{"of servers for all names", true, false, far, Options{NoIPv4: true, Forward: true}},
		{"in the scope of the rule, about which no rule says anything", true, true, www, Options{NoIPv4: true}},
		{"of servers that a rule chose, elsewhere", true, true, far, Options{NoIPv4: true}},
		{"that a rule sends to a stub", true, true, sibling, Options{NoIPv4: true, Stub: true}},
		{"that a rule sends to a stub, after iteration", false, false, sibling, Options{NoIPv4: true, Stub: true}},
	} {
		s, q, _ := alone()
		q.Name = example
		s.r.Name, s.r.ByName = example, c.byName
		s.r.Options.Forward = c.forward
		if c.forward {
			s.r.Cut = &zonecut.Cut{Hints: true}
		}
		s.r.layers = []*Layer{{}, {Route: func(_ *Request, q Question) *Route {
			if q.Name != sibling {
				return nil
			}
			return &Route{Cut: &zonecut.Cut{Hints: true}, Scope: sibling, Stub: true}
		}}}
		q.Options = Options{NoIPv4: true, FromCache: true, Forward: c.forward}
		q.Cut.Hints = c.forward
		q.Outcome = Outcome{Kind: Alias, Target: c.target}
		if err := s.follow(q); err != nil {
			t.Fatal(err)
		}
		sub := q.run.alias
		if sub.Options != c.want || (sub.Cut != nil) != (c.want.Forward || c.want.Stub) || (sub.Partition != s.r.Partition.Data) != (sub.Cut != nil) {
			t.Errorf("%s: options %+v, cut %v; want %+v", c.name, sub.Options, sub.Cut, c.want)
		}
	}
}

// A chain is known to the cache only if all of it is.
func TestWhatAChainComesTo(t *testing.T) {
	for _, c := range []struct{ first, second, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		s, q, _ := alone()
		q.Outcome = Outcome{Kind: Alias, Cached: c.first, Zone: example}
		q.run.alias = &Query{Outcome: Outcome{Kind: NXDomain, Rcode: wire.RcodeNXDomain, Cached: c.second, Zone: far}}
		if err := s.aliased(q); err != nil {
			t.Fatal(err)
		}
		if o := &q.Outcome; o.Cached != c.want || o.Kind != NXDomain || o.Rcode != wire.RcodeNXDomain || o.Zone != far {
			t.Errorf("%+v: %+v", c, o)
		}
	}
}

// What ends the whole request, and what only one query of it.
func TestFatalFailures(t *testing.T) {
	for err, want := range map[error]bool{
		ErrScript: true, ErrBudget: true, ErrDeadline: true, ErrPatience: true, context.Canceled: true, &zoneError{err: ErrDeadline, text: "x"}: true,
		ErrNoServer: false, ErrLame: false, ErrProof: false, ErrCycle: false, ErrBusy: false, ErrLocal: false,
	} {
		if got := fatal(err); got != want {
			t.Errorf("%v: fatal %v, want %v", err, got, want)
		}
	}
}

// Limits of one request, each met and counted.
func TestLimitsOfARequest(t *testing.T) {
	for _, c := range []struct {
		id    limits.ID
		spend func(*solver, *Query) error
		want  error
	}{
		{limits.Iterations, func(s *solver, _ *Query) error {
			s.r.work.iterations.Store(limits.MaxIterationsPerRequest)
			return s.mayGoOn()
		}, ErrBudget},
		{limits.UpstreamPerFetch, func(s *solver, q *Query) error {
			q.run.sends = limits.MaxUpstreamPerFetch
			return s.ask(q)
		}, ErrNoAddress},
		{limits.UnresolvableNS, func(s *solver, q *Query) error {
			q.Cut.NS = []zonecut.NameServer{{Name: far}}
			s.r.work.unresolvable.Store(limits.UnresolvableNSPerRequest)
			return s.ask(q)
		}, ErrNoAddress},
		{limits.NSAddrFetch, func(s *solver, q *Query) error {
			q.Cut.NS = []zonecut.NameServer{{Name: far}}
			s.r.work.nsFetches.Store(limits.NSAddrFetchPerRequest)
			return s.ask(q)
		}, ErrNoAddress},
		{limits.NSAddrFetch, func(s *solver, q *Query) error {
			q.Cut.NS = []zonecut.NameServer{{Name: far}, {Name: "\x01a\x00"}}
			q.run.ns.fetches = limits.NSAddrFetchPerReferral + 1 // one of them led to an address of its own
			s.gain(q, "\x01a\x00", [][]byte{{192, 0, 2, 1}})
			return s.moreServers(q)
		}, ErrNoServer},
		{limits.NSAddrFetch, func(s *solver, q *Query) error {
			q.Cut.NS = []zonecut.NameServer{{Name: far}}
			q.run.ns.fetches = limits.NSAddrFetchPerReferral
			return s.ask(q)
		}, ErrNoAddress},
	} {
		s, q, counters := alone()
		if err := c.spend(s, q); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.id, err, c.want)
		}
		if counters.Get(c.id) != 1 {
			t.Errorf("%s: counted %d times", c.id, counters.Get(c.id))
		}
	}
	s, q, counters := alone()
	s.r.work.iterations.Store(limits.MaxIterationsPerRequest - 1)
	if err := s.mayGoOn(); err != nil || counters.Get(limits.Iterations) != 0 {
		t.Errorf("the last step: %v", err)
	}
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	extra := limits.ExtraAddrs(1)
	for i := range byte(extra + 3) {
		if got, want := s.addExtra(q, far, server(i).Addr()), int(i) <= extra; got != want {
			t.Errorf("address %d beyond the first is taken: %v", i, got)
		}
	}
	if !s.addExtra(q, far, netip.MustParseAddr("2001:db8::1")) || s.addExtra(q, far, netip.MustParseAddr("2001:db8::2")) {
		t.Error("the first address of the other family is extra, or the second is not")
	}
}

// How many questions may be under way for a zone and to a server is the operator's to say;
// for those that everybody asks it is ten times as many.
func TestWhatMayBeUnderWayIsTheOperators(t *testing.T) {
	s, q, _ := alone()
	if zone, server := s.mayWait(q.Cut), s.exchangeOf(q, Server{}, selection.Choice{}).PerServer; zone != limits.MaxOutstandingPerZone*limits.OutstandingInfrastructure || server != limits.MaxOutstandingPerServer {
		t.Errorf("for a top-level domain %d, to a server %d where nothing is set", zone, server)
	}
	s.cfg.Limits = func() *limits.Clients { return &limits.Clients{PerServer: 600, PerZone: 700} }
	if zone := s.mayWait(q.Cut); zone != 7000 {
		t.Errorf("for a top-level domain %d, want 7000", zone)
	}
	q.Cut = &zonecut.Cut{Name: www}
	if zone, server := s.mayWait(q.Cut), s.exchangeOf(q, Server{}, selection.Choice{}).PerServer; zone != 700 || server != 600 {
		t.Errorf("for a zone %d, to a server %d, want 700 and 600", zone, server)
	}
}

// A name server is left alone by others only where its look-up cannot have failed
// because of this request.
func TestWhoseLookUpIsRemembered(t *testing.T) {
	for _, c := range []struct {
		name   string
		depth  int
		denied bool
		want   bool
	}{{"at the top", 0, false, true}, {"further down", 1, false, false}, {"further down, and denied", 1, true, true}} {
		s, q, _ := alone()
		q.Depth = c.depth
		s.unresolvable(q, &fetch{name: far, pushed: true, denied: c.denied})
		if got := s.leftAlone(far); got != c.want {
			t.Errorf("%s: left alone %v, want %v", c.name, got, c.want)
		}
	}
}

// A name server that does not exist has no address of the other family either.
func TestANameServerThatDoesNotExistIsLookedUpOnce(t *testing.T) {
	for kind, want := range map[Kind]int{NXDomain: 0, NoData: 1} {
		s, q, _ := alone()
		f := &fetch{name: far, types: []uint16{wire.TypeAAAA}, sub: &Query{Outcome: Outcome{Kind: kind}}}
		s.collect(q, f)
		if len(f.types) != want || !f.denied {
			t.Errorf("kind %d: %d types are left, denied %v", kind, len(f.types), f.denied)
		}
	}
}

// The parent is asked once for a zone, and only where that may help.
func TestWhenTheParentIsAsked(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*solver, *Query)
		want bool
	}{
		{"servers of an old delegation answered uselessly", func(*solver, *Query) {}, true},
		{"nobody answered", func(_ *solver, q *Query) { q.run.lame = false }, false},
		{"the delegation is new", func(_ *solver, q *Query) { q.run.fresh = true }, false},
		{"it was asked already", func(_ *solver, q *Query) { q.run.reparented = true }, false},
		{"the operator named the servers", func(_ *solver, q *Query) { q.Cut.Hints = true }, false},
		{"another query asked a moment ago", func(s *solver, q *Query) { s.askParent(&Query{Cut: q.Cut, run: progress{lame: true}}) }, false},
	} {
		s, q, _ := alone()
		s.cfg.Cuts = parents{&zonecut.Cut{Name: dnsname.Root, NS: []zonecut.NameServer{{Name: far}}}}
		q.run.lame = true
		q.run.tried.Reject(far, zonecut.Endpoint{Addr: server(1)})
		c.set(s, q)
		if got := s.askParent(q); got != c.want {
			t.Errorf("%s: asked %v, want %v", c.name, got, c.want)
		} else if got && (q.Cut.Name != dnsname.Root || !q.run.tried.Any()) {
			t.Errorf("%s: cut %s; what was tried is forgotten: %v", c.name, q.Cut.Name, !q.run.tried.Any())
		}
	}
}

// parents know one cut.
type parents struct{ cut *zonecut.Cut }

func (p parents) Closest(Partition, dnsname.Name, int64) *zonecut.Cut { return p.cut }
func (parents) Addrs(Partition, dnsname.Name, int64) ([]netip.Addr, bool, bool) {
	return nil, false, false
}
func (parents) Keep(Partition, *zonecut.Cut, int64) {}

// An answer that is held back does not make its server lame for others.
func TestWhoIsCalledLame(t *testing.T) {
	for _, held := range []bool{false, true} {
		s, q, _ := alone()
		q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: []netip.Addr{server(1).Addr(), server(2).Addr()}}}
		q.Server.Addr, q.run.msg, q.run.ns.asked = server(1), &wire.Msg{}, far
		if held {
			q.HoldBack(Outcome{Kind: NoData})
		}
		if err := s.useless(q); err != nil {
			t.Fatal(err)
		}
		other := selection.Want{Cut: q.Cut, Tried: &selection.Tried{}}
		lame := true
		for range 50 { // another request would choose it now and then
			c, ok := s.cfg.Servers.Choose(other)
			lame = lame && ok && c.Addr != server(1)
		}
		if lame == held {
			t.Errorf("held back %v: lame for others %v", held, lame)
		}
	}
}

// What failed waits for nothing more.
func TestAFailedQueryWaitsForNoLateAnswer(t *testing.T) {
	s, q, _ := alone()
	s.r.Plan.Pop(q)
	ended := false
	s.layers = []*Layer{{Name: "fails", Produce: func(r *Request, q *Query) State {
		q.run.late.end = func() { ended = true }
		q.run.late.open = 1
		return r.Fail(ErrLame)
	}}}
	if err := s.run(); !errors.Is(err, ErrLame) || !ended {
		t.Errorf("%v, ended %v", err, ended)
	}
}

// Of equal requests one keeps the answer; one that wants to see more keeps its own.
// Who has less patience is joined by nobody who has more.
func TestWhatFollowersKeep(t *testing.T) {
	for _, c := range []struct{ leader, follower, keeps bool }{{true, true, false}, {false, false, false}, {false, true, true}} {
		s, _, _ := alone()
		done := make(chan struct{})
		close(done)
		f := &resolution{done: done, do: c.leader, result: &Result{}}
		r := &Request{DO: c.follower}
		s.wait(context.Background(), f, r)
		if got := !r.Result.NoCache; got != c.keeps {
			t.Errorf("leader with DO %v, follower with %v: keeps %v", c.leader, c.follower, got)
		}
	}
	keys := map[resolutionKey]bool{}
	for _, patience := range []time.Duration{0, limits.RequestDeadline, time.Second, 2 * time.Second} {
		r := &Request{Patience: patience}
		keys[resolutionOf(r)] = true
	}
	if len(keys) != 2 {
		t.Errorf("%d kinds of patience, want 2", len(keys))
	}
}

// Steps cost nothing unless somebody is told.
func TestNothingIsPutTogetherForNobody(t *testing.T) {
	s, q, _ := alone()
	q.Outcome, q.run.msg = Outcome{Kind: NoData}, &wire.Msg{}
	layer, choice := &Layer{Name: "hints"}, selection.Choice{Endpoint: zonecut.Endpoint{Addr: server(1)}}
	all := func() {
		s.tellCut(q)
		s.tellReferral(q, q.Cut)
		s.tellAsking(q, choice)
		s.tellOutcome(q)
		s.tellAnswered(q, layer)
		s.r.tellDecided(layer)
		if s.teller(q) != nil || s.r.snapshot() != nil {
			t.Fatal("somebody is told")
		}
	}
	if n := testing.AllocsPerRun(100, all); n != 0 {
		t.Errorf("%v allocations", n)
	}
	steps := 0
	s.r.Tell = func(*Query, Step) { steps++ }
	s.tellCut(q)
	s.tellReferral(q, q.Cut)
	s.tellAsking(q, choice)
	s.tellOutcome(q)
	s.tellAnswered(q, layer)
	s.r.tellDecided(layer)
	s.teller(q)(AskedAgain{})
	if steps != 8 { // why a server was chosen is a step of its own
		t.Errorf("%d steps were told, want 8", steps)
	}
}

// deaf is an Exchanger whose servers say nothing.
type deaf struct{ asked []Server }

func (d *deaf) Exchange(_ context.Context, x Exchange) (Reply, error) {
	d.asked = append(d.asked, x.Server)
	return Reply{}, ErrTimeout
}

// Who had to wait for a place looks again whom to ask, for much may have been
// learnt meanwhile; that a server was to be asked again is not forgotten by it.
func TestWhomToAskBehindAWait(t *testing.T) {
	for _, c := range []struct {
		name      string
		before    func(*Query)
		meanwhile func(*Query)
		want      []Server
	}{
		{"nothing has changed", func(*Query) {}, func(*Query) {}, []Server{{Endpoint: zonecut.Endpoint{Addr: server(1)}}}},
		{"the server is out of the question", func(*Query) {}, func(q *Query) { q.run.tried.Reject(far, zonecut.Endpoint{Addr: server(1)}) }, nil},
		{"asked again", func(q *Query) {
			q.run.tried.Reject(far, zonecut.Endpoint{Addr: server(1)})
			q.Server.Addr = server(1)
			q.RetryWithoutEDNS()
		}, func(*Query) {}, []Server{{Endpoint: zonecut.Endpoint{Addr: server(1)}, NoEDNS: true}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, q, _ := alone()
			servers := &deaf{}
			s.cfg.Exchanger = servers
			q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: []netip.Addr{server(1).Addr()}}}
			c.before(q)
			var place limits.Place[dnsname.Name]
			for range s.mayWait(q.Cut) {
				place, _ = s.enter(q.Cut)
			}
			var asking sync.WaitGroup
			asking.Go(func() {
				if err := s.ask(q); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
			synctest.Wait()
			if len(servers.asked) != 0 {
				t.Errorf("%s: asked without a place", c.name)
			}
			c.meanwhile(q)
			s.zones.Leave(place, true)
			asking.Wait()
			if !slices.Equal(servers.asked, c.want) {
				t.Errorf("%s: asked %+v, want %+v", c.name, servers.asked, c.want)
			}
		})
	}
}

// A server that says it cannot answer is asked once more where there is no other, in
// lower case and without a cookie, be it for the client's question or for what an alias
// led to; for the address of a name server it is not.
func TestAServerThatCannotAnswerIsAskedOnceMore(t *testing.T) {
	for _, c := range []struct {
		name     string
		rcode    int
		depth    int
		insisted bool
		holds    bool
		want     bool
	}{
		{"SERVFAIL", wire.RcodeServFail, 0, false, false, true},
		{"REFUSED", wire.RcodeRefused, 0, false, false, true},
		{"FORMERR", wire.RcodeFormErr, 0, false, false, true},
		{"NOTIMP", wire.RcodeNotImp, 0, false, false, true},
		{"SERVFAIL for the second time", wire.RcodeServFail, 0, true, false, false},
		{"SERVFAIL for a look-up", wire.RcodeServFail, 1, false, false, false},
		{"SERVFAIL beside a poor answer", wire.RcodeServFail, 0, false, true, false},
		{"a useless answer", wire.RcodeNoError, 0, false, false, false},
	} {
		for _, parent := range []*Query{nil, {}} {
			s, q, _ := alone()
			q.Parent, q.Depth, q.Server.Addr, q.run.ns.asked = parent, c.depth, server(1), "\x02ns\x00"
			q.run.msg = &wire.Msg{Rcode: c.rcode}
			if err := s.useless(q); err != nil {
				t.Fatal(err)
			}
			q.run.retry.insisted = c.insisted
			if c.holds {
				q.HoldBack(Outcome{})
			}
			q.Server.Addr, q.run.ns.asked = server(2), "" // was silent afterwards
			if got := s.askOnceMore(q); got != c.want {
				t.Errorf("%s: asked again %v, want %v", c.name, got, c.want)
			} else if got {
				choice, ok := s.choose(q)
				if to := serverOf(q, choice); !ok || to.Addr != server(1) || choice.NS != "\x02ns\x00" || !to.NoCase || !s.exchangeOf(q, to, choice).NoCookie {
					t.Errorf("%s: asks %+v of %q", c.name, to, choice.NS)
				}
			}
		}
	}
}

// What the message of a server says about the target of an alias counts where no rule
// names other servers for it, and the rule that named this one is for it.
func TestWhoMayTellTheEndOfAChain(t *testing.T) {
	const here, there, passed = dnsname.Name("\x04here\x00"), dnsname.Name("\x05there\x00"), dnsname.Name("\x06passed\x00")
	cut, others := &zonecut.Cut{Hints: true}, &zonecut.Cut{Hints: true}
	r := &Request{Question: Question{Name: example}, ByName: true, layers: []*Layer{{Route: func(_ *Request, q Question) *Route {
		return map[dnsname.Name]*Route{here: {Cut: cut}, there: {Cut: others}, passed: {}}[q.Name]
	}}}}
	for _, c := range []struct {
		who                        string
		q                          *Query
		here, there, passed, other bool
	}{
		{"a forwarder", &Query{Cut: cut, Options: Options{Forward: true}}, true, false, false, false},
		{"a stub", &Query{Cut: cut, Options: Options{Stub: true}}, true, false, false, false},
		{"a server that a delegation named", &Query{Cut: &zonecut.Cut{}}, false, false, true, true},
	} {
		for name, want := range map[dnsname.Name]bool{here: c.here, there: c.there, passed: c.passed, far: c.other} {
			if got := r.SameRoute(c.q, Question{Name: name}); got != want {
				t.Errorf("%s about %s: %v, want %v", c.who, name, got, want)
			}
		}
	}
}

// What a module answers on the operator's word comes before all else and is not kept.
func TestTheOperatorsWordComesFirst(t *testing.T) {
	s, q, _ := alone()
	var subs []bool
	layers := []*Layer{
		{Name: "cache", Produce: func(*Request, *Query) State { t.Error("what is remembered is looked up"); return Produce }},
		{Name: "hints", Own: func(_ *Request, _ Question, sub bool) (Outcome, bool) {
			subs = append(subs, sub)
			return Outcome{Kind: NoData}, true
		}},
	}
	s.r.layers, s.layers = layers, layers
	for _, parent := range []*Query{nil, {}} {
		q.Parent, q.Outcome = parent, Outcome{}
		q.enter(phaseProduce)
		if err := s.produce(q); err != nil || q.run.phase != phaseConsume || q.Outcome.Kind != NoData || !q.Outcome.Own {
			t.Errorf("%v %+v", err, q.Outcome)
		}
	}
	if len(subs) != 2 || subs[0] || !subs[1] {
		t.Errorf("asked as sub-queries: %v", subs)
	}
	var res Result
	if res.take(&q.Outcome); !res.NoCache {
		t.Error("it is kept")
	}
}

// A module speaks for itself, also of names that the rule which chose a query's servers is
// not for: an alias of its own keeps its target.
func TestWhatAModuleSaysOfOtherNamesIsTold(t *testing.T) {
	s, q, _ := alone()
	q.Cut, q.Scope, q.Options.Forward, s.r.ByName = &zonecut.Cut{Name: dnsname.Root, Hints: true}, example, true, true
	chain := []Set{{RRset: wire.RRset{Owner: www, Type: wire.TypeCNAME}}, {RRset: wire.RRset{Owner: far, Type: wire.TypeA}}}
	for origin, want := range map[Origin]int{FromModule: 2, FromServer: 1, HeldBack: 1, FromCache: 1} {
		q.Outcome = Outcome{Kind: Positive, Origin: origin, Answer: chain}
		if s.r.withhold(q); len(q.Outcome.Answer) != want {
			t.Errorf("origin %d: %d sets, want %d", origin, len(q.Outcome.Answer), want)
		}
	}
}

// A zone that was answered for by another of its servers counted as silent: where a family
// does not work, one server of that in each of three zones ended the look-ups of a request.
func TestAZoneThatAnotherServerAnswersForIsNotSilent(t *testing.T) {
	for _, first := range []bool{true, false} { // the answer, and then the silence
		var l silences
		for i := range byte(limits.SilentZonesTried) {
			zone := dnsname.Name([]byte{1, 'a' + i}) + example
			silent, good := zonecut.Endpoint{Addr: server(2 * i)}, zonecut.Endpoint{Addr: server(2*i + 1)}
			if first {
				l.over(good, zone)
			}
			l.change(silent, zone, 1, 1)
			if !first {
				l.over(good, zone)
			}
		}
		if l.in(1) {
			t.Errorf("answered first %v: zones that are answered for are silent", first)
		}
		for i := range byte(limits.SilentZonesTried) { // for a zone that nobody answers for
			l.change(zonecut.Endpoint{Addr: server(100 + i)}, dnsname.Name([]byte{1, 'm' + i})+example, 1, 1)
		}
		if !l.in(limits.SilentZonesTried) {
			t.Errorf("answered first %v: zones that nobody answers for are not silent", first)
		}
	}
}

// A question that was taken back after its server had answered another one made the count
// of those asked negative: the server was then asked more often than others.
func TestAQuestionTakenBackAfterAnAnswerIsNotCounted(t *testing.T) {
	var l silences
	e, zone := zonecut.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.1:53")}, dnsname.Root
	l.change(e, zone, 1, 0)
	l.over(e, zone)
	l.change(e, zone, -1, 0)
	for range limits.SilentInLookups {
		if l.mute(e) {
			t.Error("muted too early")
		}
		l.change(e, zone, 1, 1)
	}
	if !l.mute(e) {
		t.Errorf("not muted after %d questions", limits.SilentInLookups)
	}
}
