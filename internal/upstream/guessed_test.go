package upstream

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// guess sends wrong IDs, at a pace that the resolver's socket has room for.
func guess(s *testServer, from netip.AddrPort, q []byte, n int) {
	a := reply(q, evil)
	id := binary.BigEndian.Uint16(a)
	for i := range n {
		binary.BigEndian.PutUint16(a, id+1+uint16(i))
		if s.send(from, a); i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// Who tried 20,000 IDs at the port of a question to a server without TCP had his answer
// believed when he came to the right one.
func TestWhoTriesIDsFindsAnotherPort(t *testing.T) {
	for what, onTCP := range map[string]string{"no TCP": "refused", "TCP that says nothing": "silent"} {
		ports := map[uint16]bool{}
		s := (&testServer{onTCP: withoutTCP[onTCP], onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			if ports[from.Port()] = true; len(ports) > 1 {
				truthUDP(s, from, q)
				return
			}
			guess(s, from, q, 20*limits.GuessesPerPort)
			s.send(from, reply(q, evil))
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		x := question(t, s.addr, letters)
		x.Timeout = time.Second
		r, err := e.Exchange(background, x)
		if got := address(t, r, err); got != truth || r.TCP {
			t.Errorf("%s: got %x over TCP %v", what, got, r.TCP)
		}
	}
}

// Where somebody guesses at each port, there is no answer, and an end.
func TestWhoGuessesAtEachPortGetsNothingBelieved(t *testing.T) {
	var mu sync.Mutex
	ports := map[netip.AddrPort]bool{}
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		mu.Lock()
		ports[from] = true
		mu.Unlock()
		guess(s, from, q, 4*limits.GuessesPerPort)
		s.send(from, reply(q, evil))
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, letters)
	x.Timeout = 500 * time.Millisecond
	if r, err := e.Exchange(background, x); !errors.Is(err, resolve.ErrTimeout) {
		t.Errorf("got %+v %v", r, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) != 1+limits.GuessedPorts {
		t.Errorf("asked from %d ports", len(ports))
	}
}

// Two hundred copies of one wrong answer ahead of the good one, from a server without
// TCP, left every port, and the client without an answer.
func TestOneWrongAnswerManyTimesIsNoGuessing(t *testing.T) {
	for _, what := range []string{"refused", "silent"} {
		var mu sync.Mutex
		ports := map[uint16]bool{}
		s := (&testServer{onTCP: withoutTCP[what], onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			mu.Lock()
			ports[from.Port()] = true
			mu.Unlock()
			wrong := reply(q, evil)
			wrong[0]++
			for range 4 * limits.GuessesPerPort {
				s.send(from, wrong)
			}
			truthUDP(s, from, q)
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		x := question(t, s.addr, letters)
		x.Timeout = time.Second
		r, err := e.Exchange(background, x)
		mu.Lock()
		if got := address(t, r, err); got != truth || len(ports) != 1 {
			t.Errorf("TCP %s: got %x, asked from %d ports", what, got, len(ports))
		}
		mu.Unlock()
	}
}
