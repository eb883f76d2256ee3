package listen

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"kresd/internal/freeport"
	"kresd/internal/transport"
)

// A port that is open for streams is taken for readiness. It was open for them before
// it was for datagrams, and a question at that moment was refused.
func TestPortOpensForDatagramsFirst(t *testing.T) {
	turned := only(transport.TCP, transport.UDP)
	for round := range 50 {
		flags := []Flags{both, turned}[round%2]
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
		s := New(newEcho(), Options{})
		t.Cleanup(func() { s.Drain(t.Context()) })
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		listening := make(chan error, 1)
		go func() { listening <- s.Listen(at, flags) }()
		eventually(t, "the port is open for streams", func() bool {
			c, err := net.Dial("tcp", at.String())
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		u, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the kernel tells of a closed port at the next call
			if _, err := u.Write(ask(1, 'f')); errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal("the port is closed for datagrams while it is open for streams")
			}
		}
		u.Close()
		if err := <-listening; err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatagramsFirst(t *testing.T) {
	var group []*endpoint
	for _, k := range []transport.Kind{transport.TCP, transport.UDP, transport.TLS, transport.QUIC} {
		group = append(group, &endpoint{Endpoint: Endpoint{Kind: k}})
	}
	var got []transport.Kind
	for _, e := range datagramsFirst(group) {
		got = append(got, e.Kind)
	}
	if want := []transport.Kind{transport.UDP, transport.QUIC, transport.TCP, transport.TLS}; len(got) != 4 || [4]transport.Kind(got) != [4]transport.Kind(want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// freePort is a port that nothing is bound to, that no other test is given, and from which
// the kernel makes no connection: one that is made to itself would hold it.
func freePort(t *testing.T) uint16 {
	t.Helper()
	c, err := freeport.Choose()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c.Port
}
