package cache

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A gap is the names between two neighbours in a zone's chain that have one closest
// encloser. None of them exists, and all are denied by the same proofs: so that one
// answer serves all, and the cached answer's way finds it with one search. In a chain of
// NSEC sets their keys stand side by side. In one of NSEC3 sets those are a gap whose
// ancestors right below the apex have hashes between two neighbours: what random names
// are.
type gap struct {
	zone   dnsname.Name
	hashed bool
	// The keys of its names lie strictly between low and high, and all begin with the
	// key of the encloser; behind that of the zone. high is nil at the end of the zone.
	// Of a chain of NSEC3 sets, low ends with the hash of the one's owner, high is the
	// next.
	low, high []byte
	// encloser is how many octets of them are the encloser's key.
	encloser int
}

// gapOf is the gap around a name that sets of a zone's chain, validated, show not to
// exist; ok is false where they do not, or were made for this question.
func gapOf(zone, name dnsname.Name, proofs []resolve.Set, h *dnssec.Hasher) (g gap, ok bool) {
	links, sets := make([]dnssec.Link, len(proofs)), make([]*wire.RRset, len(proofs))
	for i := range proofs {
		s := &proofs[i]
		links[i], ok = dnssec.NewLink(zone, &s.RRset)
		if !ok || s.Type != proofs[0].Type || links[i].Minimal || s.Expanded() {
			return g, false
		}
		sets[i] = &s.RRset
	}
	if proofs[0].Type == wire.TypeNSEC3 {
		name = name.Suffix(zone.Labels() + 1)
	}
	if p, err := h.Denials(zone, sets).NameError(name); p != dnssec.Proven || err != nil {
		return g, false
	}
	for i := range links {
		l := &links[i]
		if l.Owner == "" && l.Covers(name, h) {
			return hashedGap(zone, l)
		}
		if l.Owner != "" && l.Spans(name) {
			return gapBetween(zone, l.Encloser(name), l), true
		}
	}
	return g, false
}

// hashedGap is the gap of names right below the apex, or below those, in the range of a
// link of hashes; not ok for one that costs listeners too much.
func hashedGap(zone dnsname.Name, l *dnssec.Link) (g gap, ok bool) {
	next := l.NextHash()
	g = gap{zone: zone, hashed: true, low: append(appendChain(nil, l.Chain), l.Hash[:]...), high: next[:]}
	return g, dnssec.HashBlocks(dnsname.MaxLen, l.Chain.Iterations, len(l.Chain.Salt)) <= limits.ListenerHash
}

// gapBetween is the gap of names right below an encloser, or below those, in the range
// of a link of names.
func gapBetween(zone, encloser dnsname.Name, l *dnssec.Link) gap {
	above := len(zone.AppendKey(nil))
	g := gap{zone: zone, low: encloser.AppendKey(nil)}
	g.encloser = len(g.low) - above
	if encloser != zone {
		g.high = behind(g.low)[above:]
	}
	child := encloser.Labels() + 1
	if l.Owner.IsStrictlyBelow(encloser) {
		g.low = behind(l.Owner.Suffix(child).AppendKey(nil))
	}
	if next := l.Next(); next.IsStrictlyBelow(encloser) {
		g.high = next.Suffix(child).AppendKey(nil)[above:]
	}
	g.low = g.low[above:]
	return g
}

// behind is the least key that is above those of a name, whose key is given, and of all
// names below it: labels end with an octet 0, and none has an octet 1 there that would
// not be followed by another.
func behind(key []byte) []byte {
	b := bytes.Clone(key)
	b[len(b)-1] = 1
	return b
}

// has tells whether a name is in the gap of a chain of names, by its key behind the
// zone's.
func (g *gap) has(key []byte) bool {
	return bytes.Compare(g.low, key) < 0 && (len(g.high) == 0 || bytes.Compare(key, g.high) < 0) && g.closer(key) > 0
}

// hasHash tells whether names are in the gap of a chain of hashes, by the hash of their
// ancestor right below the apex.
func (g *gap) hasHash(h []byte) bool {
	return len(g.low) > len(h) && len(g.high) == len(h) && dnssec.Between(g.low[len(g.low)-len(h):], h, g.high)
}

// closer is how many octets of such a key are that of the next closer name: the one
// right below the encloser, which does not exist, nor does anything below it. 0 for a
// key of no name in the gap.
func (g *gap) closer(key []byte) int {
	if len(key) > g.encloser {
		if end := bytes.IndexByte(key[g.encloser:], 0); end >= 0 {
			return g.encloser + end + 1
		}
	}
	return 0
}

// gaps begins the keys of the answers for gaps of the zone whose apex is the node.
func (p node) gaps(hashed bool) []byte { return append(p.key(familyGap), kindOfGap(hashed)) }

// kindOfGap tells the two kinds of gaps apart.
func kindOfGap(hashed bool) byte {
	if hashed {
		return 1
	}
	return 0
}

// The body of an answer for a gap:
//
//	8  number of the last clear that its parts have seen
//	2  octets of the encloser's key
//	2  octets of high
//	2  octets, and 2 records, for clients without DO
//	2  records
//	2  octets of pointers
//	2  octets of TTL offsets
//	2  octets of records
//	   high and these three, one after the other (reply.Denial)
const gapFixed = 24

func encodeGap(h header, clears uint64, g *gap, d *reply.Denial) []byte {
	h.kind = kindGap
	parts := [...][]byte{g.high, d.Pointers, d.TTLs, d.Octets}
	b := newEntry(h, gapFixed+len(g.high)+len(d.Pointers)+len(d.TTLs)+len(d.Octets))
	b = binary.BigEndian.AppendUint64(b, clears)
	for _, n := range [...]int{g.encloser, len(g.high), d.Plain, d.PlainCount, d.Count, len(d.Pointers), len(d.TTLs), len(d.Octets)} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// decodeGap reads the body of an answer for a gap into g and d, but for what the key says.
// Their slices are parts of b: nothing is allocated.
func decodeGap(h header, b []byte, g *gap, d *reply.Denial) (clears uint64, ok bool) {
	c := cursor{b: b}
	clears = c.u64()
	g.encloser = int(c.u16())
	high := int(c.u16())
	d.Plain, d.PlainCount, d.Count = int(c.u16()), int(c.u16()), int(c.u16())
	pointers, ttls, octets := int(c.u16()), int(c.u16()), int(c.u16())
	g.high, d.Pointers, d.TTLs, d.Octets = c.bytes(high), c.bytes(pointers), c.bytes(ttls), c.bytes(octets)
	return clears, c.end() && h.kind == kindGap && h.rank.IsSecure()
}

// gap keeps the answer to a request for all names of a gap that the request's name is
// in, and tells whether the name is served by it. It says no more than the links that it
// is made of.
func (t *stash) gap(req *resolve.Request, ttl uint32) (served bool) {
	o, ok := deniedBy(req)
	if !ok {
		return false
	}
	zone := o.Authority[0].Owner
	g, ok := gapOf(zone, req.Name, o.Authority[1:], t.c.hasher(req.Budget))
	return ok && t.keepGap(&g, header{rank: req.Result.Rank, made: t.now, ttl: min(ttl, t.c.MaxTTL())}, o.Authority) &&
		!t.knows(&g, req.Name)
}

// keepGap stores the answer for a gap, unless it is there already; it is not ok for one
// that cannot be stored.
func (t *stash) keepGap(g *gap, h header, authority []resolve.Set) (ok bool) {
	d, ok := reply.MakeDenial(g.zone, authority)
	key := append(t.at(g.zone).gaps(g.hashed), g.low...)
	if !ok || len(key) > maxKey {
		return false
	}
	if !t.hasGap(key, h, g) {
		entry := seal(key, encodeGap(h, t.seen, g, &d))
		if entry == nil {
			return false
		}
		t.c.n.answers.Add(1)
		t.s.PutSince(t.seen, key, entry, nil)
	}
	t.c.gaps[kindOfGap(g.hashed)].add(t.in, g.zone.AppendKey(nil))
	return true
}

// deniedBy is the outcome of a request that came to nothing but a validated denial,
// with its proofs: a client without DO is not shown them. What servers said that the operator
// named is for the names that they are asked about, and a gap has others, too.
func deniedBy(req *resolve.Request) (o *resolve.Outcome, ok bool) {
	res, q := &req.Result, req.Root()
	if q == nil || q.Forwards() || res.Rcode != wire.RcodeNXDomain || !res.Rank.IsSecure() || len(res.Answer)+len(res.Additional) > 0 || res.EDE != ede.None || res.AA {
		return nil, false
	}
	o = &q.Outcome
	if o.Kind != resolve.NXDomain || len(o.Answer) > 0 || len(o.Authority) < 2 {
		return nil, false
	}
	soa := &o.Authority[0]
	return o, soa.Type == wire.TypeSOA && len(soa.Sigs) > 0
}

// hasGap tells whether an answer for the same gap is stored that has seen the same
// clears, and three quarters of whose time are still to come.
func (t *stash) hasGap(key []byte, h header, g *gap) (yes bool) {
	seen := t.seen // see holds
	t.s.Get(key, func(old []byte) {
		var was gap
		var d reply.Denial
		oh, body, ok := open(key, old)
		if !ok {
			return
		}
		clears, ok := decodeGap(oh, body, &was, &d)
		_, left, _ := oh.age(h.made)
		yes = ok && clears == seen && uint64(left)*4 >= uint64(h.ttl)*3 && bytes.Equal(was.high, g.high) && was.encloser == g.encloser
	})
	return yes
}

// knows tells whether something is stored that says more about a name than its gap does
// (Fast.knows).
func (t *stash) knows(g *gap, name dnsname.Name) bool {
	key := name.AppendKey(nil)
	above := len(g.zone.AppendKey(nil))
	return hasAny(t.s, key[:above+g.closer(key[above:])])
}
