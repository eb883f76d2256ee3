package worker

import (
	"context"
	"net/netip"
	"sync"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/settings"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// handler is the driver's way: it makes a Request of a query and a message of
// its Result. It makes the sessions of the cached answer's way, too.
type handler struct {
	requests *requests
	clock    *clock.Clock
	settings *settings.Settings
	cache    *cache.Cache
	chain    *module.Chain
	counters *limits.Counters
	// partitions are those of the present configuration.
	partitions func() resolve.Partitions
	scratches  sync.Pool // of *scratch
	rooms      reply.Rooms
}

// A scratch is memory for one query at a time: nobody keeps any of it when the query has
// been answered. It is held while servers are waited for, and so it is small.
type scratch struct {
	question wire.Question
	told     module.Answered
}

func (h *handler) scratch() *scratch {
	if s, ok := h.scratches.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

// discard forgets what a scratch was used for, and keeps its memory.
func (h *handler) discard(s *scratch) {
	s.question, s.told = wire.Question{}, module.Answered{}
	h.scratches.Put(s)
}

// Resolve implements listen.Handler.
func (h *handler) Resolve(ctx context.Context, lq *listen.Query) {
	s := h.scratch()
	defer h.discard(s)
	q := &s.question
	if q.Parse(lq.Wire) != wire.Fine {
		lq.Drop() // the session has answered what it could
		return
	}
	req := h.request(q, lq)
	if req == nil {
		lq.Drop()
		return
	}
	h.requests.resolve(ctx, req)
	shape := h.identified(q, lq.Client.Kind)
	shape.Rotate, shape.Counters = h.cache.Rotation(), h.counters
	if req.Seal != nil {
		shape.Behind = req.Seal.Len()
	}
	words := h.rooms.Get()
	defer h.rooms.Put(words)
	msg := words.Build(req.Question, q, &req.Result, shape)
	if req.Seal != nil && msg != nil {
		msg = req.Seal.Sign(msg)
	}
	h.tell(s, msg, lq, req)
	if msg == nil {
		lq.Drop()
		return
	}
	lq.Reply(msg)
}

// tell shows an answer to the modules that count.
func (h *handler) tell(s *scratch, msg []byte, lq *listen.Query, req *resolve.Request) {
	observers := h.chain.Snapshot().Observe
	if len(observers) == 0 {
		return
	}
	took := h.clock.Mono() - lq.Received
	s.told = module.Answered{Question: &s.question, Msg: msg, Transport: lq.Client.Transport(), Client: lq.Client.Addr, EDE: ede.None, Request: req, Took: took}
	for _, observe := range observers {
		observe(&s.told)
	}
}

func (h *handler) request(q *wire.Question, lq *listen.Query) *resolve.Request {
	name, err := dnsname.FromWire(q.Name)
	if err != nil {
		return nil
	}
	req := &resolve.Request{
		Question:  resolve.Question{Name: name, Type: q.Type, Class: q.Class},
		Client:    unmapped(lq.Client.Addr),
		Local:     unmapped(lq.Client.Local),
		Transport: lq.Client.Transport(), Headers: lq.Headers, Message: lq.Wire,
		RD: q.RD(), CD: q.CD(), DO: q.DO,
	}
	if r := lq.Reception(); r != nil {
		req.Reception = r
	}
	h.requests.enter(req)
	return req
}

// unmapped is an IPv4 address as such, also where it came by a socket for both
// families.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Fail implements listen.Handler.
func (h *handler) Fail(query []byte, from *listen.Client, out []byte) []byte {
	var q wire.Question
	if q.Parse(query) == wire.Silent {
		return nil
	}
	return reply.Error(out[:0], &q, wire.RcodeServFail, h.shape(from.Kind))
}

// shape is how answers by a kind of transport are worded.
func (h *handler) shape(kind transport.Kind) reply.Shape {
	shape := shapeOf(h.settings)
	shape.Kind = kind
	return shape
}

// identified is shape for the answer to a question that is well formed.
func (h *handler) identified(q *wire.Question, kind transport.Kind) reply.Shape {
	shape := h.shape(kind)
	shape.Options = h.settings.Identity(q)
	return shape
}

// anyTTL is how long clients may keep the answer to ANY, in seconds.
const anyTTL = 3600

// minimalANY answers ANY with one HINFO record, which says that nobody is told
// everything (RFC 8482, section 4.2).
func minimalANY(req *resolve.Request) {
	req.Result = resolve.Result{EDE: ede.None, NoCache: true, Rank: rank.Insecure}
	set := wire.RRset{Owner: req.Name, Type: wire.TypeHINFO, Class: wire.ClassIN, TTL: anyTTL, Data: [][]byte{[]byte("\x07RFC8482\x00")}}
	req.Result.Answer = []resolve.Set{{RRset: set, Rank: rank.Auth | rank.Insecure}}
}
