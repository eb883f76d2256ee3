package listen

import (
	"sync/atomic"
)

// Stats are the sums over a Server's sockets since it was made.
type Stats struct {
	UDP      uint64 // queries by UDP that were looked at
	TCP      uint64 // and on connections
	Answered uint64 // answered on the listener's own thread
	Dropped  uint64 // dropped by a Session
	Driver   uint64 // sent the driver's way

	Ignored uint64 // not a query: too short, a response, or from a port that no client has
	Oversize,
	SendErrors,
	Batches uint64

	Refused uint64 // no place on the driver's way
	Evicted uint64 // lost its place on the driver's way to a younger one
	Failed  uint64 // the handler returned without an answer, or panicked
	Panics  uint64 // recovered in sessions and handlers

	TCPAccepted uint64
	TCPShed     uint64 // idle connections closed to make room
	TCPRefused  uint64 // connections for which there was no room
	TCPStalled  uint64 // clients that did not read their answers

	Handshakes       uint64 // of TLS that are done
	Resumed          uint64 // of these, those that resumed a session
	HandshakesFailed uint64
	HandshakesOpen   int // that are under way now
	HandshakesQueued int // of these, those that wait until another has been computed

	HTTPRequests uint64 // requests by HTTP, whatever became of them
	HTTPBad      uint64 // of these, those that carried no question
	HTTPRefused  uint64 // of these, those for which there was no room
	HTTPStreams  uint64 // streams refused, or ended with their connection, because there were too many
	HTTPBroken   uint64 // violations of HTTP/2

	Waiting    int // queries on the driver's way now
	Goroutines int // and the goroutines that work on them
	Conns      int // open connections
}

// threadStats are the counters of one thread. Only it writes them, once a batch,
// so a plain sum is stored and no cache line is shared with another thread.
type threadStats struct {
	_ [64]byte
	v [threadCounters]atomic.Uint64
	_ [64]byte
}

// The counters of a thread.
const (
	nQueries = iota
	nAnswered
	nDropped
	nDriver
	nIgnored
	nOversize
	nSendErrors
	nBatches
	threadCounters
)

// counts are what a thread counts within a batch.
type counts [threadCounters]uint64

// publish adds c to the counters and clears it.
func (t *threadStats) publish(c *counts) {
	for i, n := range c {
		if n != 0 {
			t.v[i].Store(t.v[i].Load() + n)
			c[i] = 0
		}
	}
}

// addTo adds the counters to a sum.
func (t *threadStats) addTo(c *counts) {
	for i := range c {
		c[i] += t.v[i].Load()
	}
}

// addTo adds to a sum what the thread of an endpoint's socket has counted. Connections have
// none; they are counted by the Server.
func (e *endpoint) addTo(c *counts) {
	if u, ok := e.socket.(*udpSocket); ok {
		u.stats.addTo(c)
	}
}

// driverStats count what happens off the threads.
type driverStats struct {
	started, refused, evicted, failed, sendErrors atomic.Uint64
}

// tcpStats count what happens to connections and on them.
type tcpStats struct {
	queries, answered, dropped, driver, ignored atomic.Uint64
	accepted, shed, refused, stalled            atomic.Uint64
}

// Stats sums up. It may be called at any time.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	c := s.gone
	for _, e := range s.endpoints {
		e.addTo(&c)
	}
	for e := range s.leaving {
		e.addTo(&c)
	}
	s.mu.Unlock()
	st := Stats{
		UDP:              c[nQueries],
		TCP:              s.tcp.queries.Load(),
		Answered:         c[nAnswered] + s.tcp.answered.Load(),
		Dropped:          c[nDropped] + s.tcp.dropped.Load(),
		Driver:           c[nDriver] + s.tcp.driver.Load(),
		Ignored:          c[nIgnored] + s.tcp.ignored.Load(),
		Oversize:         c[nOversize],
		SendErrors:       c[nSendErrors] + s.driver.sendErrors.Load(),
		Batches:          c[nBatches],
		Refused:          s.driver.refused.Load(),
		Evicted:          s.driver.evicted.Load(),
		Failed:           s.driver.failed.Load(),
		Panics:           s.panics.Panics(),
		TCPAccepted:      s.tcp.accepted.Load(),
		TCPShed:          s.tcp.shed.Load(),
		TCPRefused:       s.tcp.refused.Load(),
		TCPStalled:       s.tcp.stalled.Load(),
		Handshakes:       s.tls.done.Load(),
		Resumed:          s.tls.resumed.Load(),
		HandshakesFailed: s.tls.failed.Load(),
		HTTPRequests:     s.http.requests.Load(),
		HTTPBad:          s.http.bad.Load(),
		HTTPRefused:      s.http.refused.Load(),
		HTTPStreams:      s.http.streams.Load(),
		HTTPBroken:       s.http.broken.Load(),
		HandshakesOpen:   int(s.tls.open.Load()),
		HandshakesQueued: int(s.turns.waiting.Load()),
		Conns:            s.conns.len(),
	}
	st.Waiting, st.Goroutines = s.pending.sizes()
	return st
}
