package selection

import (
	"net/netip"
	"slices"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Few is the cut with no more name servers, and addresses of these, than one question may
// consider: of a zone with more, those that are known to answer, then, in no order, those of
// which nothing is known, and last those that do not help or do not answer at present. So
// whoever asks such a zone in vain meets others the next time.
func (s *Selector) Few(w Want) *zonecut.Cut {
	if w.Cut.Hints || len(w.Cut.NS) <= limits.MaxNSPerDelegation && extras(w.Cut) <= limits.ExtraAddrs(len(w.Cut.NS)) {
		return w.Cut
	}
	few := *w.Cut
	few.NS = rotated(few.NS, s.Intn(len(few.NS)))
	hopes := s.hopes(w)
	slices.SortStableFunc(few.NS, func(a, b zonecut.NameServer) int { return int(hopes.best(&a)) - int(hopes.best(&b)) })
	few.NS = few.NS[:min(len(few.NS), limits.MaxNSPerDelegation)]
	hopes.fewAddrs(few.NS)
	return &few
}

// Promising are addresses of a name server that did not come with the delegation, no more than
// a delegation may keep, in the order in which Few takes them.
func (s *Selector) Promising(w Want, ns *zonecut.NameServer, addrs []netip.Addr) []netip.Addr {
	if len(addrs) < 2 {
		return addrs
	}
	const judged = 4 * limits.ExtraAddrsKept // each costs a look at what is known
	if len(addrs) > judged {
		addrs = byTurns(rotated(addrs, s.Intn(len(addrs))))[:judged]
	}
	best := s.hopes(w).sorted(&zonecut.NameServer{Name: ns.Name, Addrs: addrs, Port: ns.Port, Peer: ns.Peer})
	return best[:min(len(best), limits.ExtraAddrsKept)]
}

// extras is how many addresses of a cut are beyond two of a name server.
func extras(c *zonecut.Cut) (n int) {
	for i := range c.NS {
		n += max(0, len(c.NS[i].Addrs)-2)
	}
	return n
}

// rotated is a copy of list that begins at another place.
func rotated[T any](list []T, first int) []T {
	return append(slices.Clone(list[first:]), list[:first]...)
}

// A hoping is what may be hoped for of the servers of a cut, each judged once.
type hoping struct {
	s     *Selector
	w     Want
	hopes map[zonecut.Endpoint]hope
}

func (s *Selector) hopes(w Want) *hoping { return &hoping{s, w, map[zonecut.Endpoint]hope{}} }

func (h *hoping) of(ns *zonecut.NameServer, a netip.Addr) hope {
	e := h.s.Endpoint(ns, a)
	of, known := h.hopes[e]
	if !known {
		of = h.s.hopeOf(h.w, e)
		h.hopes[e] = of
	}
	return of
}

// best is the hope of the best address of a name server.
func (h *hoping) best(ns *zonecut.NameServer) hope {
	if len(ns.Addrs) == 0 {
		return unclear
	}
	best := unlikely
	for _, a := range ns.Addrs {
		best = min(best, h.of(ns, a))
	}
	return best
}

// fewAddrs leaves name servers the addresses that one question may consider: two of each,
// and then one by turns while there is room.
func (h *hoping) fewAddrs(servers []zonecut.NameServer) {
	room := limits.ExtraAddrs(len(servers))
	left := make([][]netip.Addr, len(servers))
	for i := range servers {
		ns := &servers[i]
		all := h.sorted(ns)
		n := min(len(all), 2)
		ns.Addrs, left[i] = all[:n:n], all[n:]
	}
	for more := true; more; {
		more = false
		for i := range servers {
			if room > 0 && len(left[i]) > 0 {
				servers[i].Addrs, left[i] = append(servers[i].Addrs, left[i][0]), left[i][1:]
				room--
				more = true
			}
		}
	}
}

// sorted are the addresses of a name server, the best first. Those of which the same may be
// hoped for are in no order, but that the families take turns: one may not work.
func (h *hoping) sorted(ns *zonecut.NameServer) []netip.Addr {
	if len(ns.Addrs) == 0 {
		return nil
	}
	all := byTurns(rotated(ns.Addrs, h.s.Intn(len(ns.Addrs))))
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return int(h.of(ns, a)) - int(h.of(ns, b)) })
	return all
}

// byTurns are addresses of both families by turns, as long as there are such.
func byTurns(addrs []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, a := range addrs {
		i := 0
		if a.Is4() != addrs[0].Is4() {
			i = 1
		}
		families[i] = append(families[i], a)
	}
	out := addrs[:0:0]
	for i := range addrs {
		for _, f := range families {
			if i < len(f) {
				out = append(out, f[i])
			}
		}
	}
	return out
}

// A hope is how likely a server helps; the least is the best.
type hope int

const (
	likely   hope = iota // it has answered
	unclear              // nothing is known of it
	unlikely             // it was of no use lately, or silent, or may not be asked
)

func (s *Selector) hopeOf(w Want, e zonecut.Endpoint) hope {
	now := s.now()
	h := s.known().Load(keyOf(e)).faded(now)
	switch {
	case !s.allowed(w, e.Addr), h.Timeouts > 0, now < h.DeadUntil, s.isLame(w.Cut.Name, e, now), s.Avoids(e.Addr.Addr().Is4()):
		return unlikely
	case h.Known():
		return likely
	}
	return unclear
}
