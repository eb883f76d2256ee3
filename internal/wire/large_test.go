package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
)

// largest are messages that hold as much as 64 KiB can: n records each.
func largest(tb testing.TB) map[string][]byte {
	one := func(n int, owner, rdata func(i int) []byte, t uint16) []byte {
		b := []byte{0, 7, 0x84, 0, 0, 1, byte(n >> 8), byte(n), 0, 0, 0, 0}
		b = append(b, "\x04many\x07example\x00\x00\x01\x00\x01"...)
		for i := range n {
			b = append(b, owner(i)...)
			b = binary.BigEndian.AppendUint16(b, t)
			b = append(b, 0, 1, 0, 0, 1, 0)
			b = binary.BigEndian.AppendUint16(b, uint16(len(rdata(i))))
			b = append(b, rdata(i)...)
		}
		if len(b) > 0xffff {
			tb.Fatalf("%d octets", len(b))
		}
		return b
	}
	asked := func(int) []byte { return []byte{0xc0, 12} }
	address := func(i int) []byte { return []byte{10, 0, byte(i >> 8), byte(i)} }
	label := func(i int) []byte { return fmt.Appendf(nil, "\x03%c%c%c\xc0\x11", 'a'+i%26, 'a'+i/26%26, 'a'+i/676) }
	byType := one(5000, asked, func(i int) []byte { return []byte{byte(i)} }, TypeTXT)
	at := HeaderLen + 18
	for i := range 5000 {
		binary.BigEndian.PutUint16(byType[at+2:], uint16(1000+i))
		at += 13
	}
	return map[string][]byte{
		"one set of 4000 A":                one(4000, asked, address, TypeA),
		"one set of 4600 of no known type": one(4600, asked, func(i int) []byte { return address(i)[2:] }, 65280),
		"one set of 3600 PTR":              one(3600, asked, label, TypePTR),
		"5000 sets of one name":            byType,
		"3200 sets of 3200 names":          one(3200, label, address, TypeA),
		"4900 records thrice":              one(4900, asked, func(i int) []byte { return []byte{byte(i % 3)} }, 65280),
	}
}

// Sets of more than 256 records and messages of more than 1,000 were refused, though
// a set may be as large as a message (RFC 2181, section 5).
func TestWhatAMessageHoldsIsReadAndWritten(t *testing.T) {
	for what, pkt := range largest(t) {
		m, err := Parse(pkt)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		sets := Group(m.Answer)
		if got, want := listOf(sets), plainly(m.Answer); got != want {
			t.Errorf("%s: %d sets differ from what a plain search makes", what, len(sets))
		}
		b := NewBuilder(nil, 0xffff, 7, FlagQR)
		b.Question([]byte(m.Question), m.QType, m.QClass)
		for i := range sets {
			if !b.RRset(Answer, &sets[i], sets[i].TTL, true) {
				t.Errorf("%s: set %d of %d does not fit; %d octets came, %d are written", what, i, len(sets), len(pkt), b.Len())
				break
			}
		}
		again, err := Parse(b.Bytes())
		if err != nil || len(again.Answer) > len(m.Answer) || listOf(Group(again.Answer)) != listOf(sets) {
			t.Errorf("%s: what was written says something else, %v", what, err)
		}
		if err := new(dns.Msg).Unpack(b.Bytes()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// plainly groups records as the definition says, by comparing each with all.
func plainly(rrs []RR) string {
	var sets []RRset
next:
	for _, rr := range rrs {
		for i := range sets {
			s := &sets[i]
			if s.Owner != rr.Owner || s.Type != rr.Type || s.Class != rr.Class {
				continue
			}
			for _, d := range s.Data {
				if bytes.Equal(d, rr.RData) {
					continue next
				}
			}
			s.Data = append(s.Data, rr.RData)
			continue next
		}
		sets = append(sets, RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL, Data: [][]byte{rr.RData}})
	}
	return listOf(sets)
}

func listOf(sets []RRset) string {
	var b bytes.Buffer
	for i := range sets {
		fmt.Fprintf(&b, "%x %d %d %d %x %x\n", sets[i].Owner, sets[i].Type, sets[i].Class, sets[i].TTL, sets[i].Data, sets[i].Sigs)
	}
	return b.String()
}

// Signatures find their set, and the least TTL counts, in large answers and small.
func TestSignaturesOfLargeAndSmallAnswers(t *testing.T) {
	for _, n := range []int{3, 300} {
		var rrs []RR
		for i := range n {
			owner := dnsname.Name(fmt.Sprintf("\x04%04d\x00", i))
			rrs = append(rrs,
				RR{owner, TypeRRSIG, ClassIN, 50, append([]byte{0, 1}, make([]byte, SigFixed)...)},
				RR{owner, TypeA, ClassIN, 60, []byte{1, 2, 3, 4}}, RR{owner, TypeA, ClassIN, 70, []byte{1, 2, 3, 4}},
				RR{owner, TypeRRSIG, ClassIN, 5, append([]byte{0, 2}, make([]byte, SigFixed)...)})
		}
		sets := Group(rrs)
		if len(sets) != n {
			t.Fatalf("%d sets of %d", len(sets), n)
		}
		for i := range sets {
			if s := &sets[i]; len(s.Data) != 1 || len(s.Sigs) != 1 || s.TTL != 50 || s.Owner != rrs[4*i].Owner {
				t.Errorf("of %d, set %d is %v", n, i, *s)
			}
		}
		_ = append(sets[0].Data, []byte("more"))
		if len(sets[0].Sigs[0]) != SigFixed+2 {
			t.Error("the lists of sets overlap")
		}
	}
}

// What does not fit leaves no trace in the index of names.
func TestNamesOfWhatDidNotFitAreForgotten(t *testing.T) {
	b := NewBuilder(nil, 3000, 1, FlagQR)
	name := func(i int) dnsname.Name { return dnsname.Name(fmt.Sprintf("\x05n%04d\x07example\x00", i)) }
	long := bytes.Repeat([]byte{1}, 2990)
	for i := range 100 {
		b.RR(Answer, name(i), TypeA, ClassIN, 60, []byte{1, 2, 3, 4})
		b.RR(Answer, name(i+1000), TypeTXT, ClassIN, 60, long)
	}
	for i := range 8 {
		b.RR(Answer, name(i+1000), TypeA, ClassIN, 60, []byte{1, 2, 3, 4})
		b.RR(Answer, name(i), TypeA, ClassIN, 60, []byte{1, 2, 3, 4})
	}
	m, err := Parse(b.Bytes())
	if err != nil || len(m.Answer) != 116 {
		t.Fatalf("%v", err)
	}
	for i, rr := range m.Answer {
		want := name(i)
		if i >= 100 {
			want = name((i-100)/2 + (i+1)%2*1000)
		}
		if rr.Owner != want {
			t.Errorf("record %d is %s, want %s", i, rr.Owner, want)
		}
	}
	if len(b.names.at) != len(b.names.hashes) {
		t.Errorf("%d names, %d hashes", len(b.names.at), len(b.names.hashes))
	}
}

func BenchmarkLargestMessages(b *testing.B) {
	for what, pkt := range largest(b) {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := Parse(pkt)
				if err != nil {
					b.Fatal(err)
				}
				sets := Group(m.Answer)
				w := NewBuilder(nil, 0xffff, 7, FlagQR)
				for i := range sets {
					w.RRset(Answer, &sets[i], sets[i].TTL, true)
				}
			}
		})
	}
}
