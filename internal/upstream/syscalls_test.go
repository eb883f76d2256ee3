package upstream

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// What the socket of a question is: connected, on a port of its own, blind to
// path MTU messages (HARDENING A3, A12).
func TestSocketOptions(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		s := (&testServer{}).start(t, ip)
		e := newExchanger(t, Config{})
		source := e.source(s.addr.Addr())
		a := e.poller.take(s.addr, source)
		if err := e.open(a, s.addr, source); err != nil {
			t.Fatal(err)
		}
		level, mtu := syscall.IPPROTO_IP, ipMTUDiscover
		if s.addr.Addr().Is6() {
			level, mtu = syscall.IPPROTO_IPV6, ipv6MTUDiscover
		}
		for _, o := range []struct {
			name                string
			level, option, want int
		}{
			{"MTU_DISCOVER", level, mtu, 5}, // OMIT
			{"SO_REUSEADDR", syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0},
			{"SO_REUSEPORT", syscall.SOL_SOCKET, 15, 0},
		} {
			if got, err := syscall.GetsockoptInt(a.fd, o.level, o.option); err != nil || got != o.want {
				t.Errorf("%s: %s is %d (%v), want %d", ip, o.name, got, err, o.want)
			}
		}
		if _, err := syscall.Getpeername(a.fd); err != nil {
			t.Errorf("%s: not connected: %v", ip, err)
		}
		flags, _, _ := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(a.fd), syscall.F_GETFD, 0)
		if flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("%s: a child process would inherit the socket", ip)
		}
		e.poller.give(a)
	}
}

// draws makes the next octets of e's entropy known.
func draws(e *entropy, values ...uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.has, e.at = true, len(e.buf)-2*len(values)
	for i, v := range values {
		binary.BigEndian.PutUint16(e.buf[e.at+2*i:], v)
	}
}

func TestPortInUseIsDrawnAgain(t *testing.T) {
	taken, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	in := uint16(taken.LocalAddr().(*net.UDPAddr).Port)
	out := uint16(free.LocalAddr().(*net.UDPAddr).Port)
	free.Close()

	from := make(chan netip.AddrPort, 1)
	s := (&testServer{onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
		from <- f
		truthUDP(s, f, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	draws(&e.entropy, in, 53, in, out) // 53 is below what is drawn
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	address(t, r, err)
	if got := (<-from).Port(); got != out {
		t.Errorf("question came from port %d, want %d", got, out)
	}
	e = newExchanger(t, Config{}) // without a socket that may be used again
	all := make([]uint16, limits.UpstreamPortTries)
	for i := range all {
		all[i] = in
	}
	draws(&e.entropy, all...)
	_, err = e.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, resolve.ErrLocal)
}

// Between bind and connect the kernel takes datagrams from anybody; they are
// told apart by their sender.
func TestForeignSenderIsIgnored(t *testing.T) {
	e := newExchanger(t, Config{})
	q, want := aQuestion()
	server := netip.MustParseAddrPort("192.0.2.1:53")
	for from, match := range map[string]match{
		"192.0.2.1:53": answer, "192.0.2.1:54": ignored, "192.0.2.2:53": ignored, "[2001:db8::1]:53": ignored,
	} {
		a := &udpQuery{want: *want, buf: reply(q, truth)}
		a.peer.set(server)
		a.from.set(netip.MustParseAddrPort(from))
		if _, got := e.read(a, len(a.buf)); got != match {
			t.Errorf("from %s: match %d, want %d", from, got, match)
		}
	}
	six := netip.MustParseAddrPort("[2001:db8::1]:53")
	var a, b sockaddr
	a.set(six)
	for _, other := range []string{"[2001:db8::2]:53", "[2001:db8::1]:54", "[2001:db9::1]:53", "192.0.2.1:53"} {
		if b.set(netip.MustParseAddrPort(other)); a.same(&b) {
			t.Errorf("%v and %s are the same", six, other)
		}
	}
}

func TestInfrastructureMayHaveMoreWaiting(t *testing.T) {
	if got := maxWaiting(&resolve.Exchange{Infrastructure: true}); got != 1000 {
		t.Errorf("%d may wait for infrastructure, want 1000", got)
	}
	if got := maxWaiting(&resolve.Exchange{PerServer: 600}); got != 600 {
		t.Errorf("the operator's limit: %d", got)
	}
	if got := maxWaiting(&resolve.Exchange{PerServer: 600, Infrastructure: true}); got != 6000 {
		t.Errorf("the operator's limit for the infrastructure: %d", got)
	}
	if got := maxWaiting(&resolve.Exchange{}); got != 100 {
		t.Errorf("%d may wait for a server, want 100", got)
	}
}
