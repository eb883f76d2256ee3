package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

// orphan binds a UDP socket that nobody reads from, as a dead process's, beside
// those of a server.
func orphan(t *testing.T, at netip.AddrPort) int {
	t.Helper()
	fd, err := binder(nil).udp(at, false)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestFinishAnswersWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		bind, ask string
		leaving   bool // its owner was killed while it left
	}{
		{"127.0.0.1", "127.0.0.1", false},
		{"0.0.0.0", "127.0.0.9", false},
		{"0.0.0.0", "127.0.0.9", true},
		{"::1", "::1", true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s := serve(t, newEcho(), netip.AddrPortFrom(netip.MustParseAddr(c.bind), 0).String())
			bound := s.Endpoints()[0].Addr
			at := netip.AddrPortFrom(netip.MustParseAddr(c.ask), bound.Port())
			fd := orphan(t, bound)
			var clients []*net.UDPConn
			for i := range 50 { // some of them the kernel gives to the orphan
				clients = append(clients, udpClient(t, at))
				if _, err := clients[i].Write(ask(uint16(i), 'f')); err != nil {
					t.Fatal(err)
				}
			}
			if c.leaving {
				if err := connectToItself(fd, bound); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Finish(fd); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 512)
			for i, client := range clients { // connected: an answer from elsewhere does not come
				_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := client.Read(buf); err != nil || id(buf) != uint16(i) {
					t.Errorf("client %d: %v", i, err)
				}
			}
			if n := len(s.Endpoints()); n != 2 {
				t.Errorf("%d endpoints, want the server's own two alone", n)
			}
			// From now on everybody is answered, also by a server that had no part in this.
			for i := range 50 {
				exchange(t, udpClient(t, at), ask(uint16(i), 'f'))
			}
		})
	}
}

func TestFinishAcceptsWhoWaits(t *testing.T) {
	s := serve(t, newEcho())
	ln, err := binder(nil).tcp(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	at := plainAddr(ln.Addr())
	var clients []*net.TCPConn
	for range 5 {
		clients = append(clients, tcpClient(t, at))
	}
	fd := copyOf(t, ln)
	ln.Close()
	if err := s.Finish(fd); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		sendFrames(t, c, ask(uint16(i), 'f'))
		if got := readFrame(t, c); id(got) != uint16(i) {
			t.Errorf("connection %d: answer %v", i, got)
		}
	}
	eventually(t, "nobody listens", func() bool { return refused(at) })
}

// Clients that connect while sockets of the dead are closed notice nothing. One
// whose handshake is half done just then is out of luck, which on loopback is
// rare; without care for those that are complete it is each third socket.
func TestFinishResetsHardlyAnybody(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	stop := make(chan struct{})
	var group sync.WaitGroup
	var asked, lost atomic.Int64
	for range 4 {
		group.Go(func() {
			for !ended(stop) {
				asked.Add(1)
				c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
				if err != nil {
					lost.Add(1)
					continue
				}
				_ = c.SetLinger(0)
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = c.Write(appendFrame(nil, ask(1, 'f')))
				if _, err := nextMessage(c); err != nil {
					lost.Add(1)
				}
				c.Close()
			}
		})
	}
	const rounds = 30
	for range rounds {
		ln, err := binder(nil).tcp(at, false)
		if err != nil {
			t.Fatal(err)
		}
		fd := copyOf(t, ln)
		ln.Close()
		time.Sleep(5 * time.Millisecond)
		if err := s.Finish(fd); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is closed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.leaving) == 0 })
	}
	close(stop)
	group.Wait()
	t.Logf("%d of %d connections lost at the end of %d sockets", lost.Load(), asked.Load(), rounds)
	if lost.Load() > rounds/10 {
		t.Errorf("%d of %d connections were lost at the end of %d sockets", lost.Load(), asked.Load(), rounds)
	}
}

func copyOf(t *testing.T, ln *net.TCPListener) (fd int) {
	t.Helper()
	err := withFD(ln, func(old int) (err error) {
		fd, err = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 3)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func refused(at netip.AddrPort) bool {
	c, err := net.DialTimeout("tcp", at.String(), time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

func TestFinishRefusesWhatIsNoSocket(t *testing.T) {
	s := serve(t, newEcho())
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(fd); err != ErrNotASocket {
		t.Errorf("a file: %v, want %v", err, ErrNotASocket)
	}
	s.Drain(context.Background())
	if err := s.Finish(orphan(t, netip.MustParseAddrPort("127.0.0.1:0"))); err != ErrLeaving {
		t.Errorf("a server that leaves: %v, want %v", err, ErrLeaving)
	}
}

// A copy of a socket that has left its group attracts nothing.
func TestCopiesHoldNothingBack(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	fds := s.Copies(9)
	if len(fds) != 2 || len(s.Copies(0)) != 0 {
		t.Fatalf("%d copies, want one of UDP and one of TCP", len(fds))
	}
	for _, fd := range fds {
		defer unix.Close(fd)
	}
	if network, _, _, err := identify(fds[0]); err != nil || network != "udp" {
		t.Errorf("the first copy is one of %q, %v; want UDP", network, err)
	}
	other := New(newEcho(), Options{})
	if err := other.Open(); err != nil {
		t.Fatal(err)
	}
	defer other.Drain(context.Background())
	if err := other.Listen(at, both); err != nil {
		t.Fatal(err)
	}
	s.Close(at)
	if n := len(s.Copies(9)); n != 0 {
		t.Errorf("%d copies of what is closed", n)
	}
	for i := range 50 {
		exchange(t, udpClient(t, at), ask(uint16(i), 'f'))
	}
	eventually(t, "the copy does not listen", func() bool { _, _, _, err := identify(fds[1]); return err == ErrNotASocket })
	other.Close(at)
	eventually(t, "nobody listens", func() bool { return refused(at) })
}

func TestChangesOfSocketsAreTold(t *testing.T) {
	told := 0
	s := New(newEcho(), Options{Changed: func() { told++ }})
	defer s.Drain(context.Background())
	at := netip.MustParseAddrPort("127.0.0.1:0")
	for i, step := range []struct {
		do   func() error
		want int
	}{
		{func() error { return s.Listen(at, udpOnly) }, 0}, // only planned
		{s.Open, 1},
		{func() error { return s.Listen(at, udpOnly) }, 2},
		{func() error { s.Close(s.Endpoints()[0].Addr); return nil }, 3},
	} {
		if err := step.do(); err != nil || told != step.want {
			t.Errorf("after step %d: told %d times, %v; want %d", i, told, err, step.want)
		}
	}
}

// A copy of a socket tells its kind by what is served there: at its address, at its port, or
// as plain DNS.
func TestTheKindOfACopy(t *testing.T) {
	at := netip.MustParseAddrPort
	s := &Server{}
	for _, e := range []Endpoint{
		{Addr: at("127.0.0.1:853"), Kind: transport.TLS}, {Addr: at("127.0.0.2:853"), Kind: transport.TCP}, {Addr: at("127.0.0.1:853"), Kind: transport.QUIC},
		{Addr: at("127.0.0.1:443"), Kind: transport.HTTPS}, {Addr: at("127.0.0.1:53"), Kind: transport.UDP},
	} {
		s.endpoints = append(s.endpoints, &endpoint{Endpoint: e})
	}
	for _, c := range []struct {
		addr, network string
		want          transport.Kind
	}{
		{"127.0.0.1:853", "tcp", transport.TLS}, {"127.0.0.2:853", "tcp", transport.TCP}, {"127.0.0.9:443", "tcp", transport.HTTPS},
		{"127.0.0.1:853", "udp", transport.UDP}, {"127.0.0.1:53", "tcp", transport.TCP}, {"127.0.0.1:9", "udp", transport.UDP},
	} {
		if got := s.kindAt(at(c.addr), c.network); got != c.want {
			t.Errorf("%s by %s: %v, want %v", c.addr, c.network, got, c.want)
		}
	}
}

// Where only some sockets can be copied, those for datagrams are, whose queries nobody else
// would answer.
func TestOnlySoManySocketsAreCopied(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0", "127.0.0.2:0")
	for most, want := range map[int][]int{
		1: {unix.SOCK_DGRAM}, 3: {unix.SOCK_DGRAM, unix.SOCK_DGRAM, unix.SOCK_STREAM},
		9: {unix.SOCK_DGRAM, unix.SOCK_DGRAM, unix.SOCK_STREAM, unix.SOCK_STREAM},
	} {
		var kinds []int
		for _, fd := range s.Copies(most) {
			kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
			if unix.Close(fd); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, kind)
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("of %d: kinds %v, want %v", most, kinds, want)
		}
	}
}
