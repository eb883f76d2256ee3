package cache

import (
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Why a set is not stored for an operator.
var (
	errNotStorable = errors.New("a set of this class, type or rank is not stored")
	errEnded       = errors.New("the set's TTL is over already")
)

// Insert stores a set on the operator's word, as if servers had told it at a time that is
// not after now, both in wall seconds. Its RDATA is in canonical form. Answers that were
// made for the same question are forgotten. Data of a higher rank stay until they expire,
// as always.
func (c *Cache) Insert(in resolve.Partition, set resolve.Set, told, now int64) error {
	s := c.current()
	if s == nil {
		return ErrClosed
	}
	if set.Class != wire.ClassIN || wire.IsMetaType(set.Type) || !storable(set.Rank) || len(set.Data) == 0 {
		return errNotStorable
	}
	set.Cached, set.TTL = false, c.bound(set.TTL)
	told = min(told, now)
	if told+int64(set.TTL) <= now {
		return errEnded
	}
	t := stash{c: c, s: s, in: in, now: told, seen: s.ClearNumber(), scope: dnsname.Root}
	at := t.around(set.Owner, set.Type)
	t.set(&set, nil, at)
	t.exists(set.Owner, set.Rank, at)
	for _, in := range partitionsOf(s, set.Owner) {
		for bits := range byte(bitDO | bitCD + 1) {
			s.Delete(node{in, set.Owner}.answer(set.Type, set.Class, bits))
		}
	}
	return nil
}
