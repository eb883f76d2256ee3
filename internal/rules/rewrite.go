package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Rewrite says which addresses in answers become others.
type Rewrite struct {
	// From is the addresses that are meant.
	From netip.Prefix
	// To gives the first bits, those of From's length; the others stay. With Whole all that are
	// meant become To itself.
	To    netip.Addr
	Whole bool
}

// NewRewrite reads what is rewritten, a network or an address, and to what. A target that
// begins with '!' is the one address that all become.
func NewRewrite(from, to string) (w Rewrite, err error) {
	if w.From, err = ParseSubnet(from); err != nil {
		return w, err
	}
	if len(to) > 0 && to[0] == '!' {
		w.Whole, to = true, to[1:]
	}
	if w.To, err = netip.ParseAddr(to); err != nil || w.To.Zone() != "" {
		return w, fmt.Errorf("'%s' is no address", to)
	}
	if w.To = w.To.Unmap(); w.To.Is4() != w.From.Addr().Is4() {
		return w, fmt.Errorf("'%s' and '%s' are not of one family", from, to)
	}
	return w, nil
}

// of is what an address becomes; ok is false where it is not meant.
func (w *Rewrite) of(a netip.Addr) (to netip.Addr, ok bool) {
	switch {
	case !w.From.Contains(a):
		return a, false
	case w.Whole:
		return w.To, true
	}
	was, is := a.AsSlice(), w.To.AsSlice()
	for i := range was {
		keep := byte(0xff) >> max(0, min(8, w.From.Bits()-8*i)) // bits of this octet behind the length
		is[i] = is[i]&^keep | was[i]&keep
	}
	to, ok = netip.AddrFromSlice(is)
	return to, ok
}

// Rewrites are tried in their order for each address.
type Rewrites []Rewrite

// Apply rewrites addresses in a Result, and tells whether there were any. Sets that it changes
// lose their signatures. spare, unless it is nil, tells which sets are left as they are.
func (list Rewrites) Apply(r *resolve.Result, spare func(*resolve.Set) bool) (changed bool) {
	return changeSets(r, func(s *resolve.Set, data []byte) ([]byte, bool) {
		a, ok := netip.AddrFromSlice(data)
		if !ok {
			return nil, false
		}
		for i := range list {
			if to, meant := list[i].of(a); meant {
				return to.AsSlice(), spare == nil || !spare(s)
			}
		}
		return nil, false
	})
}

// Digest is equal for equal lists in all processes, and 0 for none.
func (list Rewrites) Digest() (n uint64) {
	for i := range list {
		w := &list[i]
		n = mix(n, digest.Of(w.From.String(), w.To.String(), strconv.FormatBool(w.Whole)))
	}
	return n
}

// changeSets changes data of A and AAAA records in the answer. The sets may be shared with
// other requests: those that change are copied.
func changeSets(r *resolve.Result, change func(s *resolve.Set, data []byte) ([]byte, bool)) (changed bool) {
	for i := range r.Answer {
		s := &r.Answer[i]
		if s.Type != wire.TypeA && s.Type != wire.TypeAAAA {
			continue
		}
		var fresh [][]byte
		for k, data := range s.Data {
			to, ok := change(s, data)
			if !ok {
				continue
			}
			if fresh == nil {
				fresh = slices.Clone(s.Data)
			}
			fresh[k] = to
		}
		if fresh == nil {
			continue
		}
		if !changed {
			r.Answer, changed = slices.Clone(r.Answer), true
			s = &r.Answer[i]
		}
		set := Record(s.Owner, s.Type, s.TTL, once(fresh)...)
		set.Class, set.Cached = s.Class, s.Cached
		r.Answer[i] = set
	}
	if changed { // what is told is not what was proven
		r.Rank = min(r.Rank, r.Answer[0].Rank)
		for i := range r.Answer {
			r.Rank = min(r.Rank, r.Answer[i].Rank)
		}
	}
	return changed
}

// once leaves out data that is there already.
func once(list [][]byte) [][]byte {
	var kept [][]byte
	for _, data := range list {
		if !slices.ContainsFunc(kept, func(k []byte) bool { return string(k) == string(data) }) {
			kept = append(kept, data)
		}
	}
	return kept
}

// Reroute rewrites addresses in answers; it is for postrules.
func Reroute(list Rewrites) *Action {
	return Run("REROUTE", nil, func(h *Hit) Decision {
		if h.Post && list.Apply(&h.Req.Result, nil) {
			h.Req.Result.NoCache = true
		}
		return GoOn
	})
}

// Readdress gives a name in answers another address; it is for postrules.
func Readdress(name dnsname.Name, to netip.Addr) *Action {
	t := wire.TypeAAAA
	if to.Is4() {
		t = wire.TypeA
	}
	return Run("REWRITE", nil, func(h *Hit) Decision {
		if h.Post && changeSets(&h.Req.Result, func(s *resolve.Set, _ []byte) ([]byte, bool) {
			return to.AsSlice(), s.Type == t && s.Owner == name
		}) {
			h.Req.Result.NoCache = true
		}
		return GoOn
	})
}
