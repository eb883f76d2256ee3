package listen

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// What a client does is looked at over all of its connections: else it would have more by
// coming again than by staying. Nothing is counted for loopback and forwarders, which ask
// for many (limits.Clients.Key).

// sources are the clients of connections that have come lately.
type sources struct {
	mu    sync.Mutex
	known limits.Recent[netip.Addr, *source]
}

// of is the client of that key, nil for one that nothing is counted for.
func (s *sources) of(key netip.Addr) *source {
	if !key.IsValid() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.known.Get(key)
	if !ok {
		c = &source{excess: crowd{gap: time.Second / limits.OwnPerSecond, slack: limits.OwnSlack}}
		s.known.Put(key, c, limits.SourcesKept)
	}
	return c
}

// A source is a client; nil is one that may do as it likes.
type source struct {
	excess crowd        // connections for which another of its own had to give way
	asked  atomic.Int64 // questions since then

	mu       sync.Mutex
	since    time.Duration // clock.Mono: when what is counted began
	offences int64
}

// asks notes a question.
func (c *source) asks() {
	if c != nil {
		c.asked.Add(1)
	}
}

// offends notes so many questions that were given up, or violations, and connections that
// came to nothing. Who has done nothing of that for a while begins anew.
func (c *source) offends(now time.Duration, n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offences == 0 || now-c.since >= limits.SourcePeriod {
		c.since, c.offences = now, 0
		c.asked.Store(0)
	}
	c.offences += int64(n)
}

// barred tells whether a client costs work and asks little, so that no connection of it is
// taken in for the rest of a period.
func (c *source) barred(now time.Duration) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offences > limits.SourceOffences && 2*c.offences > c.asked.Load() && now-c.since < limits.SourcePeriod
}

// exceeds notes a connection at now for which another one of its client has to give way,
// and tells whether these are too many.
func (c *source) exceeds(now time.Duration) bool { return c != nil && c.excess.turn(now) > 0 }

// offended notes what a client has done on a connection (source.offends), and tells whether
// it is barred by that.
func (s *Server) offended(c *connection, n int) (barred bool) {
	now := s.clock.Mono()
	c.source.offends(now, n)
	return c.source.barred(now)
}

// A price says who pays for a place.
type price uint8

// The prices of a place.
const (
	free   price = iota // nobody had to give way
	own                 // its own client pays, by another connection or by not having this one
	others              // somebody else, or all who would have had a place
)

// site takes a connection into the registry, or tells that there is no room for it. Whoever
// has to give way for it is told.
func (s *Server) site(c *connection) (who price, ok bool) {
	full, welcome := s.welcome(c)
	if !welcome {
		return own, false
	}
	return s.seat(c, full)
}

// welcome tells whether the client of a connection may have a place for it, and whether it
// is full: it has as many as it may, so that one of its own has to give way.
func (s *Server) welcome(c *connection) (full, ok bool) {
	now := s.clock.Mono()
	full = s.conns.full(c.key)
	switch {
	case c.source.barred(now):
		s.limits.Hit(limits.Offences)
		return full, false
	case full && c.source.exceeds(now):
		s.limits.Hit(limits.TCPConns)
		return full, false
	}
	return full, true
}

// seat is site for a client that is welcome.
func (s *Server) seat(c *connection, full bool) (who price, ok bool) {
	shed, ok := s.conns.add(c)
	if ok && shed == nil {
		return free, true
	}
	s.limits.Hit(limits.TCPConns)
	if shed != nil {
		s.tcp.shed.Add(1)
		shed.kill()
	}
	if full {
		return own, ok
	}
	return others, ok
}
