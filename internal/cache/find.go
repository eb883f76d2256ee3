package cache

import (
	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// wanted is what is looked for.
type wanted struct {
	resolve.Question
	in resolve.Partition
	// cd admits what failed validation.
	cd bool
	// budget is the request's, which pays for what is hashed.
	budget *resolve.Budget
	when
	// final tells that nobody will be asked for what is not found, so that a
	// delegation on the way up is of no interest: what stands above it counts too.
	final bool
}

// found is what one search came to: the next step of an answer. Its Kind is
// Pending when nothing is known.
type found struct {
	resolve.Outcome
	// from is the entry that says so; none where it was made of several.
	from header
	// cut is the closest delegation, above which nothing was looked for; nil when
	// there is none or the search was final.
	cut *zonecut.Cut
	// denier is the zone whose validated denials it was made of; "" where it was stored.
	denier dnsname.Name
}

func (f *found) nothing() bool { return f.Kind == resolve.Pending }

// search is one search in the cache.
type search struct {
	c *Cache
	wanted
	// has is the inventory of the name.
	has inventory
	// denier is the closest zone, as far up as was looked, that has links of its chain
	// and may speak for the name; "" for none.
	denier dnsname.Name
}

// find is what the cache holds as the next step of an answer: the set, an alias,
// or a denial.
//
// Entries of the name itself count before what follows from its ancestors: data that is
// still alive may be used although a name above was denied since (RFC 8020, section 2).
func (c *Cache) find(w wanted, has inventory) (f found) {
	if !cacheable(w.Question) {
		return f
	}
	s := search{c: c, wanted: w, has: has}
	if f = s.exact(); f.nothing() {
		f = s.alias()
	}
	if f.nothing() {
		f = s.denied()
	}
	if f.nothing() {
		f = s.ancestors()
	}
	if f.nothing() && s.denier != "" {
		cut := f.cut
		f = s.aggressive()
		f.cut = cut
	}
	if !f.nothing() {
		f.Origin, f.Cached = resolve.FromCache, true
	}
	return f
}

// exact is the set that was asked for, or that it does not exist.
func (s *search) exact() (f found) {
	if s.has.lacks(anRRset) {
		return f
	}
	e, sets, ok := s.rrset(s.Name, s.Type)
	switch {
	case !ok:
	case e.kind == kindNoData:
		f = negative(resolve.NoData, e, sets)
	default:
		f = existing(resolve.Positive, e, sets)
	}
	return f
}

// alias follows an alias at the name, one step (RFC 1034, section 3.6.2). Types
// that stand beside a CNAME are not redirected (RFC 4035, section 2.5). At the apex
// of a zone, which owns other records (RFC 2181, section 10.1), an alias says
// nothing about other types than the one it was told for: they are asked for.
func (s *search) alias() (f found) {
	if !redirected(s.Type) || s.has.lacks(anRRset) || s.isApex() {
		return f
	}
	e, sets, ok := s.rrset(s.Name, wire.TypeCNAME)
	if !ok || e.kind != kindRRset {
		return f
	}
	if target := wire.Target(sets[0].Data[0]); target != "" {
		f = existing(resolve.Alias, e, sets)
		f.Target = target
	}
	return f
}

// redirected tells whether an alias is the answer to a question for a type.
func redirected(t uint16) bool {
	return t != wire.TypeCNAME && t != wire.TypeNSEC && t != wire.TypeRRSIG
}

// isApex tells whether the name is the apex of a zone: a delegation of it is known
// that is alive. A search that also takes what has ended (grace) does not ask that.
func (s *search) isApex() bool {
	return s.grace == 0 && !s.has.lacks(aCut) && s.c.loadCut(node{s.in, s.Name}, s.now) != nil
}

// denied is that the name does not exist.
func (s *search) denied() (f found) {
	if s.has.lacks(anNXDomain) {
		return f
	}
	if e, sets, ok := s.nxdomain(s.Name); ok {
		f = negative(resolve.NXDomain, e, sets)
	}
	return f
}

// ancestors looks for what an ancestor says about everything below it, from the
// closest one up: a DNAME, or that nothing is there. A delegation that is alive
// may be used although a name above it was denied since, so the search ends there.
func (s *search) ancestors() (f found) {
	n, has := s.Name, s.has
	f.cut = s.delegation(n, has)
	s.mayDeny(n, !has.lacks(aDenial))
	for f.cut == nil && !n.IsRoot() {
		n = n.Parent()
		if hand := s.atHand(n); hand.cut != nil {
			f.cut = hand.cut
			s.mayDeny(n, hand.links)
			return f
		}
		if has = s.c.inventory(node{s.in, n}); !n.IsRoot() {
			if f = s.above(n, has); !f.nothing() {
				return f
			}
		}
		f.cut = s.delegation(n, has)
		s.mayDeny(n, !has.lacks(aDenial))
	}
	return f
}

// mayDeny takes note of whether an ancestor is the apex of a zone that has links of its
// chain. That of a DS set's owner is another zone than that of the set.
func (s *search) mayDeny(n dnsname.Name, links bool) {
	if links && s.denier == "" && !s.final && (s.Type != wire.TypeDS || n != s.Name || n.IsRoot()) {
		s.denier = n
	}
}

// above is what one ancestor says about the name.
func (s *search) above(n dnsname.Name, has inventory) (f found) {
	if !has.lacks(aDNAME) {
		f = s.dname(n)
	}
	if f.nothing() && !has.lacks(anNXDomain) {
		f = s.nothingBelow(n)
	}
	return f
}

// nothingBelow denies what lies below a name that does not exist (RFC 8020). Many
// servers deny names that have only others below them, so the denial has to be
// proven.
func (s *search) nothingBelow(n dnsname.Name) (f found) {
	if e, sets, ok := s.nxdomain(n); ok && e.rank.IsSecure() {
		f = negative(resolve.NXDomain, e, sets)
	}
	return f
}

// dname redirects the subtree below owner (RFC 6672, section 3.2).
func (s *search) dname(owner dnsname.Name) (f found) {
	e, sets, ok := s.rrset(owner, wire.TypeDNAME)
	if !ok || e.kind != kindRRset {
		return f
	}
	to := wire.Target(sets[0].Data[0])
	if to == "" {
		return f
	}
	f = existing(resolve.Positive, e, sets)
	target, err := s.Name.Rebase(owner, to)
	if err != nil {
		f.Rcode = wire.RcodeYXDomain
		return f
	}
	f.Answer = append(f.Answer, synthesized(&sets[0], s.Name, target))
	if s.Type != wire.TypeCNAME {
		f.Kind, f.Target = resolve.Alias, target
	}
	return f
}

// saysOfBelow are the kinds of entries by which an ancestor says something about the
// names below it besides who serves them. A delegation of a name that has one of them
// is not remembered for atHand, which would pass over that entry.
const saysOfBelow = aDNAME | anNXDomain

// delegation is n's, if servers may be asked for the question by it. The DS set of
// a name belongs to its parent (RFC 4035, section 3.1.4.1).
func (s *search) delegation(n dnsname.Name, has inventory) *zonecut.Cut {
	if s.final || s.Type == wire.TypeDS && n == s.Name && !n.IsRoot() {
		return nil
	}
	return s.c.delegation(node{s.in, n}, has, s.now)
}

// atHand is the delegation of n if it was read from the Store within this second, so
// that the entries of n need not be looked at; nil otherwise.
func (s *search) atHand(n dnsname.Name) atHand {
	if s.final {
		return atHand{}
	}
	return s.c.cuts.at(node{s.in, n}, snapshot{s.now, s.has.clears})
}

// rrset and nxdomain find entries that may be told to the client.
func (s *search) rrset(n dnsname.Name, t uint16) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = s.c.loadRRset(node{s.in, n}, t, s.Class, s.when)
	return e, sets, ok && mayAnswer(e.rank, s.cd)
}

func (s *search) nxdomain(n dnsname.Name) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = s.c.loadNXDomain(node{s.in, n}, s.Class, s.when)
	return e, sets, ok && mayAnswer(e.rank, s.cd)
}

// existing is a set with its proofs as an outcome.
func existing(kind resolve.Kind, e entry, sets []resolve.Set) found {
	return found{from: e.header, Outcome: resolve.Outcome{Kind: kind, Answer: sets[:1:1], Authority: sets[1:]}}
}

// negative is a denial as an outcome. The first set is the SOA (RFC 2308,
// section 5).
func negative(kind resolve.Kind, e entry, sets []resolve.Set) found {
	o := resolve.Outcome{Kind: kind, Authority: sets, Zone: sets[0].Owner}
	if kind == resolve.NXDomain {
		o.Rcode = wire.RcodeNXDomain
	}
	for i := range sets {
		sets[i].TTL = min(sets[i].TTL, e.left)
	}
	return found{from: e.header, Outcome: o}
}

// synthesized is the CNAME that a DNAME stands for at name. It is as good as the
// DNAME.
func synthesized(dname *resolve.Set, name, target dnsname.Name) resolve.Set {
	return resolve.Set{RRset: dname.Synthesized(name, target), Rank: dname.Rank, Cached: true}
}

// addressRank tells whether name servers and addresses of rank r may be used to
// ask a server. Those that a forwarder told may not: they are for clients only
// (HARDENING A5).
func addressRank(r rank.Rank) bool {
	base := r &^ (rank.Auth | rank.Secure)
	return !r.IsBogus() && base != rank.Omit && (r.IsSecure() || base != rank.Try)
}
