package doq

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// grouped is a UDP socket in the port group of an address.
func grouped(t *testing.T, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	conf := net.ListenConfig{Control: controlReusePort}
	c, err := conf.ListenPacket(context.Background(), "udp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UDPConn)
}

// A socket that has left learns whether somebody passes on to it what comes to its address:
// a sibling does, who has the directory; nobody at all does not, nor a stranger.
func TestWhoLeavesLearnsWhetherItIsPassedOn(t *testing.T) {
	for name, c := range map[string]struct {
		sibling, stranger, want bool
	}{"a sibling": {true, false, true}, "nobody": {false, false, false}, "a stranger": {false, true, false}} {
		at := freeAt(t)
		dir := filepath.Join(t.TempDir(), "quic")
		o := serverOptions(t, Options{Dir: dir})
		own := grouped(t, at)
		l, err := Listen(own, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		if c.sibling || c.stranger {
			if c.stranger {
				o.Dir = filepath.Join(t.TempDir(), "quic")
			}
			other, err := Listen(grouped(t, at), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(other.Close)
		}
		connect(t, own, at)
		if got := l.PassedOn(at); got != c.want {
			t.Errorf("%s: passed on %t", name, got)
		}
	}
}

// Where probes cannot be sent, and where there is nobody else, nobody passes anything on.
func TestWhereNoProbeArrives(t *testing.T) {
	sink, at := localUDP(t)
	_, alone, _ := echoServerOf(t, Options{})
	if alone.PassedOn(at) {
		t.Error("without a directory something is passed on")
	}
	if _, err := sink.WriteToUDPAddrPort([]byte("the first"), at); err != nil {
		t.Fatal(err)
	}
	_ = sink.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 100)
	if n, err := sink.Read(buf); err != nil || string(buf[:n]) != "the first" {
		t.Errorf("without a directory there are probes: %x, %v", buf[:n], err)
	}
	_, l, _ := echoServerOf(t, Options{Dir: filepath.Join(t.TempDir(), "quic")})
	for what, at := range map[string]string{"an address that may not be asked": "255.255.255.255:1", "a port that is none": "127.0.0.1:0"} {
		if l.PassedOn(netip.MustParseAddrPort(at)) {
			t.Errorf("%s: something is passed on", what)
		}
	}
}

// Probes that nobody passes on are few, each from a port of its own, which is closed, and the
// next is another.
func TestProbesAreFewAndEachFromAnotherPort(t *testing.T) {
	_, l, _ := echoServerOf(t, Options{Dir: filepath.Join(t.TempDir(), "quic")})
	sink, at := localUDP(t)
	before := descriptors(t)
	const times = 3
	for range times {
		if l.PassedOn(at) {
			t.Error("nobody passes on, and it is said that somebody does")
		}
	}
	if more := descriptors(t) - before; more >= times*limits.QUICProbes {
		t.Errorf("%d descriptors more are open", more)
	}
	packets, ports := map[string]bool{}, map[uint16]bool{}
	if _, err := sink.WriteToUDPAddrPort([]byte("the last"), at); err != nil {
		t.Fatal(err)
	}
	_ = sink.SetReadDeadline(time.Now().Add(20 * time.Second))
	n := 0
	for buf := make([]byte, 100); ; n++ {
		size, from, err := sink.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("after %d probes the last packet does not come: %v", n, err)
		}
		if string(buf[:size]) == "the last" {
			break
		}
		packets[string(buf[:size])], ports[from.Port()] = true, true
		if to, ok := tagIn(buf[:size]); !ok || to != l.relay.tag {
			t.Errorf("a probe for %x, %t", to, ok)
		}
	}
	if n != times*limits.QUICProbes || len(packets) != times || len(ports) < limits.QUICProbes {
		t.Errorf("%d probes, %d of them unlike, from %d ports", n, len(packets), len(ports))
	}
}

// Of what is passed on, a relay's probe alone is kept from its clients.
func TestAProbeIsToldFromPackets(t *testing.T) {
	conn, _ := localUDP(t)
	r := joined(t, newJunction(conn))
	if r.probed([]byte("packet")) {
		t.Error("a packet is a probe, where none was sent")
	}
	p := &probe{[]byte("probe"), make(chan struct{}, 1)}
	r.probe.Store(p)
	if r.probed([]byte("packet")) || len(p.came) > 0 {
		t.Error("a packet is the probe")
	}
	if !r.probed([]byte("probe")) || len(p.came) != 1 || !r.probed([]byte("probe")) {
		t.Error("the probe is none, or not twice")
	}
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func controlReusePort(_, _ string, raw syscall.RawConn) (err error) {
	if outer := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); outer != nil {
		return outer
	}
	return err
}
