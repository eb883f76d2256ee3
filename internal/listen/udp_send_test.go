package listen

import (
	"encoding/binary"
	"fmt"
	"net/netip"
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

// Answers that are held leave together, when they are released.
func TestHeldAnswersLeaveTogether(t *testing.T) {
	rfd, to := boundUDP(t)
	sfd, _ := boundUDP(t)
	var o udpSender
	for i := range byte(3) {
		q := &Query{}
		q.name, q.nameLen = to, 16
		o.hold(q, []byte{i})
	}
	buf := make([]byte, 8)
	if n, _, err := unix.Recvfrom(rfd, buf, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Fatalf("%d octets have left, %v", n, err)
	}
	var batches []int
	o.release(sfd, false, func(l answerBatch, _ int) { batches = append(batches, len(l.to)) })
	for i := range byte(3) {
		if n, _, err := unix.Recvfrom(rfd, buf, unix.MSG_DONTWAIT); n != 1 || err != nil || buf[0] != i {
			t.Fatalf("answer %d: %v, %v", i, buf[:n], err)
		}
	}
	if len(batches) != 1 || batches[0] != 3 || o.busy {
		t.Errorf("batches of %v, busy %v", batches, o.busy)
	}
}

// Answers of one client to which the time has come together leave by one system call for
// each socket.
func TestPacedAnswersLeaveTogether(t *testing.T) {
	s := New(newEcho(), Options{Limits: &limits.Counters{}})
	rfd, to := boundUDP(t)
	var sockets []*udpSocket
	for range 2 {
		fd, _ := boundUDP(t)
		sockets = append(sockets, &udpSocket{s: s, fd: fd})
	}
	client := Client{Addr: netip.MustParseAddrPort("192.0.2.1:5353")}
	p := &pace{hadLine: true}
	for i := range byte(6) {
		u := sockets[i/3]
		q := newQuery(ask(uint16(i), 'd'), &client, u)
		q.name, q.nameLen = to, 16
		u.users.Add(1)
		if !s.admit(q) {
			t.Fatal("no place")
		}
		p.line = append(p.line, delayed{q: q, msg: []byte{i}})
	}
	p.waiting = 6
	s.pending.paces.of[client.Addr.Addr()] = p
	s.pending.release(client.Addr.Addr())
	buf := make([]byte, 8)
	for i := range byte(6) {
		if n, _, err := unix.Recvfrom(rfd, buf, unix.MSG_DONTWAIT); n != 1 || err != nil || buf[0] != i {
			t.Fatalf("answer %d: %v, %v", i, buf[:n], err)
		}
	}
	for _, u := range sockets {
		u.users.Wait()
	}
	if waiting, _ := s.pending.sizes(); waiting != 0 || len(s.pending.paces.of) != 0 {
		t.Errorf("%d questions wait, %d clients have a pace", waiting, len(s.pending.paces.of))
	}
}

// A socket that nobody fills has room.
func TestASocketHasRoom(t *testing.T) {
	own, _ := ownThread(t, "127.0.0.1:0")
	if !own.writable() {
		t.Error("it has none")
	}
}
