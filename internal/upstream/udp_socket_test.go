package upstream

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"kresd/internal/limits"
)

// fromPorts is a server that answers truly and notes where questions come from.
type fromPorts struct {
	mu    sync.Mutex
	ports []uint16
}

func (p *fromPorts) answer(s *testServer, from netip.AddrPort, q []byte) {
	p.mu.Lock()
	p.ports = append(p.ports, from.Port())
	p.mu.Unlock()
	truthUDP(s, from, q)
}

// uses counts the questions of each port.
func (p *fromPorts) uses() map[uint16]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := map[uint16]int{}
	for _, port := range p.ports {
		n[port]++
	}
	return n
}

// A socket carries a few questions to one server and then is gone (HARDENING A3).
func TestSocketCarriesAFewQuestions(t *testing.T) {
	const questions = 10 * limits.UpstreamSocketUses
	var one, other fromPorts
	first := (&testServer{onUDP: one.answer}).start(t, "127.0.0.1")
	second := (&testServer{onUDP: other.answer}).start(t, "127.0.0.2")
	e := newExchanger(t, Config{})
	for i := range questions {
		ask(t, e, first.addr, 1, 1)
		if i%2 == 0 {
			ask(t, e, second.addr, 1, 1)
		}
	}
	seen := one.uses()
	for port, n := range seen {
		if n > limits.UpstreamSocketUses {
			t.Errorf("port %d was used for %d questions, want at most %d", port, n, limits.UpstreamSocketUses)
		}
	}
	// Fewer ports would be too few; many more show that nothing is used again.
	if len(seen) < questions/limits.UpstreamSocketUses || len(seen) > questions/2 {
		t.Errorf("%d ports for %d questions", len(seen), questions)
	}
	shared := 0
	for port := range other.uses() {
		if seen[port] > 0 {
			shared++
		}
	}
	if shared > 2 { // drawn twice by chance
		t.Errorf("%d ports were used towards both servers", shared)
	}
}

// Questions that are under way together have sockets of their own.
func TestSocketCarriesOneQuestionAtATime(t *testing.T) {
	const together = 8
	var mu sync.Mutex
	waiting := map[uint16]func(){}
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		mu.Lock()
		defer mu.Unlock()
		if waiting[from.Port()] != nil {
			t.Errorf("two questions wait at port %d", from.Port())
		}
		q = append([]byte(nil), q...)
		if waiting[from.Port()] = func() { truthUDP(s, from, q) }; len(waiting) == together {
			for _, answer := range waiting {
				answer()
			}
			clear(waiting)
		}
	}}).start(t, "127.0.0.1")
	ask(t, newExchanger(t, Config{}), s.addr, 20*together, together)
}

// Whatever comes beside the answer ends a socket: somebody may know its port. It
// does no harm to the next question.
func TestUnexpectedDatagramEndsASocket(t *testing.T) {
	for what, extra := range map[string]func(q []byte) []byte{
		"the answer again": func(q []byte) []byte { return reply(q, truth) },
		"a forgery":        func(q []byte) []byte { q[0]++; return reply(q, evil) },
		"one octet":        func([]byte) []byte { return []byte{0} },
	} {
		var p fromPorts
		sent := make(chan struct{}, 1)
		s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			again := append([]byte(nil), q...)
			p.answer(s, from, q)
			s.send(from, extra(again))
			sent <- struct{}{}
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		for range 20 {
			ask(t, e, s.addr, 1, 1)
			<-sent
		}
		if n := len(p.uses()); n < 19 { // one may be drawn twice
			t.Errorf("%s: %d ports for 20 questions, want one for each", what, n)
		}
		if st := e.Stats(); st.TCP != 0 {
			t.Errorf("%s: %d questions went to TCP, want none", what, st.TCP)
		}
	}
}

// The last question's ID does no harm to the next one on the same socket; any
// other one does.
func TestDoubledAnswerIsIgnored(t *testing.T) {
	q, want := aQuestion()
	pkt := reply(q, truth)
	next := *want
	next.id, next.before, next.again = want.id+1, want.id, true
	if v := next.judge(pkt, len(pkt)); v != ignored {
		t.Errorf("the last answer: match %d, want ignored", v)
	}
	next.again = false
	if v := next.judge(pkt, len(pkt)); v != nearMiss {
		t.Errorf("that ID on a fresh socket: match %d, want a near miss", v)
	}
}

func TestSilenceEndsASocket(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout = time.Millisecond
	_, _ = e.Exchange(background, x)
	if n := e.poller.idle.n; n != 0 {
		t.Errorf("%d sockets are kept after a timeout, want none", n)
	}
}

// Sockets that nobody needs are closed soon.
func TestIdleSocketsAreClosed(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	before := openFiles(t)
	ask(t, e, s.addr, 8*limits.UpstreamSocketUses+1, 16) // not all can be used up
	if openFiles(t) == before {
		t.Error("no socket is kept: the test proves nothing")
	}
	eventually(t, "the end of idle sockets", func() bool { return openFiles(t) == before })
	e.poller.mu.Lock()
	defer e.poller.mu.Unlock()
	if len(e.poller.idle.byServer) != 0 || e.poller.idle.n != 0 || e.poller.timed {
		t.Errorf("%d servers, %d sockets are remembered, timed %v", len(e.poller.idle.byServer), e.poller.idle.n, e.poller.timed)
	}
}

// Sockets towards servers that are asked once do not take the room of those towards a
// server that is asked again and again.
func TestServersAskedOnceTakeNoRoomFromOthers(t *testing.T) {
	var often fromPorts
	everybodys := (&testServer{onUDP: often.answer}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{Clock: stopped()})
	e.poller.idle.max = 2
	const rounds = 2 * limits.UpstreamSocketUses
	for range rounds {
		ask(t, e, (&testServer{onUDP: truthUDP}).start(t, "127.0.0.2").addr, 1, 1)
		ask(t, e, everybodys.addr, 1, 1)
	}
	if n := len(often.uses()); n > rounds/2 {
		t.Errorf("%d ports for %d questions to the server that is asked again and again", n, rounds)
	}
	e.poller.mu.Lock()
	defer e.poller.mu.Unlock()
	if n := e.poller.idle.n; n > 2 {
		t.Errorf("%d sockets wait, want at most 2", n)
	}
}

// Whatever is done to the sockets that wait, the one that has waited longest gives way.
func TestTheSocketThatWaitsLongestGivesWay(t *testing.T) {
	const most, servers = 5, 3
	s := idleSockets{byServer: map[netip.AddrPort][]*udpQuery{}, max: most}
	var want []*udpQuery // those that wait, in their order
	server := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i%servers))
	}
	for i := range 1000 {
		switch {
		case i%97 == 96:
			for _, a := range s.expired(limits.UpstreamSocketLife + 1) {
				if !slices.Contains(want, a) {
					t.Fatalf("step %d: one expired that did not wait", i)
				}
			}
			want = nil
		case i%7 == 3 || i%11 == 5:
			got := s.take(server(i))
			at := -1
			for j, a := range want {
				if a.to == server(i) {
					at = j
				}
			}
			if (got != nil) != (at >= 0) || got != nil && got != want[at] {
				t.Fatalf("step %d: not the one of the server that came last", i)
			}
			if at >= 0 {
				want = slices.Delete(want, at, at+1)
			}
		default:
			a := &udpQuery{udpSocket: udpSocket{to: server(i * i)}}
			instead := s.put(a)
			if full := len(want) == most; full != (instead != nil) || full && instead != want[0] {
				t.Fatalf("step %d: with %d waiting, another gave way than the first", i, len(want))
			}
			if instead != nil {
				want = want[1:]
			}
			want = append(want, a)
		}
		if s.n != len(want) {
			t.Fatalf("step %d: %d wait, want %d", i, s.n, len(want))
		}
	}
	if none := (&idleSockets{}).put(want[0]); none != want[0] {
		t.Error("a socket waits where there is no room")
	}
}

func TestOldSocketIsNotUsed(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	source := netip.IPv4Unspecified()
	a := e.poller.take(s.addr, source)
	defer e.poller.give(a)
	if err := e.open(a, s.addr, source); err != nil {
		t.Fatal(err)
	}
	a.buf = make([]byte, 1)
	const life = limits.UpstreamSocketLife
	if !a.fits(s.addr, source, a.opened+life-1) || !a.mayStay(answer, a.opened) {
		t.Error("a young socket is not used")
	}
	if a.fits(s.addr, source, a.opened+life) || a.mayStay(answer, a.opened+life) {
		t.Error("an old socket is used")
	}
	if a.fits(s.addr, netip.MustParseAddr("192.0.2.9"), a.opened) {
		t.Error("a socket is used whose address is no longer the configured one")
	}
	if a.mayStay(truncated, a.opened) || a.mayStay(nearMiss, a.opened) {
		t.Error("a socket is used on after a bad end")
	}
}

// Datagrams that cannot be read, before the answer, end a socket as others do that
// come behind it: somebody knows its port.
func TestJunkBeforeTheAnswerEndsASocket(t *testing.T) {
	for what, junk := range map[string]func(q []byte) []byte{
		"one octet":        func([]byte) []byte { return []byte{0} },
		"our own question": func(q []byte) []byte { return q },
	} {
		var p fromPorts
		s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			s.send(from, junk(q))
			p.answer(s, from, q)
		}}).start(t, "127.0.0.1")
		ask(t, newExchanger(t, Config{}), s.addr, 20, 1)
		if n := len(p.uses()); n < 19 { // one may be drawn twice
			t.Errorf("%s: %d ports for 20 questions, want one for each", what, n)
		}
	}
}

// Only an ID that the same socket had before is the network's doubling. That of
// another socket's question is a guess.
func TestTheIDBeforeBelongsToTheSocket(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	a := e.poller.take(s.addr, netip.IPv4Unspecified())
	defer e.poller.give(a)
	a.uses = 1
	e.compose(a, &x, strict(&x))
	id := a.want.id
	if e.compose(a, &x, strict(&x)); a.want.again {
		t.Error("a fresh socket had a question before")
	}
	a.want.id, a.uses = id, 2
	if e.compose(a, &x, strict(&x)); !a.want.again || a.want.before != id {
		t.Errorf("the ID before is %d, %v; want %d", a.want.before, a.want.again, id)
	}
}
