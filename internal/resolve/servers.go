package resolve

import (
	"net/netip"
	"slices"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// fill takes addresses from the cache for the servers that came without.
func (s *solver) fill(q *Query) {
	q.run.ns.filled = true
	for i := range q.Cut.NS {
		ns := q.Cut.NS[i]
		if len(ns.Addrs) > 0 || q.Cut.Hints {
			continue
		}
		addrs, _, _ := s.cfg.Cuts.Addrs(s.r.Partition.Data, ns.Name, s.r.Now)
		s.addExtras(q, ns.Name, addrs)
	}
}

// ownCut is q.Cut as a copy that belongs to q.
func (s *solver) ownCut(q *Query) *zonecut.Cut {
	if !q.run.ns.own {
		q.Cut, q.run.ns.own = q.Cut.Clone(), true
	}
	return q.Cut
}

// nextFetch picks a name server to look up, at random; nil when there is none or
// the request has looked up enough.
func (s *solver) nextFetch(q *Query) *fetch {
	all := s.lookable(q)
	if len(all) == 0 {
		return nil
	}
	return &all[s.cfg.Servers.Intn(len(all))]
}

// mayBegin tells whether the addresses of one more name server may be looked up. Those that
// led to an address are not counted against it: what lies there may be dead, and a zone is
// not given up before all its servers are known.
func (s *solver) mayBegin(q *Query) bool {
	led := q.led()
	switch {
	case q.run.ns.fetches-led >= limits.NSAddrFetchPerReferral, int(s.r.work.nsFetches.Load())-led >= limits.NSAddrFetchPerRequest:
		s.cfg.Counters.Hit(limits.NSAddrFetch)
		return false
	case s.r.work.unresolvable.Load() >= limits.UnresolvableNSPerRequest, s.r.work.inVain.many():
		s.cfg.Counters.Hit(limits.UnresolvableNS)
		return false
	}
	return true
}

// lookable are look-ups of the name servers whose address may be found elsewhere: not
// below the cut, whose own servers would have to tell. Those that have an address come
// in question too, when it did not help: glue grows old, and may be of the one family
// that does not work.
func (s *solver) lookable(q *Query) (all []fetch) {
	if q.Cut.Hints || s.silence() || s.hopeless(q) {
		return nil
	}
	may := sync.OnceValue(func() bool { return s.mayBegin(q) })
	for _, without := range []bool{true, false} {
		for i := range q.Cut.NS {
			ns := &q.Cut.NS[i]
			if (len(ns.Addrs) == 0) != without || ns.Name.IsSubdomainOf(q.Cut.Name) {
				continue
			}
			types := s.families(q, ns.Name)
			if len(types) > 0 && !s.leftAlone(ns.Name) && !s.futile(ns.Name) && (q.run.ns.began(ns.Name) || may()) {
				all = append(all, fetch{name: ns.Name, types: types})
			}
		}
		if len(all) > 0 {
			break
		}
	}
	return all
}

// hopeless tells whether q is a look-up of a name server's address whose zone has servers
// that answered with errors, or with nothing that helps after those of another zone: they
// will do no better at addresses that the delegation does not have.
func (s *solver) hopeless(q *Query) bool {
	if q.Depth == 0 || q.run.useless == 0 {
		return false
	}
	return s.r.work.inVain.anyBad() || s.summary(q).wrong > 0
}

// silence tells whether the servers of so many zones leave the request's look-ups unanswered
// that none begins any more.
func (s *solver) silence() bool {
	if !s.r.work.silences.in(limits.SilentZonesTried) {
		return false
	}
	s.cfg.Counters.Hit(limits.UnresolvableNS)
	return true
}

// leftAlone tells whether a name server could not be looked up a moment ago.
func (s *solver) leftAlone(ns dnsname.Name) bool {
	if !s.failed.has(s.place(ns), s.r.Now) {
		return false
	}
	s.cfg.Counters.Hit(limits.Throttled)
	return true
}

// futile tells whether the address of a name server need not be looked up, because it
// lies in a zone that has failed this request, or is about to: its servers will do no
// better for another name. A delegation to many names of a victim's, whose servers fail,
// would become as many questions to them (NXNSAttack). The top levels and the root are
// asked by everybody, and for other reasons.
func (s *solver) futile(ns dnsname.Name) bool {
	if !s.r.work.inVain.any() {
		return false
	}
	cut := s.cfg.Cuts.Closest(s.r.Partition.Data, ns, s.r.Now)
	if cut == nil || cut.Hints || cut.Name.Labels() <= 1 || !s.r.work.inVain.has(cut.Name) {
		return false
	}
	s.cfg.Counters.Hit(limits.UnresolvableNS)
	return true
}

// mute tells which servers q does not ask, because they are silent for all look-ups of the
// request; nil: q is none, and may ask all.
func (s *solver) mute(q *Query) func(zonecut.Endpoint) bool {
	if q.Depth == 0 {
		return nil
	}
	return func(e zonecut.Endpoint) bool {
		if !s.r.work.silences.mute(e) {
			return false
		}
		s.cfg.Counters.Hit(limits.UnresolvableNS)
		return true
	}
}

// muteAt tells whether a name server, for a look-up, is silent at an address of a family that
// is known: it is not worth a look-up for another one of that family. Where the servers of
// several zones are silent it is not worth any, unless the known family fails everywhere.
func (s *solver) muteAt(q *Query, name dnsname.Name, v6 bool) bool {
	mute, ns := s.mute(q), q.Cut.Find(name)
	if mute == nil || ns == nil {
		return false
	}
	silences := &s.r.work.silences
	many := silences.in(limits.SilentZones)
	return slices.ContainsFunc(ns.Addrs, func(a netip.Addr) bool {
		e := s.cfg.Servers.Endpoint(ns, a)
		return a.Is6() == v6 && mute(e) || many && silences.silent(e) && !s.cfg.Servers.Avoids(a.Is4())
	})
}

// families are the types to look up, without what the cache knows already and what
// was looked up by this query. A family that does not work here comes last.
func (s *solver) families(q *Query, name dnsname.Name) (types []uint16) {
	if q.answersUselessly(name) {
		return nil
	}
	_, known4, known6 := s.cfg.Cuts.Addrs(s.r.Partition.Data, name, s.r.Now)
	if !q.Options.NoIPv4 && !known4 && !slices.Contains(q.run.ns.looked, lookup{name, wire.TypeA}) && !s.muteAt(q, name, false) {
		types = append(types, wire.TypeA)
	}
	if !q.Options.NoIPv6 && !known6 && !slices.Contains(q.run.ns.looked, lookup{name, wire.TypeAAAA}) && !s.muteAt(q, name, true) {
		types = append(types, wire.TypeAAAA)
	}
	if len(types) == 2 && s.cfg.Servers.Avoids(true) {
		slices.Reverse(types)
	}
	return types
}

// answersUselessly tells whether a name server has answered q from an address that was
// looked up, and not helped: it will not from others.
func (q *Query) answersUselessly(name dnsname.Name) bool {
	ns := q.Cut.Find(name)
	return ns != nil && q.run.ns.began(name) && slices.ContainsFunc(ns.Addrs, func(a netip.Addr) bool {
		f := q.run.faults.of(ns, a)
		return f != nil && f.err == nil
	})
}

// look pushes the next look-up of f; false when there is none.
func (s *solver) look(q *Query, f *fetch) bool {
	for len(f.types) > 0 && !(f.pushed && (s.futile(f.name) || s.silence())) {
		t := f.types[0]
		f.types = f.types[1:]
		began := q.run.ns.began(f.name)
		q.run.ns.looked = append(q.run.ns.looked, lookup{f.name, t})
		sub, err := s.r.pushAddress(q, Question{f.name, t, q.Class}, s.r.Options.withoutRule())
		if err != nil {
			if s.r.Tell != nil {
				s.r.Tell(q, LookupRefused{f.name, err})
			}
			if fatal(err) {
				f.types = nil
			}
			continue
		}
		if !f.pushed && !began {
			q.run.ns.fetches++
			s.r.work.nsFetches.Add(1)
		}
		f.sub, f.pushed = sub, true
		return true
	}
	return false
}

// collect takes the addresses that a look-up found; false when it found none.
func (s *solver) collect(q *Query, f *fetch) bool {
	found := false
	o := &f.sub.Outcome
	if f.sub.Err == nil {
		f.denied = true
		for i := range o.Answer {
			if isAddress(o.Answer[i].Type) {
				found = s.gain(q, f.name, o.Answer[i].Data) || found
			}
		}
		if o.Kind == NXDomain {
			f.types = nil
			q.run.ns.looked = append(q.run.ns.looked, lookup{f.name, wire.TypeA}, lookup{f.name, wire.TypeAAAA})
		}
	}
	return s.parentSide(q, f.name) || found
}

// parentSide adds the addresses that the name server's own parent gave as glue,
// where they differ: a name server whose zone has a wrong address of it, or none,
// still answers at the one by which that zone is reached.
func (s *solver) parentSide(q *Query, name dnsname.Name) (found bool) {
	if q.Options.Strict {
		return false
	}
	cut := s.cfg.Cuts.Closest(s.r.Partition.Data, name, s.r.Now)
	if cut == nil || cut.Hints {
		return false
	}
	ns := cut.Find(name)
	if ns == nil {
		return false
	}
	return len(s.addExtras(q, name, ns.Addrs)) > 0
}

// gain gives a name server the addresses in data, which a look-up has found.
func (s *solver) gain(q *Query, name dnsname.Name, data [][]byte) bool {
	addrs := make([]netip.Addr, 0, len(data))
	for _, d := range data {
		if a, ok := netip.AddrFromSlice(d); ok {
			addrs = append(addrs, a)
		}
	}
	added := s.addExtras(q, name, addrs)
	for _, a := range added {
		q.run.ns.gained = append(q.run.ns.gained, gain{name, a})
	}
	return len(added) > 0
}

// led is how many name servers have an address that was looked up for q and that no other
// has.
func (q *Query) led() int {
	var names []dnsname.Name
	for _, g := range q.run.ns.gained {
		others := func(o zonecut.NameServer) bool { return o.Name != g.name && slices.Contains(o.Addrs, g.addr) }
		if !slices.Contains(names, g.name) && !slices.ContainsFunc(q.Cut.NS, others) {
			names = append(names, g.name)
		}
	}
	return len(names)
}

// addExtras adds addresses that did not come with the delegation, the most promising first,
// as far as there is room.
func (s *solver) addExtras(q *Query, name dnsname.Name, addrs []netip.Addr) (added []netip.Addr) {
	ns := q.Cut.Find(name)
	if ns == nil {
		return nil
	}
	w := selection.Want{Cut: q.Cut, NoIPv4: q.Options.NoIPv4, NoIPv6: q.Options.NoIPv6, AnyAddress: q.Options.AnyAddress, PublicOnly: q.Options.PublicOnly}
	for _, a := range s.cfg.Servers.Promising(w, ns, addrs) {
		if s.addExtra(q, name, a) {
			added = append(added, a)
		}
	}
	return added
}

// addExtra adds one address that did not come with the delegation. The first of each family
// of a name server is not extra.
func (s *solver) addExtra(q *Query, name dnsname.Name, a netip.Addr) bool {
	if ns := q.Cut.Find(name); ns != nil {
		if slices.Contains(ns.Addrs, a) {
			return false
		}
		if slices.ContainsFunc(ns.Addrs, func(b netip.Addr) bool { return a.Is4() == b.Is4() }) {
			if q.run.ns.extra >= limits.ExtraAddrs(len(q.Cut.NS)) {
				s.cfg.Counters.Hit(limits.AddrsPerNS)
				return false
			}
			q.run.ns.extra++
		}
	}
	s.ownCut(q).AddAddr(name, a)
	return true
}

// unresolvable notes that no address of a name server could be found. Other
// requests hear of it only where the reason cannot be this one's own: further
// down, a look-up may have failed because it waited for one further up.
func (s *solver) unresolvable(q *Query, f *fetch) {
	if !f.pushed {
		return
	}
	s.r.work.unresolvable.Add(1)
	if f.denied || q.Depth == 0 {
		s.failed.add(s.place(f.name), s.r.Now)
	}
	if s.r.Tell != nil {
		s.r.Tell(q, AddressNotFound{f.name})
	}
}

// glued takes the address of a name server that the cache knows as glue of the
// zone in which the name server lies, once. It saves a question to that zone and
// believes nobody but servers above the name; RFC 2181, section 5.4.1, keeps glue
// from answers, not from use. If nobody helpful is at that address, the name is
// looked up in earnest.
func (s *solver) glued(q *Query, name dnsname.Name) bool {
	if slices.Contains(q.run.ns.glued, name) || !s.parentSide(q, name) {
		return false
	}
	q.run.ns.byGlue(name)
	return true
}
