package cache

import (
	"bytes"

	"kresd/internal/dnsname"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// gapAnswer is a Fast's memory for answers that are made for gaps.
type gapAnswer struct {
	gap    gap
	denial reply.Denial
	key    [scratchKey]byte // what is looked for, below the zone
	low    [scratchKey]byte // the key of what was found
	octets [wire.HeaderLen + dnsname.MaxLen + 4 + gapOctets]byte
	ttls   [gapTTLs]byte
}

// Most that is found in the denial of a gap: its records' octets, and the offsets of
// their TTLs. What has more takes the driver's way.
const (
	gapOctets = 4 << 10
	gapTTLs   = 2 * 32
)

// denied finds whether the name is in a gap of the closest zone that has any; f.body is
// the answer then, made age seconds ago. name is the key of the name.
func (f *Fast) denied(in resolve.Partition, q *wire.Question, name []byte) (age uint32, ok bool) {
	if q.Class != wire.ClassIN || wire.IsMetaType(q.Type) {
		return 0, false
	}
	at, end := 0, len(name) // where the ancestor begins in q.Name, and ends in name
	for end > 0 {
		at += 1 + int(q.Name[at])
		end = bytes.LastIndexByte(name[:end-1], 0) + 1
		if f.c.gaps.has(in, name[:end]) {
			return f.inGap(in, q, name, end, len(q.Name)-at)
		}
	}
	return 0, false
}

// inGap looks for the gap in a zone, whose key are the first octets of name and whose
// own name takes so many octets.
func (f *Fast) inGap(in resolve.Partition, q *wire.Question, name []byte, zone, octets int) (age uint32, ok bool) {
	g := &f.gap
	prefix := append(appendPartition(append(g.key[:0], name[:zone]...), in), familyGap)
	low, n, found := f.fetchBelow(prefix, append(prefix, name[zone:]...))
	if !found {
		return 0, false
	}
	h, body, ok := open(low, f.copied[:n])
	var clears uint64
	if ok {
		clears, ok = decodeGap(h, body, &g.gap, &g.denial)
	}
	if !ok {
		f.damaged(low, f.copied[:n])
		return 0, false
	}
	g.gap.low = low[len(prefix):]
	age, _, ok = h.age(f.now)
	if !ok || clears != f.clears || !g.gap.has(name[zone:]) || f.knows(name[:zone+g.gap.closer(name[zone:])]) {
		return 0, false
	}
	f.body.Octets, f.body.TTLs = g.octets[:0], g.ttls[:0]
	if !g.denial.Body(&f.body, q, octets) {
		return 0, false
	}
	f.n.gap.Add(1)
	return age, true
}

// fetchBelow is fetch for the greatest key that begins with prefix and is not above key,
// of which low is a copy.
func (f *Fast) fetchBelow(prefix, key []byte) (low []byte, n int, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			low, n, ok = nil, 0, false
			onlyFault(v)
		}
	}()
	k, val, ok := f.reader.Floor(prefix, key)
	if !ok || len(k) > len(f.gap.low) {
		return nil, 0, false
	}
	low = f.gap.low[:copy(f.gap.low[:], k)]
	if len(val) > len(f.copied) {
		return low, 0, true // no entry of ours
	}
	return low, copy(f.copied[:], val), true
}

// knows tells whether anything is stored about a name or one below it, by the name's
// key: it may be newer than the proof that there is none, and the driver judges that.
func (f *Fast) knows(name []byte) bool {
	end := append(f.gap.key[:0], name...)
	end[len(end)-1] = 1 // see behind
	_, _, ok := f.reader.Floor(name, end)
	return ok
}
