package resolve

import (
	"context"
	"net/netip"
	"reflect"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What a query knows of servers is of those of one zone cut. Who was asked is forgotten with
// them, but where the servers of an old delegation may come back.
func TestServersOfAnotherCutInheritNothing(t *testing.T) {
	for _, again := range []bool{false, true} {
		_, q, _ := alone()
		ended := false
		q.run.reparented = again
		q.run.tried.Reject(far, zonecut.Endpoint{Addr: server(1)})
		q.run.ns = servers{filled: true, refilled: true, extra: 3, fetches: 2, glued: []dnsname.Name{far}}
		q.run.queue, q.run.lame, q.run.clear = true, true, true
		q.run.retry.timeouts, q.run.retry.vain, q.run.retry.below = 2, 2, far
		q.run.late.end, q.run.late.open = func() { ended = true }, 1
		q.Outcome = Outcome{Kind: Lame}
		to := &zonecut.Cut{Name: www}
		q.moveTo(to)
		if q.Cut != to || !ended || !reflect.DeepEqual(q.run.ns, servers{}) || q.run.queue || q.run.lame || q.run.clear || q.Outcome.Kind != Pending || q.run.phase != phaseAsk {
			t.Errorf("it goes on with %+v, queue %v, lame %v, clear %v", q.run.ns, q.run.queue, q.run.lame, q.run.clear)
		}
		if r := &q.run.retry; r.timeouts != 0 || r.vain != 0 || r.below != "" {
			t.Errorf("retries that others caused: %+v", r)
		}
		if q.run.tried.Any() != again {
			t.Errorf("asked again at the parent %v: servers were tried %v", again, q.run.tried.Any())
		}
	}
}

// A late answer that was taken is waited for no more.
func TestALateAnswerThatWasTakenIsNotWaitedFor(t *testing.T) {
	var l late
	l.begin(t.Context(), attempt{})
	_, _, done := l.Overdue()
	if _, ok := l.poll(); ok || l.open != 1 {
		t.Errorf("an answer before it came; %d are open", l.open)
	}
	done(Reply{}, nil)
	if _, ok := l.poll(); !ok || l.open != 0 {
		t.Errorf("taken: %v; %d are open", ok, l.open)
	}
	l.close()
}

// Only questions of type ANY are answered without being resolved.
func TestOnlyANYIsAnsweredWithoutResolution(t *testing.T) {
	for qtype, want := range map[uint16]bool{wire.TypeANY: true, wire.TypeA: false} {
		s, _, _ := alone()
		asked, answered := false, false
		s.cfg.Layers = func() []*Layer {
			return []*Layer{{Produce: func(r *Request, q *Query) State { asked = true; return r.Fail(ErrLame) }}}
		}
		s.cfg.Everything = func(*Request) { answered = true }
		s.Resolve(t.Context(), &Request{Question: Question{www, qtype, wire.ClassIN}})
		if answered != want || asked == want {
			t.Errorf("type %d: answered without %v, resolved %v", qtype, answered, asked)
		}
	}
}

// Data are looked for in the partitions that are in force when a request begins.
func TestARequestIsInThePartitionsInForce(t *testing.T) {
	s, _, _ := alone()
	var seen Partition
	s.cfg.Partitions = func() Partitions { return Partitions{Data: 7, Answers: 9} }
	s.cfg.Layers = func() []*Layer {
		return []*Layer{{Produce: func(r *Request, q *Query) State { seen = q.Partition; return r.Fail(ErrLame) }}}
	}
	r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}}
	s.Resolve(t.Context(), r)
	if seen != 7 || r.Partition.Answers != 9 {
		t.Errorf("data in %d, answers in %d", seen, r.Partition.Answers)
	}
}

// The request's own name goes where its own rule says, and not where it would go as the
// target of an alias.
func TestTheOwnNameKeepsItsRoute(t *testing.T) {
	cut := &zonecut.Cut{Hints: true}
	r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, Options: Options{Forward: true}, Cut: cut, ByName: true}
	if got := r.RouteOf(Question{www, wire.TypeAAAA, wire.ClassIN}); got.Cut != cut {
		t.Errorf("its own name: %+v", got)
	}
	if got := r.RouteOf(Question{far, wire.TypeA, wire.ClassIN}); got.Cut != nil {
		t.Errorf("another name, of which no rule says anything: %+v", got)
	}
	r.ByName = false
	if got := r.RouteOf(Question{far, wire.TypeA, wire.ClassIN}); got.Cut != cut {
		t.Errorf("another name, where the rule is for all: %+v", got)
	}
}

// What a layer needs to know of the zones around a query is asked as the query is, and is
// neither followed nor restricted to what the cache has.
func TestAnInquiryIsLiteral(t *testing.T) {
	for _, anew := range []bool{false, true} {
		s, q, _ := alone()
		q.Options = Options{NoIPv4: true, FromCache: true}
		sub, err := s.r.Inquire(q, Question{example, wire.TypeDS, wire.ClassIN}, anew)
		if err != nil {
			t.Fatal(err)
		}
		if sub.Anew != anew || !sub.Literal || sub.Options != (Options{NoIPv4: true}) || sub.Parent != q || s.r.Plan.Current() != sub {
			t.Errorf("anew %v: %+v", anew, sub)
		}
		sub.Outcome = Outcome{Kind: Alias, Target: far}
		sub.enter(phaseConsume)
		if err := s.decide(sub); err != nil || sub.run.alias != nil || s.r.Plan.Current() == sub && !sub.Solved {
			t.Errorf("its alias is followed, or ends it with %v", err)
		}
	}
}

// What is coming is the answer of the whole chain, with what modules have said so far.
func TestWhatIsComing(t *testing.T) {
	s, q, _ := alone()
	s.r.Result = Result{EDE: ede.Filtered, EDEText: "by a rule"}
	if _, ok := s.r.Coming(q); ok {
		t.Error("something comes of a query without an outcome")
	}
	alias, address := Set{RRset: wire.RRset{Owner: www, Type: wire.TypeCNAME}}, Set{RRset: wire.RRset{Owner: far, Type: wire.TypeA}}
	q.Outcome = Outcome{Kind: Alias, Answer: []Set{alias}, Target: far}
	if err := s.follow(q); err != nil {
		t.Fatal(err)
	}
	sub := q.run.alias
	sub.Outcome = Outcome{Kind: Positive, Answer: []Set{address}}
	res, ok := s.r.Coming(sub)
	if !ok || len(res.Answer) != 2 || res.Answer[0].Owner != www || res.Answer[1].Owner != far || res.EDE != ede.Filtered || res.EDEText != "by a rule" {
		t.Errorf("coming: %v %+v", ok, res)
	}
	if _, ok := s.r.Coming(&Query{Parent: q, Outcome: sub.Outcome}); ok {
		t.Error("the client is told the answer of a sub-query")
	}
	if len(q.Outcome.Answer) != 1 || len(s.r.Result.Answer) != 0 {
		t.Error("to look at it changes it")
	}
}

// Of a chain that is too long the client sees the steps up to the one too many, those of the
// queries before counted.
func TestHowMuchOfALongChainIsSeen(t *testing.T) {
	for _, before := range []int{0, 1, 5, limits.MaxCNAMEChain} {
		s, q, counters := alone()
		q.Steps = before
		for range limits.MaxCNAMEChain + 3 {
			q.Outcome.Answer = append(q.Outcome.Answer, Set{RRset: wire.RRset{Type: wire.TypeDNAME}}, Set{RRset: wire.RRset{Type: wire.TypeCNAME}})
		}
		if err := s.tooLong(q); LimitOf(err) != limits.CNAMEChain || counters.Get(limits.CNAMEChain) != 1 {
			t.Errorf("%v", err)
		}
		if got, want := len(q.Outcome.Answer), 2*(limits.MaxCNAMEChain+1-before); got != want {
			t.Errorf("after %d steps %d sets are seen, want %d", before, got, want)
		}
	}
}

// What becomes of the servers of a query, and for whom it waits, is told to whoever follows
// the request.
func TestWhatBecomesOfServersIsTold(t *testing.T) {
	why := &Failure{EDE: ede.Bogus}
	for _, c := range []struct {
		do   func(*solver, *Query)
		want Step
	}{
		{func(s *solver, q *Query) { s.refused(q, why) }, Refused{server(1), why}},
		{func(s *solver, q *Query) {
			s.unanswered(q, selection.Choice{Endpoint: q.Server.Endpoint}, Reply{}, ErrTimeout)
		}, Silent{zonecut.Endpoint{Addr: server(1)}, false, ErrTimeout}},
		{func(s *solver, q *Query) { s.unresolvable(q, &fetch{name: far, pushed: true}) }, AddressNotFound{far}},
		{func(s *solver, q *Query) { s.look(q, &fetch{name: q.Name, types: []uint16{q.Type}}) }, LookupRefused{www, ErrCycle}},
		{func(s *solver, q *Query) {
			q.run.late.begin(s.r.ctx, attempt{server: q.Server, asked: q.Question})
			_, _, done := q.run.late.Overdue()
			done(Reply{Msg: &wire.Msg{}}, nil)
			s.await(q)
		}, WaitsForLate{}},
		{func(s *solver, q *Query) {
			over, cancel := context.WithCancel(s.r.ctx)
			cancel()
			s.Share(&neverLeases{})
			s.r.ctx, q.run.lease = over, lease{}
			s.leased(q)
		}, WaitsForWorkers{}},
		{func(s *solver, _ *Query) {
			one := &resolution{done: make(chan struct{}), result: &Result{}}
			close(one.done)
			s.wait(s.r.ctx, one, s.r)
		}, JoinedRequest{}},
	} {
		s, q, _ := alone()
		q.Server.Addr = server(1)
		var told []Step
		c.do(s, q) // nobody reads
		s.r.Tell = func(of *Query, step Step) {
			if of == q || of == nil {
				told = append(told, step)
			}
		}
		c.do(s, q)
		if len(told) == 0 || !reflect.DeepEqual(told[0], c.want) {
			t.Errorf("told %+v, want %+v", told, c.want)
		}
	}
}

// A referral that tells the address of the name server that is looked up ends the look-up,
// where the address is of the family asked for and glue may be used.
func TestAReferralTellsAnAddress(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		name string
		set  func(q *Query)
		glue []netip.Addr
		want bool
	}{
		{"as usual", func(*Query) {}, []netip.Addr{six, server(1).Addr()}, true},
		{"strict", func(q *Query) { q.Options.Strict = true }, hosts(1), false},
		{"the other family", func(*Query) {}, []netip.Addr{six}, false},
		{"no glue", func(*Query) {}, nil, false},
		{"it was tried, in vain", func(q *Query) { q.Parent.run.ns.glued = []dnsname.Name{far} }, hosts(1), false},
		{"beside a query", func(q *Query) { q.Parent.run.ns.fetch, q.run.beneath = nil, true }, hosts(1), true},
		{"what a client asks for", func(q *Query) { q.Parent.run.ns.fetch = nil }, hosts(1), false},
	} {
		s, q, _ := alone()
		q.Cut.NS = []zonecut.NameServer{{Name: far}}
		sub, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		q.run.ns.fetch = &fetch{name: far, sub: sub}
		q.run.ns.looked = []lookup{{far, wire.TypeA}}
		c.set(sub)
		var told []Step
		s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
		cut := &zonecut.Cut{Name: far, NS: []zonecut.NameServer{{Name: near, Addrs: hosts(9)}, {Name: far, Addrs: c.glue}}}
		if got := s.gluedHere(sub, cut); got != c.want || got != reflect.DeepEqual(told, []Step{AddressReferred{far}}) {
			t.Errorf("%s: ended %v, want %v; told %v", c.name, got, c.want, told)
		}
		if !c.want {
			continue
		}
		if o := &sub.Outcome; o.Kind != Positive || len(o.Answer) != 1 || len(o.Answer[0].Data) != 1 || netip.AddrFrom4([4]byte(o.Answer[0].Data[0])) != server(1).Addr() || !sub.run.byGlue {
			t.Errorf("%s: comes to %+v", c.name, o)
		}
		if onPlan := q.run.ns.fetch != nil; onPlan != (len(q.run.ns.looked) == 0) {
			t.Errorf("%s: looked up in earnest: %v", c.name, q.run.ns.looked)
		}
	}
}

// alwaysLeases gives every lease.
type alwaysLeases struct{ taken, returned []string }

func (l *alwaysLeases) Take(key []byte, _ int) bool {
	l.taken = append(l.taken, string(key))
	return true
}
func (l *alwaysLeases) Return(key []byte) { l.returned = append(l.returned, string(key)) }

// A lease is taken once for a request, and given back at its end.
func TestALeaseIsGivenBack(t *testing.T) {
	s, q, _ := alone()
	leases := &alwaysLeases{}
	s.Share(leases)
	for range 2 {
		if !s.leased(q) || len(leases.taken) != 1 || len(leases.returned) != 0 {
			t.Errorf("taken %q, returned %q", leases.taken, leases.returned)
		}
	}
	if s.close(); !reflect.DeepEqual(leases.returned, leases.taken) {
		t.Errorf("taken %q, returned %q", leases.taken, leases.returned)
	}
}

// No name server is looked up for its own sake, in whichever family.
func TestANameServerIsNotLookedUpForItself(t *testing.T) {
	for _, c := range []struct {
		name dnsname.Name
		t    uint16
		want error
	}{{far, wire.TypeAAAA, ErrCycle}, {far, wire.TypeA, ErrCycle}, {far, wire.TypeDS, nil}, {near, wire.TypeA, nil}} {
		s, q, counters := alone()
		q.Parent = &Query{Question: Question{c.name, c.t, wire.ClassIN}}
		if _, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{}); err != c.want || counters.Get(limits.Cycle) != map[error]uint64{ErrCycle: 1}[c.want] {
			t.Errorf("for %s, type %d: %v", c.name, c.t, err)
		}
	}
}

// Who waits for a late answer has a place of the zone, as long as it waits.
func TestAPlaceIsLeftAfterALateAnswer(t *testing.T) {
	s, q, _ := alone()
	s.layers = nil
	q.run.late.begin(t.Context(), attempt{server: Server{Endpoint: zonecut.Endpoint{Addr: server(1)}}})
	_, _, done := q.run.late.Overdue()
	if s.want(q); s.zones.Taken(example) != 0 {
		t.Fatal("a place is taken")
	}
	done(Reply{Msg: &wire.Msg{}}, nil)
	if !s.await(q) || q.run.phase != phaseConsume || s.zones.Taken(example) != 0 {
		t.Errorf("phase %d, %d places are taken", q.run.phase, s.zones.Taken(example))
	}
	if s.await(q) {
		t.Error("waits for what has come")
	}
}

// What a result says of where it came from, and whether it is kept, is what its outcome
// says; what modules forbade to keep is not kept.
func TestWhatAResultTakesOfItsOutcome(t *testing.T) {
	for _, c := range []struct{ cached, own, before, noCache bool }{
		{true, false, false, false}, {false, false, false, false}, {true, true, false, true}, {false, false, true, true},
	} {
		res := Result{NoCache: c.before, Cached: !c.cached}
		if res.take(&Outcome{Cached: c.cached, Own: c.own, Rcode: wire.RcodeNXDomain}); res.Cached != c.cached || res.NoCache != c.noCache || res.Rcode != wire.RcodeNXDomain {
			t.Errorf("%+v: %+v", c, res)
		}
	}
}

// A request is of one configuration as long as that is in force.
func TestARequestOutlivesItsConfiguration(t *testing.T) {
	now := Partitions{Data: 1, Answers: 2}
	r := &Request{Partition: Partitions{Data: 9}}
	if r.join(nil); r.Partition != (Partitions{}) || !r.InForce() {
		t.Errorf("without configurations: %+v, in force %v", r.Partition, r.InForce())
	}
	r.join(func() Partitions { return now })
	if r.Partition != now || !r.InForce() {
		t.Errorf("in %+v, in force %v", r.Partition, r.InForce())
	}
	r.Partition.Data = 7 // by its own options
	if !r.InForce() {
		t.Error("its own partition puts it out of force")
	}
	if now.Answers = 3; r.InForce() {
		t.Error("another configuration is in force, and it does not see it")
	}
}

// Who named the servers of a query is told as it is.
func TestWhoNamedTheServers(t *testing.T) {
	for _, c := range []struct {
		options Options
		hints   bool
		want    Authority
	}{{Options{}, false, ByDelegation}, {Options{Forward: true}, false, ByDelegation}, {Options{Forward: true}, true, ByForwardRule}, {Options{Stub: true}, true, ByStubRule}, {Options{}, true, ByDelegation}} {
		_, q, _ := alone()
		q.Options, q.Cut.Hints = c.options, c.hints
		if got := q.authority(); got != c.want {
			t.Errorf("%+v, hints %v: %d, want %d", c.options, c.hints, got, c.want)
		}
	}
}

// What a module owns is told with whether it does.
func TestWhatAModuleOwns(t *testing.T) {
	owns := Outcome{Kind: NoData}
	r := &Request{layers: []*Layer{{}, {Own: func(_ *Request, q Question, sub bool) (Outcome, bool) { return owns, q.Name == www && sub }}}}
	for name, want := range map[dnsname.Name]bool{www: true, far: false} {
		if o, ok := r.Owned(Question{name, wire.TypeA, wire.ClassIN}, true); ok != want || ok && o.Kind != NoData {
			t.Errorf("%s: %v %+v", name, ok, o)
		}
	}
	if _, ok := r.Owned(Question{www, wire.TypeA, wire.ClassIN}, false); ok {
		t.Error("a client's own question is taken for another")
	}
}
