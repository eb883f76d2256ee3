package listen

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Every answer that is posted leaves once, whoever posts at the same time, and
// what cannot leave is counted and holds up nothing.
func TestOutboxSendsEachAnswerOnce(t *testing.T) {
	rfd, to := boundUDP(t)
	sfd, _ := boundUDP(t)
	var o udpSender
	var done, failed atomic.Int64
	sent := func(l answerBatch, n int) {
		done.Add(int64(len(l.to)))
		failed.Add(int64(n))
	}
	const each, posters = 40, 4 // fits a receive buffer
	var all sync.WaitGroup
	for p := range posters {
		all.Go(func() {
			for i := range each {
				q := &Query{}
				q.name, q.nameLen = to, 16
				if i == each/2 {
					q.nameLen = 3 // no address
				}
				o.send(sfd, q, fmt.Appendf(nil, "%d/%d", p, i), true, sent)
			}
		})
	}
	all.Wait()
	if done.Load() != each*posters || failed.Load() != posters {
		t.Fatalf("%d of %d gone, %d failed, want %d", done.Load(), each*posters, failed.Load(), posters)
	}
	seen := map[string]int{}
	buf := make([]byte, 64)
	for range (each - 1) * posters {
		n, _, err := unix.Recvfrom(rfd, buf, unix.MSG_DONTWAIT)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(seen), err)
		}
		seen[string(buf[:n])]++
	}
	if len(seen) != (each-1)*posters {
		t.Errorf("%d different answers, want %d", len(seen), (each-1)*posters)
	}
	if len(o.headers) != limits.UDPBatch || o.busy {
		t.Errorf("busy %v with %d headers after the last answer", o.busy, len(o.headers))
	}
}

// boundUDP is a socket on the loopback address, and that address.
func boundUDP(t *testing.T) (fd int, at sockaddr) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	binary.NativeEndian.PutUint16(at[:], unix.AF_INET)
	binary.BigEndian.PutUint16(at[2:], uint16(name.(*unix.SockaddrInet4).Port))
	copy(at[4:], []byte{127, 0, 0, 1})
	return fd, at
}
