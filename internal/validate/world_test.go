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
	"kresd/internal/authority/inmemory"
	"kresd/internal/cache"
	"kresd/internal/clock"
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
	store   *lmdbcache.Store

	inmemory.Journal
	mu  sync.Mutex
	net *authority.Internet
	// onSend sees each question that is sent; nil: nobody does.
	onSend func(resolve.Exchange)
	// forwarder answers at its address; nil: nobody does.
	forwarder func(context.Context, resolve.Exchange) (resolve.Reply, error)
	// route is whose servers are asked about a name; nil: nobody says.
	route func(*resolve.Request, resolve.Question) *resolve.Route
}

var mustName = inmemory.Name

const begin = 1_700_000_000

// zone is one zone of the test Internet; it is signed by keys made of its seed, "": not
// signed.
type zone struct{ origin, seed, text string }

// key is the one key of a zone, of an old or unknown algorithm where the seed says so.
func key(origin, seed string) *authority.Key {
	switch {
	case strings.HasPrefix(seed, "SHA-1"):
		return authority.NewKey(origin, authority.KSK, dns.RSASHA1, seed)
	case strings.HasPrefix(seed, "unknown"):
		return authority.NewKey(origin, authority.KSK, 200, seed)
	}
	return authority.NewKey(origin, authority.KSK, dns.ECDSAP256SHA256, seed)
}

// denial is how a zone denies, as its seed says.
func denial(seed string) authority.Denial {
	switch {
	case strings.HasPrefix(seed, "opt-out"):
		return authority.Denial{Kind: authority.NSEC3, OptOut: true}
	case strings.HasPrefix(seed, "costly"):
		return authority.Denial{Kind: authority.NSEC3, Iterations: limits.NSEC3Iterations + 1}
	case strings.HasPrefix(seed, "hashed"):
		return authority.Denial{Kind: authority.NSEC3, Iterations: limits.NSEC3Iterations, Salt: "aa"}
	}
	return authority.Denial{}
}

// build makes an Internet of zones. The DS sets of signed zones are in their parents,
// unless a zone's text begins with "nods".
func build(t testing.TB, zones ...zone) *authority.Internet {
	t.Helper()
	made, seeds := make([]*authority.Zone, len(zones)), map[string]string{}
	security := authority.Security{From: begin - 86400, Until: begin + 30*86400}
	for i, z := range zones {
		text, island := strings.CutPrefix(z.text, "nods\n")
		made[i], seeds[z.origin] = inmemory.Zone(z.origin, text), z.seed
		if island {
			security.Islands = append(security.Islands, z.origin)
		}
		if z.seed == "" {
			security.Unsigned = append(security.Unsigned, z.origin)
		}
	}
	n, err := authority.New(made...)
	if err != nil {
		t.Fatal(err)
	}
	security.Key = func(origin string) *authority.Key { return key(origin, seeds[origin]) }
	security.Denial = func(origin string) authority.Denial { return denial(seeds[origin]) }
	n.Secure(security)
	return n
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
	c.SetHints(inmemory.Hints(w.net))
	layers := []*resolve.Layer{iterate.Layer(), validate.Layer(validate.Config{Anchors: w.anchors.Snapshot, Counts: &w.counts}), c.Layer(), {Name: "rule", Route: func(r *resolve.Request, q resolve.Question) *resolve.Route {
		if w.route == nil {
			return nil
		}
		return w.route(r, q)
	}}}
	w.cache, w.store = c, store
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
	w.Note(x)
	w.mu.Lock()
	h := w.net.Host(x.Addr.Addr().String())
	w.mu.Unlock()
	if h == nil {
		return resolve.Reply{}, resolve.ErrUnreachable
	}
	a := h.Ask(inmemory.Query(x), true)
	if a.Reply == nil {
		return resolve.Reply{}, resolve.ErrUnreachable
	}
	return inmemory.Reply(x, a.Reply, time.Millisecond)
}

// asked are the questions that were sent since the last call.
func (w *world) asked() []string { return w.Asked() }

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
