package worker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// canned is a server that answers at once, so that what is measured is ours.
type canned struct{}

func (canned) Exchange(_ context.Context, x resolve.Exchange) (resolve.Reply, error) {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
	m.Question = []dns.Question{{Name: x.Question.Name.String(), Qtype: x.Question.Type, Qclass: dns.ClassINET}}
	m.SetEdns0(1232, true)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: []byte{192, 0, 2, 1}}}
	raw, err := m.Pack()
	if err != nil {
		return resolve.Reply{}, err
	}
	msg, err := wire.Parse(raw)
	return resolve.Reply{Msg: msg, RTT: time.Millisecond, Size: len(raw)}, err
}

// BenchmarkMiss is a question for a name that nobody asked for before, with all
// loaded modules and a cache on disk: from the request to the answer and what is
// queued for the cache. The octets and allocations are the figures that a busy
// machine does not move.
func BenchmarkMiss(b *testing.B) {
	w := laboratory(b)
	w.settings.Change(func(o *resolve.Options) { o.WholeName = true })
	d := resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return w.chain.Snapshot().Layers }, Exchanger: canned{}, Cuts: w.cache, Servers: w.servers,
		Counters: w.counters, Options: w.settings.RequestOptions, Context: w.ctx, Partitions: w.partitions,
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := parse(b, fmt.Sprintf("n%d.wild.example.com.", i))
		req := &resolve.Request{Question: resolve.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN}, RD: true, Now: w.clock.Unix()}
		if d.Resolve(context.Background(), req); len(req.Result.Answer) != 1 {
			b.Fatalf("%s: %+v", name, req.Result)
		}
	}
}
