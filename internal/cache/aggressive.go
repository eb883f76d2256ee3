package cache

import (
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// aggressive is what the links of the closest zone's chain prove about the question
// and its servers need not be asked for (RFC 8198): that the name does not exist, that
// it or the wildcard that stands for it has no such type, or what a wildcard makes of
// it. It is what the zone would say itself, with the same proofs, and each of them is
// validated data of this zone; nothing is made of what an opt-out range leaves open.
//
// A client that sets CD=1 is told so, too: it takes what is Secure as it takes
// everything else, and has the proofs to check.
func (s *search) aggressive() (f found) {
	h := s.c.hasher(s.budget)
	for ch := range s.c.chains(node{s.in, s.denier}, s.now, h) {
		if e := s.evidence(ch); e != nil {
			if f = s.judged(ch, e); !f.nothing() {
				s.c.n.aggressive.Add(1)
				f.denier = s.denier
				break
			}
		}
	}
	return f
}

// hasher hashes for one look-up, at a request's expense.
func (c *Cache) hasher(b *resolve.Budget) *dnssec.Hasher {
	if b == nil {
		b = resolve.NewBudget(c.counters)
	}
	return dnssec.NewHasher(&hashing{proof: b.Proof(), cache: c})
}

// evidence is what a chain has to say about a name.
type evidence struct {
	// exact is the link whose owner the name is; then there is nothing else.
	exact *storedLink
	// subject is what is to be proven not to exist: the name itself, or the ancestor of
	// it right below encloser (the next closer name, RFC 5155, section 1.3), with which
	// all below it does not exist (RFC 8020).
	subject, encloser dnsname.Name
	// covers covers subject. at is the NSEC3 set of encloser, if it is known.
	covers, at *storedLink
}

// evidence looks for it; nil when the chain has none.
func (s *search) evidence(ch *chain) *evidence {
	if ch.end != nil {
		return s.hashedEvidence(ch)
	}
	k := ch.link(s.Name)
	switch {
	case k == nil:
		return nil
	case k.Owner == s.Name:
		return &evidence{exact: k}
	}
	return &evidence{subject: s.Name, encloser: k.Encloser(s.Name), covers: k}
}

// hashedEvidence goes down from the apex, so that a name with many labels costs no
// more hashes than it has ancestors that exist.
func (s *search) hashedEvidence(ch *chain) *evidence {
	e := evidence{encloser: ch.at.name}
	for labels := e.encloser.Labels() + 1; labels <= s.Name.Labels(); labels++ {
		n := s.Name.Suffix(labels)
		k := ch.link(n)
		switch {
		case k == nil && !s.hasWildcard(n): // a wildcard's parent exists, although its link is not known
			return nil
		case k != nil && !k.Owns(n, ch.hasher):
			if k.OptOut() {
				return nil
			}
			if e.subject, e.covers = n, k; e.at == nil {
				e.at = ch.link(e.encloser)
			}
			return &e
		}
		e.encloser, e.at = n, k
	}
	if e.encloser != s.Name {
		return nil
	}
	if e.at == nil {
		e.at = ch.link(s.Name)
	}
	if e.at == nil || !e.at.Owns(s.Name, ch.hasher) {
		return nil
	}
	return &evidence{exact: e.at}
}

// hasWildcard tells whether something is known about the wildcard right below a name.
func (s *search) hasWildcard(n dnsname.Name) bool {
	w := dnssec.Wildcard(n)
	if n == s.Name || w == "" {
		return false
	}
	has := s.c.inventory(node{s.in, w})
	return !has.lacks(anRRset)
}

// judged is the outcome that the evidence proves, by what package dnssec makes of it.
func (s *search) judged(ch *chain, e *evidence) (f found) {
	if s.delegated() && (e.exact == nil || !e.exact.Delegates()) {
		return f
	}
	if e.exact != nil {
		if j := newJudge(ch, e.exact); j.noData(s.Name, s.Type) {
			return s.negative(resolve.NoData, j)
		}
		return f
	}
	j := newJudge(ch, e.at, e.covers)
	if j.noData(e.subject, s.Type) { // only other names lie below it
		return s.negative(resolve.NoData, j)
	}
	if w := dnssec.Wildcard(e.encloser); w != "" {
		j = newJudge(ch, e.at, e.covers, ch.link(w))
	}
	switch {
	case j.nameError(e.subject):
		return s.negative(resolve.NXDomain, j)
	case j.noData(e.subject, s.Type):
		return s.negative(resolve.NoData, j)
	}
	if j = newJudge(ch, e.covers); j.expanded(s.Name, e.encloser) {
		return s.expanded(e.encloser, j)
	}
	return f
}

// delegated tells whether DS is asked for of a name that is known to be delegated:
// then a proof of something else is older than the delegation.
func (s *search) delegated() bool {
	return s.Type == wire.TypeDS && !s.has.lacks(aCut) && s.c.loadCut(node{s.in, s.Name}, s.now) != nil
}

// A judge asks package dnssec what some links prove together.
type judge struct {
	proofs  []resolve.Set
	oldest  uint32 // age of one, in seconds
	denials *dnssec.Denials
}

// newJudge is the judge of some links of a chain, of which those that are nil are
// unknown.
func newJudge(ch *chain, links ...*storedLink) *judge {
	j := &judge{}
	var sets []*wire.RRset
	for i, k := range links {
		if k != nil && !sameOwner(links[:i], k) {
			j.proofs = append(j.proofs, k.set)
			j.oldest = max(j.oldest, k.age)
			sets = append(sets, &k.set.RRset)
		}
	}
	if ch.hasher != nil {
		j.denials = ch.hasher.Denials(ch.at.name, sets)
	} else {
		j.denials = dnssec.NewDenials(ch.at.name, sets, nil) // of NSEC nothing is hashed
	}
	return j
}

func sameOwner(links []*storedLink, k *storedLink) bool {
	for _, o := range links {
		if o != nil && o.set.Owner == k.set.Owner {
			return true
		}
	}
	return false
}

func (j *judge) nameError(n dnsname.Name) bool {
	p, err := j.denials.NameError(n)
	return err == nil && p == dnssec.Proven
}

func (j *judge) noData(n dnsname.Name, qtype uint16) bool {
	p, err := j.denials.NoData(n, qtype)
	return err == nil && p == dnssec.Proven
}

func (j *judge) expanded(n, encloser dnsname.Name) bool {
	p, err := j.denials.Expanded(n, encloser)
	return err == nil && p == dnssec.Proven
}

// negative is a denial, for which the zone's SOA has to be known (RFC 2308, section
// 3). None of its proofs may be older than a denial of the zone may grow, although it
// lives longer where it came beside something else (RFC 9077, section 3.4).
func (s *search) negative(kind resolve.Kind, j *judge) (f found) {
	at := node{s.in, s.denier}
	_, soa, ok := s.c.loadSets(at.soa(), s.when)
	if !ok || len(soa) != 1 || soa[0].Type != wire.TypeSOA || soa[0].Owner != s.denier || !soa[0].Rank.IsSecure() {
		return f
	}
	most := s.c.bound(min(wire.SOAMinimum(soa[0].Data[0]), limits.MaxNegTTL))
	if j.oldest >= most {
		return f
	}
	soa[0].TTL = min(soa[0].TTL, most-j.oldest)
	f.Kind, f.Zone, f.Authority = kind, s.denier, append(soa, j.proofs...)
	if kind == resolve.NXDomain {
		f.Rcode = wire.RcodeNXDomain
	}
	return s.lasting(f)
}

// expanded is what the wildcard at a name's closest encloser makes of it, if the
// wildcard's own set is known: the set or an alias (RFC 8198, section 5.3).
func (s *search) expanded(encloser dnsname.Name, j *judge) (f found) {
	for _, t := range [...]uint16{s.Type, wire.TypeCNAME} {
		if t != s.Type && !redirected(s.Type) {
			break
		}
		_, sets, ok := s.c.loadRRset(node{s.in, dnssec.Wildcard(encloser)}, t, s.Class, s.when)
		if !ok || len(sets) != 1 || !sets[0].Rank.IsSecure() || !signedAs(&sets[0].RRset, s.denier, encloser) {
			continue
		}
		f.Kind = resolve.Positive
		if t != s.Type {
			f.Kind, f.Target = resolve.Alias, wire.Target(sets[0].Data[0])
		}
		if f.Kind == resolve.Alias && f.Target == "" {
			return found{}
		}
		sets[0].Owner = s.Name
		f.Answer, f.Authority = sets, j.proofs
		return s.lasting(f)
	}
	return f
}

// signedAs tells whether a set's signatures are those of a zone for the wildcard right below
// a name. The wildcard of a zone further down says nothing about what this zone denies, nor
// this zone about what that one has.
func signedAs(set *wire.RRset, zone, encloser dnsname.Name) bool {
	for _, sig := range set.Sigs {
		if len(sig) < wire.SigFixed || wire.SigLabels(sig) != encloser.Labels() || wire.Signer(sig) != zone {
			return false
		}
	}
	return len(set.Sigs) > 0
}

// lasting gives all parts of an outcome the time of the one that ends first (RFC 8198,
// section 5.4).
func (s *search) lasting(f found) found {
	ttl := min(shortest(f.Authority), shortest(f.Answer))
	for _, sets := range [2][]resolve.Set{f.Answer, f.Authority} {
		for i := range sets {
			sets[i].TTL = ttl
		}
	}
	return f
}
