package listen

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

const procUDP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 4711 2 0000000000000000 0
 2: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
`

func TestWhoHasAnAddressInTheKernelsList(t *testing.T) {
	if !littleEndian {
		t.Skip("the list is that of a little-endian machine")
	}
	for text, want := range map[string]string{
		"127.0.0.53:53": "4711", "127.0.0.1:53": "", "0.0.0.0:53": "4711", "127.0.0.53:54": "", "192.0.2.1:8080": "4712", "[::1]:8080": "",
	} {
		h, inode, ok := holderIn(strings.NewReader(procUDP), netip.MustParseAddrPort(text), false)
		if ok != (want != "") || inode != want || ok && inode == "4711" && h.UID != 101 {
			t.Errorf("%s: socket %q of %+v, %v; want %q", text, inode, h, ok, want)
		}
	}
	const short = " 1: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713" // as long as need be
	if _, inode, _ := holderIn(strings.NewReader(short), netip.MustParseAddrPort("127.0.0.1:53"), true); inode != "4713" {
		t.Errorf("the socket of a listener is %q", inode)
	}
	if _, _, ok := holderIn(strings.NewReader(short[:strings.LastIndexByte(short, ' ')]), netip.MustParseAddrPort("127.0.0.1:53"), true); ok {
		t.Error("a line without the number of a socket tells of one")
	}
	if _, _, ok := holderIn(strings.NewReader(procUDP), netip.MustParseAddrPort("127.0.0.53:53"), true); ok {
		t.Error("a socket that does not listen has the port")
	}
}

func TestWhoHasAPort(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, addr := range []string{udp.LocalAddr().String(), strings.Replace(tcp.Addr().String(), "[::]", "127.0.0.1", 1), strings.Replace(tcp.Addr().String(), "[::]", "[::1]", 1)} {
		if h, ok := HolderOf(netip.MustParseAddrPort(addr)); !ok || h.PID != os.Getpid() || h.Name == "" || h.UID != os.Getuid() {
			t.Errorf("%s: %+v, %v; want this process", addr, h, ok)
		}
	}
	udp.Close()
	if h, ok := HolderOf(netip.MustParseAddrPort(udp.LocalAddr().String())); ok {
		t.Errorf("a port that is free is held by %+v", h)
	}
}

func TestTheUnitOfAProcess(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/systemd-resolved.service\n":                                               "systemd-resolved.service",
		"12:pids:/user.slice\n0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n": "user@1000.service",
		"0::/\n": "", "": "",
	} {
		if got := unitIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Sockets of one port are in each other's way at one address, and where one is for all
// addresses of the other's family; one for all of IPv6 may be for those of IPv4, too.
func TestWhichSocketsCollide(t *testing.T) {
	for _, c := range []struct {
		theirs, ours string
		want         bool
	}{
		{"192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false}, {"0.0.0.0", "192.0.2.1", true}, {"192.0.2.1", "0.0.0.0", true},
		{"::", "192.0.2.1", true}, {"::", "2001:db8::1", true}, {"2001:db8::1", "::", true}, {"0.0.0.0", "2001:db8::1", false},
		{"192.0.2.1", "::", false}, {"2001:db8::1", "0.0.0.0", false}, {"2001:db8::1", "2001:db8::2", false},
	} {
		if got := collide(netip.MustParseAddr(c.theirs), netip.MustParseAddr(c.ours)); got != c.want {
			t.Errorf("theirs %s, ours %s: %v", c.theirs, c.ours, got)
		}
	}
}
