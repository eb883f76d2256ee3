package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
)

// FuzzPack: what the Builder compresses means to the library what the same
// records mean to it uncompressed, NSEC bitmaps too, and what the library makes
// of that means the same to Parse.
func FuzzPack(f *testing.F) {
	m := answer(f, "www.example.com. 300 CNAME b.example.com.", "b.example.com. 1 MX 1 c.example.com.", "b.example.com. 1 SOA a. b. 1 2 3 4 5",
		"example.com. 1 SRV 1 2 3 b.example.com.", "b.example.com. 1 NAPTR 1 2 \"u\" \"s\" \"r\" b.example.com.", "b.example.com. 1 NSEC c.example.com. A RRSIG TYPE1234",
		"b.example.com. 60 RRSIG A 13 3 60 20300101000000 20200101000000 1 example.com. AAAA", "c.example.com. 5 TXT a b")
	f.Add(pack(f, m), []byte{0, 1, 0, 2, 1, 1, 0x80, 0})
	m.Answer, m.Ns = m.Answer[:2], m.Answer[2:]
	m.Compress = true
	f.Add(pack(f, m), []byte{0, 255, 1, 0, 1, 255})
	f.Add(pack(f, answer(f, "a.b.c.d.example.com. 60 PTR b.c.d.example.com.", "c.d.example.com. 60 NS a.b.c.d.example.com.", "d.example.com. 60 MINFO d.example.com. c.d.example.com.")), []byte{0, 47})
	f.Fuzz(func(t *testing.T, pkt, types []byte) {
		m, err := Parse(pkt)
		if err != nil {
			return
		}
		b := NewBuilder(nil, 1<<16, m.ID, m.Flags)
		if m.Question != "" {
			b.Question([]byte(m.Question), m.QType, m.QClass)
		}
		var want []string
		plain := HeaderLen + 4 + m.Question.Len()
		for i, rrs := range [][]RR{m.Answer, m.Authority, m.Additional} {
			for _, rr := range append(rrs, bitmapOf(m.Question, types, i)...) {
				text, n, ok := alone(&rr)
				if !ok || !b.RR(Section(i), rr.Owner, rr.Type, rr.Class, rr.TTL, rr.RData) {
					return // the library does not take it, or it does not fit
				}
				want, plain = append(want, text), plain+n
				if lib, _ := library(&rr); rr.Type == TypeNSEC {
					sameTypes(t, rr.RData, lib.(*dns.NSEC).TypeBitMap)
				}
			}
		}
		compare(t, bytes.Clone(b.Bytes()), want, plain)
	})
}

// bitmapOf is an NSEC record, in the authority section, of the types whose
// numbers stand in octets.
func bitmapOf(owner dnsname.Name, octets []byte, section int) []RR {
	if Section(section) != Authority || owner == "" {
		return nil
	}
	var types []uint16
	for ; len(octets) > 1; octets = octets[2:] {
		types = append(types, binary.BigEndian.Uint16(octets))
	}
	slices.Sort(types)
	nsec := &dns.NSEC{Hdr: dns.RR_Header{Name: ".", Rrtype: TypeNSEC, Class: ClassIN}, NextDomain: "next.example.", TypeBitMap: slices.Compact(types)}
	buf := make([]byte, 1<<16)
	n, err := dns.PackRR(nsec, buf, 0, nil, false)
	if err != nil {
		return nil
	}
	return []RR{{Owner: owner, Type: TypeNSEC, Class: ClassIN, RData: buf[11:n]}}
}

// alone is a record as the library reads it without others around, and how long
// it is then.
func alone(rr *RR) (text string, n int, ok bool) {
	lib, n := library(rr)
	if lib == nil {
		return "", 0, false
	}
	return lib.String(), n, true
}

// library is a record in the library's form, nil for one that it does not read,
// and its length without compression.
func library(rr *RR) (dns.RR, int) {
	b := append([]byte(rr.Owner), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h := b[len(rr.Owner):]
	binary.BigEndian.PutUint16(h, rr.Type)
	binary.BigEndian.PutUint16(h[2:], rr.Class)
	binary.BigEndian.PutUint32(h[4:], rr.TTL)
	binary.BigEndian.PutUint16(h[8:], uint16(len(rr.RData)))
	b = append(b, rr.RData...)
	got, end, err := dns.UnpackRR(b, 0)
	if err != nil || end != len(b) || !anywhere(got, rr) {
		return nil, 0
	}
	return got, len(b)
}

// anywhere tells whether a record means the same wherever it stands. In types that
// are opaque to us the library follows pointers, which nobody may write (RFC 3597,
// section 4).
func anywhere(lib dns.RR, rr *RR) bool {
	if _, known := layoutOf(rr.Type); known {
		return true
	}
	buf := make([]byte, 1<<17)
	n, err := dns.PackRR(lib, buf, 0, nil, false)
	return err == nil && n >= len(rr.RData) && bytes.HasSuffix(buf[:n], rr.RData)
}

// compare reads a message with the library, and again with Parse what the library
// makes of it.
func compare(t *testing.T, pkt []byte, want []string, plain int) {
	if len(pkt) > plain {
		t.Errorf("%d octets compressed, %d not", len(pkt), plain)
	}
	var lib dns.Msg
	if err := lib.Unpack(pkt); err != nil {
		t.Fatalf("%v: %x", err, pkt)
	}
	if got := texts(lib.Answer, lib.Ns, lib.Extra); !slices.Equal(got, want) {
		t.Errorf("compressed: %q\nalone:      %q\n%x", got, want, pkt)
	}
	lib.Compress = true
	again, err := lib.Pack()
	if err != nil {
		return // it does not write all that it reads
	}
	m, err := Parse(again)
	if err != nil {
		return // less may stand in a message than in the library
	}
	var got []string
	for _, rrs := range [][]RR{m.Answer, m.Authority, m.Additional} {
		for _, rr := range rrs {
			text, _, _ := alone(&rr)
			got = append(got, text)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("by the library: %q\nalone:          %q\n%x\n%x", got, want, pkt, again)
	}
}

func texts(sections ...[]dns.RR) (out []string) {
	for _, s := range sections {
		for _, rr := range s {
			out = append(out, rr.String())
		}
	}
	return out
}

// sameTypes checks that NSECHas sees the types that the library sees, and not
// their neighbours.
func sameTypes(t *testing.T, rdata []byte, seen []uint16) {
	for _, typ := range seen {
		if !NSECHas(rdata, typ) || NSECHas(rdata, typ^1) != slices.Contains(seen, typ^1) {
			t.Errorf("TYPE%d: %x, which has %v", typ, rdata, seen)
		}
	}
}
