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

// What an attempt that failed is taken for: only who did not prove who he is is a stranger,
// what was not sent does not count, and only look-ups take note of silence.
func TestWhatAnAttemptIsTakenFor(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		stranger bool
		sends    int
		others   bool // ask it while there is another
	}{
		{"silence", ErrTimeout, false, 1, false},
		{"out of reach", ErrUnreachable, false, 1, false},
		{"no route", ErrNoRoute, false, 0, true}, // to both alike
		{"no outgoing address", &NoSource{Addr: server(9).Addr()}, false, 0, true},
		{"a stranger", &Unauthenticated{Server: zonecut.Endpoint{Addr: server(0)}}, true, 1, false},
		{"something else", errors.New("something else"), false, 1, true},
	} {
		for depth := range 2 {
			s, q, all := inTrouble(2)
			q.Depth, q.run.sends = depth, 1
			if err := s.unanswered(q, all[0], Reply{}, c.err); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if why, _ := s.strangers.Get(all[0].Endpoint); (why != nil) != c.stranger {
				t.Errorf("%s: a stranger because of %v", c.name, why)
			}
			if q.run.sends != c.sends {
				t.Errorf("%s: %d questions count, want %d", c.name, q.run.sends, c.sends)
			}
			if noted := len(s.r.work.silences.servers) > 0; noted != (depth > 0) {
				t.Errorf("%s at depth %d: the look-ups take note: %t", c.name, depth, noted)
			}
			if !q.run.tried.Any() {
				t.Errorf("%s: nothing was tried", c.name)
			}
			if route := !s.cfg.Servers.Avoids(true); route != (c.sends > 0) {
				t.Errorf("%s: there is a route: %t", c.name, route)
			}
			other := &Query{Question: q.Question, Cut: q.Cut}
			if asked := s.asks(other, all[0]); asked != c.others {
				t.Errorf("%s: others ask it: %t", c.name, asked)
			}
		}
	}
}

// For want of a socket a query tries once more, and then ends.
func TestAQueryWithoutASocketEnds(t *testing.T) {
	s, q, all := inTrouble(1)
	for _, want := range []error{nil, ErrLocal} {
		if err := s.unanswered(q, all[0], Reply{}, ErrLocal); err != want || q.run.tried.Any() {
			t.Errorf("it ends with %v, want %v; its server is to blame: %t", err, want, q.run.tried.Any())
		}
	}
}

// A server that is asked over TLS is asked as that needs: by no TCP of its own, and in mixed
// letter case or not alike.
func TestHowAServerIsAskedOverTLS(t *testing.T) {
	s, _, all := inTrouble(1)
	to := Server{Endpoint: all[0].Endpoint, TCP: true, NoCase: true, NoEDNS: true}
	if got := s.toward(to); got != to {
		t.Errorf("in the clear: %+v", got)
	}
	to.Encrypted = true
	if got, want := s.toward(to), (Server{Endpoint: s.cfg.Servers.Encrypted(to.Endpoint), NoEDNS: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// That a server does not listen for TLS is noted where it was found out, and not where this
// machine had no socket for it.
func TestWhatFindingTLSShows(t *testing.T) {
	for err, want := range map[error]bool{nil: true, ErrLocal: true, ErrUnreachable: false, ErrTimeout: false} {
		synctest.Test(t, func(t *testing.T) {
			s, q, all := inTrouble(1)
			fake := clock.NewFake(time.Unix(1e9, 0))
			s.cfg.Servers = selection.New(selection.Config{Clock: &fake.Clock})
			s.cfg.Exchanger, s.cfg.Context = secretly{make(chan Exchange, 1), err}, t.Context()
			s.cfg.Opportunistic = func() bool { return true }
			var told []Step
			s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
			s.findTLS(q, all[0])
			whom := peer(q, all[0])
			if whom.Addr = s.cfg.Servers.Encrypted(all[0].Endpoint).Addr; len(told) != 1 || told[0] != (Explored{whom}) {
				t.Errorf("told %v", told)
			}
			synctest.Wait()
			fake.Advance(limits.TLSProbe + 10*time.Second)
			h := s.cfg.Servers.Host(all[0].Endpoint)
			if err == nil && h.Encrypted == 0 || err != nil && s.cfg.Servers.TryTLS(all[0].Endpoint) != want {
				t.Errorf("%v: may be tried again %t, known to do TLS since %v", err, !want, h.Encrypted)
			}
		})
	}
}

// What fails over TLS for a reason of this machine, or because of a budget, says nothing about
// the server.
func TestWhoseFaultTLSIs(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		clear   bool
		blamed  bool
		damping time.Duration
	}{
		{"no socket", ErrLocal, true, false, 0},
		{"no further connection", Over(limits.TCPConnsRequest, ErrBudget), true, false, 0},
		{"no further question", Over(limits.UpstreamPerRequest, ErrBudget), false, false, 0},
		{"silence", ErrTimeout, true, true, limits.NoEDNSLife},
		{"refused", ErrUnreachable, true, true, limits.TLSDamping},
	} {
		s, q, all := inTrouble(1)
		fake := clock.NewFake(time.Unix(1e9, 0))
		s.cfg.Servers = selection.New(selection.Config{Clock: &fake.Clock})
		q.Server = Server{Endpoint: all[0].Endpoint, Encrypted: true}
		if got := s.inClear(q, all[0], c.err); got != c.clear || q.run.clear != c.clear {
			t.Errorf("%s: asked in the clear %t", c.name, got)
		}
		if may := s.cfg.Servers.TryTLS(all[0].Endpoint); may == c.blamed {
			t.Errorf("%s: TLS may be tried at once: %t", c.name, may)
		}
		if fake.Advance(c.damping - time.Second); c.blamed && s.cfg.Servers.TryTLS(all[0].Endpoint) {
			t.Errorf("%s: TLS may be tried within %v", c.name, c.damping)
		}
		if fake.Advance(2 * time.Second); c.blamed && !s.cfg.Servers.TryTLS(all[0].Endpoint) {
			t.Errorf("%s: TLS may not be tried after %v", c.name, c.damping)
		}
	}
}

// A server that is asked again is told so to whoever asks it.
func TestWhoIsAskedAgain(t *testing.T) {
	s, q, all := inTrouble(1)
	for tries, want := range []bool{false, true, true} {
		all[0].Tries = tries
		if x := s.exchangeOf(q, serverOf(q, all[0]), all[0]); x.Again != want {
			t.Errorf("after %d tries: again %t", tries, x.Again)
		}
	}
}

// Servers that are merely busy are asked again, and then waited for.
func TestWhoIsBusyIsWaitedFor(t *testing.T) {
	s, q, all := inTrouble(1)
	q.run.tried.Busy(all[0].Endpoint)
	if s.asks(q, all[0]) {
		t.Error("who is busy is asked at once")
	}
	if err := s.moreServers(q); err != nil || !q.run.queue || !s.asks(q, all[0]) {
		t.Errorf("%v; it is waited for: %t", err, q.run.queue)
	}
}

// While nothing but a look-up beside is waited for, a late answer is taken, and when nothing
// comes in time the next look-up begins.
func TestWhatComesWhileALookUpIsWaitedFor(t *testing.T) {
	waiting := func() (s *solver, q *Query, end func()) {
		s, q, _ = alone()
		release := make(chan struct{})
		s.layers = []*Layer{{Name: "waits", Produce: func(r *Request, _ *Query) State { <-release; return r.Fail(ErrLame) }}}
		q.Cut.NS = []zonecut.NameServer{{Name: far}, {Name: near}}
		if !s.lookBeside(q) {
			t.Fatal("nothing is looked up")
		}
		return s, q, func() { close(release); q.run.quit(); s.running.Wait() }
	}
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{nil, ErrTimeout} {
			s, q, end := waiting()
			a := attempt{server: Server{Endpoint: zonecut.Endpoint{Addr: server(7)}}, asked: q.Question}
			q.run.late.begin(s.r.ctx, a)
			_, _, done := q.run.late.Overdue()
			msg := &wire.Msg{}
			done(Reply{Msg: msg}, err)
			began := time.Now()
			if err := s.awaitBeside(q); err != nil {
				t.Error(err)
			}
			if answered := q.run.msg == msg && q.Server.Addr == server(7); answered != (err == nil) || q.run.late.open != 0 || time.Since(began) > 0 {
				t.Errorf("%v: answered %t, %d are waited for, after %v", err, answered, q.run.late.open, time.Since(began))
			}
			end()
		}
		s, q, end := waiting()
		began := time.Now()
		if err := s.awaitBeside(q); err != nil || time.Since(began) != limits.UDPFirstTimeout || q.run.beside.open != 2 {
			t.Errorf("%v after %v, %d look-ups are under way", err, time.Since(began), q.run.beside.open)
		}
		end()
	})
}

// What a look-up beside had from a referral is glue for the query, too.
func TestALookUpBesideThatWasGlue(t *testing.T) {
	for _, glue := range []bool{false, true} {
		s, q, _ := alone()
		q.Cut.NS, q.run.beside.open = []zonecut.NameServer{{Name: far}}, 1
		q.run.ns.looked = []lookup{{far, wire.TypeA}}
		sub := &Query{Question: Question{far, wire.TypeA, wire.ClassIN}, Outcome: Outcome{Kind: Positive, Answer: []Set{{RRset: wire.RRset{Type: wire.TypeA, Data: [][]byte{{192, 0, 2, 7}}}}}}}
		sub.run.byGlue = glue
		if !s.heard(q, sub) || (len(q.run.ns.glued) == 1) != glue || (len(q.run.ns.looked) == 0) != glue {
			t.Errorf("glue %t: had from glue are %v, looked up %v", glue, q.run.ns.glued, q.run.ns.looked)
		}
	}
}

// A server that denied a name in mixed letter case, and has it in lower case, loses case; who
// was not asked in lower case, or has nothing, does not. A denial is believed for a while only
// if it came in lower case, too.
func TestWhoLosesLetterCase(t *testing.T) {
	for _, c := range []struct {
		name  string
		lower netip.AddrPort
		late  bool // the answer is to a question in mixed case
		msg   *wire.Msg
		kind  Kind
		want  bool
		noted bool
	}{
		{"has it", server(0), false, &wire.Msg{}, Positive, true, false},
		{"has an alias", server(0), false, &wire.Msg{}, Alias, true, false},
		{"knows of it", server(0), false, &wire.Msg{}, Referral, true, false},
		{"denies it again", server(0), false, &wire.Msg{}, NXDomain, false, true},
		{"has it in mixed case, late", server(0), true, &wire.Msg{}, Positive, false, false},
		{"denies it in mixed case, late", server(0), true, &wire.Msg{}, NXDomain, false, false},
		{"another was asked", server(1), false, &wire.Msg{}, Positive, false, false},
		{"none was asked in lower case", netip.AddrPort{}, false, &wire.Msg{}, Positive, false, false},
		{"no message", server(0), false, nil, Positive, false, false},
	} {
		s, q, all := inTrouble(1)
		q.Server.Endpoint, q.run.retry.lower, q.run.msg, q.Outcome.Kind = all[0].Endpoint, c.lower, c.msg, c.kind
		q.Server.NoCase = !c.late
		s.caseMattered(q)
		if got := s.caseless.has(q.denial(), s.r.Wall()); got != c.noted {
			t.Errorf("%s: the denial is believed: %t", c.name, got)
		}
		if choice, ok := s.cfg.Servers.Choose(s.want(q)); !ok || (choice.Cannot&selection.NoCase != 0) != c.want {
			t.Errorf("%s: loses case %t", c.name, !c.want)
		}
	}
	s, q, _ := inTrouble(1)
	q.Asked.Name = "\x01-\x00"
	if s.r.RetryInLowerCase(q) {
		t.Error("the server lost case where there were no letters")
	}
}

// Names have letters from a to z, in either case, and what stands beside these is none.
func TestWhichNamesHaveLetters(t *testing.T) {
	for c, want := range map[byte]bool{'a': true, 'z': true, 'A': true, 'Z': true, '@': false, '[': false, '`': false, '{': false, '-': false, '0': false} {
		if got := hasLetters(dnsname.Name([]byte{1, c, 0})); got != want {
			t.Errorf("%q: %t", c, got)
		}
	}
}

// sending is an Exchanger that sends so many messages for a question, and keeps what it was
// asked.
type sending struct {
	messages int
	asked    Exchange
}

func (e *sending) Exchange(_ context.Context, x Exchange) (Reply, error) {
	e.asked = x
	for range e.messages {
		if err := x.Budget.Send(); err != nil {
			return Reply{}, err
		}
	}
	return Reply{}, ErrTimeout
}

// Each message counts that is sent for a question, as far as it is known to be sent for it;
// and what happens meanwhile is told to whoever reads along.
func TestWhatAnExchangeCosts(t *testing.T) {
	for _, c := range []struct {
		messages, want int
		beside         int32
	}{{0, 1, 0}, {1, 1, 0}, {3, 3, 0}, {3, 1, 1}} {
		s, q, all := inTrouble(2)
		e := &sending{messages: c.messages}
		s.cfg.Exchanger = e
		s.r.work.beside.Store(c.beside)
		s.r.Tell = nil
		if err := s.exchange(q, all[0]); err != nil || q.run.sends != c.want || e.asked.Tell != nil {
			t.Errorf("%+v: %v, %d count", c, err, q.run.sends)
		}
	}
	s, q, all := inTrouble(2)
	e := &sending{}
	s.cfg.Exchanger = e
	var told []Step
	s.r.Tell = func(of *Query, step Step) {
		if of == q {
			told = append(told, step)
		}
	}
	if err := s.exchange(q, all[0]); err != nil || e.asked.Tell == nil {
		t.Fatal(err)
	}
	told = nil
	if e.asked.Tell(TCPOverdue{}); len(told) != 1 {
		t.Errorf("told %v", told)
	}
}

// A server with a connection of its own that is overdue is not asked again meanwhile.
func TestAPeerThatIsOverdueIsNotAskedAgain(t *testing.T) {
	s, q, all := inTrouble(1)
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Names: []string{"dns.example"}})
	if err != nil {
		t.Fatal(err)
	}
	q.Cut.NS[0].Peer = peer
	all[0].Endpoint = s.cfg.Servers.Endpoint(&q.Cut.NS[0], q.Cut.NS[0].Addrs[0])
	if err := s.unanswered(q, all[0], Reply{}, ErrOverdue); err != nil || s.asks(q, all[0]) || s.cfg.Servers.Host(all[0].Endpoint).Timeouts != 1 {
		t.Errorf("%v; %d timeouts, or it is asked again", err, s.cfg.Servers.Host(all[0].Endpoint).Timeouts)
	}
}

// A look-up that has ended without an address, where no other may begin, ends the query.
func TestAQueryWithoutAddressesFails(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	q.run.ns.looked = []lookup{{far, wire.TypeA}, {far, wire.TypeAAAA}}
	q.run.ns.fetch = &fetch{name: far, sub: &Query{Outcome: Outcome{Kind: NoData}}, pushed: true}
	if err := s.ask(q); !errors.Is(err, ErrNoAddress) {
		t.Errorf("it fails with %v", err)
	}
	q.run.ns.fetch = &fetch{name: far, pushed: true}
	chain := Set{RRset: wire.RRset{Type: wire.TypeCNAME, Data: [][]byte{{2, 'a', 'b', 0}}}} // four octets, as an address has
	if s.collect(q, &fetch{name: far, sub: &Query{Outcome: Outcome{Kind: Positive, Answer: []Set{chain}}}}) || len(q.Cut.NS[0].Addrs) != 0 {
		t.Errorf("the name of an alias is taken for an address: %v", q.Cut.NS[0].Addrs)
	}
}

// A server that is asked and has not been given up is not silent, and one that is mute for
// look-ups is counted.
func TestWhoIsSilent(t *testing.T) {
	s, q, all := inTrouble(1)
	e := all[0].Endpoint
	l := &s.r.work.silences
	if l.change(e, example, 1, 0); l.in(1) || l.silent(e) || l.mute(e) {
		t.Error("who is being asked is silent")
	}
	l.change(e, example, limits.SilentInLookups, 1)
	if q.Depth = 1; !s.mute(q)(e) || s.cfg.Counters.Get(limits.UnresolvableNS) != 1 || !l.in(1) {
		t.Errorf("not silent, or counted %d times", s.cfg.Counters.Get(limits.UnresolvableNS))
	}
	if q.Depth = 0; s.mute(q) != nil {
		t.Error("who is silent for look-ups is so for clients")
	}
}

// What a look-up beside sees of those that wait for it is how they were when it began.
func TestWhatALookUpSeesOfThoseAboveIt(t *testing.T) {
	s, q, _ := alone()
	q.Parent, q.Steps, q.Depth = &Query{Question: Question{near, wire.TypeA, wire.ClassIN}, ID: 7}, 2, 1
	own := s.beside(q, Question{far, wire.TypeA, wire.ClassIN})
	p := own.root.Parent
	if p == q || p.Question != q.Question || p.ID != q.ID || p.Cut != q.Cut || p.Steps != 2 || p.Depth != 1 || p.Parent == q.Parent || p.Parent.Name != near || p.Parent.ID != 7 || p.Parent.Parent != nil {
		t.Errorf("above it are %+v and %+v", p, p.Parent)
	}
	if !own.ByName || !own.RD || !own.Alone {
		t.Errorf("it is %+v", own)
	}
}
