package cache

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

const (
	insecure = rank.Insecure | rank.Auth
	secure   = rank.Secure | rank.Auth
	bogus    = rank.Bogus | rank.Auth
)

// world is a cache over a map, with a clock that stands still.
type world struct {
	*testing.T
	*Cache
	mem   *memStore
	clk   *clock.Fake
	count *limits.Counters
	layer *resolve.Layer
	in    resolve.Partition // of all that is asked and kept
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, mem: newMemStore(), count: &limits.Counters{}, clk: clock.NewFake(time.Unix(1_700_000_000, 0))}
	w.Cache = New(w.count)
	w.Swap(w.mem)
	w.layer = w.Layer()
	return w
}

func (w *world) now() int64 { return w.clk.Unix() }

// Keep, Closest and Addrs are the Cache's in the partition at hand.
func (w *world) Keep(cut *zonecut.Cut, now int64) { w.Cache.Keep(w.in, cut, now) }

func (w *world) Closest(n dnsname.Name, now int64) *zonecut.Cut { return w.Cache.Closest(w.in, n, now) }

func (w *world) Addrs(ns dnsname.Name, now int64) ([]netip.Addr, bool, bool) {
	return w.Cache.Addrs(w.in, ns, now)
}

func (w *world) pass(seconds int) { w.clk.Advance(time.Duration(seconds) * time.Second) }

func name(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

func question(t testing.TB, text string, qtype uint16) resolve.Question {
	return resolve.Question{Name: name(t, text), Type: qtype, Class: wire.ClassIN}
}

func rrset(t testing.TB, r rank.Rank, owner string, rtype uint16, ttl uint32, data ...string) resolve.Set {
	s := resolve.Set{Rank: r}
	s.Owner, s.Type, s.Class, s.TTL = name(t, owner), rtype, wire.ClassIN, ttl
	for _, d := range data {
		s.Data = append(s.Data, []byte(d))
	}
	return s
}

func soa(t testing.TB, r rank.Rank, zone string, ttl, minimum uint32) resolve.Set {
	rdata := "\x02ns" + string(name(t, zone)) + "\x05admin" + string(name(t, zone)) + "\x00\x00\x00\x01" +
		"\x00\x00\x0e\x10\x00\x00\x03\x84\x00\x12\x75\x00"
	rdata += string(binary.BigEndian.AppendUint32(nil, minimum))
	return rrset(t, r, zone, wire.TypeSOA, ttl, rdata)
}

// sign adds a signature that covers the given number of labels.
func sign(s resolve.Set, labels int) resolve.Set {
	sig := binary.BigEndian.AppendUint16(nil, s.Type)
	sig = append(sig, 13, byte(labels))
	sig = append(sig, make([]byte, 14)...)
	s.Sigs = [][]byte{append(sig, "\x00signature"...)}
	return s
}

// learn plays an answer from upstream to a question; qmod may change the request.
func (w *world) learn(q resolve.Question, o resolve.Outcome, qmod ...func(*resolve.Request)) *resolve.Query {
	req := w.request(q, qmod...)
	w.looked(req)
	query := &resolve.Query{Question: q, Partition: req.PartitionOf(q), Options: req.Options, Scope: req.Scope, Outcome: o}
	query.Asked, query.Outcome.Origin = q, resolve.FromServer
	w.layer.Consume(req, query, &wire.Msg{})
	return query
}

func (w *world) request(q resolve.Question, qmod ...func(*resolve.Request)) *resolve.Request {
	req := &resolve.Request{Question: q, RD: true, Now: w.now(), Partition: resolve.Partitions{Data: w.in, Answers: w.in}}
	req.Result.EDE = ede.None
	for _, f := range qmod {
		f(req)
	}
	return req
}

func withCD(r *resolve.Request) { r.CD = true }
func withDO(r *resolve.Request) { r.DO = true }

// peek asks the layer; the outcome's Kind is Pending if it knows nothing.
func (w *world) peek(q resolve.Question, qmod ...func(*resolve.Request)) resolve.Outcome {
	req := w.request(q, qmod...)
	w.layer.Begin(req)
	query := &resolve.Query{Question: q, Partition: req.PartitionOf(q), Options: req.Options}
	if w.layer.Produce(req, query) != resolve.Done {
		return resolve.Outcome{}
	}
	return query.Outcome
}

// answered plays a whole request that came to the given result.
func (w *world) answered(q resolve.Question, res resolve.Result, qmod ...func(*resolve.Request)) *resolve.Request {
	req := w.request(q, qmod...)
	if w.fails(req) {
		return req
	}
	req.Result = res
	w.layer.Finalize(req)
	return req
}

// fails begins a request and tells whether it is known to fail.
func (w *world) fails(req *resolve.Request) bool {
	if w.looked(req) != resolve.Fail {
		return false
	}
	req.Result = resolve.Result{EDE: ede.None}
	req.Result.Fail(req.Failed())
	return true
}

// looked begins a request and looks for its answer.
func (w *world) looked(req *resolve.Request) resolve.State {
	w.layer.Begin(req)
	return w.layer.Produce(req, &resolve.Query{Question: req.Question, Partition: req.PartitionOf(req.Question), Options: req.Options})
}

// client is a client's message.
type client struct {
	flags uint16
	size  uint16 // 0: no OPT
	do    bool
	tcp   bool
}

func (c client) kind() transport.Kind {
	if c.tcp {
		return transport.TCP
	}
	return transport.UDP
}

func (c client) parse(t testing.TB, raw string, qtype uint16) *wire.Question {
	t.Helper()
	pkt := wire.AppendQuery(nil, 0xabcd, c.flags, []byte(raw), qtype, wire.ClassIN, c.size, c.do, nil)
	var q wire.Question
	if p := q.Parse(pkt); p != wire.Fine {
		t.Fatalf("query %q: problem %d", raw, p)
	}
	return &q
}

// fast asks the cached answer's way.
func (w *world) fast(q *wire.Question, kind transport.Kind) ([]byte, bool) {
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	defer f.End()
	return f.Answer(w.in, q, make([]byte, 0xffff), reply.Shape{Kind: kind, Bufsize: 4096})
}

// ask is fast for a plain question.
func (w *world) ask(q resolve.Question, c client) (*wire.Msg, bool) {
	w.Helper()
	out, ok := w.fast(c.parse(w, string(q.Name), q.Type), c.kind())
	if !ok {
		return nil, false
	}
	m, err := wire.Parse(out)
	if err != nil {
		w.Fatalf("answer to %s: %v: %x", q.Name, err, out)
	}
	return m, true
}

func positive(sets ...resolve.Set) resolve.Outcome {
	return resolve.Outcome{Kind: resolve.Positive, Answer: sets}
}

func resultOf(r rank.Rank, sets ...resolve.Set) resolve.Result {
	return resolve.Result{Rank: r, Answer: sets, EDE: ede.None}
}
