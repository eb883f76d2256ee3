package resolve

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What clients are told of a zone whose servers are of no use, for each thing that these
// did; where they did different things, the one that says most.
func TestWhatIsSaidOfAZonesServers(t *testing.T) {
	over := func(id limits.ID, err error) error { return Over(id, err) }
	stranger := &Unauthenticated{Server: zonecut.Endpoint{Addr: server(1)}, Why: "it shows no certificate"}
	for _, c := range []struct {
		name string
		did  []error // of the servers one after the other; an rcode where there was an answer
		set  func(*Query)
		want error
		id   limits.ID
		text string
	}{
		{"nobody was asked", nil, nil, ErrNoServer, 0, "no server of example. may be asked now"},
		{"silent", []error{ErrTimeout, ErrTimeout}, nil, ErrNoServer, 0, "no server of example. answers"},
		{"cut off", []error{ErrUnreachable, ErrUnreachable}, nil, ErrUnreachable, 0, "no server of example. can be reached"},
		{"one is silent, one cut off", []error{ErrUnreachable, ErrTimeout}, nil, ErrNoServer, 0, "no server of example. answers"},
		{"lame", []error{rcode(wire.RcodeRefused), rcode(wire.RcodeRefused)}, nil, ErrLame, 0, "lame delegation of example."},
		{"in trouble", []error{rcode(wire.RcodeServFail), rcode(wire.RcodeServFail)}, nil, ErrErring, 0, "no server of example. answers without an error"},
		{"as many lame as in trouble", []error{rcode(wire.RcodeRefused), rcode(wire.RcodeServFail)}, nil, ErrLame, 0, "lame delegation of example."},
		{"in trouble below DNS", []error{&Erring{Did: "answered with HTTP status 403"}}, nil, ErrErring, 0, "no server of example. answers without an error"},
		{"busy", []error{over(limits.OutstandingServer, ErrBusy)}, nil, ErrBusy, limits.OutstandingServer, "too many questions wait for the servers of example."},
		{"waiting for a connection", []error{over(limits.TCPConnsRequest, ErrBusy)}, nil, ErrBusy, limits.TCPConnsRequest, "too many questions wait for the servers of example."},
		{"they want connections", []error{over(limits.TCPConnsRequest, ErrBudget)}, nil, ErrNoServer, limits.TCPConnsRequest,
			"the servers of example. would take more connections than a question may have"},
		{"an answer costs too much", []error{over(limits.CompressedNames, ErrTooDear)}, nil, ErrTooDear, limits.CompressedNames,
			"an answer of a server of example. costs too much to be read"},
		{"a stranger", []error{stranger, ErrTimeout}, nil, stranger, 0, stranger.Error()},
		{"no outgoing address", []error{&NoSource{Addr: server(9).Addr()}, stranger}, nil, &NoSource{}, 0, (&NoSource{Addr: server(9).Addr()}).Error()},
		{"no family", nil, func(q *Query) { q.Options.NoIPv4, q.Options.NoIPv6 = true, true }, ErrNoFamily, 0, "neither IPv4 nor IPv6 may be used"},
		{"of the other family", nil, func(q *Query) { q.Options.NoIPv4 = true }, ErrNoAddress, 0, "no server of example. has an address of IPv6, and no other may be used"},
		{"on loopback", nil, func(q *Query) {
			for i := range q.Cut.NS {
				q.Cut.NS[i].Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			}
		}, ErrNoAddress, 0, "no server of example. has an address that may be asked"},
		{"of a private network", nil, func(q *Query) {
			q.Options.PublicOnly = true
			q.Cut.NS[0].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		}, ErrPrivate, 0, "no server of example. has an address that is not private"},
		{"of a private network, as any may be", nil, func(q *Query) {
			q.Options.PublicOnly, q.Options.AnyAddress = true, true
			q.Cut.NS[0].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")}
		}, ErrNoServer, 0, "no server of example. may be asked now"},
		{"of a private network, as the operator says", nil, func(q *Query) {
			q.Options.PublicOnly, q.Cut.Hints = true, true
			q.Cut.NS[0].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")}
		}, ErrNoServer, 0, "no server of example. may be asked now"},
		{"of a private network, as may be", nil, func(q *Query) {
			q.Cut.NS[0].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		}, ErrNoServer, 0, "no server of example. may be asked now"},
		{"without an address", nil, func(q *Query) { q.Cut.NS = nil }, ErrNoAddress, 0, "no address of a server of example. was found"},
		{"more than may be asked for one name", []error{ErrTimeout}, func(q *Query) { q.run.sends = limits.MaxUpstreamPerFetch }, ErrNoServer, limits.UpstreamPerFetch, "no server of example. answers"},
		{"more than may be useless", []error{rcode(wire.RcodeRefused)}, func(q *Query) { q.run.useless = limits.UselessAnswers(1) }, ErrLame, limits.UselessServers, "lame delegation of example."},
	} {
		s, q, _ := alone()
		for i := range byte(max(len(c.did), 1)) {
			q.Cut.NS = append(q.Cut.NS, zonecut.NameServer{Name: far, Addrs: hosts(i)})
		}
		for i, did := range c.did {
			if code, ok := did.(rcode); ok {
				q.run.faults.useless(server(byte(i)), int(code))
			} else {
				q.run.faults.failed(server(byte(i)), did)
			}
		}
		if c.set != nil {
			c.set(q)
		}
		err := s.gaveUp(q)
		z, ok := errors.AsType[*zoneError](err)
		if !ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		_, source := noSource(err)
		if _, want := noSource(c.want); !errors.Is(err, c.want) && !(want && source) {
			t.Errorf("%s: %v, want %v", c.name, z.err, c.want)
		}
		if LimitOf(err) != c.id {
			t.Errorf("%s: limit %v, want %v", c.name, LimitOf(err), c.id)
		}
		if got := z.text; got != c.text && !cut(got, c.text+": ") {
			t.Errorf("%s: said %q, want %q", c.name, got, c.text)
		}
	}
}

// rcode is what an answer that did not help had.
type rcode int

func (rcode) Error() string { return "an answer" }

func cut(s, prefix string) bool { return len(s) > len(prefix) && s[:len(prefix)] == prefix }

// An address counts once, however many name servers have it.
func TestAnAddressOfTwoNameServersIsOne(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1, 2)}, {Name: near, Addrs: hosts(2, 1)}}
	q.run.faults.failed(server(1), ErrTimeout)
	if v := s.summary(q); v.all != 2 || v.silent != 1 || v.unasked != 1 {
		t.Errorf("%d addresses, %d silent, %d not asked", v.all, v.silent, v.unasked)
	}
}

// A zone is one that is asked in vain where all its servers were of no use: at once, or,
// where they answered with errors of their own, the second time. What is this resolver's own
// doing says nothing about it.
func TestWhatIsHeldAgainstAZone(t *testing.T) {
	for err, want := range map[error]vainZone{
		ErrErring:      {times: 1, bad: true},
		ErrLame:        {times: limits.ZoneInVain, bad: true},
		ErrNoServer:    {times: limits.ZoneInVain},
		ErrUnreachable: {times: limits.ZoneInVain},
		ErrBusy:        {}, ErrNoFamily: {}, ErrLocal: {},
	} {
		s, _, _ := alone()
		s.inVain(example, err)
		if got := s.r.work.inVain.zones[example]; got != want {
			t.Errorf("%v: %+v, want %+v", err, got, want)
		}
	}
}

// Every failure has words of its own for the client.
func TestFailuresHaveTheirOwnWords(t *testing.T) {
	seen := map[string]error{}
	for _, err := range []error{ErrLame, ErrErring, ErrNoAddress, ErrNoFamily, ErrNoServer, ErrDeadline, ErrUnreachable, ErrBusy, ErrScript, ErrLocal,
		ErrNotReady, ErrChain, ErrDepth, ErrProof, ErrTooDear, ErrBudget} {
		_, text := Explain(&zoneError{zone: example, err: err})
		if other := seen[text]; other != nil || text == "" {
			t.Errorf("%v is told as %q, as is %v", err, text, other)
		}
		seen[text] = err
	}
	if code, text := Explain(errors.New("something else")); code != ede.Other || text != "" {
		t.Errorf("what has no words is told as %d %q", code, text)
	}
}

// Of what an answer shows about its server, EDNS is what the server answered with, or
// refused.
func TestWhatAnAnswerShowsOfItsServer(t *testing.T) {
	for _, c := range []struct {
		name string
		to   Server
		msg  wire.Msg
		want selection.EDNS
	}{
		{"with EDNS", Server{}, wire.Msg{HasEDNS: true}, selection.EDNSWorks},
		{"with EDNS, an error", Server{}, wire.Msg{HasEDNS: true, Rcode: wire.RcodeFormErr}, selection.EDNSWorks},
		{"FORMERR without", Server{}, wire.Msg{Rcode: wire.RcodeFormErr}, selection.EDNSRefused},
		{"FORMERR, asked without", Server{NoEDNS: true}, wire.Msg{Rcode: wire.RcodeFormErr}, 0},
		{"without", Server{}, wire.Msg{}, 0},
	} {
		if got := learnt(c.to, selection.Choice{}, Reply{Msg: &c.msg}).EDNS; got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	a := learnt(Server{Encrypted: true}, selection.Choice{Resort: true, Known: true}, Reply{Msg: &wire.Msg{}, TCP: true, CaseLost: true})
	if a.First || !a.TCP || !a.TLS || !a.Resort || !a.CaseLost {
		t.Errorf("learnt: %+v", a)
	}
	if a := learnt(Server{}, selection.Choice{Resort: true}, Reply{Msg: &wire.Msg{}}); !a.First || a.Resort || a.TCP || a.TLS {
		t.Errorf("learnt of a server that nobody knew: %+v", a)
	}
}

// A server that did not prove who it is is left alone until it does; a server that needs to
// prove nothing has no such past.
func TestAStrangerIsOneUntilItProvesItself(t *testing.T) {
	s, q, all := inTrouble(2)
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Names: []string{"dns.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range q.Cut.NS {
		q.Cut.NS[i].Peer = peer
	}
	for i, ns := range q.Cut.NS {
		all[i].Endpoint = s.cfg.Servers.Endpoint(&ns, ns.Addrs[0])
	}
	why := &Unauthenticated{Server: all[0].Endpoint, Why: "it shows no certificate"}
	s.stranger(q, all[0], why)
	if s.asks(q, all[0]) || !s.asks(q, all[1]) {
		t.Error("it is asked again, or another one is not")
	}
	later := &Query{Question: q.Question, Cut: q.Cut}
	if f := s.faultOf(later, &q.Cut.NS[0], q.Cut.NS[0].Addrs[0]); f == nil || f.err != why {
		t.Errorf("another query is told %v", f)
	}
	if s.asks(later, all[0]) {
		t.Error("another query asks it while others may be asked")
	}
	a := attempt{Server{Endpoint: all[0].Endpoint}, q.Question, all[0]}
	s.answered(q, a, Reply{Msg: &wire.Msg{}})
	if f := s.faultOf(later, &q.Cut.NS[0], q.Cut.NS[0].Addrs[0]); f != nil {
		t.Errorf("it has proven itself, and another query is told %v", f.err)
	}
}

// A question that a server left while a name server was looked up counts as left by it; one
// that failed otherwise does not count at all.
func TestWhatALookUpLearnsOfSilence(t *testing.T) {
	for _, c := range []struct {
		err    error
		silent bool
		asked  int
	}{{ErrTimeout, true, 1}, {ErrOverdue, true, 1}, {ErrUnreachable, false, 0}} {
		s, q, all := inTrouble(1)
		q.Depth = 1
		s.r.work.silences.change(all[0].Endpoint, example, 1, 0)
		if err := s.unanswered(q, all[0], Reply{}, c.err); err != nil {
			t.Fatal(err)
		}
		if got := s.r.work.silences.silent(all[0].Endpoint); got != c.silent || s.r.work.silences.servers[all[0].Endpoint].asked != c.asked {
			t.Errorf("%v: silent %v, %d questions count", c.err, got, s.r.work.silences.servers[all[0].Endpoint].asked)
		}
	}
}

// What one request may send is bounded to the question, and so are its connections.
func TestWhatARequestMaySend(t *testing.T) {
	for _, c := range []struct {
		id    limits.ID
		spend func(*Budget) error
		most  int
	}{
		{limits.UpstreamPerRequest, (*Budget).Send, limits.MaxUpstreamPerRequest},
		{limits.TCPConnsRequest, (*Budget).Connect, limits.MaxTCPConnsPerRequest},
	} {
		counters := &limits.Counters{}
		b := NewBudget(counters)
		for i := range c.most {
			if err := c.spend(b); err != nil {
				t.Fatalf("%s: the %dth of %d: %v", c.id, i+1, c.most, err)
			}
		}
		if counters.Get(c.id) != 0 {
			t.Errorf("%s: counted before it was met", c.id)
		}
		if err := c.spend(b); !errors.Is(err, ErrBudget) || LimitOf(err) != c.id || counters.Get(c.id) != 1 {
			t.Errorf("%s: one more: %v, counted %d times", c.id, err, counters.Get(c.id))
		}
	}
	b := NewBudget(nil)
	for n := 1; b.mayConnect(); n++ {
		if err := b.Connect(); err != nil || n > limits.MaxTCPConnsPerRequest/2 {
			t.Fatalf("%d connections that are not needed: %v", n, err)
		}
	}
}

// Who waits for the answer to another request waits no longer than for its own.
func TestWhoWaitsForAnotherHasItsOwnTime(t *testing.T) {
	s, _, counters := alone()
	r := &Request{work: &work{}, Patience: 1}
	s.wait(context.Background(), &resolution{done: make(chan struct{})}, r)
	if !errors.Is(r.Result.Failure, ErrPatience) || counters.Get(limits.Deadline) != 0 {
		t.Errorf("its patience ended with %v", r.Result.Failure)
	}
	ended, end := context.WithCancelCause(context.Background())
	end(ErrLocal)
	r = &Request{work: &work{}}
	s.wait(ended, &resolution{done: make(chan struct{})}, r)
	if !errors.Is(r.Result.Failure, ErrLocal) {
		t.Errorf("it was ended, with %v", r.Result.Failure)
	}
}
