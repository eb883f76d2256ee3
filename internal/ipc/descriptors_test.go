package ipc

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// pipes makes n pipes; what is written to the first end of one comes out of the
// second.
func pipes(t *testing.T, n int) (in, out Descriptors) {
	t.Helper()
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		in, out = append(in, p[1]), append(out, p[0])
	}
	t.Cleanup(in.Close)
	return in, out
}

// copies counts this process's descriptors of the same pipe as fd.
func copies(t *testing.T, fd int) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	pipe, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	for _, e := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); to == pipe {
			n++
		}
	}
	return n
}

func TestDescriptorsComeWithTheirMessage(t *testing.T) {
	sup, link := linked(t)
	if _, err := sup.Receive(); err != nil { // hello
		t.Fatal(err)
	}
	in, out := pipes(t, limits.HandedSockets)
	link.CacheDir("before")
	link.Sockets(out)
	link.Sockets(nil)
	out.Close()
	for i, want := range []int{0, limits.HandedSockets, 0} {
		m, err := sup.Receive()
		if err != nil || len(m.FDs) != want {
			t.Fatalf("message %d (%v) came with %d descriptors, %v; want %d", i, m.Kind, len(m.FDs), err, want)
		}
		for n, fd := range m.FDs {
			buf := make([]byte, 9)
			unix.Write(in[n], []byte{byte(n)})
			if got, err := unix.Read(fd, buf); got != 1 || buf[0] != byte(n) {
				t.Fatalf("descriptor %d gives %v, %v", n, buf[:max(got, 0)], err)
			}
			if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Fatalf("descriptor %d would be inherited by children", n)
			}
		}
		m.FDs.Close()
	}
}

func TestDescriptorsOfALongMessage(t *testing.T) {
	sup, link := linked(t)
	_, out := pipes(t, 2)
	defer out.Close()
	long := strings.Repeat("x", limits.IPCFrame/2)
	go link.send(Message{Kind: Fatal, Line: long, FDs: out})
	for {
		m, err := sup.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == Fatal {
			if len(m.FDs) != 2 || m.Line != long {
				t.Errorf("%d descriptors and %d octets, want 2 and %d", len(m.FDs), len(m.Line), len(long))
			}
			m.FDs.Close()
			return
		}
	}
}

func TestTheNewestOfEachOwnersSocketsIsEntrusted(t *testing.T) {
	sup, link := linked(t)
	_, out := pipes(t, 3)
	defer out.Close()
	before := copies(t, out[0])
	for range 20 {
		if err := sup.Send(Message{Kind: Keep, PID: 7, FDs: out}); err != nil {
			t.Fatal(err)
		}
	}
	sup.Send(Message{Kind: Keep, PID: 8, FDs: out})
	sup.Send(Message{Kind: Roster, FDs: out}) // of a later version
	sup.Send(Message{Kind: "later still", FDs: out})
	sup.Send(Message{Kind: Keep, PID: 8})
	sup.Send(Message{Kind: Give})
	<-link.Give()
	<-link.Entrusted()
	list := link.TakeEntrusted()
	if len(list) != 2 || list[0].PID != 7 || len(list[0].FDs) != 3 || list[1].PID != 8 || len(list[1].FDs) != 0 {
		t.Errorf("entrusted are %+v", list)
	}
	for _, m := range list {
		m.FDs.Close()
	}
	if after := copies(t, out[0]); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
	if len(link.TakeEntrusted()) != 0 {
		t.Error("what was taken is still there")
	}
}
