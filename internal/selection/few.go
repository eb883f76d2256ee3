package selection

import (
	"slices"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Few is the cut with no more name servers than one question may consider: of a zone with
// more, those that are known to answer, then, in no order, those of which nothing is known,
// and last those that do not help or do not answer at present. So whoever asks such a zone in
// vain meets others the next time.
func (s *Selector) Few(w Want) *zonecut.Cut {
	if len(w.Cut.NS) <= limits.MaxNSPerDelegation || w.Cut.Hints {
		return w.Cut
	}
	few := *w.Cut
	few.NS = slices.Clone(w.Cut.NS)
	first := s.Intn(len(few.NS))
	slices.Reverse(few.NS[:first])
	slices.Reverse(few.NS[first:])
	slices.Reverse(few.NS) // rotated: another one comes first each time
	hopes := make(map[zonecut.Endpoint]hope, len(few.NS))
	of := func(ns *zonecut.NameServer) (best hope) {
		if best = unlikely; len(ns.Addrs) == 0 {
			return unclear
		}
		for _, a := range ns.Addrs {
			e := s.Endpoint(ns, a)
			if _, known := hopes[e]; !known {
				hopes[e] = s.hopeOf(w, e)
			}
			best = min(best, hopes[e])
		}
		return best
	}
	slices.SortStableFunc(few.NS, func(a, b zonecut.NameServer) int { return int(of(&a)) - int(of(&b)) })
	few.NS = few.NS[:limits.MaxNSPerDelegation]
	return &few
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
	case !s.allowed(w, e.Addr), h.Timeouts > 0, now < h.DeadUntil, s.isLame(w.Cut.Name, e, now):
		return unlikely
	case h.Known():
		return likely
	}
	return unclear
}
