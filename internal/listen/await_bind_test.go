package listen

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

// withoutRights runs fn on a thread that may bind no port below 1024, and that ends with it.
func withoutRights(t *testing.T, fn func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_BIND_SERVICE
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	return done
}

// awaitingLow is a server that waits for an address with a port below 1024.
func awaitingLow(t *testing.T, bind func(fd int, addr netip.AddrPort) error) (*Server, *machine, netip.AddrPort) {
	s, m := awaiting(t)
	s.bind = bind
	addr := netip.MustParseAddrPort("127.0.0.123:7")
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for _, k := range []transport.Kind{transport.UDP, transport.TCP} {
		s.endpoints = append(s.endpoints, &endpoint{Endpoint: Endpoint{Addr: addr, Kind: k, Awaited: true}})
	}
	m.gets("127.0.0.123")
	return s, m, addr
}

// A supervisor that is frozen holds up who waits for an address, and nobody else: what is
// asked with each question, told of the sockets or closed meanwhile.
func TestAFrozenSupervisorHoldsUpNobodyElse(t *testing.T) {
	asked, thaw := make(chan struct{}, 9), make(chan struct{})
	s, m, addr := awaitingLow(t, func(fd int, addr netip.AddrPort) error {
		asked <- struct{}{}
		<-thaw
		return unix.Bind(fd, toSockaddr(netip.AddrPortFrom(addr.Addr(), 0), 0))
	})
	looked := withoutRights(t, func() { s.look() })
	select {
	case <-asked:
	case <-looked:
		t.Fatalf("nobody was asked to bind %v; told %q", addr, m.told())
	}
	others := make(chan struct{})
	go func() {
		defer close(others)
		s.Endpoints()
		s.Stats()
		s.Stuck()
		s.Any(func(Endpoint) bool { return false })
		if !s.Close(addr) {
			t.Error("what is awaited cannot be closed")
		}
	}()
	select {
	case <-others:
	case <-time.After(20 * time.Second):
		t.Error("others wait for the supervisor")
	}
	close(thaw)
	comes(t, "the look is over", looked)
	if left := s.Endpoints(); len(left) != 0 {
		t.Errorf("what was closed is served: %+v", left)
	}
}

// An address for which the supervisor binds nothing in time is awaited further.
func TestAnAddressIsAwaitedUntilTheSupervisorAnswers(t *testing.T) {
	answer := error(context.DeadlineExceeded)
	s, m, addr := awaitingLow(t, func(int, netip.AddrPort) error { return answer })
	comes(t, "both looks are over", withoutRights(t, func() {
		if !s.look() || !s.Awaits(addr) || m.told() != "" {
			t.Errorf("after a supervisor that is late: told %q, endpoints %+v", m.told(), s.Endpoints())
		}
		answer = unix.EADDRINUSE
		if s.look() || s.Awaits(addr) || !strings.Contains(m.told(), "address already in use") {
			t.Errorf("after an answer: told %q, endpoints %+v", m.told(), s.Endpoints())
		}
	}))
}

// A port that this process may not bind is bound for it, to be served as any other, and found out
// about before; where that fails nothing is left, and the reason is the other's.
func TestLowPortsAreBoundByAnother(t *testing.T) {
	for _, ip := range []string{"127.0.0.123", "::1"} {
		low := netip.AddrPortFrom(netip.MustParseAddr(ip), 7)
		var answer error
		b := binder(func(fd int, addr netip.AddrPort) error {
			if answer != nil {
				return answer
			}
			return unix.Bind(fd, toSockaddr(netip.AddrPortFrom(addr.Addr(), 0), 0))
		})
		comes(t, "sockets are bound", withoutRights(t, func() {
			for _, k := range []transport.Kind{transport.UDP, transport.TCP} {
				bound, err := b.endpoint(low, Endpoint{Kind: k})
				if err != nil || bound.port == 0 || bound.port == low.Port() {
					t.Errorf("%v at %v: %v, port %d", k, low, err, bound.port)
				} else {
					bound.close()
				}
				if err := b.probe(low, only(k)); err != nil {
					t.Errorf("%v at %v cannot be tried: %v", k, low, err)
				}
			}
			answer = unix.EADDRINUSE
			for _, k := range []transport.Kind{transport.UDP, transport.TCP} {
				if _, err := b.endpoint(low, Endpoint{Kind: k}); !errors.Is(err, answer) {
					t.Errorf("%v at %v: %v, want %v", k, low, err, answer)
				}
			}
			if err := b.probe(low, both); !errors.Is(err, answer) {
				t.Errorf("%v is tried: %v, want %v", low, err, answer)
			}
		}))
	}
}
