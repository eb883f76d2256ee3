package listen

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

var (
	both    = Flags{Kinds: []transport.Kind{transport.UDP, transport.TCP}}
	udpOnly = Flags{Kinds: []transport.Kind{transport.UDP}}
	tcpOnly = Flags{Kinds: []transport.Kind{transport.TCP}}
)

func TestListenNamesTheAddressThatFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := netip.MustParseAddrPort(taken.Addr().String())
	for _, opened := range []bool{false, true} {
		s := New(newEcho(), Options{})
		if opened {
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
		}
		for addr, want := range map[netip.AddrPort]error{
			at: unix.EADDRINUSE,
			netip.MustParseAddrPort("192.0.2.1:5353"): unix.EADDRNOTAVAIL,
		} {
			err := s.Listen(addr, both)
			var be *BindError
			if !errors.As(err, &be) || !errors.Is(err, want) || be.Addr != addr {
				t.Errorf("opened %v: Listen(%v) = %v, want a BindError of it with %v", opened, addr, err, want)
			}
		}
		if got := s.Endpoints(); len(got) != 0 {
			t.Errorf("opened %v: endpoints after failures: %v", opened, got)
		}
		if err := s.Listen(netip.MustParseAddrPort("192.0.2.1:5353"), Flags{Kinds: both.Kinds, FreeBind: true}); err != nil {
			t.Errorf("opened %v: with FreeBind: %v", opened, err)
		}
		s.Drain(t.Context())
	}
}

func TestBindErrorReadsLikeTheLog(t *testing.T) {
	err := bindError(netip.MustParseAddrPort("[::1]:53"), &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", unix.EACCES)})
	if got, want := err.Error(), "bind to '::1@53': permission denied"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProbeTakesNothingFromAGroup(t *testing.T) {
	first := serve(t, newEcho(), "127.0.0.1:0")
	at := first.Endpoints()[0].Addr
	s := New(newEcho(), Options{})
	if err := s.Listen(at, both); err != nil {
		t.Fatalf("an address that a sibling serves: %v", err)
	}
	for i := range 64 {
		exchange(t, udpClient(t, at), ask(uint16(i), 'f'))
	}
	if st := s.Stats(); st.UDP != 0 {
		t.Errorf("before Open %d queries came", st.UDP)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for s.Stats().UDP == 0 {
		exchange(t, udpClient(t, at), ask(1, 'f'))
	}
	s.Drain(t.Context())
}

func TestOpenNamesAnAddressThatOnlyBindCanRefuse(t *testing.T) {
	// The same user's, without SO_REUSEPORT; on a port that no client's TCP connection has.
	taken, err := net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(freePort(t)))))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := netip.MustParseAddrPort(taken.LocalAddr().String())
	s := New(newEcho(), Options{})
	if err := s.Listen(at, both); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err == nil || !strings.Contains(err.Error(), at.Addr().String()) {
		t.Errorf("Open = %v, want an error that names %v", err, at)
	}
	s.Drain(t.Context())
}

func TestForeignSocketsAreFound(t *testing.T) {
	if !littleEndian {
		t.Log("the list below is a little-endian machine's")
	}
	list := `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 16012 2 0000000000000000 0
  200: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   102        0 16013 2 0000000000000000 0
garbage
  300: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 16014 2 0000000000000000 0
`
	for _, c := range []struct {
		addr string
		want bool
	}{
		{"127.0.0.53:53", true}, {"0.0.0.0:53", true}, {"127.0.0.1:53", false},
		{"192.0.2.7:5353", true}, {"127.0.0.1:8080", false}, {"0.0.0.0:54", false},
	} {
		if got := foreignIn(strings.NewReader(list), netip.MustParseAddrPort(c.addr), 1000); got != c.want {
			t.Errorf("foreignIn(%s) = %v, want %v", c.addr, got, c.want)
		}
	}
	got, ok := procAddr("B80D0120000000000000000001000000:0035")
	if want := netip.MustParseAddrPort("[2001:db8::1]:53"); !ok || got != want {
		t.Errorf("procAddr of an IPv6 socket = %v %v, want %v", got, ok, want)
	}
	for _, text := range []string{"", "3500007F", "3500007:0035", "3500007G:0035", "350000:0035", "3500007F:", "3500007F:10000", "3500007F:x", ":0035", "3500007F3500007F:0035"} {
		if got, ok := procAddr(text); ok {
			t.Errorf("procAddr(%q) = %v", text, got)
		}
	}
}

func TestEndpointsKeepTheirOrder(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.3:0", "127.0.0.1:0", "[::1]:0")
	list := s.Endpoints()
	for i, want := range []string{"127.0.0.3", "127.0.0.1", "::1"} {
		udp, tcp := list[2*i], list[2*i+1]
		if got := udp.Addr.Addr().String(); got != want || udp.Addr.Port() == 0 || udp.Kind != transport.UDP {
			t.Errorf("endpoint %d is %v, want %s with a port by UDP", 2*i, udp, want)
		}
		if tcp.Addr != udp.Addr || tcp.Kind != transport.TCP {
			t.Errorf("endpoint %d is %v, want TCP at %v", 2*i+1, tcp, udp.Addr)
		}
	}
	if err := s.Listen(list[2].Addr, tcpOnly); err != nil || len(s.Endpoints()) != 6 {
		t.Errorf("listening again: %v, endpoints %v", err, s.Endpoints())
	}
}

func TestCloseKeepsConnections(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0", "127.0.0.2:0")
	at := s.Endpoints()[0].Addr
	u, c := udpClient(t, at), tcpClient(t, at)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	if _, err := u.Write(ask(2, 'w')); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the query waits", func() bool { return s.Stats().Waiting == 1 })
	if !s.Close(at) {
		t.Fatal("Close of what is listened on = false")
	}
	if s.Close(at) {
		t.Error("Close again = true")
	}
	eventually(t, "TCP refuses", func() bool {
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(h.release)
	buf := make([]byte, 100)
	if _, err := u.Read(buf); err != nil || id(buf) != 2 {
		t.Errorf("what waited when its address was closed: ID %d, %v", id(buf), err)
	}
	sendFrames(t, c, ask(3, 'f'))
	if got := readFrame(t, c); id(got) != 3 {
		t.Errorf("established connection answers with ID %d, want 3", id(got))
	}
	if err := s.Listen(at, both); err != nil {
		t.Errorf("listening anew: %v", err)
	}
	exchange(t, udpClient(t, at), ask(4, 'f'))
	counted(t, s, "2 by each transport, a closed socket's too", func(st Stats) bool {
		return st.UDP == 2 && st.TCP == 2
	})
}

// boundPair is a UDP and a TCP socket of one port, which others may have for one
// of the two.
func boundPair(t *testing.T, addr string) (*net.UDPConn, *net.TCPListener) {
	t.Helper()
	for {
		pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr)})
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, ln.(*net.TCPListener)
		}
		pc.Close()
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

func TestAdoptedSocketsServe(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		pc, ln := boundPair(t, addr)
		bound := pc.LocalAddr().(*net.UDPAddr).AddrPort()
		s := New(newEcho(), Options{})
		for _, c := range []interface{ File() (*os.File, error) }{pc, ln} {
			f, err := c.File()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Adopt(f, both.Kinds); err != nil {
				t.Fatalf("%s: %v", addr, err)
			}
		}
		if list := s.Endpoints(); len(list) != 2 || list[0] != (Endpoint{Addr: list[1].Addr, Kind: transport.UDP, Inherited: true}) || list[1].Kind != transport.TCP || !list[1].Inherited {
			t.Errorf("%s: endpoints %+v, want one by each transport, inherited", addr, list)
		}
		asked := netip.MustParseAddrPort("127.0.0.1:1")
		if addr == "0.0.0.0" { // an answer must name it, because the kernel would choose 127.0.0.1
			asked = netip.MustParseAddrPort("127.0.0.9:1")
		}
		if strings.Contains(addr, ":") {
			asked = netip.MustParseAddrPort("[::1]:1")
		}
		asked = netip.AddrPortFrom(asked.Addr(), bound.Port())
		early := udpClient(t, asked)
		if _, err := early.Write(ask(7, 'f')); err != nil {
			t.Fatal(err)
		}
		if err := s.Open(); err != nil { // as user() does before the configuration has ended
			t.Fatal(err)
		}
		if n := s.Stats().UDP; n != 0 {
			t.Errorf("%s: %d queries were taken in before ServeAdopted", addr, n)
		}
		if err := s.ServeAdopted(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		early.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := early.Read(buf); err != nil {
			t.Errorf("%s: what waited in the socket is not answered: %v", addr, err)
		}
		exchange(t, udpClient(t, asked), ask(1, 'f'))
		exchange(t, udpClient(t, asked), ask(1, 'd'))
		if n := len(s.Copies(9)); n != 0 {
			t.Errorf("%s: %d copies of what others have too", addr, n)
		}
		c := tcpClient(t, asked)
		sendFrames(t, c, ask(2, 'd'))
		readFrame(t, c)
		s.Drain(t.Context())
		// Leaving must not have changed the socket for its other unscheduled.
		u := udpClient(t, asked)
		if _, err := u.Write(ask(5, 'f')); err != nil {
			t.Fatal(err)
		}
		if n, _, err := pc.ReadFrom(buf); err != nil || n != 13 {
			t.Errorf("%s: the other holder reads %d octets, %v", addr, n, err)
		}
		pc.Close()
		ln.Close()
	}
}

// A socket that somebody else has bound has room for bursts as our own have, and is sent from
// as these are.
func TestAnAdoptedSocketIsPrepared(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		ip := netip.MustParseAddr(addr)
		pc, err := net.ListenUDP(network("udp", ip), &net.UDPAddr{IP: ip.AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		f, err := pc.File()
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, newEcho())
		if err := errors.Join(s.Adopt(f, both.Kinds), s.ServeAdopted()); err != nil {
			t.Fatal(err)
		}
		own, err := binder(nil).udp(netip.AddrPortFrom(ip, 0), false)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(own)
		for what, option := range map[string][2]int{
			"receive buffer": {unix.SOL_SOCKET, unix.SO_RCVBUF}, "packet info": {unix.SOL_IP, unix.IP_PKTINFO},
			"packet info by IPv6": {unix.SOL_IPV6, unix.IPV6_RECVPKTINFO},
			"fragments":           {unix.SOL_IP, unix.IP_MTU_DISCOVER}, "fragments by IPv6": {unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER},
		} {
			_ = withFD(pc, func(fd int) error {
				got, err := unix.GetsockoptInt(fd, option[0], option[1])
				want, failed := unix.GetsockoptInt(own, option[0], option[1])
				if got != want || (err == nil) != (failed == nil) {
					t.Errorf("%s, %s: %d, %v; one of our own has %d, %v", addr, what, got, err, want, failed)
				}
				return nil
			})
		}
	}
}

// Who was given one socket of a service has it whole: nothing is bound beside.
func TestAnInheritedServiceIsThere(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	f, err := pc.File()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, newEcho())
	if err := s.Adopt(f, both.Kinds); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	for _, flags := range []Flags{both, tcpOnly} {
		if err := s.Listen(at, flags); err != nil || len(s.Endpoints()) != 1 || !refused(at) {
			t.Errorf("%v: %v, endpoints %+v, want the inherited one alone", flags.Kinds, err, s.Endpoints())
		}
	}
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if f, err = ln.File(); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(f, udpOnly.Kinds); !errors.Is(err, ErrNotServed) {
		t.Errorf("a TCP socket for a service by UDP: %v, want %v", err, ErrNotServed)
	}
}

func TestAdoptRefusesWhatIsNoSocket(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	r, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, family, kind int, at unix.Sockaddr) *os.File {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), name)
	}
	dir := t.TempDir()
	for _, f := range []*os.File{
		file, os.NewFile(uintptr(r), "unbound"),
		made("a TCP socket that does not listen", unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		made("a UNIX socket that does not listen", unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: dir + "/stream"}),
		made("a UNIX socket for datagrams", unix.AF_UNIX, unix.SOCK_DGRAM, &unix.SockaddrUnix{Name: dir + "/datagrams"}),
	} {
		if err := New(newEcho(), Options{}).Adopt(f, both.Kinds); !errors.Is(err, ErrNotASocket) {
			t.Errorf("Adopt(%s) = %v, want %v", f.Name(), err, ErrNotASocket)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s is left open", f.Name())
		}
	}
}

// When a server has left, nothing that it had opened is open.
func TestAServerThatHasLeftHasNothingOpen(t *testing.T) {
	files := openFiles(t)
	s := New(newEcho(), Options{})
	if err := errors.Join(s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), both), s.Open()); err != nil {
		t.Fatal(err)
	}
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	c.Close()
	s.Drain(t.Context())
	eventually(t, "all is closed", func() bool { return openFiles(t) <= files })
}

// A server that has left opens nothing any more, and says so, however often.
func TestAServerThatHasLeftOpensNothing(t *testing.T) {
	s := serve(t, newEcho())
	s.Drain(t.Context())
	s.Drain(t.Context())
	for range 2 {
		pc, ln := boundPair(t, "127.0.0.1")
		defer pc.Close()
		defer ln.Close()
		f, err := pc.File()
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"Open":         s.Open(),
			"Listen":       s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), both),
			"ListenPath":   s.ListenPath(t.TempDir()+"/dns", atPath),
			"Adopt":        s.Adopt(f, both.Kinds),
			"ServeAdopted": s.ServeAdopted(),
			"Finish":       s.Finish(copyOf(t, ln)),
		} {
			if !errors.Is(err, ErrLeaving) {
				t.Errorf("%s: %v, want %v", what, err, ErrLeaving)
			}
		}
	}
	if len(s.Endpoints()) != 0 {
		t.Errorf("endpoints %+v", s.Endpoints())
	}
}

// Who chooses a server has to know whether it is this one.
func TestWhereClientsAsk(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.3:0", "0.0.0.0:0", "[::]:0")
	one, four, six := s.Endpoints()[0].Addr.Port(), s.Endpoints()[2].Addr.Port(), s.Endpoints()[4].Addr.Port()
	for _, c := range []struct {
		addr               string
		port               uint16
		itself, everywhere bool
	}{
		{"127.0.0.3", one, true, false}, {"127.0.0.4", one, false, false}, {"0.0.0.0", four, true, true}, {"127.0.0.4", four, false, true},
		{"::1", four, false, false}, {"::1", six, false, true}, {"127.0.0.4", six, false, false}, {"127.0.0.3", 9, false, false},
	} {
		itself, everywhere := s.Receives(netip.AddrPortFrom(netip.MustParseAddr(c.addr), c.port))
		if itself != c.itself || everywhere != c.everywhere {
			t.Errorf("%s, port %d of %d, %d, %d: itself %v, everywhere %v", c.addr, c.port, one, four, six, itself, everywhere)
		}
		if got := s.ReceivesAt(c.port); got != (c.port != 9) {
			t.Errorf("at port %d: %v", c.port, got)
		}
	}
	if ByPath(s.Endpoints()[0].Addr) || !ByPath(unixPeer) {
		t.Error("what came by a UNIX socket is not known")
	}
}

// An address that is closed takes no other with it, and one at which nobody listens closes none.
func TestClosingAnAddressLeavesTheOthers(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.3:0", "127.0.0.4:0")
	all := s.Endpoints()
	if s.Close(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), all[0].Addr.Port())) || len(s.Endpoints()) != 4 {
		t.Errorf("what is not listened on is closed; %+v is left", s.Endpoints())
	}
	if !s.Close(all[0].Addr) || s.Close(all[0].Addr) || !slices.Equal(s.Endpoints(), all[2:]) {
		t.Errorf("%+v is left", s.Endpoints())
	}
	exchange(t, udpClient(t, all[2].Addr), ask(1, 'f'))
	c := tcpClient(t, all[2].Addr)
	sendFrames(t, c, ask(2, 'f'))
	readFrame(t, c)
}
