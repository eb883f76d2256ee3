package trustanchor

import (
	"maps"
	"slices"

	"kresd/internal/dnsname"
)

// A Negative is a name at and below which nothing is validated (RFC 7646).
type Negative struct {
	Name dnsname.Name
	// Reason is why, in the operator's words; it may be "".
	Reason string
	// Expires is the wall second since 1970 at which it ends; 0: with the process.
	Expires int64
	// Trial tells that the zone is tried from time to time, and that the entry goes
	// when the zone can be validated.
	Trial bool
}

// Negative is the negative anchor that a name lies at or below and over which no
// anchor holds; nil for none.
func (s *Snapshot) Negative(name dnsname.Name) *Negative {
	n, _ := s.deepest(name)
	return n
}

// deepest is what decides about a name: a negative anchor or an anchor, the deeper
// one, and the negative one at the same name.
func (s *Snapshot) deepest(name dnsname.Name) (*Negative, *KeySet) {
	for {
		if n := s.Insecure[name]; n != nil {
			return n, nil
		}
		if k := s.Sets[name]; k != nil && k.Trusted() > 0 {
			return nil, k
		}
		if name.IsRoot() {
			return nil, nil
		}
		name = name.Parent()
	}
}

// Without is the snapshot as it would be without the negative anchor at a name.
func (s *Snapshot) Without(name dnsname.Name) *Snapshot {
	next := &Snapshot{Sets: s.Sets, Insecure: maps.Clone(s.Insecure)}
	delete(next.Insecure, name)
	next.fingerprint = next.sum()
	return next
}

// Negatives are the negative anchors in canonical order of their names.
func (s *Snapshot) Negatives() []*Negative {
	return slices.SortedFunc(maps.Values(s.Insecure), func(a, b *Negative) int { return dnsname.Compare(a.Name, b.Name) })
}

// SetNegatives replaces the negative anchors.
func (s *Store) SetNegatives(list []Negative) {
	s.change(func(next *Snapshot) {
		next.Insecure = make(map[dnsname.Name]*Negative, len(list))
		for i := range list {
			n := list[i]
			next.Insecure[n.Name] = &n
		}
	})
}

// Lift takes a negative anchor out, if it is still in force.
func (s *Store) Lift(n *Negative) bool {
	lifted := false
	s.changeIf(func(next *Snapshot) bool {
		if next.Insecure[n.Name] != n {
			return false
		}
		next.Insecure = maps.Clone(next.Insecure)
		delete(next.Insecure, n.Name)
		lifted = true
		return true
	})
	return lifted
}

// Expire takes out the negative anchors whose time is over at now, wall seconds
// since 1970.
func (s *Store) Expire(now int64) (gone []*Negative) {
	for _, n := range s.Snapshot().Negatives() {
		if n.Expires != 0 && n.Expires <= now && s.Lift(n) {
			gone = append(gone, n)
		}
	}
	return gone
}
