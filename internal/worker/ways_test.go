package worker

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/cli"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// laboratory is a worker with the small Internet of testdata behind it, without
// sockets of its own.
func laboratory(t testing.TB) *Worker {
	t.Helper()
	internet, err := authority.Load(os.DirFS("../../testdata/zones"))
	if err != nil {
		t.Fatal(err)
	}
	return workerIn(t, internet)
}

// workerIn is a worker with an Internet behind it, which it starts.
func workerIn(t testing.TB, internet *authority.Internet) *Worker {
	t.Helper()
	if err := internet.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(internet.Close)
	w := workerAsking(t, internet.Port(), 16<<20)
	w.settings.Change(func(o *resolve.Options) { o.AnyAddress = true })
	w.roots.SetRootHints(inmemory.Hints(internet))
	return w
}

// workerAsking is a worker that asks servers on a port and has a cache of so many octets.
func workerAsking(t testing.TB, port uint16, size int64) *Worker {
	t.Helper()
	o := Options{CLI: cli.Options{Forks: 1}, Getenv: func(name string) string {
		if name == upstreamPortVar {
			return fmt.Sprint(port)
		}
		return ""
	}}
	o.fill()
	ring := logging.NewRing(os.Stderr, 1<<16)
	w, err := newWorker(o, logging.New(logging.Options{Out: ring, Level: logging.Error}), ring, ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.abandon)
	if err := w.storage.Open(size, "lmdb://", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return w
}

var someone = listen.Client{Addr: netip.MustParseAddrPort("192.0.2.99:4711"), Local: netip.MustParseAddrPort("192.0.2.1:53")}

// byDriver is what the driver's way answers to a message.
func byDriver(t testing.TB, w *Worker, pkt []byte, from listen.Client) []byte {
	t.Helper()
	var q wire.Question
	if p := q.Parse(pkt); p != wire.Fine {
		t.Fatalf("not a question: %v", p)
	}
	h := w.newHandler()
	req := h.request(&q, &listen.Query{Wire: pkt, Client: from})
	w.driver.Resolve(context.Background(), req)
	return reply.Build(nil, &q, &req.Result, h.identified(&q, from.Kind))
}

// byCache is what the cached answer's way says.
func byCache(t testing.TB, s listen.Session, pkt []byte, from listen.Client) ([]byte, listen.Handling) {
	t.Helper()
	s.Begin()
	defer s.End()
	msg, v := s.Answer(pkt, &from, make([]byte, 0, 1<<16))
	return bytes.Clone(msg), v
}

// A shape is how a client asks.
type shape struct {
	name           string
	edns           uint16
	do, cd, ad, rd bool
	kind           transport.Kind
}

var shapes = []shape{
	{name: "plain", rd: true},
	{name: "EDNS", edns: 1232, rd: true},
	{name: "DO", edns: 4096, do: true, rd: true},
	{name: "CD and DO", edns: 1400, do: true, cd: true, rd: true},
	{name: "AD without EDNS", ad: true},
	{name: "small EDNS", edns: 512, rd: true},
	{name: "TCP", edns: 1232, rd: true, kind: transport.TCP},
	{name: "TLS", edns: 1232, rd: true, kind: transport.TLS},
	{name: "TLS without EDNS", rd: true, kind: transport.TLS},
}

func (s shape) message(name string, qtype uint16) []byte {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = s.rd, s.cd, s.ad
	if s.edns > 0 {
		m.SetEdns0(s.edns, s.do)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// asked are names of the small Internet and what may come of them.
var asked = []struct {
	name  string
	qtype uint16
}{
	{"www.example.com.", dns.TypeA}, {"WwW.eXample.com.", dns.TypeAAAA}, {"example.com.", dns.TypeMX}, {"example.com.", dns.TypeTXT},
	{"example.com.", dns.TypeSOA}, {"example.com.", dns.TypeNS}, {"alias.example.com.", dns.TypeA}, {"nothing.example.com.", dns.TypeA},
	{"www.example.com.", dns.TypeSRV}, {"www.example.net.", dns.TypeA}, {"www.example.org.", dns.TypeA}, {"nothing.example.net.", dns.TypeTXT},
	{".", dns.TypeNS}, {"com.", dns.TypeNS}, {"nothing.", dns.TypeA}, {"big.example.com.", dns.TypeTXT},
}

// What the cached answer's way would say the driver's way must say too: same
// header, same records, apart from their order and compression.
func TestBothWaysSayTheSame(t *testing.T) {
	w := laboratory(t)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	compared := 0
	for _, sh := range shapes {
		from := someone
		from.Kind = sh.kind
		for _, a := range asked {
			pkt := sh.message(a.name, a.qtype)
			first := byDriver(t, w, pkt, from)
			flush(t, w)
			cached, handling := byCache(t, s, pkt, from)
			if handling != listen.Reply {
				if first[3]&15 != wire.RcodeServFail {
					t.Errorf("%s: %s %s was resolved and is not answered from the cache", sh.name, a.name, dns.TypeToString[a.qtype])
				}
				continue
			}
			compared++
			again := byDriver(t, w, pkt, from)
			if d := difference(t, cached, again); d != "" {
				t.Errorf("%s: %s %s: %s\nfrom the cache: %x\nby the driver: %x", sh.name, a.name, dns.TypeToString[a.qtype], d, cached, again)
			}
		}
	}
	if compared < len(shapes)*len(asked)*3/4 {
		t.Errorf("only %d of %d answers could be compared", compared, len(shapes)*len(asked))
	}
}

// difference compares two messages apart from order, compression and the padding
// that makes up for it; TTLs may be a second apart.
func difference(t testing.TB, a, b []byte) string {
	t.Helper()
	var ma, mb dns.Msg
	if err := ma.Unpack(a); err != nil {
		return fmt.Sprintf("the cached message: %v", err)
	}
	if err := mb.Unpack(b); err != nil {
		return fmt.Sprintf("the driver's message: %v", err)
	}
	if !bytes.Equal(a[:12], b[:12]) {
		return "headers differ"
	}
	if ma.Question[0] != mb.Question[0] {
		return "questions differ"
	}
	for i, pair := range [][2][]dns.RR{{ma.Answer, mb.Answer}, {ma.Ns, mb.Ns}, {ma.Extra, mb.Extra}} {
		x, y := sorted(pair[0]), sorted(pair[1])
		if !slices.EqualFunc(x, y, sameRecord) {
			return fmt.Sprintf("section %d: %v and %v", i+1, x, y)
		}
	}
	return ""
}

func sorted(rrs []dns.RR) []dns.RR {
	out := slices.Clone(rrs)
	for _, rr := range out {
		if opt, ok := rr.(*dns.OPT); ok {
			opt.Option = slices.DeleteFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == dns.EDNS0PADDING })
		}
	}
	slices.SortFunc(out, func(a, b dns.RR) int { return strings.Compare(withoutTTL(a), withoutTTL(b)) })
	return out
}

func withoutTTL(rr dns.RR) string {
	rr = dns.Copy(rr)
	if rr.Header().Rrtype != dns.TypeOPT { // its TTL is flags
		rr.Header().Ttl = 0
	}
	return rr.String()
}

func sameRecord(a, b dns.RR) bool {
	if withoutTTL(a) != withoutTTL(b) {
		return false
	}
	d := int64(a.Header().Ttl) - int64(b.Header().Ttl)
	return -1 <= d && d <= 1
}

func TestTheCachedAnswersWayAllocatesNothing(t *testing.T) {
	w := laboratory(t)
	s, pkt := warm(t, w)
	defer s.Close()
	out := make([]byte, 0, 1<<16)
	n := testing.AllocsPerRun(1000, func() {
		s.Begin()
		if _, v := s.Answer(pkt, &someone, out); v != listen.Reply {
			t.Fatal("not answered from the cache")
		}
		s.End()
	})
	if n != 0 {
		t.Errorf("%v allocations for a cached answer", n)
	}
}

func warm(t testing.TB, w *Worker) (listen.Session, []byte) {
	t.Helper()
	pkt := shapes[1].message("www.example.com.", dns.TypeA)
	byDriver(t, w, pkt, someone)
	flush(t, w)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return s, pkt
}

// flush waits until what was learnt is in the map, where the cached answer's way
// looks.
func flush(t testing.TB, w *Worker) {
	t.Helper()
	if err := w.storage.current().Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Logged is what a question costs that the module querylog writes to a file, its
// goroutine's work included.
func BenchmarkCachedAnswer(b *testing.B) {
	for name, modules := range map[string]string{"alone": "", "logged": fmt.Sprintf("modules = { querylog = { file = '%s/log', clients = true } }", b.TempDir())} {
		b.Run(name, func(b *testing.B) {
			w := laboratory(b)
			w.console(b, modules)
			s, pkt := warm(b, w)
			defer s.Close()
			out := make([]byte, 0, 1<<16)
			b.ReportAllocs()
			s.Begin()
			defer s.End()
			for b.Loop() {
				s.Answer(pkt, &someone, out)
			}
			b.StopTimer()
			w.chain.Close()
		})
	}
}
