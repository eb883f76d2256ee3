package zonegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// A site is a zone in the making with the zones that are delegated from it.
type site struct {
	b       *builder
	name    string
	ns      string // the name of its server
	address string
	signing *authority.Signing // nil: not signed
	ds      []dns.RR           // at the parent
	parent  *site
	kids    []*site
	partner *site // where its alias leads
	zone    *authority.Zone
	rules   []authority.Rule
	lies    bool // some answers are not what the zone has
	// second is the address of another server, "" for none; twin what that one serves,
	// signed as resign says.
	second string
	twin   *authority.Zone
	resign func(*authority.Signing)
	// unaliased: no alias to www is asked, beside which the server tells the truth.
	unaliased bool
	extra     string // further records
	bare      bool   // there are no others

	damage damage
	detail string          // of the damage
	broken map[part]Status // by what is wrong here
	by     []part          // of the parent, that prove the delegation
	only   bool            // ask only what the damage is about
	asks   []ask           // that the damage adds
	kind   string          // "" for a full site, "top" or "leaf" for a small one
}

// A part is something that the proof of an answer needs.
type part string

// Parts of a zone.
const (
	keys        part = "keys"        // DS and DNSKEY
	dnskey      part = "dnskey"      // as an answer
	data        part = "data"        // all that the zone signing keys sign
	www         part = "www"         // A
	mx          part = "mx"          // at the apex
	soa         part = "soa"         // as an answer
	negativeSOA part = "negativeSOA" // beside a denial
	ns          part = "ns"          // at the apex
	alias       part = "alias"       // CNAME
	dname       part = "dname"
	wild        part = "wild"     // A of the wildcard
	deny        part = "deny"     // any denial
	noName      part = "noName"   // NXDOMAIN
	noType      part = "noType"   // NODATA of a name
	empty       part = "empty"    // NODATA of an empty non-terminal
	expanded    part = "expanded" // that a wildcard stands for a name
	wildNoType  part = "wildNoType"
	noDS        part = "noDS" // of the unsigned delegation
	kidDS       part = "kidDS"
	ownDS       part = "ownDS" // at the parent, as an answer
)

// An ask is a question about a site and the parts that it needs. Its status is at
// least that.
type ask struct {
	label string
	qtype uint16
	rcode int
	least Status
	needs []part
}

// top is the root or a top-level domain.
func (b *builder) top(name string, d authority.Denial, algorithm uint8) *site {
	s := &site{b: b, name: name, ns: in("ns", name), address: b.addr(), broken: map[part]Status{}, kind: "top"}
	s.sign(d, algorithm)
	return s
}

func (s *site) sign(d authority.Denial, algorithm uint8) {
	ksk, zsk := authority.NewKey(s.name, authority.KSK, algorithm, "ksk"), authority.NewKey(s.name, authority.ZSK, algorithm, "zsk")
	s.signing = &authority.Signing{KSK: []*authority.Key{ksk}, ZSK: []*authority.Key{zsk}, From: s.b.now - before, Until: s.b.now + after, Denial: d}
	s.ds = []dns.RR{ksk.DS(dns.SHA256)}
	if d.OptOut {
		for _, p := range []part{noName, expanded, wildNoType, noDS} {
			s.broken[p] = Insecure // RFC 5155, section 9.2
		}
	}
}

func (b *builder) tld(root *site, label string, d authority.Denial) *site {
	s := b.top(in(label, "."), d, dns.ECDSAP256SHA256)
	s.hang(root)
	return s
}

func (s *site) hang(under *site) {
	s.parent = under
	under.kids = append(under.kids, s)
}

// leaf is a small zone below another; unsigned where algorithm is 0.
func (b *builder) leaf(under *site, label string, algorithm uint8) *site {
	s := &site{b: b, name: in(label, under.name), address: under.address, broken: map[part]Status{}, kind: "leaf", damage: under.damage}
	s.ns = in("ns", s.name)
	if b.r.IntN(2) == 0 {
		s.address = b.addr()
	}
	s.by = []part{deny, noDS, negativeSOA}
	if algorithm > 0 {
		s.sign(b.denial(), algorithm)
		s.by = []part{kidDS}
	}
	s.hang(under)
	return s
}

// site is a full zone with a damage.
func (b *builder) site(under *site, label string, d damage) *site {
	s := &site{b: b, name: in(label, under.name), address: b.addr(), broken: map[part]Status{}, damage: d}
	s.ns = in("ns", s.name)
	algorithms := []uint8{5, 7, 8, 8, 10, 13, 13, 13, 14, 15, 15, 16}
	algorithm := algorithms[b.r.IntN(len(algorithms))]
	denial := b.denial()
	if d.denial != nil {
		denial = d.denial(s)
	}
	if algorithm == dns.RSASHA1 && denial.Kind != authority.NSEC && denial.Kind != authority.MinimalNSEC && denial.Kind != authority.Compact {
		algorithm = dns.RSASHA1NSEC3SHA1 // RFC 5155, section 2
	}
	s.sign(denial, algorithm)
	s.hang(under)
	b.leaf(s, "un", 0)
	b.leaf(s, "kid", []uint8{dns.ECDSAP256SHA256, dns.ED25519}[b.r.IntN(2)])
	if d.apply != nil {
		d.apply(s)
	}
	return s
}

// denial is any kind.
func (b *builder) denial() authority.Denial {
	d := authority.Denial{Kind: authority.Kind(b.r.IntN(5))}
	if b.r.IntN(2) == 0 {
		d.Kind = authority.Kind(b.r.IntN(2)) // the usual ones
	}
	if d.Kind == authority.NSEC3 || d.Kind == authority.MinimalNSEC3 {
		d.Salt = []string{"", "00", "aabbccdd"}[b.r.IntN(3)]
		d.Iterations = []uint16{0, 0, 1, 10}[b.r.IntN(4)]
		d.OptOut = d.Kind == authority.NSEC3 && b.r.IntN(3) == 0
	}
	return d
}

// records is the text of the zone.
func (s *site) records() string {
	var t strings.Builder
	fmt.Fprintf(&t, "$TTL 3600\n@ SOA %s host 1 7200 3600 604800 300\n@ NS %s\n", s.ns, s.ns)
	if dns.IsSubDomain(s.name, s.ns) {
		fmt.Fprintf(&t, "%s A %s\n", s.ns, s.address)
	}
	if s.second != "" {
		fmt.Fprintf(&t, "@ NS ns2\nns2 A %s\n", s.second)
	}
	switch {
	case s.kind == "top":
		return t.String()
	case s.kind == "leaf":
		return t.String() + "www A 192.0.2.7\n"
	case s.bare:
		return t.String() + s.extra
	}
	for i := range s.b.r.IntN(3) + 2 {
		fmt.Fprintf(&t, "%s A 192.0.2.%d\n", s.b.cased("www"), s.b.r.IntN(120)+120*(i&1)+1)
	}
	fmt.Fprintf(&t, "@ MX 10 %s\n@ MX 5 mail2\nmail A 192.0.2.4\nmail2 A 192.0.2.5\n", s.b.cased("mail."+s.name))
	fmt.Fprintf(&t, "alias CNAME %s\ndangling CNAME nothing\n", s.b.cased("www"))
	if s.partner != nil {
		fmt.Fprintf(&t, "across CNAME www.%s\n", s.partner.name)
	}
	fmt.Fprintf(&t, "*.wild A 192.0.2.20\nhere.wild TXT here\n*.aliases CNAME www\na.b.ent A 192.0.2.30\nd DNAME %s\nx.dt A 192.0.2.40\n", s.b.cased("dt."+s.name))
	for i := range s.b.r.IntN(6) {
		fmt.Fprintf(&t, "n%d-%d TXT filler\n", i, s.b.r.IntN(1000))
	}
	return t.String() + s.extra
}

// cased is a name with letters of random case, now and then.
func (b *builder) cased(name string) string {
	if b.r.IntN(2) == 0 {
		return name
	}
	out := []byte(name)
	for i, c := range out {
		if c >= 'a' && c <= 'z' && b.r.IntN(2) == 0 {
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

// delegation is what the parent has of the zone.
func (s *site) delegation() []dns.RR {
	out := []dns.RR{record("%s 3600 NS %s", s.name, s.ns)}
	if dns.IsSubDomain(s.name, s.ns) {
		out = append(out, record("%s 3600 A %s", s.ns, s.address))
	}
	if s.second != "" {
		out = append(out, record("%s 3600 NS %s", s.name, in("ns2", s.name)), record("%s 3600 A %s", in("ns2", s.name), s.second))
	}
	for _, ds := range s.ds {
		ds.Header().Ttl = 3600
		out = append(out, ds)
	}
	return out
}

func record(format string, args ...any) dns.RR {
	rr, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err)
	}
	return rr
}

// above is the status of what proves the zone's keys.
func (s *site) above() Status {
	if s.parent == nil {
		return Secure
	}
	return s.parent.status(append([]part{keys, data}, s.by...)...)
}

// status is that of a proof that needs these parts of the zone. Where the chain of
// trust ends before, nothing here is judged.
func (s *site) status(needs ...part) Status {
	worst := s.above()
	switch {
	case worst == Insecure || worst == Bogus:
		return worst
	case len(s.ds) == 0 || s.broken[keys] == Insecure:
		return max(worst, Insecure)
	}
	for _, p := range needs {
		worst = max(worst, s.broken[p])
	}
	return worst
}

// question is what has to come of a question about the site.
func (s *site) question(a ask) Question {
	q := Question{Name: in(a.label, s.name), Type: a.qtype, Rcode: a.rcode, Damage: s.damage.name, About: s.about()}
	q.Want = s.status(a.needs...)
	switch {
	case a.label == "across":
		q.Want = max(q.Want, s.partner.status(keys, data, www))
	case a.qtype == dns.TypeDS && a.label == "": // the parent's to say
		needs := []part{keys, data, kidDS}
		if len(s.ds) == 0 {
			needs = []part{keys, data, deny, negativeSOA, noDS}
		}
		q.Want = max(s.parent.status(needs...), s.broken[ownDS])
		if s.parent.status() == Insecure {
			q.Want = Insecure
		}
	}
	switch {
	case q.Want == Insecure && (s.lies || a.least > Secure):
		q.Want = Open // what a server that nobody checks says is not foreseen here
	default:
		q.Want = max(q.Want, a.least)
	}
	if q.Rcode == dns.RcodeNameError && s.signing != nil && s.signing.Denial.Kind == authority.Compact {
		q.Rcode = -1
	}
	return q
}

func (s *site) about() string {
	text := "unsigned"
	if s.signing != nil && len(s.signing.KSK) > 0 {
		d := s.signing.Denial
		text = fmt.Sprintf("algorithm %d, %s", s.signing.KSK[0].Algorithm, [...]string{"NSEC", "NSEC3", "minimal NSEC", "minimal NSEC3", "compact"}[d.Kind])
		if d.Kind == authority.NSEC3 || d.Kind == authority.MinimalNSEC3 {
			text += fmt.Sprintf(" %d %q opt-out %t", d.Iterations, d.Salt, d.OptOut)
		}
	}
	if s.damage.name != "" {
		text += ", damage: " + s.damage.name + s.detail
	}
	return s.name + ": " + text
}

// questions are all that are asked about a site.
func (s *site) questions() []ask {
	const ok, nx = dns.RcodeSuccess, dns.RcodeNameError
	ds := ask{"", dns.TypeDS, ok, Secure, nil}
	switch {
	case s.only:
		return s.asks
	case s.kind == "top":
		return nil
	case s.kind == "leaf":
		return []ask{s.positive("www", dns.TypeA), s.denied("nope", dns.TypeA, nx, noName), ds}
	}
	out := []ask{
		s.positive("www", dns.TypeA, www), s.positive("wWw", dns.TypeA, www), s.positive("", dns.TypeMX, mx), s.positive("", dns.TypeSOA, soa),
		s.positive("", dns.TypeNS, ns), {"", dns.TypeDNSKEY, ok, Secure, []part{keys, dnskey}}, ds,
		s.positive("alias", dns.TypeA, alias, www), s.positive("alias", dns.TypeCNAME, alias), s.positive("across", dns.TypeA),
		s.positive("x.d", dns.TypeA, dname), s.positive("d", dns.TypeDNAME, dname),
		s.expand("x.wild", dns.TypeA, wild), s.expand("z.y.wild", dns.TypeA, wild), s.expand("any.aliases", dns.TypeA, www), s.positive("*.wild", dns.TypeA, wild),
		s.denied("www", dns.TypeTXT, ok, noType), s.denied("", dns.TypeTXT, ok, noType), s.denied("mail", dns.TypeAAAA, ok, noType),
		s.denied("b.ent", dns.TypeA, ok, empty), s.denied("ent", dns.TypeTXT, ok, empty), s.denied("x.wild", dns.TypeMX, ok, wildNoType),
		s.denied("nope", dns.TypeA, nx, noName), s.denied("y.x.nope2", dns.TypeA, nx, noName), s.denied("zzz", dns.TypeAAAA, nx, noName),
		s.denied("0", dns.TypeA, nx, noName), s.denied("nope.mail", dns.TypeA, nx, noName), s.denied("dangling", dns.TypeA, nx, noName),
	}
	return append(slices.DeleteFunc(out, func(a ask) bool {
		return a.label == "across" && s.partner == nil || s.unaliased && a.qtype == dns.TypeA && (a.label == "alias" || a.label == "any.aliases")
	}), s.asks...)
}
