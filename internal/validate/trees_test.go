package validate_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/resolve"
)

// A tree is an Internet of zones drawn at random, of few labels, so that names meet: zones
// below empty non-terminals and on the servers of others, wildcards, aliases of all kinds that
// lead through them, each kind of denial, keys and DS sets as in the midst of a rollover.
type tree struct {
	r     *rand.Rand
	sites []site
	zones map[string]*authority.Zone // by origin
	// denies is how the root denies, as the seeds of other sites.
	denies string
}

func newTree(seed uint64) *tree {
	x := &tree{r: rand.New(rand.NewPCG(seed, 0)), zones: map[string]*authority.Zone{}}
	x.sites = []site{x.drawn(".", rootAddr), x.drawn("com.", comAddr)}
	for range 2 + x.r.IntN(4) {
		x.delegate()
	}
	for i := range x.sites {
		x.fill(&x.sites[i])
	}
	for i := range x.sites {
		x.sign(i)
	}
	return x
}

// drawn is a site without records that is signed in one way or another, or not at all.
func (x *tree) drawn(origin, addr string) site {
	s := site{origin: origin, addr: addr, seed: "one"}
	kind := func(k authority.Kind) func(*authority.Signing) {
		return func(g *authority.Signing) { g.Denial = authority.Denial{Kind: k} }
	}
	switch x.r.IntN(10) {
	case 0:
		s.seed = "opt-out"
	case 1:
		s.seed = "costly"
	case 2, 3:
		s.seed = "hashed"
	case 4:
		s.sign = kind(authority.MinimalNSEC)
	case 5:
		s.sign = kind(authority.MinimalNSEC3)
	case 6:
		s.sign = kind(authority.Compact)
	}
	if x.r.IntN(8) == 0 {
		s = untimed([]site{s})[0]
	}
	if origin == "." { // whose key is the trust anchor
		seed := s.seed
		s.seed, s.sign = "root", also(s.sign, func(g *authority.Signing) {
			if g.Denial.Kind == authority.NSEC {
				g.Denial = denial(seed)
			}
		})
		x.denies = seed
		return s
	}
	if origin != "com." {
		switch x.r.IntN(12) {
		case 0, 1:
			s.seed, s.sign = "", nil
		case 2:
			s.seed = "unknown"
		case 3, 4:
			s.island = true
		}
	}
	if s.seed != "" && s.seed != "unknown" {
		x.roll(&s)
	}
	return s
}

// also does one thing to a signing, and then another.
func also(first, then func(*authority.Signing)) func(*authority.Signing) {
	return func(g *authority.Signing) {
		if first != nil {
			first(g)
		}
		then(g)
	}
}

// roll gives a site more keys and DS records than it needs, as during rollovers (RFC 6781,
// section 4.1). None of these does harm.
func (x *tree) roll(s *site) {
	further := func(algorithm uint8, seed string) *authority.Key {
		return authority.NewKey(s.origin, authority.KSK, algorithm, seed)
	}
	switch x.r.IntN(10) {
	case 0: // a standby key
		s.sign = also(s.sign, func(g *authority.Signing) {
			g.Published = append(slices.Clone(g.KSK), further(dns.ECDSAP256SHA256, "next"))
		})
	case 1: // two signatures of each set
		s.sign = also(s.sign, func(g *authority.Signing) { g.ZSK = append(g.ZSK, further(dns.ECDSAP256SHA256, "next")) })
	case 2: // data signed by another key than keys
		s.sign = also(s.sign, func(g *authority.Signing) { g.ZSK = []*authority.Key{further(dns.ED25519, "zone")} })
	case 3: // signatures of an unknown algorithm, the first ones
		s.sign = also(s.sign, func(g *authority.Signing) {
			g.ZSK = slices.Concat([]*authority.Key{further(200, "unknown")}, g.ZSK)
		})
	case 4: // signatures ahead of their key
		s.sign = also(s.sign, func(g *authority.Signing) {
			g.Published, g.ZSK = g.KSK, slices.Concat([]*authority.Key{further(dns.ED25519, "ahead")}, g.ZSK)
		})
	case 5: // names in upper case, which signatures do not know
		s.rules = append(s.rules, func(e *authority.Exchange) {
			for _, rrs := range [][]dns.RR{e.Reply.Answer, e.Reply.Ns} {
				for i := range rrs {
					rrs[i] = dns.Copy(rrs[i])
					if sig, ok := rrs[i].(*dns.RRSIG); ok {
						sig.SignerName = strings.ToUpper(sig.SignerName)
					}
					if rrs[i].Header().Rrtype != dns.TypeNSEC && rrs[i].Header().Rrtype != dns.TypeCNAME {
						rrs[i].Header().Name = strings.ToUpper(rrs[i].Header().Name)
					}
				}
			}
		})
	case 6: // keys without a flag that says what they are for
		s.sign = also(s.sign, func(g *authority.Signing) {
			g.ZSK = []*authority.Key{authority.NewKey(s.origin, authority.ZSK, dns.ED25519, "plain")}
		})
	}
	origin, which := s.origin, x.r.IntN(8)
	if which > 3 {
		return
	}
	s.ds = func(ds *dns.DS) []dns.RR {
		main := key(origin, s.seed)
		standby := further(dns.ED25519, "standby").DS(dns.SHA256)
		strange := dns.Copy(main.DS(dns.SHA256)).(*dns.DS)
		strange.DigestType, strange.Digest = 200, "abcdef"
		wrong := dns.Copy(main.DS(dns.SHA256)).(*dns.DS)
		wrong.DigestType, wrong.Digest = dns.SHA1, strings.Repeat("00", 20)
		return [][]dns.RR{{standby, ds}, {strange, ds}, {wrong, ds}, {main.DS(dns.SHA384), ds, standby}}[which]
	}
}

// name is a name so many labels below another.
func (x *tree) name(below string, labels int) string {
	for range labels {
		below = string("abcwz"[x.r.IntN(5)]) + "." + strings.TrimPrefix(below, ".")
	}
	return below
}

// anyName is a name at or below any zone.
func (x *tree) anyName() string {
	return x.name(x.sites[x.r.IntN(len(x.sites))].origin, x.r.IntN(4))
}

// delegate adds a zone below another, where it comes between no two.
func (x *tree) delegate() {
	under := x.sites[1+x.r.IntN(len(x.sites)-1)]
	origin := x.name(under.origin, 1+x.r.IntN(3))
	for _, s := range x.sites {
		if s.origin == origin || s.origin != under.origin && dns.IsSubDomain(origin, s.origin) {
			return
		}
	}
	addr := fmt.Sprintf("192.0.2.%d", 20+len(x.sites))
	if x.r.IntN(2) == 0 {
		addr = x.sites[1+x.r.IntN(len(x.sites)-1)].addr
	}
	x.sites = append(x.sites, x.drawn(origin, addr))
}

// below are the zones below a site, which hide what it has at and below their names.
func (x *tree) below(s *site) (out []string) {
	for _, other := range x.sites {
		if other.origin != s.origin && dns.IsSubDomain(s.origin, other.origin) {
			out = append(out, other.origin)
		}
	}
	return out
}

// fill gives a site records that no cut or DNAME hides.
func (x *tree) fill(s *site) {
	hides, taken := x.below(s), slices.Concat(x.below(s), []string{s.origin, s.server()})
	for range 2 + x.r.IntN(7) {
		name, wild := x.name(s.origin, 1+x.r.IntN(3)), x.r.IntN(4) == 0
		if wild {
			name = "*." + strings.TrimPrefix(x.name(s.origin, x.r.IntN(3)), ".")
		}
		hidden := slices.ContainsFunc(hides, func(top string) bool { return dns.IsSubDomain(top, name) })
		if hidden || slices.Contains(taken, name) || s.origin == "." && x.r.IntN(3) > 0 {
			continue
		}
		switch x.r.IntN(6) {
		case 0:
			s.text += name + " CNAME " + x.anyName() + "\n"
		case 1:
			if wild || slices.ContainsFunc(taken, func(other string) bool { return dns.IsSubDomain(name, other) }) {
				continue
			}
			s.text += name + " DNAME " + x.anyName() + "\n"
			hides = append(hides, name)
		case 2:
			s.text += name + " TXT x\n" + name + " A 192.0.2.99\n"
		case 3:
			s.text += name + " TXT x\n"
		default:
			s.text += fmt.Sprintf("%s A 198.18.%d.%d\n", name, x.r.IntN(200), x.r.IntN(200))
		}
		taken = append(taken, name)
	}
}

// sign makes the zone of a site as newWorldOf does.
func (x *tree) sign(i int) {
	s := &x.sites[i]
	z := inmemory.Zone(s.origin, s.servers()+s.text)
	for j := range x.sites {
		if parentOf(x.sites, j) == i {
			z.Add(x.sites[j].delegation()...)
		}
	}
	if s.seed != "" {
		z.Sign(s.signing())
	}
	x.zones[s.origin] = z
}

// secure tells whether a chain of trust leads to a site.
func (x *tree) secure(i int) bool {
	if i < 0 {
		return true
	}
	s := &x.sites[i]
	return s.seed != "" && s.seed != "unknown" && !s.island && x.secure(parentOf(x.sites, i))
}

// at is the site that answers for a name.
func (x *tree) at(name string, qtype uint16) (at int) {
	at = -1
	for i := range x.sites {
		o := x.sites[i].origin
		above := dns.IsSubDomain(o, name) && (qtype != dns.TypeDS || o != name || name == ".")
		if above && (at < 0 || dns.IsSubDomain(x.sites[at].origin, o)) {
			at = i
		}
	}
	return at
}

// says is what has to come of a question, by its zones alone; "" where nobody can tell.
func (x *tree) says(name string, qtype uint16) string {
	proven := true
	for range 9 {
		if len(name) > 200 {
			return ""
		}
		i := x.at(name, qtype)
		q := new(dns.Msg)
		q.SetQuestion(name, qtype)
		q.SetEdns0(4096, true)
		r := authority.Answer([]*authority.Zone{x.zones[x.sites[i].origin]}, q)
		if qtype == dns.TypeCNAME && slices.ContainsFunc(r.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDNAME }) {
			return "" // servers differ in whether they follow the alias
		}
		last, text, told := name, "", false
		for _, rr := range r.Answer {
			told = told || rr.Header().Rrtype == qtype && dns.CanonicalName(rr.Header().Name) == last
			switch rr := rr.(type) {
			case *dns.CNAME:
				last = dns.CanonicalName(rr.Target)
			case *dns.A:
				text += " " + rr.A.String()
			}
		}
		denied := slices.ContainsFunc(r.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
		proven = proven && x.secure(i) && x.shown(&x.sites[i], r, last, denied)
		if told || denied {
			return dns.RcodeToString[r.Rcode] + map[bool]string{true: " secure", false: " insecure"}[proven] + text
		}
		name = last
	}
	return "" // aliases go round
}

// shown tells whether a zone's answer proves all that it says: under opt-out and by too many
// iterations that depends on whether a hash is matched or covered.
func (x *tree) shown(s *site, r *dns.Msg, last string, denied bool) bool {
	seed := s.seed
	if s.origin == "." {
		seed = x.denies
	}
	if seed != "opt-out" && seed != "costly" {
		return true
	}
	for _, rr := range r.Answer {
		sig, ok := rr.(*dns.RRSIG)
		if ok && !strings.HasPrefix(sig.Hdr.Name, "*.") && int(sig.Labels) < dns.CountLabel(sig.Hdr.Name) {
			return false // a wildcard made it
		}
	}
	hash := dns.CanonicalName(dns.HashName(last, dns.SHA1, 0, "") + "." + strings.TrimPrefix(s.origin, "."))
	matched := slices.ContainsFunc(r.Ns, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeNSEC3 && dns.CanonicalName(rr.Header().Name) == hash
	})
	return !denied || seed == "opt-out" && r.Rcode == dns.RcodeSuccess && matched
}

// said is what a resolver says, as says tells it.
func (w *world) said(name string, qtype uint16, change func(*resolve.Request)) string {
	res := &w.resolve(name, qtype, change).Result
	out := outcome(res)
	if res.Rcode == dns.RcodeServerFailure {
		return out
	}
	out = out[:strings.Index(out, "secure")+len("secure")]
	for _, s := range res.Answer {
		for _, d := range s.Data {
			if s.Type == dns.TypeA {
				out += fmt.Sprintf(" %d.%d.%d.%d", d[0], d[1], d[2], d[3])
			}
		}
	}
	return out
}

func (x *tree) String() (out string) {
	for _, s := range x.sites {
		out += fmt.Sprintf("%s at %s, seed %q, island %t\n%s", s.origin, s.addr, s.seed, s.island, s.text)
	}
	return out
}

// trees says how many trees are tried, from which seed on, as KRESD_TREES=SEED,TREES.
func trees(t *testing.T) (seed, n uint64) {
	text := os.Getenv("KRESD_TREES")
	if text == "" {
		return 1, 8
	}
	first, second, _ := strings.Cut(text, ",")
	seed, err1 := strconv.ParseUint(first, 10, 64)
	n, err2 := strconv.ParseUint(second, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("KRESD_TREES=%q is not SEED,TREES", text)
	}
	return seed, n
}

// Whatever shape zones have, the verdict on each name of them is what follows from how they
// are delegated and signed: cold, out of a cache that has learnt from other questions, and
// behind a forwarder, who shows no zone cuts.
func TestRandomTrees(t *testing.T) {
	first, n := trees(t)
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			x := newTree(seed)
			if x.try(t); t.Failed() {
				t.Log(x)
			}
		})
	}
}

func (x *tree) try(t *testing.T) {
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeTXT, dns.TypeCNAME, dns.TypeDS, dns.TypeNS, dns.TypeDNSKEY, dns.TypeSOA, dns.TypeDNAME, dns.TypeSRV, dns.TypeCDS}
	withCD := func(r *resolve.Request) { r.CD = true }
	var asks []expected
	for range 40 {
		e := expected{name: x.anyName(), qtype: types[x.r.IntN(len(types))]}
		if e.want = x.says(e.name, e.qtype); e.want != "" {
			asks = append(asks, e)
		}
	}
	if len(asks) < 20 {
		t.Errorf("only %d questions", len(asks))
	}
	check := func(w *world, how string, e expected, change func(*resolve.Request)) {
		if got := w.said(e.name, e.qtype, change); got != e.want {
			t.Errorf("%s: %s %s: %s, want %s", how, e.name, dns.TypeToString[e.qtype], got, e.want)
		}
	}
	warm, behind := newWorldOf(t, x.sites...), newWorldOf(t, x.sites...)
	behind.forwarder = resolver(newWorldOf(t, x.sites...), x.r.IntN(2) == 0)
	for round := range 2 {
		for _, e := range asks {
			if round == 0 && x.r.IntN(4) == 0 {
				check(newWorldOf(t, x.sites...), "cold", e, nil)
			}
			if other := asks[x.r.IntN(len(asks))]; x.r.IntN(4) == 0 { // which nobody else is to notice
				warm.resolve(other.name, other.qtype, withCD)
			}
			check(warm, "warm", e, nil)
			check(behind, "behind a forwarder", e, forwards("."))
			if warm.now += int64(x.r.IntN(20)); x.r.IntN(20) == 0 { // past the TTLs of denials, or of all
				warm.now += []int64{310, 3700}[x.r.IntN(2)]
			}
		}
		x.r.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
	}
}
