package upstream

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
)

func TestMixedCaseIsRandomAndTheSameName(t *testing.T) {
	n := name(t, "a-name-with.many.letters.and.0123456789.example.")
	var rnd entropy
	upper := make([]int, n.Len())
	const draws = 2000
	for range draws {
		got := appendMixed(nil, n, &rnd)
		if back, err := dnsname.FromWire(got); err != nil || back != n {
			t.Fatalf("% x is %v %v, want %v", got, back, err, n)
		}
		for i := range got {
			if got[i] != n[i] {
				upper[i]++
			}
		}
	}
	for i, u := range upper {
		letter := n[i] >= 'a' && n[i] <= 'z'
		if !letter && u != 0 || letter && (u < draws*2/5 || u > draws*3/5) {
			t.Errorf("octet %d (%q) changed %d times of %d", i, n[i], u, draws)
		}
	}
}

// lowerUDP and lowerTCP answer with the name in lower case, as servers do that
// destroy it.
func lowerUDP(s *testServer, from netip.AddrPort, q []byte) { s.send(from, lowered(q)) }

func lowered(q []byte) []byte {
	r := reply(q, truth)
	recase(r[12:questionEnd(q)-4], func(c byte) byte { return c | 0x20 })
	return r
}

func lowerTCP(s *testServer, c net.Conn) {
	for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
		writeFrame(c, lowered(q))
	}
}

// A case mismatch is asked again over TCP, then plainly over UDP, and what was
// learnt is told.
func TestCaseLost(t *testing.T) {
	const long = "a.name.whose.letters.are.not.all.small.by.chance.example."
	for _, c := range []struct {
		name      string
		onTCP     func(*testServer, net.Conn)
		tcp, lost bool
		sent      int
	}{
		{"TCP keeps the case: somebody forged", truthTCP, true, false, 2},
		{"TCP loses it too", lowerTCP, true, true, 2},
		{"no TCP", nil, false, true, 2},
		{"TCP closes at once", func(*testServer, net.Conn) {}, false, true, 4},
	} {
		s := (&testServer{onUDP: lowerUDP, onTCP: c.onTCP}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		x := question(t, s.addr, long)
		r, err := e.Exchange(background, x)
		if got := address(t, r, err); got != truth || r.TCP != c.tcp || r.CaseLost != c.lost {
			t.Errorf("%s: reply %+v, want TCP %v and case lost %v", c.name, r, c.tcp, c.lost)
		}
		if x.Budget.Sent() > c.sent {
			t.Errorf("%s: %d sends debited, want at most %d", c.name, x.Budget.Sent(), c.sent)
		}
	}
}

func TestNoCaseSendsPlainLettersAndTakesAny(t *testing.T) {
	const text = "a.name.whose.letters.are.not.all.small.by.chance.example."
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		if want := []byte(name(t, text)); !bytes.Contains(q, want) {
			t.Errorf("query % x does not hold the name in lower case", q)
		}
		r := reply(q, truth)
		recase(r[12:questionEnd(q)-4], func(c byte) byte { return c &^ 0x20 })
		s.send(from, r)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, text)
	x.NoCase = true
	r, err := e.Exchange(background, x)
	if address(t, r, err) != truth || r.TCP || r.CaseLost {
		t.Errorf("reply %+v, want a plain one over UDP", r)
	}
}

func TestEntropyIsWipedAndNotRepeated(t *testing.T) {
	var e entropy
	seen := map[[16]byte]bool{}
	for range 1000 {
		var b [16]byte
		e.read(b[:])
		if seen[b] {
			t.Fatal("the same 16 octets came twice")
		}
		seen[b] = true
		if !bytes.Equal(e.buf[:e.at], make([]byte, e.at)) {
			t.Fatal("octets stay behind after they were handed out")
		}
	}
	long := make([]byte, 3000)
	e.read(long)
	if bytes.Contains(long, make([]byte, 16)) {
		t.Error("a read longer than a block was not filled")
	}
}

// Only letters change: another octet in their place would be the question for another name.
func TestOnlyLettersAreMixed(t *testing.T) {
	var rnd entropy
	for c := range 256 {
		plain := "\x08" + strings.Repeat(string([]byte{byte(c)}), 8) + "\x00"
		letter := c >= 'a' && c <= 'z'
		for range 8 {
			for i, got := range appendMixed(nil, dnsname.Name(plain), &rnd) {
				if got != plain[i] && (!letter || got != plain[i]&^0x20) {
					t.Fatalf("octet %d is sent as %d", plain[i], got)
				}
			}
		}
	}
}
