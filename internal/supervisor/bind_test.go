package supervisor

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
)

// The sockets of a worker that starts are bound for it, and of one that serves only what it
// has said that it waits for.
func TestSocketsAreBoundForWorkersThatStart(t *testing.T) {
	const free, awaited = "127.0.0.1:0", "127.0.0.2:0"
	for _, c := range []struct {
		state state
		addr  string
		want  unix.Errno
	}{
		{starting, free, 0}, {starting, "192.0.2.1:0", unix.EADDRNOTAVAIL}, {starting, "[::1]:0", unix.EAFNOSUPPORT}, {starting, "nonsense", unix.EINVAL},
		{ready, free, unix.EACCES}, {ready, awaited, 0}, {draining, free, unix.EACCES},
	} {
		w := newWorker(&slot{}, 1)
		w.state, w.awaited = c.state, []string{awaited}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.bind(ipc.Message{Kind: ipc.Bind, Addr: c.addr, FDs: ipc.Descriptors{fd}}); got != c.want {
			t.Errorf("state %d, %s: %v, want %v", c.state, c.addr, got, c.want)
		}
		if sa, err := unix.Getsockname(fd); err != nil || (sa.(*unix.SockaddrInet4).Port != 0) != (c.want == 0) {
			t.Errorf("state %d, %s: bound to %+v, %v", c.state, c.addr, sa, err)
		}
		unix.Close(fd)
	}
	if got := newWorker(&slot{}, 1).bind(ipc.Message{Addr: free}); got != unix.EINVAL {
		t.Errorf("without a socket: %v", got)
	}
}

func TestTheZoneOfAnAddressIsTheNumberOfAnInterface(t *testing.T) {
	sa := socketAddress(netip.MustParseAddrPort("[fe80::1%7]:53")).(*unix.SockaddrInet6)
	if sa.ZoneId != 7 || sa.Port != 53 || sa.Addr != [16]byte{0: 0xfe, 1: 0x80, 15: 1} {
		t.Errorf("%+v", sa)
	}
	if got := withoutZone(netip.MustParseAddrPort("[fe80::1%7]:53")); got != "[fe80::1]:53" {
		t.Errorf("without its zone it is %s", got)
	}
}

// A worker that serves cannot say later that it waits for an address.
func TestWhatIsAwaitedIsSaidAtTheStart(t *testing.T) {
	s := bench(1)
	w := s.beside(0, 900)
	for _, addr := range []string{"127.0.0.2:0", "127.0.0.3:0"} {
		s.message(w, ipc.Message{Kind: ipc.Ready, Awaited: []string{addr}})
	}
	if len(w.awaited) != 1 || w.awaited[0] != "127.0.0.2:0" {
		t.Errorf("it waits for %v", w.awaited)
	}
	s.worker(0).closeHere()
}
