package upstream

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// An answer that was lost among datagrams that cannot be read is fetched over
// TCP when its time is over, not before (HARDENING A7); a server without TCP
// has then not answered in time, no more.
func TestAnAnswerLostInAFloodIsFetchedOverTCP(t *testing.T) {
	junk := func(s *testServer, from netip.AddrPort, q []byte) {
		for range 2000 {
			s.send(from, bytes.Repeat([]byte{0xff}, 100)) // QR, and no opcode that exists
		}
	}
	for _, tcp := range []bool{true, false} {
		s := &testServer{onUDP: junk}
		if tcp {
			s.onTCP = truthTCP
		}
		s.start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		// Over TCP it is waited for twice as long as by UDP: on a busy machine it may need more.
		wait := 100 * time.Millisecond
		r, err := lostInAFlood(t, e, s.addr, wait)
		for tcp && errors.Is(err, resolve.ErrTimeout) && wait < limits.UDPMaxTimeout {
			wait = min(2*wait, limits.UDPMaxTimeout)
			r, err = lostInAFlood(t, e, s.addr, wait)
		}
		if !tcp {
			wantErr(t, err, resolve.ErrTimeout)
			continue
		}
		if got := address(t, r, err); got != truth || !r.TCP {
			t.Errorf("got %x over TCP %v", got, r.TCP)
		}
	}
}

// lostInAFlood asks a server that floods, and not over TCP before its time is over.
func lostInAFlood(t *testing.T, e *Exchanger, to netip.AddrPort, wait time.Duration) (resolve.Reply, error) {
	t.Helper()
	x := question(t, to, "www.example.")
	x.Timeout = wait
	start := time.Now()
	r, err := e.Exchange(background, x)
	if took := time.Since(start); took < wait {
		t.Errorf("it ended after %v, want not before %v", took, wait)
	}
	return r, err
}
