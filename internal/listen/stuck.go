package listen

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// A queueSample is what Stuck saw of a UDP socket: how many batches its thread had served,
// and whether a datagram waited.
type queueSample struct {
	batches uint64
	waiting bool
}

// Stuck finds a UDP socket in which a datagram waits and waited when Stuck was called
// last, and whose thread has served nothing between. A thread that is not stuck takes
// microseconds, so calls are to be some tenths of a second apart. The threads need do
// nothing for this. A socket that other processes receive from too is left out.
func (s *Server) Stuck() (addr netip.AddrPort, stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		u, ok := e.socket.(*udpSocket)
		if !ok || u.at.shared || u.leave.Load() {
			continue
		}
		before := u.sampled
		size, err := unix.IoctlGetInt(u.fd, unix.TIOCINQ) // SIOCINQ, of the next datagram
		u.sampled = queueSample{u.stats.v[nBatches].Load(), err == nil && size > 0}
		if before.waiting && u.sampled.waiting && before.batches == u.sampled.batches {
			addr, stuck = e.Addr, true
		}
	}
	return addr, stuck
}
