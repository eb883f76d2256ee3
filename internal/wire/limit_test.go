package wire

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// Who reads a message has to tell one that exceeds a limit from one that is
// broken.
func TestErrorsNameTheirLimit(t *testing.T) {
	// names points 300 records at a name that is a chain of pointers as long as may be.
	hops := func(n int) []byte {
		b := pack(t, answer(t))
		b[6], b[7] = byte((n+1)>>8), byte(n+1)
		at := 12
		for range n + 1 {
			b = append(b, 1, 'a', 0xc0|byte(at>>8), byte(at), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4)
			at = len(b) - 18
		}
		return b
	}
	options := func(n int) []byte {
		b := pack(t, answer(t))
		b[11] = 1
		return AppendOPT(b, 1232, 0, false, bytes.Repeat([]byte{0xfd, 0xe9, 0, 0}, n))
	}
	records := func(n int) []byte {
		b := pack(t, answer(t))
		b[6], b[7] = byte(n>>8), byte(n)
		for i := range n {
			b = append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, byte(i>>8), byte(i))
		}
		return b
	}
	large := func(n int) []byte { // names that a name of 255 octets stands for
		b := pack(t, answer(t))
		b[6], b[7] = byte((n+1)>>8), byte(n+1)
		at := len(b)
		b = append(b, bytes.Repeat([]byte("\x3f"+string(bytes.Repeat([]byte{'x'}, 63))), 3)...)
		b = append(b, 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4)
		for range n {
			b = append(b, 0xc0|byte(at>>8), byte(at), 0, 15, 0, 1, 0, 0, 0, 60, 0, 24)
			b = append(b, 0, 1, 19)
			b = append(b, bytes.Repeat([]byte{'y'}, 19)...)
			b = append(b, 0xc0|byte(at>>8), byte(at))
		}
		return b
	}
	for _, c := range []struct {
		what string
		pkt  []byte
		want limits.ID
		err  error
	}{
		{"16 pointers", hops(15), limits.None, nil},
		{"17 pointers", hops(17), limits.NameBytes, ErrLongNames},
		{"32 options", options(32), limits.None, nil},
		{"33 options", options(33), limits.EDNSOptions, ErrOptions},
		{"4000 records", records(4000), limits.None, nil},
		{"much in names", large(999), limits.None, nil},
		{"a broken name", append(pack(t, answer(t))[:12], 0x80), limits.None, ErrName},
	} {
		_, err := Parse(c.pkt)
		if got := LimitOf(err); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, limit %s", c.what, err, got)
		}
	}
	if got := LimitOf(fmt.Errorf("of a server: %w", ErrLongNames)); got != limits.NameBytes {
		t.Errorf("a wrapped error has the limit %s", got)
	}
}

func TestQuestionNamesItsLimit(t *testing.T) {
	plain := query("a.example.", dns.TypeA)
	for what, c := range map[string]struct {
		options []byte
		version byte
		records byte
		problem Problem
		want    limits.ID
	}{
		"33 options":              {bytes.Repeat([]byte{0, 3, 0, 0}, 33), 0, 1, FormErr, limits.EDNSOptions},
		"32 options":              {bytes.Repeat([]byte{0, 3, 0, 0}, 32), 0, 1, Fine, limits.None},
		"half an option":          {[]byte{0, 3}, 0, 1, FormErr, limits.None},
		"33 options of version 1": {bytes.Repeat([]byte{0, 3, 0, 0}, 33), 1, 1, BadVers, limits.None},
		"five records":            {nil, 0, 5, FormErr, limits.RRsFromClient},
	} {
		pkt := AppendOPT(pack(t, plain), 1232, 0, false, c.options)
		pkt[11], pkt[len(pkt)-len(c.options)-5] = c.records, c.version
		var q Question
		if p := q.Parse(pkt); p != c.problem || q.Over != c.want || c.version != 0 && q.Options != nil {
			t.Errorf("%s: problem %d, limit %s, options %x", what, p, q.Over, q.Options)
		}
	}
}

// What is compared to compress names has an end. Names behind it are written in full,
// and the message says so; the owner of the record before needs no search.
func TestBuilderSaysThatItIsCrowded(t *testing.T) {
	b := NewBuilder(nil, 1<<16, 1, FlagQR)
	b.spent = limits.CompressionOctets
	example := dnsname.Name("\x07example\x00")
	add := func(owner dnsname.Name) int {
		before := b.Len()
		b.RR(Answer, owner, TypeA, ClassIN, 60, []byte{1, 2, 3, 4})
		return b.Len() - before - 14
	}
	if n := add(example); n != 9 || b.Crowded() {
		t.Fatalf("%d octets for the first name, crowded %t", n, b.Crowded())
	}
	if n := add("\x03www" + example); n != 6 || b.Crowded() {
		t.Fatalf("%d octets within the limit, crowded %t", n, b.Crowded())
	}
	if n := add(example); n != 9 || !b.Crowded() {
		t.Errorf("%d octets beyond the limit, crowded %t", n, b.Crowded())
	}
	if n := add(example); n != 2 {
		t.Errorf("%d octets for the owner of the record before", n)
	}
}
