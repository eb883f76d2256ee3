package cache

import (
	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// look is one search in the cache.
type look struct {
	c   *Cache
	q   resolve.Question
	now int64
	cd  bool
	// census is what is known about the entries of the name.
	census
	// cut is told the closest delegation, above which nothing was looked for; with
	// nil the look goes up to the root.
	cut **zonecut.Cut
	// grace also admits entries that ended less than so many seconds ago; used is
	// then told which entry was.
	grace int64
	used  *header
}

// rrset and nxdomain find entries that may be told to the client.
func (l look) rrset(n dnsname.Name, t uint16) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = l.c.loadRRsetAt(n, t, l.q.Class, moment{l.now, l.grace})
	return e, sets, ok && l.admit(&e)
}

func (l look) nxdomain(n dnsname.Name) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = l.c.loadNXDomainAt(n, l.q.Class, moment{l.now, l.grace})
	return e, sets, ok && l.admit(&e)
}

func (l look) admit(e *entry) bool {
	if !mayAnswer(e.rank, l.cd) {
		return false
	}
	if l.used != nil {
		*l.used = e.header
	}
	return true
}

// find is what the cache holds as the next step of an answer: the set, an
// alias, or that there is none. Its Kind is Pending when nothing is known.
//
// What was found for the name itself comes before what follows from its
// ancestors: data that is still alive may be used although the name above was
// denied since (RFC 8020, section 2).
func (l look) find() resolve.Outcome {
	if l.q.Class != wire.ClassIN || wire.IsMetaType(l.q.Type) {
		return resolve.Outcome{}
	}
	for _, step := range l.steps() {
		if o, ok := step(); ok {
			o.Origin, o.Cached = resolve.FromCache, true
			return o
		}
	}
	return resolve.Outcome{}
}

// steps are the places to look at, in their order.
func (l look) steps() [4]func() (resolve.Outcome, bool) {
	return [4]func() (resolve.Outcome, bool){l.exact, l.cname, l.denied, l.ancestors}
}

func (l look) exact() (o resolve.Outcome, ok bool) {
	if l.missing&anRRset != 0 {
		return o, false
	}
	e, sets, ok := l.rrset(l.q.Name, l.q.Type)
	if !ok {
		return o, false
	}
	if e.kind == kindNoData {
		return negative(resolve.NoData, e, sets), true
	}
	return resolve.Outcome{Kind: resolve.Positive, Answer: sets[:1:1], Authority: sets[1:]}, true
}

// cname follows an alias at the name, one step (RFC 1034, section 3.6.2). Types
// that stand beside a CNAME are not redirected (RFC 4035, section 2.5). At the apex
// of a zone, which owns other records (RFC 2181, section 10.1), an alias says
// nothing about other types than the one it was told for: they are asked for.
func (l look) cname() (o resolve.Outcome, ok bool) {
	if l.missing&anRRset != 0 || l.grace == 0 && l.missing&aCut == 0 && l.c.loadCut(l.q.Name, l.now) != nil {
		return o, false
	}
	switch l.q.Type {
	case wire.TypeCNAME, wire.TypeNSEC, wire.TypeRRSIG:
		return o, false
	}
	e, sets, ok := l.rrset(l.q.Name, wire.TypeCNAME)
	if !ok || e.kind != kindRRset {
		return o, false
	}
	target := wire.Target(sets[0].Data[0])
	if target == "" {
		return o, false
	}
	return resolve.Outcome{Kind: resolve.Alias, Answer: sets[:1:1], Authority: sets[1:], Target: target}, true
}

func (l look) denied() (o resolve.Outcome, ok bool) {
	if l.missing&anNXDomain != 0 {
		return o, false
	}
	e, sets, ok := l.nxdomain(l.q.Name)
	if !ok {
		return o, false
	}
	return negative(resolve.NXDomain, e, sets), true
}

// ancestors looks for what an ancestor says about everything below it, from the
// closest one up: a DNAME, or that nothing is there. A delegation that is alive
// may be used although a name above it was denied since, so the look ends there.
func (l look) ancestors() (o resolve.Outcome, ok bool) {
	n, found, clears := l.q.Name, l.census, l.clears
	for !l.delegated(n, found) && !n.IsRoot() {
		n = n.Parent()
		if l.remembered(n, clears) {
			return o, false
		}
		found = l.c.survey(n)
		if n.IsRoot() {
			continue
		}
		if found.missing&aDNAME == 0 {
			if o, ok = l.dname(n); ok {
				return o, true
			}
		}
		if found.missing&anNXDomain == 0 {
			if o, ok = l.nothingBelow(n); ok {
				return o, true
			}
		}
	}
	return o, false
}

// nothingBelow denies what lies below a name that does not exist (RFC 8020). Many
// servers deny names that have only others below them, so the denial has to be
// proven.
func (l look) nothingBelow(n dnsname.Name) (o resolve.Outcome, ok bool) {
	e, sets, ok := l.nxdomain(n)
	if !ok || !e.rank.IsSecure() {
		return o, false
	}
	return negative(resolve.NXDomain, e, sets), true
}

// saysMore is what an ancestor may say of the names below it besides who serves
// them: where it does, a delegation at hand is not enough.
const saysMore = aDNAME | anNXDomain

// delegated tells whether n is a delegation whose servers may be asked. The DS
// set of a name belongs to its parent (RFC 4035, section 3.1.4.1).
func (l look) delegated(n dnsname.Name, found census) bool {
	if l.cut == nil || found.missing&aCut != 0 || l.q.Type == wire.TypeDS && n == l.q.Name && !n.IsRoot() {
		return false
	}
	mark := l.c.cuts.mark()
	if found.cut != nil {
		*l.cut = l.c.openCut(n, found.cut, l.now)
	} else {
		*l.cut = l.c.loadCut(n, l.now)
	}
	if *l.cut == nil {
		return false
	}
	l.c.addChildServers(*l.cut, l.now)
	if found.missing&saysMore == saysMore {
		l.c.cuts.put(*l.cut, view{l.now, found.clears}, mark)
	}
	return true
}

// remembered is delegated for what was found out this very second.
func (l look) remembered(n dnsname.Name, clears uint64) bool {
	if l.cut != nil {
		*l.cut = l.c.cuts.at(n, view{l.now, clears})
	}
	return l.cut != nil && *l.cut != nil
}

// dname redirects the subtree below owner (RFC 6672, section 3.2).
func (l look) dname(owner dnsname.Name) (o resolve.Outcome, ok bool) {
	e, sets, ok := l.rrset(owner, wire.TypeDNAME)
	if !ok || e.kind != kindRRset {
		return o, false
	}
	to := wire.Target(sets[0].Data[0])
	if to == "" {
		return o, false
	}
	o = resolve.Outcome{Kind: resolve.Positive, Answer: sets[:1:1], Authority: sets[1:]}
	target, err := l.q.Name.Rebase(owner, to)
	if err != nil {
		o.Rcode = wire.RcodeYXDomain
		return o, true
	}
	o.Answer = append(o.Answer, synthesized(&sets[0], l.q.Name, target))
	if l.q.Type != wire.TypeCNAME {
		o.Kind, o.Target = resolve.Alias, target
	}
	return o, true
}

// synthesized is the CNAME that a DNAME stands for at name. It is as good as the
// DNAME, and has its TTL (RFC 6672, section 3.1).
func synthesized(dname *resolve.Set, name, target dnsname.Name) resolve.Set {
	return resolve.Set{
		RRset: wire.RRset{
			Owner: name, Type: wire.TypeCNAME, Class: dname.Class, TTL: dname.TTL,
			Data: [][]byte{[]byte(target)},
		},
		Rank:   dname.Rank,
		Cached: true,
	}
}

// negative is a denial as an outcome. The first set is the SOA (RFC 2308,
// section 5).
func negative(kind resolve.Kind, e entry, sets []resolve.Set) resolve.Outcome {
	o := resolve.Outcome{Kind: kind, Authority: sets, Zone: sets[0].Owner}
	if kind == resolve.NXDomain {
		o.Rcode = wire.RcodeNXDomain
	}
	for i := range sets {
		sets[i].TTL = min(sets[i].TTL, e.left)
	}
	return o
}

// addressRank tells whether name servers and addresses of rank r may be used to
// ask a server. What a forwarder said is for clients (HARDENING A5).
func addressRank(r rank.Rank) bool {
	base := r &^ (rank.Auth | rank.Secure)
	return !r.IsBogus() && base != rank.Omit && (r.IsSecure() || base != rank.Initial && base != rank.Try)
}
