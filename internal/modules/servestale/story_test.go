package servestale_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/iterate"
	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/module"
	"kresd/internal/modules/servestale"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/selection"
	"kresd/internal/trustanchor"
	"kresd/internal/validate"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// world is a resolver with the real cache before one server that knows all.
type world struct {
	*testing.T
	driver *resolve.Driver
	cache  *cache.Cache
	set    func(key string, v any) error
	group  safe.Group
	count  limits.Counters
	now    atomic.Int64
	ids    atomic.Uint32

	mu    sync.Mutex
	reply func(ctx context.Context, q *dns.Msg) (*dns.Msg, error)
	sent  int
	good  netip.Addr // answers honestly whatever the others do
}

func newWorld(t *testing.T) *world {
	w := &world{T: t}
	w.now.Store(1_700_000_000)
	w.reply = honest
	store, err := lmdbcache.Open(t.TempDir(), lmdbcache.Options{MaxSize: 10 << 20, Schema: cache.Schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w.cache = cache.New(&w.count)
	w.cache.Swap(cache.Disk{Store: store})
	w.cache.SetHints(&zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{
		{Name: name(t, "ns.root."), Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.1")}},
	}})
	inst, err := servestale.Module().Open(&module.Host{
		Cache: w.cache, Tasks: &w.group, Context: t.Context(), Warn: func(line string) { t.Error(line) },
		Resolve: func(_ context.Context, req *resolve.Request) {
			req.Now = w.now.Load()
			w.driver.Resolve(context.Background(), req)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.set = inst.Set
	layers := []*resolve.Layer{iterate.Layer(), validate.Layer(validate.Config{Anchors: trustanchor.New().Snapshot}), inst.Layer, w.cache.Layer()}
	w.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return layers }, Exchanger: w, Cuts: w.cache,
		Servers:  selection.New(selection.Config{Clock: clock.Real()}),
		Counters: &w.count, Options: func() resolve.Options { return resolve.Options{WholeName: true, AskSilent: true} },
	})
	t.Cleanup(w.group.Wait)
	return w
}

func name(t testing.TB, text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Exchange plays the server.
func (w *world) Exchange(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
	if err := x.Budget.Send(); err != nil {
		return resolve.Reply{}, err
	}
	w.mu.Lock()
	w.sent++
	reply := w.reply
	if x.Addr.Addr() == w.good {
		reply = honest
	}
	w.mu.Unlock()
	q := new(dns.Msg)
	q.SetQuestion(x.Name.String(), x.Type)
	m, err := reply(ctx, q)
	if err != nil {
		return resolve.Reply{}, err
	}
	pkt, err := m.Pack()
	if err != nil {
		w.Error(err)
		return resolve.Reply{}, resolve.ErrTimeout
	}
	msg, err := wire.Parse(pkt)
	return resolve.Reply{Msg: msg, RTT: time.Millisecond, Size: len(pkt)}, err
}

// plays changes what the server does and returns how often it was asked.
func (w *world) plays(reply func(context.Context, *dns.Msg) (*dns.Msg, error)) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.sent
	w.sent, w.reply = 0, reply
	return n
}

// honest knows www and nothing else, with TTLs of 30 s.
func honest(_ context.Context, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	if q.Question[0].Name == "www.example." {
		rr, err := dns.NewRR("www.example. 30 A 192.0.2.1")
		m.Answer = []dns.RR{rr}
		return m, err
	}
	m.Rcode = dns.RcodeNameError
	rr, err := dns.NewRR(". 30 SOA ns. host. 1 2 3 4 30")
	m.Ns = []dns.RR{rr}
	return m, err
}

func refusing(_ context.Context, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg)
	return m.SetRcode(q, dns.RcodeRefused), nil
}

// silent never answers, and the wait ends only with the request's.
func silent(ctx context.Context, _ *dns.Msg) (*dns.Msg, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (w *world) request(qname string, options resolve.Options) *resolve.Request {
	return &resolve.Request{
		Question: resolve.Question{Name: name(w, qname), Type: wire.TypeA, Class: wire.ClassIN}, Options: options,
		RD: true, Now: w.now.Load(), Client: netip.MustParseAddrPort("192.0.2.9:1234"), ID: w.ids.Add(1),
	}
}

func (w *world) ask(qname string, options resolve.Options) resolve.Result {
	w.Helper()
	req := w.request(qname, options)
	w.driver.Resolve(context.Background(), req)
	return req.Result
}

func (w *world) want(what string, res resolve.Result, rcode int, code ede.Code, ttl uint32) {
	w.Helper()
	if res.Rcode != rcode || res.EDE != code {
		w.Errorf("%s: rcode %d, extended error %d (%s), want %d and %d", what, res.Rcode, res.EDE, res.EDEText, rcode, code)
	}
	if ttl > 0 && (len(res.Answer) != 1 || res.Answer[0].TTL != ttl) {
		w.Errorf("%s: answer %+v, want a TTL of %d", what, res.Answer, ttl)
	}
}

func TestServersThatRefuse(t *testing.T) {
	w := newWorld(t)
	w.want("at first", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, ede.None, 30)
	w.want("at first", w.ask("nope.example.", resolve.Options{}), dns.RcodeNameError, ede.None, 0)
	w.plays(refusing)
	w.now.Add(10)
	w.want("while it is alive", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, ede.None, 20)
	w.now.Add(50)
	w.want("NO_CACHE", w.ask("www.example.", resolve.Options{BypassCache: true}), dns.RcodeServerFailure, 22, 0)
	w.plays(refusing)
	w.want("when it is over", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 1)
	w.want("a denial", w.ask("nope.example.", resolve.Options{}), dns.RcodeNameError, 19, 0)
	if n := w.plays(refusing); n == 0 {
		t.Error("nobody was asked whether it is still so")
	}
	w.want("again, soon after", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 1)
	if n := w.plays(refusing); n != 0 {
		t.Errorf("a failure was not remembered: %d questions", n)
	}
	w.want("what was never known", w.ask("new.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
	w.plays(honest)
	w.now.Add(10)
	w.want("back again", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, ede.None, 30)
	w.plays(refusing)
	w.now.Add(30 + 86400)
	w.want("a day later", w.ask("www.example.", resolve.Options{}), dns.RcodeServerFailure, 22, 0)
}

// A server that says nothing costs the client no more than the timeout; behind
// the answer the question stays open, and what comes then is kept.
func TestServersThatAreTooSlow(t *testing.T) {
	w := newWorld(t)
	w.ask("www.example.", resolve.Options{})
	w.now.Add(60)
	if err := w.set("timeout", 20.0); err != nil {
		t.Fatal(err)
	}
	answer, asked := make(chan struct{}), make(chan struct{}, 10)
	w.plays(func(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
		asked <- struct{}{}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-answer:
			return honest(ctx, q)
		}
	})
	w.want("after the timeout", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 1)
	<-asked // for the client
	<-asked // behind the answer
	w.want("meanwhile", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 1)
	if len(asked) != 0 {
		t.Error("the question was sent a third time")
	}
	close(answer)
	w.group.Wait()
	w.plays(silent)
	w.want("then", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, ede.None, 30)
}

// Clients that ask the same together share the wait, and all are told.
func TestManyWaitTogether(t *testing.T) {
	w := newWorld(t)
	w.ask("www.example.", resolve.Options{})
	w.now.Add(60)
	if err := w.set("timeout", 50.0); err != nil {
		t.Fatal(err)
	}
	answer := make(chan struct{})
	w.plays(func(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-answer:
			return honest(ctx, q)
		}
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { w.want("together", w.ask("www.example.", resolve.Options{}), dns.RcodeSuccess, 3, 1) })
	}
	all.Wait()
	close(answer)
	if n := w.plays(honest); n > 3 {
		t.Errorf("%d questions were sent for one question of 20 clients", n)
	}
}
