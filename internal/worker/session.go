package worker

import (
	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/settings"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// session is the cached answer's way of one listener's thread: what can be
// answered without the driver is answered here, on that thread, without
// allocating.
type session struct {
	fast     *cache.Fast
	cache    *cache.Cache
	chain    *module.Chain
	clock    *clock.Clock
	settings *settings.Settings
	counters *limits.Counters
	log      *logging.Logger // nothing is written to it here
	// partitions are those of the present configuration.
	partitions func() resolve.Partitions

	// These are for one batch of queries.
	now     int64       // Unix seconds
	words   reply.Shape // but for the client's Kind
	in      resolve.Partition
	modules *module.Snapshot
	// followed tells that requests are followed in the log, reorder that the records
	// of a set are rotated.
	followed, reorder bool
	// These are for one query.
	q       wire.Question
	query   module.Query
	decided bool // a module decided what becomes of it, before anybody looked for an answer
	told    module.Answered

	tallies  []module.Tally
	rotation uint32 // by how many places the latest answer of a module was rotated
	// formerr counts answers to garbage within the second now.
	formerr int
}

// NewSession implements listen.Handler.
func (h *handler) NewSession() (listen.Session, error) {
	s := &session{fast: h.cache.NewFast(), cache: h.cache, chain: h.chain, clock: h.clock, settings: h.settings, counters: h.counters, log: h.requests.log, partitions: h.partitions}
	s.told.Question, s.told.EDE, s.query.Question = &s.q, ede.None, &s.q
	return s, nil
}

// Begin implements listen.Session.
func (s *session) Begin() {
	now := s.clock.Unix()
	if now != s.now {
		s.now, s.formerr = now, 0
	}
	s.words, s.in = shapeOf(s.settings), s.partitions().Answers
	s.followed, s.reorder = s.log.Follows(), s.cache.Reorder()
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
		if from.Kind == transport.QUIC && s.q.HasOption(wire.OptionKeepalive) { // RFC 9250, section 5.5.2
			return nil, listen.Violation
		}
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
	if s.modules.Sees >= module.SeesAll || s.q.TSIG > 0 && s.modules.Signed() {
		return nil, listen.Driver
	}
	switch s.ask(from) {
	case module.Drop:
		s.query.Hit()
		s.tellDecided(nil, from, ede.Prohibited)
		return nil, listen.Drop
	case module.Answer:
		return s.give(from, out)
	case module.Driver:
		return nil, listen.Driver
	}
	if s.followed || s.modules.Sees >= module.SeesCached { // the driver tells its steps, and that it answered from the cache
		return nil, listen.Driver
	}
	if msg, ok := s.known(from, out); ok {
		s.tell(msg, from)
		return msg, listen.Reply
	}
	return nil, listen.Driver
}

// known is the answer that the cache has.
func (s *session) known(from *listen.Client, out []byte) (msg []byte, ok bool) {
	if s.query.Elsewhere {
		return s.fast.Exact(s.query.Partition, &s.q, out, s.identified(from))
	}
	return s.fast.Answer(s.query.Partition, &s.q, out, s.identified(from))
}

// ask asks the modules what becomes of the question.
func (s *session) ask(from *listen.Client) module.Disposition {
	q, m := &s.query, s.modules
	q.Reset(s.in)
	if len(m.Begin)+len(m.Own) == 0 {
		return module.Pass
	}
	q.Own = m.Own
	q.Subject.Type, q.Subject.Transport = s.q.Type, from.Transport()
	q.Subject.Client, q.Subject.Local = unmapped(from.Addr), unmapped(from.Local)
	if !q.Subject.SetName(s.q.Name) {
		return module.Driver
	}
	for _, begin := range m.Begin {
		if d := begin(q); d != module.Pass {
			s.decided = true
			return d
		}
	}
	s.decided = false
	if s.q.Type == wire.TypeANY || m.Sees >= module.SeesOwned {
		return module.Driver
	}
	return q.AskOwners()
}

// give words the answer of a module. While every step of a request is written to
// the log the driver does it, so that this request is not missing there.
func (s *session) give(from *listen.Client, out []byte) ([]byte, listen.Handling) {
	if s.followed {
		return nil, listen.Driver
	}
	shape := s.identified(from)
	if s.reorder {
		s.rotation++
		shape.Rotate = s.rotation
	}
	msg := s.query.Answered().Finish(out, &s.q, shape)
	if msg == nil {
		return nil, listen.Driver
	}
	s.query.Hit()
	s.tellDecided(msg, from, s.query.Answered().EDE())
	return msg, listen.Reply
}

// special answers what is not asked of the DNS, but of this daemon, or what
// nobody is told.
func (s *session) special(from *listen.Client, out []byte) ([]byte, listen.Handling) {
	text, ok := about(&s.q, s.settings)
	if !ok {
		return s.refuse(refusal(&s.q), from, out)
	}
	return say(out[:0], &s.q, text, s.identified(from)), listen.Reply
}

// shape is how the answer to a client is worded.
func (s *session) shape(from *listen.Client) reply.Shape {
	shape := s.words
	shape.Kind = from.Kind
	return shape
}

// identified is shape for the answer to a question that is well formed.
func (s *session) identified(from *listen.Client) reply.Shape {
	shape := s.shape(from)
	shape.Options = s.settings.Identity(&s.q)
	return shape
}

// shapeOf is how all answers are worded, but for the client's Kind.
func shapeOf(s *settings.Settings) reply.Shape {
	return reply.Shape{Bufsize: uint16(s.Bufsize.Load()), Block: s.PaddingBlock()}
}

// tell shows an answer to the modules that count.
func (s *session) tell(msg []byte, from *listen.Client) {
	if len(s.tallies) == 0 {
		return
	}
	s.told.Msg, s.told.Transport, s.told.Client = msg, from.Transport(), from.Addr
	for _, t := range s.tallies {
		t.Answered(&s.told)
	}
}

// tellDecided shows what a module has decided about.
func (s *session) tellDecided(msg []byte, from *listen.Client, code ede.Code) {
	s.told.Decided, s.told.EDE = s.decided, code
	s.tell(msg, from)
	s.told.Decided, s.told.EDE = false, ede.None
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
