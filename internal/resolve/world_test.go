package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/explain"
	"kresd/internal/iterate"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/trustanchor"
	"kresd/internal/validate"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// world is a resolver without cache and sockets in front of a small Internet.
type world struct {
	t        *testing.T
	net      *authority.Internet
	cuts     *memory
	driver   *resolve.Driver
	servers  *selection.Selector
	counters limits.Counters
	options  resolve.Options
	layers   []*resolve.Layer
	trace    bool
	noTCP    bool                // connections are refused
	former   *authority.Internet // whose servers go on although nobody names them
	// unreachable is where nothing can be sent.
	erring      map[netip.Addr]string // what servers do in words of the protocol below DNS
	unreachable netip.Addr
	// noRoute tells to which addresses this machine has no route; nil: to all it has.
	noRoute func(netip.Addr) bool
	// lost is the outgoing address for these, when it and no route is lacking.
	lost netip.Addr

	inmemory.Journal
	reply func(to netip.Addr, q resolve.Question, m *dns.Msg)
}

var mustName = inmemory.Name

// zones are origin and text of each zone; "." must be among them.
type zones map[string]string

func newWorld(t *testing.T, zs zones) *world {
	t.Helper()
	var parsed []*authority.Zone
	for origin, text := range zs {
		parsed = append(parsed, inmemory.Zone(origin, text))
	}
	n, err := authority.New(parsed...)
	if err != nil {
		t.Fatal(err)
	}
	return newResolver(t, n)
}

// newWorldOf is a fresh resolver in front of the same Internet.
func newWorldOf(w *world) *world { return newResolver(w.t, w.net) }

func newResolver(t *testing.T, n *authority.Internet) *world {
	w := &world{t: t, net: n, cuts: &memory{m: map[dnsname.Name]*zonecut.Cut{}, addrs: map[dnsname.Name][]netip.Addr{}}}
	w.cuts.m[dnsname.Root] = inmemory.Hints(n)
	w.layers = []*resolve.Layer{iterate.Layer(), validate.Layer(validate.Config{Anchors: trustanchor.New().Snapshot})}
	w.servers = selection.New(selection.Config{Clock: clock.Real()})
	w.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return w.layers }, Exchanger: w, Cuts: w.cuts,
		Servers:  w.servers,
		Counters: &w.counters, Options: func() resolve.Options { return w.options },
	})
	return w
}

// memory is a Cuts without expiry of addresses.
type memory struct {
	mu    sync.Mutex
	m     map[dnsname.Name]*zonecut.Cut
	addrs map[dnsname.Name][]netip.Addr
	kept  []string
}

func (c *memory) Closest(_ resolve.Partition, name dnsname.Name, now int64) *zonecut.Cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := name; ; n = n.Parent() {
		if cut := c.m[n]; cut != nil && (cut.Hints || cut.Expires > now) {
			return cut
		}
		if n.IsRoot() {
			return nil
		}
	}
}

func (c *memory) Addrs(_ resolve.Partition, ns dnsname.Name, _ int64) ([]netip.Addr, bool, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.addrs[ns]
	return a, len(a) > 0, len(a) > 0
}

func (c *memory) Keep(_ resolve.Partition, cut *zonecut.Cut, _ int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[cut.Name] = cut
	c.kept = append(c.kept, cut.Name.String())
}

// Exchange plays upstream: UDP, then TCP when truncated.
func (w *world) Exchange(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
	if w.noRoute != nil && w.noRoute(x.Addr.Addr()) {
		w.Note(x)
		if w.lost.IsValid() {
			return resolve.Reply{TCP: x.TCP}, &resolve.NoSource{Addr: w.lost}
		}
		return resolve.Reply{}, resolve.ErrNoRoute
	}
	if err := x.Budget.Send(); err != nil {
		return resolve.Reply{}, err
	}
	w.Note(x)
	if x.Sent != nil {
		x.Sent()
	}
	if x.Addr.Addr() == w.unreachable {
		return resolve.Reply{}, resolve.ErrUnreachable
	}
	if did := w.erring[x.Addr.Addr()]; did != "" {
		return resolve.Reply{}, &resolve.Erring{Did: did}
	}
	if x.TCP && w.noTCP {
		return resolve.Reply{TCP: true}, resolve.ErrUnreachable
	}
	h := w.net.Host(x.Addr.Addr().String())
	if w.former != nil && x.Addr.Addr().String() == "192.0.2.1" {
		h = w.former.Host("192.0.2.1")
	}
	if h == nil || x.Addr.Port() != 53 {
		return resolve.Reply{}, silence(ctx, x.Timeout)
	}
	q := inmemory.Query(x)
	start := time.Now()
	a := h.Ask(q, x.TCP)
	if a.Reply != nil && a.Reply.Truncated {
		a = h.Ask(q, true)
	}
	if a.Reply == nil || a.Delay >= x.Timeout && !x.TCP {
		err := silence(ctx, x.Timeout)
		if err == resolve.ErrTimeout && x.Late != nil {
			w.later(x, a, start)
			err = resolve.ErrOverdue
		}
		return resolve.Reply{}, err
	}
	if err := silence(ctx, a.Delay); err != resolve.ErrTimeout {
		return resolve.Reply{}, err
	}
	return w.arrived(x, a, start)
}

// later waits on for an answer whose time is over, or for nothing.
func (w *world) later(x resolve.Exchange, a *authority.Exchange, start time.Time) {
	ctx, limit, done := x.Late.Overdue()
	go func() {
		wait := limit
		if a.Reply != nil {
			wait = min(limit, a.Delay-time.Since(start))
		}
		if err := silence(ctx, wait); err != resolve.ErrTimeout || wait == limit {
			done(resolve.Reply{}, err)
			return
		}
		done(w.arrived(x, a, start))
	}()
}

// arrived is the answer a as the resolver sees it.
func (w *world) arrived(x resolve.Exchange, a *authority.Exchange, start time.Time) (resolve.Reply, error) {
	if w.reply != nil {
		w.reply(x.Addr.Addr(), x.Question, a.Reply)
	}
	return inmemory.Reply(x, a.Reply, time.Since(start))
}

func silence(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return resolve.ErrTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asked are the questions that were sent so far; it forgets them.
func (w *world) asked() []string { return w.Asked() }

func (w *world) request(name, qtype string) *resolve.Request {
	r := &resolve.Request{
		Question: resolve.Question{Name: mustName(name), Type: dns.StringToType[qtype], Class: wire.ClassIN},
		RD:       true, Now: time.Now().Unix(),
	}
	if w.trace {
		r.Tell = func(_ *resolve.Query, step resolve.Step) { w.t.Log(explain.Words(step)) }
	}
	return r
}

// ask resolves and prints the result: RCODE, then each record of the answer.
func (w *world) ask(name, qtype string) string {
	r := w.request(name, qtype)
	w.driver.Resolve(context.Background(), r)
	return show(&r.Result)
}

func show(res *resolve.Result) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[res.Rcode])
	for _, s := range res.Answer {
		for _, d := range s.Data {
			fmt.Fprintf(&b, "; %s %s %s", s.Owner, dns.TypeToString[s.Type], rdata(s.Type, d))
		}
	}
	for _, s := range res.Authority {
		fmt.Fprintf(&b, " / %s %s", s.Owner, dns.TypeToString[s.Type])
	}
	return b.String()
}

func rdata(t uint16, d []byte) string {
	switch t {
	case wire.TypeA, wire.TypeAAAA:
		a, _ := netip.AddrFromSlice(d)
		return a.String()
	case wire.TypeCNAME, wire.TypeDNAME, wire.TypeNS:
		return wire.Target(d).String()
	}
	return fmt.Sprintf("%q", d)
}

// basic is an Internet with two TLDs on their own servers.
func basic(more zones) zones {
	zs := zones{
		".": `. NS a.root.
a.root. A 198.51.100.1
com. NS ns.com.
ns.com. A 198.51.100.2
net. NS ns.net.
ns.net. A 198.51.100.3
`,
		"com.": "com. NS ns.com.\nns.com. A 198.51.100.2\n",
		"net.": "net. NS ns.net.\nns.net. A 198.51.100.3\n",
	}
	for origin, text := range more {
		zs[origin] += text
	}
	return zs
}

// example is example.com. with a server of its own, and more text for its zone.
func example(text string) zones {
	const d = "example.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\n"
	return zones{"com.": d, "example.com.": d + text}
}

func merge(all ...zones) zones {
	out := zones{}
	for _, zs := range all {
		for origin, text := range zs {
			out[origin] += text
		}
	}
	return out
}
