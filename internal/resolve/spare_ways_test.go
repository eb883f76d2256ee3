package resolve

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/safe"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Ways that a question takes seldom.

// What is answered late, while an address was looked up, is taken, and nobody is asked again.
func TestAnAnswerThatCameDuringALookUpIsTaken(t *testing.T) {
	s, q, all := inTrouble(1)
	q.run.late.begin(s.r.ctx, attempt{Server{Endpoint: all[0].Endpoint}, q.Question, all[0]})
	_, _, done := q.run.late.Overdue()
	msg := &wire.Msg{}
	done(Reply{Msg: msg}, nil)
	q.run.ns.fetch = &fetch{name: far}
	if err := s.ask(q); err != nil || q.run.phase != phaseConsume || q.run.msg != msg || q.Server.Endpoint != all[0].Endpoint {
		t.Errorf("%v: phase %d, message %p of %v", err, q.run.phase, q.run.msg, q.Server.Addr)
	}
	q.run.quit()
}

// Where no name server is left to look up, the addresses serve that were looked up for
// another query meanwhile.
func TestAddressesThatOthersLookedUpServe(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	q.run.ns.looked = []lookup{{far, wire.TypeA}, {far, wire.TypeAAAA}}
	s.cfg.Cuts = knows{addrs: hosts(1)}
	if err := s.moreServers(q); err != nil || q.Cut.Addresses() != 1 {
		t.Errorf("%v, %d addresses", err, q.Cut.Addresses())
	}
}

// A name server of which no look-up has found an address has that of its zone's glue, if there
// is one, or the one that is looked up beside. Only without either does it lead nowhere.
func TestWhenANameServerLeadsNowhere(t *testing.T) {
	address := &Query{
		Question: Question{far, wire.TypeAAAA, wire.ClassIN},
		Outcome:  Outcome{Kind: Positive, Answer: []Set{{RRset: wire.RRset{Type: wire.TypeA, Data: [][]byte{{192, 0, 2, 7}}}}}},
	}
	for _, c := range []struct {
		name    string
		cuts    Cuts
		beside  bool
		nowhere int32
	}{
		{"neither", nothing{}, false, 1},
		{"glue", parents{&zonecut.Cut{Name: far, NS: []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}}}, false, 0},
		{"a look-up beside", nothing{}, true, 0},
	} {
		s, q, _ := alone()
		s.cfg.Cuts = c.cuts
		q.Cut.NS = []zonecut.NameServer{{Name: far}}
		q.run.ns.looked = []lookup{{far, wire.TypeA}, {far, wire.TypeAAAA}}
		q.run.ns.fetch = &fetch{name: far, pushed: true}
		if b := &q.run.beside; c.beside {
			b.open, b.names, b.got = 1, []dnsname.Name{far}, make(chan *Query, 1)
			b.got <- address
		}
		err := s.moreServers(q)
		if got := s.r.work.unresolvable.Load(); got != c.nowhere || (err != nil) != (c.nowhere > 0) || (q.Cut.Addresses() == 1) != (c.nowhere == 0) {
			t.Errorf("%s: %d name servers lead nowhere, want %d; %d addresses, %v", c.name, got, c.nowhere, q.Cut.Addresses(), err)
		}
	}
}

// An address of a name server that the zone does not have any more is of no use.
func TestAddressesOfOtherNameServersAreLeft(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if added := s.addExtras(q, near, hosts(1)); added != nil || q.Cut.Addresses() != 0 || len(q.Cut.NS) != 1 {
		t.Errorf("added %v: %+v", added, q.Cut.NS)
	}
}

// A look-up beside for which the request has no place left on its plans says which limit that is.
func TestALookUpThatIsTooManyFails(t *testing.T) {
	s, _, counters := alone()
	s.r.Plan.work = s.r.work
	s.r.work.pushed.Store(limits.MaxQueriesPerPlan)
	root := &Query{Question: Question{far, wire.TypeA, wire.ClassIN}, Err: errJoined}
	if err := s.solve(root); LimitOf(err) != limits.PlanQueries || counters.Get(limits.PlanQueries) != 1 {
		t.Errorf("%v", err)
	}
}

// The zone below the cut that one layer names for an answer that is not believed stays, where
// another answer is refused without one.
func TestTheZoneBelowIsRemembered(t *testing.T) {
	s, q, _ := alone()
	why := &Failure{EDE: ede.NetworkError}
	for _, below := range []dnsname.Name{www, ""} {
		if q.Refuse(why, below) != Consume || q.Outcome.Kind != Lame || q.run.retry.refused != why {
			t.Errorf("refused with %q: %+v", below, q.Outcome)
		}
	}
	if !s.askBelow(q) || q.Below() != www {
		t.Errorf("asked below %q, want %q", q.Below(), www)
	}
	if s.askBelow(q) {
		t.Error("asked below twice")
	}
}

// Of what forwarders say of names that they are not asked about, clients are told what is
// proven, and what they prove themselves.
func TestWhatForwardersSayOfOtherNamesIsToldWithProof(t *testing.T) {
	set := func(owner dnsname.Name, r rank.Rank, sigs ...[]byte) Set {
		return Set{RRset: wire.RRset{Owner: owner, Type: wire.TypeA, Sigs: sigs}, Rank: r}
	}
	sig := []byte{1}
	for _, c := range []struct {
		name string
		set  Set
		cd   bool
		told bool
	}{
		{"of a name that they are asked about", set(www, 0), false, true},
		{"of another", set(far, 0), false, false},
		{"of another, proven", set(far, rank.Secure), false, true},
		{"of another, with signatures", set(far, 0, sig), false, false},
		{"of another, with signatures, for a client that validates", set(far, 0, sig), true, true},
		{"of another, for a client that validates", set(far, 0), true, false},
	} {
		s, q, _ := alone()
		q.Cut, q.Scope, q.Options.Forward = &zonecut.Cut{Name: dnsname.Root, Hints: true}, example, true
		s.r.ByName, s.r.CD = true, c.cd
		shared := []Set{c.set}
		q.Outcome = Outcome{Kind: Positive, Origin: FromServer, Authority: shared}
		if s.r.withhold(q); (len(q.Outcome.Authority) == 1) != c.told {
			t.Errorf("%s: told %v, want %v", c.name, !c.told, c.told)
		}
		if shared[0].Owner != c.set.Owner {
			t.Errorf("%s: what others have is changed", c.name)
		}
	}
}

// A request that stands for one which the Begin hooks have judged is resolved without them.
func TestBeginHooksJudgeOnce(t *testing.T) {
	for judged, want := range map[bool]int{false: wire.RcodeRefused, true: wire.RcodeServFail} {
		s, _, _ := alone()
		s.cfg.Layers = func() []*Layer {
			return []*Layer{{
				Begin:   func(r *Request) State { r.Result.Rcode = wire.RcodeRefused; return Done },
				Produce: func(r *Request, _ *Query) State { return r.Fail(ErrLame) },
			}}
		}
		r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, Judged: judged}
		if s.Resolve(t.Context(), r); r.Result.Rcode != want {
			t.Errorf("judged %v: RCODE %d, want %d", judged, r.Result.Rcode, want)
		}
	}
}

// Who is to hear of bugs hears of each, and of the request that ran into it.
func TestABugIsToldWithItsRequest(t *testing.T) {
	s, _, _ := alone()
	var told []*Request
	s.cfg.OnPanic = func(r *Request, p *safe.Panic) {
		if told = append(told, r); p.Value != "a bug" {
			t.Errorf("told of %v", p.Value)
		}
	}
	s.cfg.Layers = func() []*Layer { return []*Layer{{Begin: func(*Request) State { panic("a bug") }}} }
	r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}}
	if s.Resolve(t.Context(), r); len(told) != 1 || told[0] != r || r.Result.Rcode != wire.RcodeServFail {
		t.Errorf("told of %d, RCODE %d", len(told), r.Result.Rcode)
	}
}

// explorer is a query to a zone with a good server and another one, of which nothing is known,
// and an Exchanger that answers nothing before the test's end.
func explorer(t *testing.T) (s *solver, q *Query, good selection.Choice, asked chan Exchange) {
	s, q, all := inTrouble(2)
	s.cfg.Explore, s.cfg.Context, asked = true, t.Context(), make(chan Exchange, 1)
	s.cfg.Exchanger = exchanger(func(ctx context.Context, x Exchange) (Reply, error) {
		asked <- x
		<-ctx.Done()
		return Reply{}, ErrTimeout
	})
	s.cfg.Servers.Answered(all[0].Endpoint, selection.Answer{RTT: 1})
	all[0].Known = true
	return s, q, all[0], asked
}

type exchanger func(context.Context, Exchange) (Reply, error)

func (e exchanger) Exchange(ctx context.Context, x Exchange) (Reply, error) { return e(ctx, x) }

// exploreTill explores until something is asked, or so often that it would have been.
func (s *solver) exploreTill(q *Query, good selection.Choice, asked chan Exchange) bool {
	for range 2000 {
		if s.explore(q, good); s.exploring.Load() > 0 {
			<-asked
			return true
		}
	}
	return false
}

// A question that explores and leaves by a connection is not waited for; one by UDP is, for
// the moment that it takes to leave.
func TestNobodyWaitsForAConnectionThatExplores(t *testing.T) {
	for tcp, waits := range map[bool]passes{true: 0, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			s, q, good, asked := explorer(t)
			s.cfg.Context = ctx
			var p passes
			s.r.Reception, q.Options.TCPOnly = &p, tcp
			start := time.Now()
			if !s.exploreTill(q, good, asked) {
				t.Fatal("nothing is explored")
			}
			if took := time.Since(start); p != waits || (took > 0) != (waits > 0) || took > limits.ExploringAhead {
				t.Errorf("by TCP %v: the reception is passed on %d times, want %d; it took %v", tcp, p, waits, took)
			}
			end()
			synctest.Wait()
			if n := s.exploring.Load(); n != 0 {
				t.Errorf("%d still explore", n)
			}
		})
	}
}

// Nothing is explored where the zone has no place left, where it is switched off, or for what
// a layer inquires; without that, it is.
func TestWhenNothingIsExplored(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*solver, *Query)
		want bool
	}{
		{"as usual", func(*solver, *Query) {}, true},
		{"switched off", func(s *solver, _ *Query) { s.cfg.Explore = false }, false},
		{"an inquiry", func(_ *solver, q *Query) { q.Literal = true }, false},
		{"no place of the zone is free", func(s *solver, q *Query) {
			for range s.mayWait(q.Cut) {
				s.enter(q.Cut)
			}
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			s, q, good, asked := explorer(t)
			s.cfg.Context = ctx
			c.set(s, q)
			if got := s.exploreTill(q, good, asked); got != c.want {
				t.Errorf("%s: explored %v, want %v", c.name, got, c.want)
			}
			end()
			synctest.Wait()
		})
	}
}

// A server for which too many questions wait is left for one that has room, and is asked
// where none has.
func TestABusyServerIsAskedAfterOthers(t *testing.T) {
	s, q, all := inTrouble(2)
	if err := s.unanswered(q, all[0], Reply{}, ErrBusy); err != nil || s.asks(q, all[0]) || q.run.noSocket {
		t.Errorf("%v; asked before others, or taken for a want of sockets (%v)", err, q.run.noSocket)
	}
	if err := s.unanswered(q, all[1], Reply{}, ErrBusy); err != nil {
		t.Fatal(err)
	}
	if err := s.moreServers(q); err != nil || !q.run.queue || !s.asks(q, all[0]) {
		t.Errorf("%v; it is not waited for", err)
	}
	if err := s.unanswered(q, all[0], Reply{}, ErrBusy); err != nil || !q.run.noSocket {
		t.Errorf("busy although it waits: %v", err)
	}
	if err := s.unanswered(q, all[0], Reply{}, ErrBusy); !errors.Is(err, ErrLocal) {
		t.Errorf("busy a second time: %v", err)
	}
}

// A response may have so many wrong signatures, and all of a request's together so many.
func TestWrongSignaturesOfAResponseAndOfARequest(t *testing.T) {
	counters := &limits.Counters{}
	b := NewBudget(counters)
	left := limits.MaxFailedPerRequest - 1
	for left > 0 { // responses that have one less than they may, and then one that has too many
		p := b.Proof()
		for range min(left, limits.MaxFailedPerResponse-1) {
			left--
			if err := p.Wrong(); err != nil {
				t.Fatalf("with %d left: %v", left, err)
			}
		}
	}
	if counters.Get(limits.FailedChecks) != 0 {
		t.Error("counted before there were too many")
	}
	p := b.Proof()
	if err := p.Wrong(); !errors.Is(err, ErrProofs) || LimitOf(err) != limits.FailedChecks {
		t.Errorf("the last of the request: %v", err)
	}
	p = NewBudget(counters).Proof()
	for n := range limits.MaxFailedPerResponse {
		if err := p.Wrong(); (err != nil) != (n+1 == limits.MaxFailedPerResponse) || errors.Is(err, ErrProofs) {
			t.Errorf("wrong signature %d of a response: %v", n+1, err)
		}
	}
}

// A resolution that begins leaves others where they can be joined, and one that has ended
// cannot be.
func TestResolutionsAreJoinedByTheirKeys(t *testing.T) {
	var rs resolutions
	one, two := resolutionKey{Question: Question{Name: www}}, resolutionKey{Question: Question{Name: far}}
	first, leads := rs.join(one)
	if _, second := rs.join(two); !leads || !second {
		t.Fatal("nobody leads")
	}
	if same, leads := rs.join(one); leads || same != first || same.done == nil {
		t.Error("the first one is not joined")
	}
	rs.end(one)
	if _, leads := rs.join(one); !leads {
		t.Error("one that has ended is joined")
	}
}

// What fails because its request has ended says nothing about the server.
func TestTheEndOfARequestIsNoFaultOfAServer(t *testing.T) {
	for _, err := range []error{ErrTimeout, ErrUnreachable, ErrNoRoute, ErrErring, context.Canceled} {
		s, q, all := inTrouble(1)
		before := s.cfg.Servers.Host(all[0].Endpoint)
		over, end := context.WithCancel(context.Background())
		end()
		s.r.ctx = over
		if err := s.unanswered(q, all[0], Reply{}, err); err != nil {
			t.Fatal(err)
		}
		if after := s.cfg.Servers.Host(all[0].Endpoint); after != before || !s.asks(q, all[0]) || q.Timeouts() != 0 {
			t.Errorf("%v: learnt %+v", err, after)
		}
	}
}

// An exchange passes on the reception that it has, and none where it has none.
func TestAnExchangePassesItsReceptionOn(t *testing.T) {
	var p passes
	with, without := Exchange{Reception: &p}, Exchange{}
	with.WillWait()
	if without.WillWait(); p != 1 {
		t.Errorf("passed on %d times", p)
	}
}
