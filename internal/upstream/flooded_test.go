package upstream

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

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
		x := question(t, s.addr, "www.example.")
		x.Timeout = 100 * time.Millisecond
		start := time.Now()
		r, err := e.Exchange(background, x)
		if took := time.Since(start); took < x.Timeout {
			t.Errorf("TCP %v: it ended after %v, want not before %v", tcp, took, x.Timeout)
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
