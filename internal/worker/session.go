package worker

import (
	"kresd/internal/cache"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/wire"
)

// session is the cached answer's way of one listener's thread: what can be
// answered without the driver is answered here, on that thread, without
// allocating.
type session struct {
	w       *Worker
	fast    *cache.Fast
	q       wire.Question
	now     int64
	bufsize uint16
	modules []module.Fast
	// formerr counts answers to garbage within the second now.
	formerr int
}

// NewSession implements listen.Handler.
func (h *handler) NewSession() (listen.Session, error) {
	return &session{w: h.w, fast: h.w.cache.NewFast()}, nil
}

// Begin implements listen.Session.
func (s *session) Begin() {
	now := s.w.clock.Unix()
	if now != s.now {
		s.now, s.formerr = now, 0
	}
	s.bufsize = uint16(s.w.settings.Bufsize.Load())
	s.modules = s.w.chain.Snapshot().Fast
	s.fast.Begin(now)
}

// End implements listen.Session.
func (s *session) End() { s.fast.End() }

// Close implements listen.Session.
func (s *session) Close() { s.fast.Close() }

// Answer implements listen.Session.
func (s *session) Answer(query []byte, from *listen.Client, out []byte) ([]byte, listen.Verdict) {
	switch p := s.q.Parse(query); p {
	case wire.Fine:
	case wire.Silent:
		return nil, listen.Drop
	default:
		return s.refuse(reply.Problem(p), out)
	}
	if s.q.Class != wire.ClassIN || (wire.IsMetaType(s.q.Type) && s.q.Type != wire.TypeANY) {
		return s.refuse(wire.RcodeNotImp, out)
	}
	for _, fast := range s.modules {
		switch fast(&s.q) {
		case module.Drop:
			return nil, listen.Drop
		case module.Driver:
			return nil, listen.Driver
		}
	}
	if msg, ok := s.fast.Answer(&s.q, out, s.bufsize, from.Proto == listen.UDP); ok {
		return msg, listen.Reply
	}
	return nil, listen.Driver
}

// refuse answers what is not served, so many times a second: an answer to
// garbage is of little use, and its source may be forged.
func (s *session) refuse(rcode int, out []byte) ([]byte, listen.Verdict) {
	s.formerr++
	if s.formerr > limits.FormerrPerSecond {
		s.w.counters.Hit(limits.Formerr)
		return nil, listen.Drop
	}
	return reply.Error(out[:0], &s.q, rcode, s.bufsize), listen.Reply
}
