package validate_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/explain"
	"kresd/internal/iterate"
	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/trustanchor"
	"kresd/internal/validate"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// world is a validating resolver with a real cache in front of a small signed
// Internet.
type world struct {
	t       testing.TB
	now     int64
	anchors *trustanchor.Store
	counts  validate.Counts
	driver  *resolve.Driver
	cache   *cache.Cache

	mu   sync.Mutex
	net  *authority.Internet
	sent []string // "server name type" of every question
	// onSend sees each question that is sent; nil: nobody does.
	onSend func(resolve.Exchange)
	// forwarder answers at its address; nil: nobody does.
	forwarder func(context.Context, resolve.Exchange) (resolve.Reply, error)
}

const begin = 1_700_000_000

// zone is one zone of the test Internet; it is signed by keys made of its seed, "": not
// signed.
type zone struct{ origin, seed, text string }

// key is the one key of a zone, of an old algorithm where the seed says so.
func key(origin, seed string) *authority.Key {
	if strings.HasPrefix(seed, "SHA-1") {
		return authority.NewKey(origin, authority.KSK, dns.RSASHA1, seed)
	}
	return authority.NewKey(origin, authority.KSK, dns.ECDSAP256SHA256, seed)
}

// build makes an Internet of zones; each stands behind those above it. The DS sets of
// signed zones are in their parents, unless a zone's text says "nods".
func build(t testing.TB, zones ...zone) *authority.Internet {
	t.Helper()
	made := make([]*authority.Zone, len(zones))
	for i, z := range zones {
		text, _ := strings.CutPrefix(z.text, "nods\n")
		made[i] = authority.MustParse(z.origin, "$TTL 3600\n"+z.origin+" SOA ns. host. 1 2 3 4 300\n"+text)
	}
	for i := len(zones) - 1; i >= 0; i-- {
		z := zones[i]
		if z.seed == "" {
			continue
		}
		if p := slices.IndexFunc(zones[:max(i, 1)], func(p zone) bool { return i > 0 && parent(zones[:i], z.origin) == p.origin }); p >= 0 && !strings.HasPrefix(z.text, "nods\n") {
			made[p].Add(key(z.origin, z.seed).DS(dns.SHA256))
		}
		k := []*authority.Key{key(z.origin, z.seed)}
		made[i].Sign(authority.Signing{KSK: k, ZSK: k, From: begin - 86400, Until: begin + 30*86400})
	}
	n, err := authority.New(made...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// parent is the closest origin above a name.
func parent(zones []zone, origin string) (best string) {
	for _, z := range zones {
		if z.origin != origin && dns.IsSubDomain(z.origin, origin) && len(z.origin) > len(best) {
			best = z.origin
		}
	}
	return best
}

// basic are the zones above example.com.
func basic(more ...zone) []zone {
	return append([]zone{
		{".", "root", ". NS a.root.\na.root. A 198.51.100.1\ncom. NS ns.com.\nns.com. A 198.51.100.2\n"},
		{"com.", "com", "com. NS ns.com.\nns.com. A 198.51.100.2\nexample.com. NS ns.example.com.\nexample.com. NS ns2.example.com.\n" +
			"ns.example.com. A 192.0.2.1\nns2.example.com. A 192.0.2.2\nplain.com. NS ns.plain.com.\nns.plain.com. A 192.0.2.3\n"},
	}, more...)
}

const exampleText = `example.com. NS ns.example.com.
example.com. NS ns2.example.com.
ns.example.com. A 192.0.2.1
ns2.example.com. A 192.0.2.2
www.example.com. A 192.0.2.10
alias.example.com. CNAME www.example.com.
out.example.com. CNAME www.plain.com.
*.wild.example.com. A 192.0.2.11
*.wildalias.example.com. CNAME www.example.com.
old.example.com. DNAME new.example.com.
x.new.example.com. A 192.0.2.12
a.b.example.com. A 192.0.2.13
`

var (
	example = zone{"example.com.", "one", exampleText}
	plain   = zone{"plain.com.", "", "plain.com. NS ns.plain.com.\nns.plain.com. A 192.0.2.3\nwww.plain.com. A 192.0.2.20\n"}
)

func newWorld(t testing.TB, zones ...zone) *world {
	t.Helper()
	if zones == nil {
		zones = basic(example, plain)
	}
	w := &world{t: t, now: begin, anchors: trustanchor.New(), net: build(t, zones...)}
	if err := w.anchors.Add(key(".", "root").DS(dns.SHA256).String()); err != nil {
		t.Fatal(err)
	}
	store, err := lmdbcache.Open(t.TempDir(), lmdbcache.Options{MaxSize: 10 << 20, Schema: cache.Schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	counters := &limits.Counters{}
	c := cache.New(counters)
	c.Swap(cache.Disk{Store: store})
	hints := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for name, addrs := range w.net.Roots() {
		hints.NS = append(hints.NS, zonecut.NameServer{Name: mustName(name), Addrs: addrs})
	}
	c.SetHints(hints)
	layers := []*resolve.Layer{iterate.Layer(), validate.Layer(validate.Config{Anchors: w.anchors.Snapshot, Counts: &w.counts}), c.Layer()}
	w.cache = c
	w.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return layers }, Exchanger: w, Cuts: c,
		Servers: selection.New(selection.Config{Clock: clock.Real()}), Counters: counters,
		Partitions: func() resolve.Partitions {
			p := resolve.Partition(0).With(w.anchors.Snapshot().Fingerprint())
			return resolve.Partitions{Data: p, Answers: p}
		},
	})
	return w
}

func mustName(text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

// Exchange plays upstream without loss.
func (w *world) Exchange(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
	if w.forwarder != nil && x.Addr.Addr() == forwarder {
		return w.forwarder(ctx, x)
	}
	if err := x.Budget.Send(); err != nil {
		return resolve.Reply{}, err
	}
	if w.onSend != nil {
		w.onSend(x)
	}
	w.mu.Lock()
	w.sent = append(w.sent, fmt.Sprintf("%s %s %s", x.Addr.Addr(), x.Name, dns.TypeToString[x.Type]))
	h := w.net.Host(x.Addr.Addr().String())
	w.mu.Unlock()
	if h == nil {
		return resolve.Reply{}, resolve.ErrUnreachable
	}
	q := new(dns.Msg)
	q.SetQuestion(x.Name.String(), x.Type)
	q.SetEdns0(1232, true)
	a := h.Ask(q, true)
	if a.Reply == nil {
		return resolve.Reply{}, resolve.ErrUnreachable
	}
	pkt, err := a.Reply.Pack()
	if err != nil {
		w.t.Errorf("packing the answer to %s: %v", x.Name, err)
		return resolve.Reply{}, resolve.ErrTimeout
	}
	m, err := wire.Parse(pkt)
	if err != nil {
		return resolve.Reply{}, resolve.ErrTimeout
	}
	x.Budget.Received(len(pkt))
	return resolve.Reply{Msg: m, RTT: time.Millisecond, Size: len(pkt), TCP: true}, nil
}

// asked are the questions that were sent since the last call.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sent
	w.sent = nil
	return s
}

// become replaces the Internet.
func (w *world) become(zones ...zone) {
	n := build(w.t, zones...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.net = n
}

func (w *world) host(addr string) *authority.Host {
	return w.net.Host(netip.MustParseAddr(addr).String())
}

func (w *world) resolve(name string, qtype uint16, change func(*resolve.Request)) *resolve.Request {
	r := &resolve.Request{
		Question: resolve.Question{Name: mustName(name), Type: qtype, Class: wire.ClassIN}, RD: true, Now: w.now,
	}
	r.Result.EDE = ede.None
	if testing.Verbose() {
		r.Tell = func(_ *resolve.Query, step resolve.Step) { w.t.Log(explain.Words(step)) }
	}
	if change != nil {
		change(r)
	}
	w.driver.Resolve(context.Background(), r)
	return r
}

// ask is the RCODE, how far it is proven, and the extended error if there is one.
func (w *world) ask(name string, qtype uint16) string {
	w.t.Helper()
	return outcome(&w.resolve(name, qtype, nil).Result)
}

// outcome is what ask says of a result.
func outcome(res *resolve.Result) string {
	out := dns.RcodeToString[res.Rcode]
	switch {
	case res.Rcode == wire.RcodeServFail:
	case res.Rank.IsSecure():
		out += " secure"
	default:
		out += " insecure"
	}
	if res.EDE != ede.None {
		out += fmt.Sprintf(" %d %s", res.EDE, res.EDEText)
	}
	return out
}

// expect asks and compares with the beginning of what ask says.
func (w *world) expect(name string, qtype uint16, want string) {
	w.t.Helper()
	if got := w.ask(name, qtype); got != want && !(strings.HasSuffix(want, "…") && strings.HasPrefix(got, strings.TrimSuffix(want, "…"))) {
		w.t.Errorf("%s %s: %s, want %s", name, dns.TypeToString[qtype], got, want)
	}
}

// Only signatures of a type.
func spoilt(covered uint16) authority.Rule {
	return func(x *authority.Exchange) {
		for _, rrs := range [][]dns.RR{x.Reply.Answer, x.Reply.Ns} {
			for i, rr := range rrs {
				if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == covered {
					bad := dns.Copy(sig).(*dns.RRSIG)
					bad.Signature = strings.Map(func(r rune) rune {
						if r == 'A' {
							return 'B'
						}
						return r
					}, "A"+bad.Signature[1:])
					if bad.Signature == sig.Signature {
						bad.Signature = "C" + bad.Signature[1:]
					}
					rrs[i] = bad
				}
			}
		}
	}
}

// claimed adds signatures that name a zone below the one that signed.
func claimed(signer string) authority.Rule {
	return func(x *authority.Exchange) {
		for _, section := range []*[]dns.RR{&x.Reply.Answer, &x.Reply.Ns} {
			for _, rr := range *section {
				if sig, ok := rr.(*dns.RRSIG); ok && dns.IsSubDomain(signer, sig.Hdr.Name) {
					more := dns.Copy(sig).(*dns.RRSIG)
					more.SignerName = signer
					*section = append(*section, more)
				}
			}
		}
	}
}

// resealed replaces NSEC records of example.com. by what change makes of them, signed by
// the zone's own key.
func resealed(change func(*dns.NSEC) dns.RR) authority.Rule {
	return func(x *authority.Exchange) {
		for _, rrs := range [][]dns.RR{x.Reply.Answer, x.Reply.Ns} {
			seals := map[string]dns.RR{}
			for i, rr := range rrs {
				if n, ok := rr.(*dns.NSEC); ok {
					rrs[i] = change(n)
					seals[n.Hdr.Name] = key("example.com.", "one").Sign([]dns.RR{rrs[i]}, begin-86400, begin+30*86400, nil)
				}
			}
			for i, rr := range rrs {
				if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeNSEC && seals[sig.Hdr.Name] != nil {
					rrs[i] = seals[sig.Hdr.Name]
				}
			}
		}
	}
}

// stripped leaves out records that fit.
func stripped(drop func(dns.RR) bool) authority.Rule {
	return func(x *authority.Exchange) {
		x.Reply.Answer = slices.DeleteFunc(x.Reply.Answer, drop)
		x.Reply.Ns = slices.DeleteFunc(x.Reply.Ns, drop)
	}
}

func isType(types ...uint16) func(dns.RR) bool {
	return func(rr dns.RR) bool { return slices.Contains(types, rr.Header().Rrtype) }
}
