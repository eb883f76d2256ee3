package listen

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"kresd/internal/transport"
)

// machine is what a machine has of the addresses that are awaited, and what was said
// about them.
type machine struct {
	mu   sync.Mutex
	has  map[netip.Addr]bool
	said []string
}

func (m *machine) gets(a string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.has[netip.MustParseAddr(a)] = true
}

func (m *machine) present(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.has[a]
}

func (m *machine) appeared(addr netip.AddrPort, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := addr.String()
	if err != nil {
		text += ": " + err.Error()
	}
	m.said = append(m.said, text)
}

func (m *machine) told() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.said, "|")
}

func awaiting(t *testing.T) (*Server, *machine) {
	m := &machine{has: map[netip.Addr]bool{}}
	s := New(newEcho(), Options{Panics: quietPanics(), Appeared: m.appeared})
	s.present = m.present
	t.Cleanup(func() {
		for _, e := range s.Endpoints() {
			s.Close(e.Addr)
		}
	})
	return s, m
}

func mustListen(t *testing.T, s *Server, addr string) netip.AddrPort {
	t.Helper()
	a := netip.MustParseAddrPort(addr)
	if err := s.Listen(a, Flags{Kinds: transport.Offering("dns"), Await: true}); err != nil {
		t.Fatalf("%s: %v", addr, err)
	}
	return a
}

// 192.0.2.0/24 is nobody's (RFC 5737), and no interface has the name nosuch0.

func TestAnAbsentAddressIsBoundAndAwaited(t *testing.T) {
	s, m := awaiting(t)
	addr := netip.MustParseAddrPort("192.0.2.7:5353")
	if err := s.Listen(addr, Flags{Kinds: transport.Offering("dns")}); err == nil {
		t.Fatal("an address is awaited without being asked to")
	}
	mustListen(t, s, "192.0.2.7:5353")
	mustListen(t, s, "192.0.2.7:5353") // again
	other := mustListen(t, s, "192.0.2.8:5353")
	here := mustListen(t, s, "127.0.0.1:0")
	if !s.Awaits(addr) || !s.Awaits(other) || s.Awaits(here) || len(s.Endpoints()) != 6 {
		t.Fatalf("endpoints %+v", s.Endpoints())
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.endpoints {
		if e.socket == nil {
			t.Errorf("%v is not bound in advance", e.Endpoint)
		}
	}
	m.gets("192.0.2.7")
	if !s.look() || s.Awaits(addr) || !s.Awaits(other) {
		t.Errorf("after one of two has appeared: %+v", s.Endpoints())
	}
	m.gets("192.0.2.8")
	if again := s.look(); again || s.look() {
		t.Error("what has appeared is awaited further")
	}
	if got := m.told(); got != "192.0.2.7:5353|192.0.2.8:5353" {
		t.Errorf("told of %q", got)
	}
}

// The address of an interface that does not exist cannot even be bound before.
func TestTheAddressOfALateInterfaceIsBoundWhenItComes(t *testing.T) {
	s, m := awaiting(t)
	addr := mustListen(t, s, "[fe80::7%nosuch0]:5353")
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	after := mustListen(t, s, "[fe80::8%nosuch0]:5353")
	for _, e := range s.endpoints {
		if e.socket != nil || !e.Awaited {
			t.Errorf("%v is bound", e.Endpoint)
		}
	}
	m.gets("fe80::7%nosuch0") // and goes at once, so that it cannot be bound
	s.look()
	if got := m.told(); !strings.HasPrefix(got, "[fe80::7%nosuch0]:5353: bind to 'fe80::7%nosuch0@5353': ") || s.Awaits(addr) || !s.Awaits(after) {
		t.Errorf("told %q; endpoints %+v", got, s.Endpoints())
	}
}

// Somebody looks for addresses only while there are such, and again for later ones.
func TestNobodyLooksForAddressesThatAreNotAwaited(t *testing.T) {
	s, m := awaiting(t)
	addr := mustListen(t, s, "192.0.2.7:5353")
	if !s.Close(addr) || s.Awaits(addr) {
		t.Fatal("an awaited address cannot be closed")
	}
	if s.look() {
		t.Error("closed addresses are awaited further")
	}
	addr = mustListen(t, s, "192.0.2.7:5353")
	m.gets("192.0.2.7")
	eventually(t, "the address is noticed without a call", func() bool { return !s.Awaits(addr) })
	if got := m.told(); got != "192.0.2.7:5353" {
		t.Errorf("told %q", got)
	}
}

func TestPresentAddresses(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1": true, "192.0.2.7": false, "fe80::1%nosuch0": false} {
		if Present(netip.MustParseAddr(addr)) != want {
			t.Errorf("present(%s) is not %v", addr, want)
		}
	}
}
