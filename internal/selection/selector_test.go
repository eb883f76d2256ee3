package selection

import (
	"fmt"
	"testing"
	"time"

	"kresd/internal/limits"
)

// cache.clear() and its like make every server one of which nothing is known.
func TestForgetLeavesNothing(t *testing.T) {
	s, _ := lab()
	both := cutOf(t, "192.0.2.1", "2001:db8::1")
	s.Lame(both.Name, at("192.0.2.1"))
	for i := range familyPatience {
		s.Unreachable(at(fmt.Sprintf("2001:db8:1::%d", i)))
	}
	if got := share(s, Want{Cut: cutOf(t, "192.0.2.9", "2001:db8::1")}, 50); got["2001:db8::1"] > 0 {
		t.Fatalf("%v: the test proves nothing", got)
	}
	s.Forget()
	if got := share(s, Want{Cut: both}, 200); got["192.0.2.1"] == 0 || got["2001:db8::1"] == 0 {
		t.Errorf("after Forget: %v", got)
	}
	for i := range familyPatience - 1 { // as patient as at first
		s.Unreachable(at(fmt.Sprintf("2001:db8:2::%d", i)))
	}
	if got := share(s, Want{Cut: both}, 200); got["2001:db8::1"] == 0 {
		t.Errorf("fewer failures than before make a family one that does not work: %v", got)
	}
}

// Only unreachable servers in a row say that a family does not work: where one
// answers, it does.
func TestAnAnswerShowsThatAFamilyWorks(t *testing.T) {
	s, _ := lab()
	for i := range 3 * familyPatience {
		s.Unreachable(at(fmt.Sprintf("2001:db8:1::%d", i)))
		if i%2 == 0 {
			s.Answered(at("2001:db8::1"), Answer{RTT: time.Millisecond})
		}
		s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond}) // says nothing about the other family
	}
	if got := share(s, Want{Cut: cutOf(t, "192.0.2.1", "2001:db8::1")}, 200); got["2001:db8::1"] == 0 {
		t.Errorf("got %v", got)
	}
	for i := range familyPatience {
		s.Unreachable(at(fmt.Sprintf("2001:db8:2::%d", i)))
		s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond})
	}
	if got := share(s, Want{Cut: cutOf(t, "192.0.2.1", "2001:db8::1")}, 200); got["2001:db8::1"] > 0 {
		t.Errorf("an answer over IPv4 counts for IPv6: %v", got)
	}
}

// A lame server is lame until its own time is over, not until that of the last one.
func TestLamenessEndsByItself(t *testing.T) {
	s, ck := lab()
	cut := cutOf(t, "192.0.2.1", "192.0.2.2")
	s.Lame(cut.Name, at("192.0.2.1"))
	ck.Advance(s.DeadTime() / 2)
	s.Lame(cut.Name, at("198.51.100.1"))
	ck.Advance(s.DeadTime() / 2)
	if got := share(s, Want{Cut: cut}, 200); got["192.0.2.1"] == 0 {
		t.Errorf("got %v", got)
	}
}

// The first unknown server of a query has as long as unknown servers mostly take. When it
// was in trouble, the others have their turns within limits.UDPRound.
func TestUnknownServersAllHaveTheirTurnSoon(t *testing.T) {
	s, _ := lab()
	for i := range 20 {
		s.Answered(at(fmt.Sprintf("198.51.100.%d", i)), Answer{RTT: 20 * time.Millisecond, First: true})
	}
	cut, tried := cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3"), &Tried{}
	first, _ := s.Choose(Want{Cut: cut, Tried: tried})
	tried.TimedOut(first.NS, first.Endpoint)
	second, _ := s.Choose(Want{Cut: cut, Tried: tried})
	if first.Timeout != limits.UDPHurry || second.Timeout != limits.UDPRound/3 {
		t.Errorf("waits %v and then %v", first.Timeout, second.Timeout)
	}
	// A flood at a zone whose servers are silent must not become more questions by it.
	if c, _ := s.Choose(Want{Cut: cut, Tried: tried, Crowded: true}); c.Timeout != limits.UDPFirstTimeout {
		t.Errorf("while many wait for the zone: %v", c.Timeout)
	}
	// What TCP takes says nothing about UDP.
	s.Forget()
	for i := range 20 {
		s.Answered(at(fmt.Sprintf("198.51.100.%d", i)), Answer{RTT: 20 * time.Millisecond, First: true, TCP: true})
	}
	if c, _ := s.Choose(Want{Cut: cut, Tried: &Tried{}}); c.Timeout != limits.UDPFirstTimeout {
		t.Errorf("after answers over TCP: %v", c.Timeout)
	}
}

// While the chosen server has to show over TCP whether it knows EDNS, the client's
// question is not shown to another one too.
func TestNothingIsExploredBesideADoubt(t *testing.T) {
	s, ck := lab()
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}}
	besides := func() (n int) {
		for range 400 {
			s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond})
			if c, _ := s.Choose(w); c.Endpoint != at("192.0.2.1") {
				t.Fatalf("chosen is %v", c.Endpoint)
			} else if _, ok := s.Beside(w, c); ok {
				n++
			}
			ck.Advance(probeInterval)
		}
		return n
	}
	if besides() == 0 {
		t.Error("nothing is explored: the test proves nothing")
	}
	for range signsNeeded {
		s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond, EDNS: EDNSRefused})
	}
	if n := besides(); n > 0 {
		t.Errorf("explored %d times", n)
	}
}

// A name server that is given as an IPv4-mapped address is the one at its IPv4
// address, once.
func TestMappedAddressesAreIPv4(t *testing.T) {
	s, _ := lab()
	s.Answered(at("192.0.2.1"), Answer{RTT: 7 * time.Millisecond})
	w := Want{Cut: cutOf(t, "::ffff:192.0.2.1", "192.0.2.1"), Tried: &Tried{}}
	c, _ := s.Choose(w)
	if c.Endpoint != at("192.0.2.1") || !c.Known {
		t.Errorf("chosen is %+v", c)
	}
	w.Tried.Reject(c.NS, c.Endpoint)
	if c, ok := s.Choose(w); ok {
		t.Errorf("a second time: %+v", c)
	}
}

// Answers over UDP take back that a server needs TCP, and what spoke for it.
func TestAnAnswerOverUDPRefutesNeedTCP(t *testing.T) {
	s, _ := lab()
	overTCP := Answer{RTT: time.Millisecond, TCP: true, Resort: true}
	for range signsNeeded {
		s.Answered(at(server), overTCP)
	}
	if c := ask(t, s); c.Cannot != NeedTCP {
		t.Fatalf("chosen is %+v: the test proves nothing", c)
	}
	s.Answered(at(server), Answer{RTT: time.Millisecond})
	if c := ask(t, s); c.Cannot != 0 {
		t.Errorf("after an answer over UDP: %+v", c)
	}
	for range signsNeeded - 1 {
		s.Answered(at(server), overTCP)
	}
	s.Answered(at(server), Answer{RTT: time.Millisecond})
	s.Answered(at(server), overTCP)
	if c := ask(t, s); c.Cannot != 0 {
		t.Errorf("answers over TCP that are not in a row are proof: %+v", c)
	}
}

// A server that answered before gets one timeout more than one that never did: who
// asks what it ignores must not silence it for all others.
func TestAKnownServerGetsMorePatience(t *testing.T) {
	for known, want := range map[bool]int{false: limits.RetriesPerServer + 1, true: limits.RetriesPerServer + 2} {
		s, ck := lab()
		if known {
			s.Answered(at(server), Answer{RTT: time.Millisecond})
		}
		n := 0
		for h := s.Host(at(server)); h.DeadUntil == 0 && n < 20; h = s.Host(at(server)) {
			ck.Advance(limits.SilentTime)
			s.TimedOut(at(server), 0)
			n++
		}
		if n != want {
			t.Errorf("known %v: put aside after %d timeouts, want %d", known, n, want)
		}
	}
}

// What was used lately stays when a map without room forgets something.
func TestMemoryForgetsWhatWasNotUsed(t *testing.T) {
	m := newLRU[int, int]()
	const used, alsoUsed = -1, -2
	for _, key := range []int{used, alsoUsed} {
		m.update(key, func(v *int) { *v = key })
	}
	for i := range 2 * shards * perShard {
		m.update(i, func(v *int) { *v = i })
		m.load(used)
		m.update(alsoUsed, func(*int) {})
	}
	for _, key := range []int{used, alsoUsed} {
		if v, ok := m.load(key); !ok || v != key {
			t.Errorf("%d was forgotten", key)
		}
	}
	if _, ok := m.load(0); ok {
		t.Error("nothing was forgotten: the test proves nothing")
	}
}
