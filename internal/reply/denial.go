package reply

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Denial is what answers for many names of one zone that do not exist have in
// common: their authority section. Where a name ends it has a pointer, to the zone in
// the question or to a name before, which Body fills in.
type Denial struct {
	// Octets are the records, first those for clients without DO.
	Octets []byte
	// Pointers and TTLs are the offsets of those in Octets, two octets each. A pointer
	// holds the offset of the name that it points to, or noOffset for the zone.
	Pointers, TTLs []byte
	// Plain is how many octets there are for clients without DO, PlainCount and Count
	// how many records without and with DO.
	Plain, PlainCount, Count int
}

// noOffset stands for the zone in the question.
const noOffset = 0xffff

// denialMost bounds the octets of a Denial, so that each of its pointers reaches all
// before it (RFC 1035, section 4.1.4) whatever the question is.
const denialMost = 1<<14 - wire.HeaderLen - dnsname.MaxLen - 4

// MakeDenial words the authority section of a denial of names below a zone, whose SOA
// comes first; ok is false for one that is too large.
func MakeDenial(zone dnsname.Name, authority []resolve.Set) (d Denial, ok bool) {
	m := denialMaker{zone: zone, d: &d}
	for i := range authority {
		s := &authority[i]
		m.at = noOffset
		for _, data := range s.Data {
			m.record(s, s.Type, data)
		}
		if i == 0 {
			d.Plain, d.PlainCount = len(d.Octets), d.Count
		}
		for _, sig := range s.Sigs {
			m.record(s, wire.TypeRRSIG, sig)
		}
	}
	return d, len(authority) > 0 && len(d.Octets) <= denialMost
}

type denialMaker struct {
	d    *Denial
	zone dnsname.Name
	at   int // where the owner of the set stands; noOffset: nowhere
}

func (m *denialMaker) record(s *resolve.Set, rrtype uint16, data []byte) {
	d := m.d
	if at := len(d.Octets); m.at == noOffset || s.Owner.IsRoot() {
		m.at = at
		m.name(s.Owner)
	} else {
		m.pointer(m.at)
	}
	d.Octets = binary.BigEndian.AppendUint16(d.Octets, rrtype)
	d.Octets = binary.BigEndian.AppendUint16(d.Octets, s.Class)
	d.TTLs = binary.BigEndian.AppendUint16(d.TTLs, uint16(len(d.Octets)))
	d.Octets = append(binary.BigEndian.AppendUint32(d.Octets, s.TTL), 0, 0)
	start := len(d.Octets)
	if rrtype == wire.TypeSOA { // the only one whose names may be shortened
		for range 2 {
			if n, err := dnsname.FromWire(data); err == nil {
				m.name(n)
				data = data[n.Len():]
			}
		}
	}
	d.Octets = append(d.Octets, data...)
	binary.BigEndian.PutUint16(d.Octets[start-2:], uint16(len(d.Octets)-start))
	d.Count++
}

// name writes a name, shortened by the zone.
func (m *denialMaker) name(n dnsname.Name) {
	if m.zone.IsRoot() || !n.IsSubdomainOf(m.zone) {
		m.d.Octets = append(m.d.Octets, n...)
		return
	}
	m.d.Octets = append(m.d.Octets, n[:len(n)-len(m.zone)]...)
	m.pointer(noOffset)
}

func (m *denialMaker) pointer(to int) {
	m.d.Pointers = binary.BigEndian.AppendUint16(m.d.Pointers, uint16(len(m.d.Octets)))
	m.d.Octets = binary.BigEndian.AppendUint16(m.d.Octets, uint16(to))
}

// Body makes b the answer to a question for a name below the zone, whose name takes
// zone octets, in the memory of b.Octets and b.TTLs. It is not ok for a Denial that is
// none, such as one from a damaged entry, or if there is no room.
func (d *Denial) Body(b *Body, q *wire.Question, zone int) (ok bool) {
	base := wire.HeaderLen + len(q.Name) + 4
	octets, count := d.Octets, d.Count
	if !q.DO {
		if d.Plain > len(octets) {
			return false
		}
		octets, count = octets[:d.Plain], d.PlainCount
	}
	if cap(b.Octets) < base+len(octets) || cap(b.TTLs) < len(d.TTLs) || zone > len(q.Name) || len(d.Octets) > denialMost {
		return false
	}
	msg := append(b.Octets[:0], make([]byte, wire.HeaderLen)...)
	msg[5] = 1
	binary.BigEndian.PutUint16(msg[8:], uint16(count))
	msg = append(msg, q.Name...)
	msg = binary.BigEndian.AppendUint16(msg, q.Type)
	msg = binary.BigEndian.AppendUint16(msg, q.Class)
	msg = append(msg, octets...)
	for list := d.Pointers; len(list) >= 2; list = list[2:] {
		at := base + int(binary.BigEndian.Uint16(list))
		if at+2 > len(msg) {
			break // only for clients with DO
		}
		to := wire.HeaderLen + len(q.Name) - zone
		if v := binary.BigEndian.Uint16(msg[at:]); v != noOffset {
			to = base + int(v)
		}
		if to >= at {
			return false
		}
		binary.BigEndian.PutUint16(msg[at:], 0xc000|uint16(to))
	}
	ttls := b.TTLs[:0]
	for list := d.TTLs; len(list) >= 2; list = list[2:] {
		ttls = binary.BigEndian.AppendUint16(ttls, binary.BigEndian.Uint16(list)+uint16(base))
	}
	*b = Body{Octets: msg, TTLs: ttls, Additional: len(msg), Rcode: wire.RcodeNXDomain, Secure: true}
	return true
}
