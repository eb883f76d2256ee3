package stats

import (
	"time"

	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// sampleOneIn is how many questions stand for one that is counted.
const sampleOneIn = 10

// began is when an internal request began.
type began struct{}

func (s *stats) layer() *resolve.Layer {
	return &resolve.Layer{Name: "stats", Begin: s.begin, Consume: s.consume, Finish: s.finish}
}

// observe counts a client's request on the driver's way.
func (s *stats) observe(a *module.Answered) {
	if len(a.Msg) < wire.HeaderLen {
		s.slow.dropped[a.Transport.Index()].Add(1)
		return
	}
	s.slow.clients[shapeOf(a)].Add(1)
	s.slow.latency.Observe(a.Took)
	s.result(&a.Request.Result)
}

func (s *stats) result(res *resolve.Result) {
	if res.Cached {
		s.slow.cached.Add(1)
	}
	if res.Stale {
		s.slow.stale.Add(1)
	}
}

// begin notes when a request of our own begins; those of clients are counted
// where their message is ready.
func (s *stats) begin(req *resolve.Request) resolve.State {
	if !req.Client.IsValid() {
		if req.Vars == nil {
			req.Vars = map[any]any{}
		}
		req.Vars[began{}] = s.mono()
	}
	return resolve.Produce
}

func (s *stats) finish(req *resolve.Request) {
	if req.Client.IsValid() {
		return
	}
	took := time.Duration(0)
	if at, ok := req.Vars[began{}].(time.Duration); ok {
		took = s.mono() - at
	}
	s.slow.internal[internalShape(req)].Add(1)
	s.slow.latency.Observe(took)
	s.result(&req.Result)
}

// internalShape is the shape of an answer that never became a message.
func internalShape(req *resolve.Request) shape {
	res := &req.Result
	sh := shape(classOf(uint16(res.Rcode)&0xf, uint16(min(len(res.Answer), 0xffff))))
	for _, f := range [...]struct {
		on  bool
		bit shape
	}{
		{req.RD, shapeRD}, {req.CD, shapeCD}, {res.AA, shapeAA}, {res.Rank.IsSecure(), shapeAD}, {true, shapeEDNS}, {req.DO, shapeDO},
	} {
		if f.on {
			sh |= f.bit
		}
	}
	return sh
}

// consume looks at what other servers answered.
func (s *stats) consume(_ *resolve.Request, q *resolve.Query, msg *wire.Msg) resolve.State {
	if msg == nil || q.Outcome.Cached {
		return resolve.Consume
	}
	s.up.add(q.Server.Addr.Addr(), q.RTT)
	switch q.Outcome.Kind {
	case resolve.Positive, resolve.Alias, resolve.NoData, resolve.NXDomain:
		if s.intn(sampleOneIn) == 0 {
			s.freq.Add(q.Question)
		}
	}
	return resolve.Consume
}
