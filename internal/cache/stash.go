package cache

import (
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// stash is one answer from upstream on its way into the Store.
type stash struct {
	c    *Cache
	s    Store
	in   resolve.Partition
	now  int64
	seen uint64 // the clear number when the question was asked
	// scope is the name at and below which the answer may be kept.
	scope dnsname.Name
}

// at is where what is known about a name is kept.
func (t *stash) at(n dnsname.Name) node { return node{t.in, n} }

// keep stores what an outcome tells.
func (t *stash) keep(q *resolve.Query) {
	o := &q.Outcome
	t.denials(o.Authority)
	for i := range o.Answer {
		if !o.Answer[i].Owner.IsSubdomainOf(t.scope) {
			continue
		}
		if i == 0 || !o.Answer[i].SynthesizedBy(&o.Answer[i-1].RRset) { // it is made anew each time
			at := t.around(o.Answer[i].Owner, o.Answer[i].Type)
			t.set(&o.Answer[i], o.Authority, at)
			t.exists(o.Answer[i].Owner, o.Answer[i].Rank, at)
		}
	}
	switch {
	case isNegative(o.Kind):
		t.denial(q)
	case o.Kind == resolve.Referral:
		t.delegated(o)
	}
}

// delegated stores the DS set that came with a referral: the parent is its
// authority (RFC 4035, section 3.1.4.1).
func (t *stash) delegated(o *resolve.Outcome) {
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Type == wire.TypeDS && o.Cut != nil && s.Owner == o.Cut.Name {
			t.set(s, nil, t.around(s.Owner, s.Type))
		}
	}
}

// around looks at all entries of a name at once; an RRset of type qtype is to be
// added. What was there before the servers were asked does not count: equal names
// are asked for together.
func (t *stash) around(n dnsname.Name, qtype uint16) surroundings {
	w := t.c.scanOf(t.at(n))
	defer t.c.scans.Put(w)
	w.key = appendRRset(w.key, qtype, wire.ClassIN)
	t.s.Range(w.prefix, w.count)
	return w.around
}

// set stores one RRset, with the proofs in authority if a wildcard made it: they
// hold for this owner only.
func (t *stash) set(s *resolve.Set, authority []resolve.Set, at surroundings) {
	if s.Cached || s.TTL == 0 || len(s.Data) == 0 || s.Class != wire.ClassIN ||
		wire.IsMetaType(s.Type) || !storable(s.Rank) {
		return
	}
	sets := []resolve.Set{*s}
	if s.Expanded() {
		if sets = append(sets, proofs(authority)...); t.c.tooMuchProof(sets[1:]) {
			return
		}
		t.wildcard(s)
	}
	h := header{kind: kindRRset, rank: s.Rank, code: oddCode(s.Odd), made: t.now, ttl: shortest(sets)}
	t.typed(s.Owner, s.Type, h, sets, at)
}

// wildcard stores what a validated set was made from, under the name of the wildcard:
// it is what the zone has there, and serves other names that the wildcard stands for
// (RFC 8198, section 5.3).
func (t *stash) wildcard(s *resolve.Set) {
	from := wildcardOf(&s.RRset)
	if from == "" || !s.Rank.IsSecure() || !from.IsSubdomainOf(t.scope) {
		return
	}
	source := *s
	source.Owner = from
	h := header{kind: kindRRset, rank: s.Rank, made: t.now, ttl: s.TTL}
	key := t.at(from).rrset(s.Type, wire.ClassIN)
	if t.holds(key, appendSets(newEntry(h, setSize(&source.RRset)), []resolve.Set{source}), len(from)) {
		return
	}
	at := t.around(from, s.Type)
	t.typed(from, s.Type, h, []resolve.Set{source}, at)
	t.exists(from, s.Rank, at)
}

// wildcardOf is the wildcard that a set was made from, as all of its signatures say;
// "" where they do not agree on one.
func wildcardOf(s *wire.RRset) dnsname.Name {
	labels := s.Owner.Labels()
	for _, sig := range s.Sigs {
		if len(sig) < wire.SigFixed || wire.SigLabels(sig) != wire.SigLabels(s.Sigs[0]) {
			return ""
		}
	}
	if len(s.Sigs) == 0 || wire.SigLabels(s.Sigs[0]) >= labels {
		return ""
	}
	if from := dnssec.Wildcard(s.Owner.Suffix(wire.SigLabels(s.Sigs[0]))); from != s.Owner {
		return from
	}
	return ""
}

// storable tells whether data of rank r may be stored at all.
func storable(r rank.Rank) bool { return r.IsSecure() || r&^rank.Auth != rank.Omit }

// proofs are the sets that say that names do not exist.
func proofs(sets []resolve.Set) []resolve.Set {
	var out []resolve.Set
	for i := range sets {
		if wire.IsDenial(sets[i].Type) {
			out = append(out, sets[i])
		}
	}
	return out
}

// tooMuchProof tells whether proofs are larger than honest ones are
// (CVE-2026-0398). Without them the entry would be of no use to who checks them,
// so what they came with is answered and not stored.
func (c *Cache) tooMuchProof(sets []resolve.Set) bool {
	n := 0
	for i := range sets {
		if wire.IsDenial(sets[i].Type) {
			n += setSize(&sets[i].RRset)
		}
	}
	if n <= limits.MaxProofBytes {
		return false
	}
	c.counters.Hit(limits.ProofBytes)
	return true
}

func shortest(sets []resolve.Set) uint32 {
	ttl := ^uint32(0)
	for i := range sets {
		ttl = min(ttl, sets[i].TTL)
	}
	return ttl
}

func lowest(sets []resolve.Set) rank.Rank {
	r := rank.Rank(0xff)
	for i := range sets {
		r = min(r, sets[i].Rank)
	}
	return r
}

// denial stores that a name, or its type, does not exist (RFC 2308, section 5).
// The SOA has to be that of a zone the name may lie in.
func (t *stash) denial(q *resolve.Query) {
	o := &q.Outcome
	denied := q.Denied()
	name, qtype := denied.Name, denied.Type
	soa := soaOf(o)
	if name == "" || !name.IsSubdomainOf(t.scope) || soa == nil || soa.Cached || soa.TTL == 0 || soa.Class != wire.ClassIN || !name.IsSubdomainOf(soa.Owner) {
		return
	}
	sets := append([]resolve.Set{*soa}, proofs(o.Authority)...)
	h := header{rank: lowest(sets), code: oddCode(soa.Odd), made: t.now, ttl: shortest(sets)}
	if !storable(h.rank) || h.ttl == 0 {
		return
	}
	if o.Kind == resolve.NXDomain {
		h.kind = kindNXDomain
		t.put(t.at(name).nxdomain(wire.ClassIN), h, sets)
		t.c.cuts.forget(t.at(name))
		return
	}
	at := t.around(name, qtype)
	t.exists(name, h.rank, at)
	if !wire.IsMetaType(qtype) {
		h.kind = kindNoData
		t.typed(name, qtype, h, sets, at)
	}
}

// exists forgets that a name does not exist, now that data of rank r say that it
// does.
func (t *stash) exists(n dnsname.Name, r rank.Rank, at surroundings) {
	if !at.denied {
		return
	}
	key := t.at(n).nxdomain(wire.ClassIN)
	if e, ok := t.c.read(key); ok && e.rank <= r {
		t.s.Delete(key)
	}
}

// typed stores what is known about a name and type, unless so many types of the
// name are known that somebody is filling the cache.
func (t *stash) typed(n dnsname.Name, qtype uint16, h header, sets []resolve.Set, at surroundings) {
	if at.rrsets >= limits.MaxTypesPerName && !at.known {
		t.c.counters.Hit(limits.TypesPerName)
		return
	}
	var room [usualKey]byte
	t.put(appendRRset(t.at(n).appendPrefix(room[:0]), qtype, wire.ClassIN), h, sets)
	if qtype == wire.TypeNS || qtype == wire.TypeDNAME {
		t.c.cuts.forget(t.at(n))
	}
}

func (t *stash) put(key []byte, h header, sets []resolve.Set) {
	if len(sets) > 255 || t.c.tooMuchProof(sets[1:]) {
		return
	}
	t.store(key, appendSets(newEntry(h, setsSize(sets)+len(key)), sets))
}

// store seals an entry and queues it. It does not replace an entry of a higher rank that
// has not expired.
func (t *stash) store(key, entry []byte) {
	kept, entry := together(key, entry)
	if seal(kept, entry) == nil {
		t.c.counters.Hit(limits.CacheEntryBytes)
		return
	}
	if len(kept) > maxKey {
		return
	}
	t.c.n.stashed.Add(1)
	t.s.PutSince(t.seen, kept, entry, replacesLower)
}

// replacesLower is whether an entry takes the place of an older one, which it does unless
// that one is alive and ranks higher.
func replacesLower(key, old, val []byte) bool {
	was, _, ok := open(key, old)
	h := parseHeader(val)
	if !ok || was.rank <= h.rank {
		return true
	}
	_, _, alive := was.age(h.made)
	return !alive
}
