package selection

import (
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

const server = "192.0.2.1"

// lab is a Selector over a clock that is moved by hand.
func lab() (*Selector, *clock.Fake) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	return New(Config{Clock: &ck.Clock}), ck
}

// chosen is what the only server of a zone would be asked like.
func chosen(t *testing.T, s *Selector, tried *Tried) Choice {
	t.Helper()
	c, ok := s.Choose(Want{Cut: cutOf(t, server), Tried: tried})
	if !ok {
		t.Fatal("no server is left")
	}
	return c
}

func ask(t *testing.T, s *Selector) Choice { t.Helper(); return chosen(t, s, &Tried{}) }

// HARDENING A9: "cannot EDNS" is remembered for 60 s, after two FORMERR over TCP.
func TestEDNSIsGivenUpAfterProofOnly(t *testing.T) {
	s, ck := lab()
	addr := at(server)
	refused := Answer{RTT: time.Millisecond, EDNS: EDNSRefused}
	for range 50 {
		s.Answered(addr, refused)
	}
	if c := ask(t, s); c.Cannot != 0 || !c.Confirm {
		t.Fatalf("after FORMERR over UDP: %+v, want a question over TCP", c)
	}
	refused.TCP = true
	s.Answered(addr, refused)
	if c := ask(t, s); c.Cannot != 0 || !c.Confirm {
		t.Errorf("after one FORMERR over TCP: %+v", c)
	}
	s.Answered(addr, refused)
	if c := ask(t, s); c.Cannot != NoEDNS || c.Confirm {
		t.Errorf("after two: %+v, want no EDNS", c)
	}
	s.Answered(addr, Answer{RTT: time.Millisecond}) // without EDNS, all is well
	ck.Advance(limits.NoEDNSLife)
	if c := ask(t, s); c.Cannot != 0 || !c.Confirm {
		t.Errorf("a minute later: %+v, want it tried again, over TCP", c)
	}
	s.Answered(addr, Answer{RTT: time.Millisecond, TCP: true, EDNS: EDNSWorks})
	if c := ask(t, s); c.Cannot != 0 || c.Confirm {
		t.Errorf("repaired: %+v", c)
	}
}

func TestADoubtThatTCPCannotSettleCostsNothing(t *testing.T) {
	s, ck := lab()
	addr := at(server)
	for range 2 {
		s.Answered(addr, Answer{RTT: time.Millisecond, EDNS: EDNSRefused})
	}
	s.TCPFailed(addr)
	if c := ask(t, s); c.Confirm || c.Cannot&NoEDNS != 0 {
		t.Errorf("got %+v, want UDP with EDNS", c)
	}
	ck.Advance(limits.NoEDNSLife)
	if c := ask(t, s); !c.Confirm {
		t.Errorf("a minute later: %+v, want another try", c)
	}
}

func TestLetterCaseIsLostForAnHour(t *testing.T) {
	s, ck := lab()
	s.Answered(at(server), Answer{RTT: time.Millisecond, TCP: true, CaseLost: true})
	if c := ask(t, s); c.Cannot != NoCase {
		t.Errorf("got %+v", c)
	}
	ck.Advance(limits.AbilityLife)
	if c := ask(t, s); c.Cannot != 0 {
		t.Errorf("an hour later: %+v", c)
	}
}

func TestServersThatOnlySpeakTCP(t *testing.T) {
	s, ck := lab()
	addr := at(server)
	for n := range signsNeeded {
		tried := &Tried{}
		for range limits.RetriesPerServer {
			c := chosen(t, s, tried)
			if c.Resort || c.Cannot != 0 {
				t.Fatalf("query %d: %+v, want UDP", n, c)
			}
			s.TimedOut(addr, 0)
			tried.TimedOut(c.NS, addr)
			ck.Advance(c.Timeout)
		}
		c := chosen(t, s, tried)
		if !c.Resort {
			t.Fatalf("query %d: %+v, want TCP at last", n, c)
		}
		s.Answered(addr, Answer{RTT: time.Millisecond, TCP: true, Resort: true})
	}
	if c := ask(t, s); c.Cannot != NeedTCP {
		t.Errorf("got %+v, want TCP at once", c)
	}
	s.Answered(addr, Answer{RTT: time.Millisecond, TCP: true})
	ck.Advance(limits.AbilityLife)
	if c := ask(t, s); c.Cannot != 0 {
		t.Errorf("an hour later: %+v", c)
	}
	s.Answered(addr, Answer{RTT: time.Millisecond})
	s.Answered(addr, Answer{RTT: time.Millisecond, TCP: true, Resort: true})
	if c := ask(t, s); c.Cannot != 0 {
		t.Errorf("after an answer over UDP one over TCP is no proof: %+v", c)
	}
}

func TestAServerWithoutTCPAnyMore(t *testing.T) {
	s, _ := lab()
	s.Learn(at(server), NeedTCP)
	s.TCPFailed(at(server))
	if c := ask(t, s); c.Cannot&NeedTCP != 0 {
		t.Errorf("got %+v, want UDP", c)
	}
}

func TestOneConnectionForSilentServers(t *testing.T) {
	s, ck := lab()
	cut := cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	tried, resorts, asked := &Tried{}, 0, 0
	for {
		c, ok := s.Choose(Want{Cut: cut, Tried: tried})
		if !ok {
			break
		}
		asked++
		if c.Resort {
			resorts++
			tried.Resorted()
			s.TCPFailed(c.Endpoint)
		}
		tried.TimedOut(c.NS, c.Endpoint)
		s.TimedOut(c.Endpoint, 0)
		ck.Advance(time.Second)
	}
	if resorts > 1 || asked > 3*(1+limits.RetriesPerServer) {
		t.Errorf("%d questions, %d over TCP", asked, resorts)
	}
}

func TestSlowServersGetAnotherTry(t *testing.T) {
	s, ck := lab()
	slow, fast := at("192.0.2.1"), at("192.0.2.2")
	cut := cutOf(t, "192.0.2.1", "192.0.2.2")
	s.Answered(slow, Answer{RTT: time.Second})
	for range 10 { // the fast one is asked all the time
		s.Answered(fast, Answer{RTT: 50 * time.Millisecond})
		ck.Advance(time.Minute)
	}
	if got := share(s, Want{Cut: cut}, 100); got["192.0.2.1"] > 20 {
		t.Errorf("after ten minutes the slow one was asked %d times of 100", got["192.0.2.1"])
	}
	for range 20 {
		s.Answered(fast, Answer{RTT: 50 * time.Millisecond})
		ck.Advance(time.Minute)
	}
	if got := share(s, Want{Cut: cut}, 100); got["192.0.2.1"] < 50 {
		t.Errorf("after half an hour the slow one was asked %d times of 100", got["192.0.2.1"])
	}
	ck.Advance(limits.RTTLife)
	if h := s.Host(slow); h.Known() {
		t.Errorf("what was long ago still counts: %+v", h)
	}
}

func TestTimeoutsAreForgotten(t *testing.T) {
	s, ck := lab()
	for range 4 {
		s.TimedOut(at(server), 0)
		ck.Advance(time.Second)
	}
	if h := s.Host(at(server)); h.Timeouts != 4 {
		t.Errorf("got %+v", h)
	}
	ck.Advance(limits.TimeoutsLife)
	if h := s.Host(at(server)); h.Timeouts != 0 || h.Timeout(0) != limits.UDPFirstTimeout {
		t.Errorf("ten minutes later: %+v", h)
	}
}
