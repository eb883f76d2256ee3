package upstream

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"kresd/internal/limits"
)

// Most of what a question costs is its socket: six system calls of eight. So a
// socket that has brought its answer, and nothing else, may carry some more
// questions to the same server.
//
// What a forger has to guess stays what it was (HARDENING A3): for each question
// the port is one of 64512 and the ID one of 65536, both from crypto/rand, and
// the only way to know the port of the next question is to have guessed or seen it
// with an earlier one. Therefore
//
//   - a socket is connected to one server and never asks another, so that who runs
//     one server learns nothing about the ports towards others;
//   - it carries one question at a time, each with an ID and letter case of its
//     own, at most limits.UpstreamSocketUses of them and none when it is older than
//     limits.UpstreamSocketLife: who finds a port by probing it (SAD DNS) finds it
//     too late;
//   - only a good answer lets it live. A timeout, or any datagram beside the
//     answer, during the question or after it, shows that somebody may know the
//     port, and closes it.

// udpSocket is the socket of a udpQuery, and the server and address that it belongs to.
type udpSocket struct {
	fd     int // -1: no socket
	to     netip.AddrPort
	source netip.Addr
	opened time.Duration // on the clock's monotonic scale
	uses   int           // questions that it was used for
	// watched tells that the poller knows it.
	watched bool
	stay    bool // the last question ended well: the socket may carry another
}

// fits tells whether the socket of a may carry a question from source to the server.
func (a *udpQuery) fits(to netip.AddrPort, source netip.Addr, now time.Duration) bool {
	return a.fd >= 0 && a.to == to && a.source == source && now-a.opened < limits.UpstreamSocketLife && a.silent()
}

// silent tells whether nothing has come since the answer, no ICMP error either.
func (a *udpQuery) silent() bool {
	_, errno := receive(a.fd, a.buf, &a.from)
	return errno == syscall.EAGAIN
}

// mayStay tells at the end of a question whether there may be a next one.
func (a *udpQuery) mayStay(v match, now time.Duration) bool {
	return v == answer && a.junk == 0 && a.uses < limits.UpstreamSocketUses && now-a.opened < limits.UpstreamSocketLife
}

// disconnect closes the socket of a, if there is one.
func (a *udpQuery) disconnect() {
	if a.fd >= 0 {
		closeSocket(a.fd) // leaves the epoll set by that
		a.fd = -1
	}
	select {
	case <-a.ready:
	default:
	}
}

// idleSockets are the udpQuerys whose sockets wait for another question. Where there is no
// room for one more, the one that has waited longest gives way: most servers are asked
// once and not again, so that what is kept for them would soon take the place of what is
// kept for those that everybody asks.
type idleSockets struct {
	byServer       map[netip.AddrPort][]*udpQuery // stacks; an empty one is forgotten by expired
	oldest, newest *udpQuery                      // the ends of a list in the order in which they came
	n, max         int
}

// idleOrder is a udpQuery's place among idleSockets.
type idleOrder struct{ before, after *udpQuery }

// newIdleSockets leaves most of the process's descriptors to others.
func newIdleSockets() idleSockets {
	const share = 16
	most := limits.UpstreamIdleSockets
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Cur/share < uint64(most) {
		most = int(files.Cur / share)
	}
	return idleSockets{byServer: map[netip.AddrPort][]*udpQuery{}, max: most}
}

// put adds one. The one that had to give way for it, or else nil, is the caller's.
func (s *idleSockets) put(a *udpQuery) (instead *udpQuery) {
	if s.max == 0 { // hardly any descriptor may be open
		return a
	}
	if s.n >= s.max {
		instead = s.longest()
	}
	s.n++
	s.byServer[a.to] = append(s.byServer[a.to], a)
	if a.order.before = s.newest; s.newest == nil {
		s.oldest = a
	} else {
		s.newest.order.after = a
	}
	s.newest = a
	return instead
}

// take removes the one for a server that was used last; nil: there is none.
func (s *idleSockets) take(to netip.AddrPort) *udpQuery {
	list := s.byServer[to]
	if len(list) == 0 {
		return nil
	}
	a := list[len(list)-1]
	s.byServer[to] = list[:len(list)-1]
	s.left(a)
	return a
}

// longest removes the one that has waited longest; nil: there is none. No other of its
// server's has waited as long.
func (s *idleSockets) longest() *udpQuery {
	a := s.oldest
	if a == nil {
		return nil
	}
	list := slices.Delete(s.byServer[a.to], 0, 1)
	if s.byServer[a.to] = list; len(list) == 0 {
		delete(s.byServer, a.to)
	}
	s.left(a)
	return a
}

// left takes one that is in no stack any more out of the order.
func (s *idleSockets) left(a *udpQuery) {
	s.n--
	if before := a.order.before; before == nil {
		s.oldest = a.order.after
	} else {
		before.order.after = a.order.after
	}
	if after := a.order.after; after == nil {
		s.newest = a.order.before
	} else {
		after.order.before = a.order.before
	}
	a.order = idleOrder{}
}

// expired removes those whose sockets are too old.
func (s *idleSockets) expired(now time.Duration) (old []*udpQuery) {
	for to, list := range s.byServer {
		young := list[:0]
		for _, a := range list {
			if now-a.opened < limits.UpstreamSocketLife {
				young = append(young, a)
			} else {
				old = append(old, a)
			}
		}
		clear(list[len(young):])
		if s.byServer[to] = young; len(young) == 0 {
			delete(s.byServer, to)
		}
	}
	for _, a := range old {
		s.left(a)
	}
	return old
}
