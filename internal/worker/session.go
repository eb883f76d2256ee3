package worker

import (
	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/settings"
	"kresd/internal/wire"
)

// session is the cached answer's way of one listener's thread: what can be
// answered without the driver is answered here, on that thread, without
// allocating.
type session struct {
	fast     *cache.Fast
	chain    *module.Chain
	clock    *clock.Clock
	settings *settings.Settings
	counters *limits.Counters

	// These are for one batch of queries.
	now     int64 // Unix seconds
	bufsize uint16
	modules *module.Snapshot
	// These are for one query.
	q    wire.Question
	told module.Answered

	tallies []module.Tally
	// formerr counts answers to garbage within the second now.
	formerr int
}

// NewSession implements listen.Handler.
func (h *handler) NewSession() (listen.Session, error) {
	s := &session{fast: h.cache.NewFast(), chain: h.chain, clock: h.clock, settings: h.settings, counters: h.counters}
	s.told.Question = &s.q
	return s, nil
}

// Begin implements listen.Session.
func (s *session) Begin() {
	now := s.clock.Unix()
	if now != s.now {
		s.now, s.formerr = now, 0
	}
	s.bufsize = uint16(s.settings.Bufsize.Load())
	if modules := s.chain.Snapshot(); modules != s.modules {
		s.adopt(modules)
	}
	s.fast.Begin(now)
}

// adopt goes over to other modules.
func (s *session) adopt(modules *module.Snapshot) {
	s.modules = modules
	s.closeTallies()
	for _, open := range modules.Tallies {
		s.tallies = append(s.tallies, open())
	}
}

func (s *session) closeTallies() {
	for _, t := range s.tallies {
		t.Close()
	}
	s.tallies = nil
}

// End implements listen.Session.
func (s *session) End() { s.fast.End() }

// Close implements listen.Session.
func (s *session) Close() {
	s.fast.Close()
	s.closeTallies()
}

// Answer implements listen.Session.
func (s *session) Answer(query []byte, from *listen.Client, out []byte) ([]byte, listen.Handling) {
	switch p := s.q.Parse(query); p {
	case wire.Fine:
	case wire.Silent:
		return nil, listen.Drop
	default:
		s.counters.Hit(s.q.Over)
		return s.refuse(reply.Problem(p), from, out)
	}
	if !resolvable(&s.q) {
		msg, v := s.special(from, out)
		s.tell(msg, from)
		return msg, v
	}
	for _, fast := range s.modules.Fast {
		switch fast(&s.q) {
		case module.Drop:
			return nil, listen.Drop
		case module.Driver:
			return nil, listen.Driver
		}
	}
	if msg, ok := s.fast.Answer(&s.q, out, s.shape(from)); ok {
		s.tell(msg, from)
		return msg, listen.Reply
	}
	return nil, listen.Driver
}

// special answers what is not asked of the DNS, but of this daemon, or what
// nobody is told.
func (s *session) special(from *listen.Client, out []byte) ([]byte, listen.Handling) {
	text, ok := about(&s.q, s.settings)
	if !ok {
		return s.refuse(refusal(&s.q), from, out)
	}
	return say(out[:0], &s.q, text, s.shape(from)), listen.Reply
}

// shape is how the answer to a client is worded.
func (s *session) shape(from *listen.Client) reply.Shape {
	return reply.Shape{Kind: from.Kind, Bufsize: s.bufsize}
}

// tell shows an answer to the modules that count.
func (s *session) tell(msg []byte, from *listen.Client) {
	if len(s.tallies) == 0 {
		return
	}
	s.told.Msg, s.told.Transport = msg, from.Transport()
	for _, t := range s.tallies {
		t.Answered(&s.told)
	}
}

// refuse answers what is not served, so many times a second: an answer to
// garbage is of little use, and its source may be forged.
func (s *session) refuse(rcode int, from *listen.Client, out []byte) ([]byte, listen.Handling) {
	s.formerr++
	if s.formerr > limits.FormerrPerSecond {
		s.counters.Hit(limits.Formerr)
		return nil, listen.Drop
	}
	return reply.Error(out[:0], &s.q, rcode, s.shape(from)), listen.Reply
}
