package iterate

import (
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// referral looks for a delegation on the way to the name: NS records of a zone
// strictly below the one that was asked. AA is not looked at, because servers
// set it wrongly here. A parent that does not know DS refers to the child even
// for that, and the child says that there is none. Pending: there is no referral.
func (a *answer) referral() resolve.Outcome {
	for i := range a.auth {
		ns := &a.auth[i]
		if ns.Type != wire.TypeNS || !ns.Owner.IsStrictlyBelow(a.cut()) || !a.q.Asked.Name.IsSubdomainOf(ns.Owner) {
			continue
		}
		cut := a.delegation(ns)
		if len(cut.NS) == 0 {
			return lame
		}
		return resolve.Outcome{Kind: resolve.Referral, Cut: cut, Zone: a.cut(), Authority: a.security(cut)}
	}
	return resolve.Outcome{}
}

// refers tells whether a message with a delegation is a referral: an SOA record
// beside it says no (RFC 2308, section 2.2), but for that of a zone above the
// delegation, which some parents add without claiming authority. NXDOMAIN without
// SOA and AA denies nothing.
func (a *answer) refers(o *resolve.Outcome, soa *wire.RRset) bool {
	if soa != nil {
		return a.msg.Rcode == wire.RcodeNoError && !a.msg.AA() && a.q.Asked.Type != wire.TypeDS &&
			o.Cut != nil && o.Cut.Name.IsStrictlyBelow(soa.Owner)
	}
	return a.msg.Rcode == wire.RcodeNoError || !a.msg.AA()
}

// delegation makes a cut of an NS set and its glue. Name servers without glue, which have to
// be looked up, only fill what a question may consider (NXNSAttack).
func (a *answer) delegation(ns *wire.RRset) *zonecut.Cut {
	cut := &zonecut.Cut{Name: ns.Owner, Expires: a.expires(ns.TTL)}
	var without zonecut.Cut // those without an address
	left, glue := 0, a.glued()
	for i, rdata := range ns.Data {
		if len(cut.NS) == limits.NSKeptPerDelegation {
			left += len(ns.Data) - i // nothing that follows could be kept
			break
		}
		name := wire.Target(rdata)
		if name == "" || name.IsRoot() || cut.Find(name) != nil || without.Find(name) != nil {
			continue
		}
		s := zonecut.NameServer{Name: name, Addrs: a.glue(glue, cut.Name, name)}
		switch {
		case len(s.Addrs) > 0:
			cut.NS = append(cut.NS, s)
		case len(without.NS) < limits.MaxNSPerDelegation:
			without.NS = append(without.NS, s)
		default:
			left++
		}
	}
	a.considered(cut)
	room := max(limits.MaxNSPerDelegation-len(cut.NS), 0)
	left += max(len(without.NS)-room, 0) + max(len(cut.NS)-limits.MaxNSPerDelegation, 0)
	if cut.NS = append(cut.NS, without.NS[:min(len(without.NS), room)]...); left > 0 {
		a.r.Hit(limits.NSPerDelegation)
	}
	return cut
}

// expires is when a delegation must be learnt anew: never later than the one
// above it, so that a withdrawn parent takes its children along.
func (a *answer) expires(ttl uint32) int64 {
	t := a.r.Now + int64(ttl)
	if up := a.q.Cut; !up.Hints && !up.Name.IsRoot() && up.Expires > 0 {
		t = min(t, up.Expires)
	}
	return t
}

// considered drops addresses that are more than are kept, and counts where a question cannot
// consider all.
func (a *answer) considered(cut *zonecut.Cut) {
	extra, kept := 0, 0
	for i := range cut.NS {
		ns := &cut.NS[i]
		extra += max(0, len(ns.Addrs)-2) // one of each family is not extra
		ns.Addrs = ns.Addrs[:min(len(ns.Addrs), 2+limits.ExtraAddrsKept-kept)]
		kept += max(0, len(ns.Addrs)-2)
	}
	if extra > limits.ExtraAddrs(len(cut.NS)) {
		a.r.Hit(limits.AddrsPerNS)
	}
}

// glued are the sets of addresses in the additional section by their owners, of IPv4 and
// of IPv6. A message has room for thousands of name servers and of such sets, so they are
// not looked for one by one.
func (a *answer) glued() map[dnsname.Name][2]*wire.RRset {
	all := make(map[dnsname.Name][2]*wire.RRset, len(a.add))
	for i := range a.add {
		set := &a.add[i]
		sets, family := all[set.Owner], 0
		if set.Type == wire.TypeAAAA {
			family = 1
		}
		sets[family] = set
		all[set.Owner] = sets
	}
	return all
}

// glue is the addresses of a name server of zone that stand in the additional
// section, if the mode lets them count, of both families by turns.
func (a *answer) glue(glued map[dnsname.Name][2]*wire.RRset, zone, ns dnsname.Name) (addrs []netip.Addr) {
	if !a.mayGlue(zone, ns) {
		return nil
	}
	sets := glued[ns]
	for i, more := 0, true; more; i++ {
		more = false
		for _, set := range sets {
			if set == nil || i >= len(set.Data) {
				continue
			}
			more = true
			if ip, ok := netip.AddrFromSlice(set.Data[i]); ok {
				addrs = append(addrs, ip)
			}
		}
	}
	return addrs
}

// mayGlue is the table of the three modes: strict takes glue only where there is
// no other way, normal what the delegating zone may know, permissive anything.
func (a *answer) mayGlue(zone, ns dnsname.Name) bool {
	switch {
	case a.q.Options.Permissive:
		return true
	case a.q.Options.Strict:
		return ns.IsSubdomainOf(zone)
	}
	return ns.IsSubdomainOf(a.cut())
}

// security takes the delegation's DS set or the proof that there is none.
func (a *answer) security(cut *zonecut.Cut) []resolve.Set {
	ds := find(a.auth, cut.Name, wire.TypeDS)
	if ds == nil {
		return a.proofs()
	}
	cut.DS, cut.DSRank = ds, rank.Initial|rank.Auth
	return []resolve.Set{authoritative(*ds)}
}

// referredDS is what a referral to a zone says of its DS set, where that is what was asked
// for: a parent that refers instead of answering has told the set, or the signed proof that
// there is none (RFC 4035, section 3.1.4), and the child knows neither. Pending: the
// referral says nothing of it.
func (a *answer) referredDS(o *resolve.Outcome) resolve.Outcome {
	if a.q.Asked.Type != wire.TypeDS || o.Cut == nil || o.Cut.Name != a.q.Asked.Name {
		return resolve.Outcome{}
	}
	if ds := find(a.auth, o.Cut.Name, wire.TypeDS); ds != nil {
		return resolve.Outcome{Kind: resolve.Positive, Zone: a.cut(), Answer: []resolve.Set{authoritative(*ds)}}
	}
	if proofs := a.proofs(); proofs != nil {
		return resolve.Outcome{Kind: resolve.NoData, Zone: a.cut(), Authority: proofs}
	}
	return resolve.Outcome{}
}

// fromTheChildsSide tells whether a referral takes the place of what the server has to know
// by itself: the DS set of the zone to which it refers, or that there is none. The zone above
// is signed, as far as is known, so that another of its servers may tell (RFC 4035, section
// 3.1.4.1); only if none does is the child asked.
func (a *answer) fromTheChildsSide(o *resolve.Outcome) bool {
	return a.q.Asked.Type == wire.TypeDS && o.Cut != nil && o.Cut.Name == a.q.Asked.Name && !a.q.Cut.Unsigned(a.r.Now)
}
