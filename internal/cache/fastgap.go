package cache

import (
	"bytes"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// gapAnswer is a Fast's memory for answers that are made for gaps.
type gapAnswer struct {
	gap    gap
	denial reply.Denial
	key    [scratchKey]byte           // what is looked for, below the zone
	low    [scratchKey]byte           // the key of what was found
	name   [dnsname.MaxLen + 255]byte // what is hashed, with its salt
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
	w := within{in: in, q: q, name: name, zone: len(name)}
	for w.zone > 0 {
		w.closer = w.at
		w.at += 1 + int(q.Name[w.at])
		w.zone = bytes.LastIndexByte(name[:w.zone-1], 0) + 1
		switch zone := name[:w.zone]; {
		case f.c.gaps[0].has(in, zone):
			return f.inGap(&w)
		case f.c.gaps[1].has(in, zone):
			return f.inHashedGap(&w)
		}
	}
	return 0, false
}

// within is a question for a name below a zone.
type within struct {
	in   resolve.Partition
	q    *wire.Question
	name []byte // its key
	zone int    // how many octets of name are the key of the zone
	// at is where the name of the zone begins in q.Name, and closer where that of the
	// name's ancestor right below the zone does.
	at, closer int
}

// prefix begins the keys of the zone's gaps.
func (w *within) prefix(dst []byte, hashed bool) []byte {
	return append(appendPartition(append(dst, w.name[:w.zone]...), w.in), familyGap, kindOfGap(hashed))
}

// inGap looks for the gap in a chain of names.
func (f *Fast) inGap(w *within) (age uint32, ok bool) {
	g := &f.gap
	prefix := w.prefix(g.key[:0], false)
	low, n, found := f.fetchBelow(prefix, append(prefix, w.name[w.zone:]...))
	if !found {
		return 0, false
	}
	if age, ok = f.openGap(low, n, len(prefix)); !ok || !g.gap.has(w.name[w.zone:]) {
		return 0, false
	}
	return age, f.deny(w)
}

// inHashedGap looks for the gap in a chain of hashes, which is that of the last one, by
// key. A chain that costs more is the driver's business.
func (f *Fast) inHashedGap(w *within) (age uint32, ok bool) {
	g := &f.gap
	prefix := w.prefix(g.key[:0], true)
	low, n, found := f.fetchBelow(prefix, append(prefix, 0xff))
	if !found {
		return 0, false
	}
	iterations, salt, chain := splitChain(low[len(prefix):])
	closer := w.q.Name[w.closer:]
	if chain == 0 || dnssec.HashBlocks(len(closer), iterations, len(salt)) > limits.ListenerHash {
		return 0, false
	}
	h := dnssec.HashSalted(append(appendLower(g.name[:0], closer), salt...), len(salt), iterations)
	chained := append(prefix, low[len(prefix):len(prefix)+chain]...)
	if below, m, found := f.fetchBelow(chained, append(chained, h[:]...)); found {
		low, n = below, m
	}
	if age, ok = f.openGap(low, n, len(prefix)); !ok || !g.gap.hasHash(h[:]) {
		return 0, false
	}
	return age, f.deny(w)
}

// appendLower appends a name in wire form in lower case.
func appendLower(dst, name []byte) []byte {
	for _, c := range name {
		dst = append(dst, dnsname.Lower(c))
	}
	return dst
}

// openGap reads the answer for a gap that was copied, whose key is low with a prefix of
// so many octets.
func (f *Fast) openGap(low []byte, n, prefix int) (age uint32, ok bool) {
	g := &f.gap
	h, body, ok := open(low, f.copied[:n])
	var clears uint64
	if ok {
		clears, ok = decodeGap(h, body, &g.gap, &g.denial)
	}
	if !ok {
		f.damaged(low, f.copied[:n])
		return 0, false
	}
	g.gap.low = low[prefix:]
	age, _, ok = h.age(f.now)
	return age, ok && clears == f.clears
}

// deny makes f.body the answer for the gap at hand, unless something is known about the
// name.
func (f *Fast) deny(w *within) (ok bool) {
	g := &f.gap
	if closer := g.gap.closer(w.name[w.zone:]); closer == 0 || f.knows(w.name[:w.zone+closer]) {
		return false
	}
	f.body.Octets, f.body.TTLs = g.octets[:0], g.ttls[:0]
	if !g.denial.Body(&f.body, w.q, len(w.q.Name)-w.at) {
		return false
	}
	f.n.gap.Add(1)
	return true
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
