package cache

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A Shown is one entry as an operator sees it.
type Shown struct {
	// Partition is where it lies.
	Partition resolve.Partition
	Kind      ShownKind
	// Type and Class are what it is about; 0 where it is about all types.
	Type, Class uint16
	Rank        rank.Rank
	// Age is how long ago it was made, Left how long it may still be used, in seconds.
	Age, Left uint32
	// Sets are the set itself, or the SOA, and behind it what proves that; or what a whole
	// answer says.
	Sets []resolve.Set
	// Cut is the delegation.
	Cut *zonecut.Cut
	// Failed is why the question could not be resolved.
	Failed ede.Code
	Reason string
	// Rcode, DO and CD are those of a whole answer, and of the clients that it is for.
	Rcode  int
	DO, CD bool
}

// ShownKind says what an entry is.
type ShownKind uint8

// Kinds of entries as operators see them.
const (
	ShownSet ShownKind = iota
	ShownNoData
	ShownNXDomain
	ShownCut
	ShownFailure
	ShownAnswer
)

// Show lists what is stored about a name and may still be used, at most limits.ShownEntries
// entries. Denials of names in the zone of which the name is the apex are not among them:
// they are about those names.
func (c *Cache) Show(name dnsname.Name, now int64) (list []Shown, err error) {
	s := c.current()
	if s == nil {
		return nil, ErrClosed
	}
	for _, in := range partitionsOf(s, name) {
		list = c.showPlace(s, node{in, name}, now, list)
	}
	return list, nil
}

func (c *Cache) showPlace(s Store, at node, now int64, list []Shown) []Shown {
	type pair struct{ key, val []byte }
	var pairs []pair
	prefix := at.prefix()
	if len(prefix) > maxKey {
		return list
	}
	s.Range(prefix, func(key, val []byte) bool {
		if _, ours := kindOf(key[len(prefix):]); !ours || len(list)+len(pairs) >= limits.ShownEntries {
			return false
		}
		if len(val) <= limits.MaxCacheEntryBytes { // a copy is checked, never the map
			pairs = append(pairs, pair{bytes.Clone(key), bytes.Clone(val)})
		}
		return true
	})
	for _, p := range pairs {
		if one, ok := show(p.key, p.val, s.ClearNumber(), now); ok {
			list = append(list, one)
		}
	}
	return list
}

// show reads one entry; ok is false for what may not be used or is damaged. clears is the
// clear number, which answers have to have seen.
func show(key, val []byte, clears uint64, now int64) (one Shown, ok bool) {
	at, _, rest, ok := splitKey(key)
	if !ok {
		return one, false
	}
	h, body, ok := open(key, val)
	if !ok {
		return one, false
	}
	one = Shown{Partition: at.in, Rank: h.rank}
	if one.Age, one.Left, ok = h.age(now); !ok {
		return one, false
	}
	one.about(h.kind, rest)
	switch h.kind {
	case kindCut:
		one.Cut, ok = decodeCut(at.name, body, one.Age)
	case kindFailure:
		one.Failed, one.Reason = ede.Code(h.code), string(body)
	case kindAnswer:
		ok = len(rest) > 0 && one.answer(h, body, rest[len(rest)-1], clears)
	default:
		cur := cursor{b: body}
		one.Sets = cur.sets(one.Age)
		ok = cur.end()
	}
	return one, ok
}

// about reads the kind of an entry, and what it is about from what follows the family in
// its key.
func (one *Shown) about(kind byte, rest []byte) {
	one.Kind = map[byte]ShownKind{kindNoData: ShownNoData, kindNXDomain: ShownNXDomain, kindCut: ShownCut, kindFailure: ShownFailure, kindAnswer: ShownAnswer}[kind]
	switch {
	case kind == kindCut:
		one.Type, one.Class = wire.TypeNS, wire.ClassIN
	case len(rest) >= 4:
		one.Type, one.Class = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	case len(rest) >= 2:
		one.Class = binary.BigEndian.Uint16(rest)
	}
}

// answer reads a whole answer.
func (one *Shown) answer(h header, body []byte, bits byte, clears uint64) bool {
	var b reply.Body
	seen, ok := decodeAnswer(h, body, &b)
	if !ok || seen != clears {
		return false
	}
	m, err := wire.Parse(b.Octets)
	if err != nil {
		return false
	}
	one.Rcode, one.DO, one.CD = b.Rcode, bits&bitDO != 0, bits&bitCD != 0
	for _, rrs := range [][]wire.RR{m.Answer, m.Authority} {
		for _, set := range wire.Group(rrs) {
			set.TTL -= min(set.TTL, one.Age)
			one.Sets = append(one.Sets, resolve.Set{RRset: set, Rank: h.rank, Cached: true})
		}
	}
	return true
}
