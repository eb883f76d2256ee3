package zonegen

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// Status is what a validator has to think of an answer; of several parts of a proof
// the greatest counts.
type Status uint8

// Statuses.
const (
	Secure   Status = iota // AD
	Insecure               // answered, without AD
	Unclear                // RFCs leave it open, validators agree
	Open                   // validators need not agree, since they may look at other records
	Bogus                  // SERVFAIL
)

func (s Status) String() string {
	return [...]string{"secure", "insecure", "unclear", "open", "bogus"}[s]
}

// A Question is one of a world's, with what has to come of it.
type Question struct {
	Name string
	Type uint16
	// Want is the status, Rcode the RCODE unless it is Bogus; -1 where either
	// NOERROR or NXDOMAIN is right.
	Want  Status
	Rcode int
	// About tells the zone: its shape, its damage and where that comes from.
	About string
	// Damage is the name of the damage alone, "" for a zone that is whole.
	Damage string
}

// A World is an Internet of generated zones, not started.
type World struct {
	Net       *authority.Internet
	Anchor    *dns.DS // of the root
	Questions []Question
}

// period of all signatures around the wall second of the world.
const (
	before = 3600
	after  = 30 * 86400
)

// builder is a world in the making.
type builder struct {
	r     *rand.Rand
	now   uint32
	zones []*authority.Zone
	hosts int
	out   World
}

// Damages are the names of all that can be wrong.
func Damages() []string {
	var out []string
	for _, d := range damages() {
		out = append(out, d.name)
	}
	return out
}

// New makes a world of so many zones below some top-level domains, which are valid
// at the wall second now. Zone i has damage i, counted round, so that a world of
// len(Damages()) zones has each; other worlds of a seed go on from first.
func New(seed uint64, first, zones int, now int64) *World {
	b := &builder{r: rand.New(rand.NewPCG(seed, uint64(first))), now: uint32(now)}
	root := b.top(".", authority.Denial{}, dns.ECDSAP256SHA256)
	root.ns = "a.root-servers.t."
	tlds := []*site{
		b.tld(root, "nsec", authority.Denial{}), b.tld(root, "hashed", authority.Denial{Kind: authority.NSEC3, Salt: "ab"}),
		b.tld(root, "optout", authority.Denial{Kind: authority.NSEC3, OptOut: true}),
		b.tld(root, "minimal", authority.Denial{Kind: authority.MinimalNSEC}), b.tld(root, "plain", authority.Denial{}),
	}
	plain := tlds[len(tlds)-1]
	plain.signing, plain.ds = nil, nil
	partner := b.site(tlds[0], "partner", damage{})
	all := damages()
	for i := range zones {
		d := all[(first+i)%len(all)]
		under := tlds[b.r.IntN(len(tlds))]
		if b.r.IntN(8) > 0 {
			under = tlds[b.r.IntN(len(tlds)-1)] // what lies below an unsigned domain is all the same
		}
		if b.r.IntN(4) == 0 {
			under = b.site(under, fmt.Sprintf("mid%d", i), damage{})
		}
		s := b.site(under, fmt.Sprintf("z%d", i), d)
		s.partner = partner
	}
	b.build(root)
	b.ask(root)
	for i := range b.out.Questions {
		b.out.Questions[i].About += fmt.Sprintf(" (seed %d, first %d)", seed, first)
	}
	b.out.Anchor = root.signing.KSK[0].DS(dns.SHA256)
	net, err := authority.New(b.zones...)
	if err != nil {
		panic(err)
	}
	b.out.Net = net
	return &b.out
}

// addr is an address for a zone's server. Some share one, so that both sides of a
// zone cut may lie on one server.
func (b *builder) addr() string {
	const shared = 40
	b.hosts++
	return fmt.Sprintf("127.77.%d.1", b.r.IntN(min(b.hosts, shared))+1)
}

// build makes the zone of a site and of all below it, the lowest first.
func (b *builder) build(s *site) {
	for _, kid := range s.kids {
		b.build(kid)
	}
	text := s.records()
	s.zone = s.signed(text, s.signing)
	if s.resign != nil {
		again := *s.signing
		s.resign(&again)
		s.twin = s.signed(text, &again)
	}
	s.zone.Play(s.rules...)
	b.zones = append(b.zones, s.zone)
}

// signed is the zone of a site; signing is nil for one that is not signed.
func (s *site) signed(text string, signing *authority.Signing) *authority.Zone {
	zone := authority.MustParse(s.name, text)
	for _, kid := range s.kids {
		zone.Add(kid.delegation()...)
	}
	if signing != nil {
		zone.Sign(*signing)
	}
	return zone
}

// ask adds the questions about a site and all below it.
func (b *builder) ask(s *site) {
	for _, q := range s.questions() {
		b.out.Questions = append(b.out.Questions, s.question(q))
	}
	for _, kid := range s.kids {
		b.ask(kid)
	}
}

// in is the name of a label below a zone.
func in(label, zone string) string {
	if label == "" {
		return zone
	}
	return label + "." + strings.TrimPrefix(zone, ".")
}
