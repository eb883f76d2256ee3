package listen

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the system refuses what a socket needs, or there is no socket, the reason is told.
func TestWhatASocketIsRefusedIsTold(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	refused := map[string]error{
		"an option":        set(-1, sockopt{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}),
		"a UDP socket's":   setUDP(-1, false, true),
		"what was closed":  withFD(f, func(int) error { return nil }),
		"what never was":   withFD(&net.TCPConn{}, func(int) error { return nil }),
		"what is detached": func() error { _, err := detach(f); return err }(),
		"what is shared":   listenConfig(false, func(int) error { return nil }).Control("udp4", "", noSocket{}),
		"what is prepared": (&net.ListenConfig{Control: listenConfig(true, func(int) error { return unix.ENOBUFS }).Control}).Control("udp4", "", noSocket{}),
	}
	for what, err := range refused {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if err := set(-1); err != nil {
		t.Errorf("no option at all: %v", err)
	}
}

// noSocket is the descriptor of none.
type noSocket struct{}

func (noSocket) Control(fn func(fd uintptr)) error    { fn(^uintptr(0)); return nil }
func (noSocket) Read(func(fd uintptr) bool) error     { return nil }
func (noSocket) Write(fn func(fd uintptr) bool) error { return nil }

// A thread that waits for datagrams does so in the system: its socket blocks.
func TestASocketForAThreadBlocks(t *testing.T) {
	fd, err := binder(nil).udp(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %x, %v", flags, err)
	}
}

// A port that another user's program has for UDP is found in the list of the system.
func TestAnotherUsersPortIsFound(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		at := pc.LocalAddr().(*net.UDPAddr).AddrPort()
		if foreignUDP(at, os.Getuid()) || !foreignUDP(at, os.Getuid()+1) {
			t.Errorf("%s: another user's: %v, that of this one: %v", at, foreignUDP(at, os.Getuid()+1), foreignUDP(at, os.Getuid()))
		}
	}
}
