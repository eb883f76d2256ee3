package dnssec

import (
	"encoding/hex"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

func linkOf(t testing.TB, zone, text string) (Link, bool) {
	t.Helper()
	set, _ := setOf(t, text)
	return NewLink(mustName(t, zone), set)
}

// Ranges that are made for one question are told from those of a chain.
func TestMinimalRanges(t *testing.T) {
	digits := func(h string) string {
		raw, err := hex.DecodeString(h + strings.Repeat("0", 40-len(h)))
		if err != nil {
			t.Fatal(err)
		}
		return hashLabel(hash(raw))
	}
	for _, c := range []struct {
		text    string
		minimal bool
	}{
		{"a.example. 60 IN NSEC c.example. A RRSIG NSEC", false},
		{"a.example. 60 IN NSEC b.a.example. TXT RRSIG NSEC TYPE1234", false},
		{"a.example. 60 IN NSEC example. NS RRSIG NSEC", false},
		{"example. 60 IN NSEC example. SOA NS RRSIG NSEC DNSKEY", false},
		{`example. 60 IN NSEC \000.example. SOA NS RRSIG NSEC DNSKEY`, true},           // RFC 9824, NODATA
		{`a.example. 60 IN NSEC \000.a.example. A RRSIG NSEC`, true},                   // RFC 4470, NODATA
		{`a.example. 60 IN NSEC a\000.example. A RRSIG NSEC`, true},                    // the next label
		{`a.example. 60 IN NSEC \000.a.example. RRSIG NSEC TYPE128`, true},             // RFC 9824, NXDOMAIN
		{`exampld.example. 60 IN NSEC example-.example. RRSIG NSEC`, true},             // RFC 4470, section 4
		{`a.example. 60 IN NSEC \000.c.example. A RRSIG NSEC`, false},                  // a label of octet 0 elsewhere
		{digits("10") + ".example. 60 IN NSEC3 1 0 0 - " + digits("10") + " A", false}, // alone in its chain
		{digits("10") + ".example. 60 IN NSEC3 1 0 0 - " + digits("1000000001") + " A", false},
		{digits("10") + ".example. 60 IN NSEC3 1 0 0 - " + digits("10000000000000000001") + " A", true},
		{digits("10ffffffffffffff") + ".example. 60 IN NSEC3 1 0 0 - " + digits("1100000000000001") + " A", false},
		{digits("10ffffffffffffff") + ".example. 60 IN NSEC3 1 0 0 - " + digits("1100") + " A", true},
		{digits("ffffffffffffffffff") + ".example. 60 IN NSEC3 1 0 0 - " + digits("00") + " A", true},
	} {
		if l, ok := linkOf(t, "example.", c.text); !ok || l.Minimal != c.minimal {
			t.Errorf("%s: %v, minimal: %v, want %v", c.text, ok, l.Minimal, c.minimal)
		}
	}
}

func TestALinkOfADelegation(t *testing.T) {
	for types, want := range map[string]bool{"NS RRSIG NSEC": true, "NS DS RRSIG NSEC": true, "NS SOA RRSIG NSEC": false, "A RRSIG NSEC": false} {
		plain, ok := linkOf(t, "example.", "a.example. 60 IN NSEC c.example. "+types)
		hashed, ok3 := linkOf(t, "example.", hashLabel(hash{1})+".example. 60 IN NSEC3 1 0 0 - "+hashLabel(hash{9})+" "+types)
		if !ok || !ok3 || plain.Delegates() != want || hashed.Delegates() != want {
			t.Errorf("%s: %v and %v, want %v", types, plain.Delegates(), hashed.Delegates(), want)
		}
	}
}

// What says nothing about the zone, or is hashed too often, is no link of its chain.
func TestWhatIsNoLink(t *testing.T) {
	label := hashLabel(hash{1})
	for _, text := range []string{
		"a.example. 60 IN NSEC c.example.net. A RRSIG NSEC",
		"a.example.net. 60 IN NSEC c.example. A RRSIG NSEC",
		"c.example. 60 IN NSEC a.example. A RRSIG NSEC",
		"a.example. 60 IN A 192.0.2.1",
		label + ".sub.example. 60 IN NSEC3 1 0 0 - " + label + " A",
		label + ".example. 60 IN NSEC3 2 0 0 - " + label + " A",
		label + ".example. 60 IN NSEC3 1 2 0 - " + label + " A",
		label + ".example. 60 IN NSEC3 1 0 51 - " + label + " A",
	} {
		if _, ok := linkOf(t, "example.", text); ok {
			t.Errorf("%s is a link", text)
		}
	}
}

func TestLinksSpan(t *testing.T) {
	for _, c := range []struct {
		text, name string
		want       bool
	}{
		{"b.example. 60 IN NSEC d.example. A RRSIG NSEC", "b.example.", true},
		{"b.example. 60 IN NSEC d.example. A RRSIG NSEC", "a.example.", false},
		{"b.example. 60 IN NSEC d.example. A RRSIG NSEC", "x.c.example.", true},
		{"b.example. 60 IN NSEC d.example. A RRSIG NSEC", "d.example.", false},
		{"b.example. 60 IN NSEC d.example. A RRSIG NSEC", "e.example.", false},
		{"y.example. 60 IN NSEC example. A RRSIG NSEC", "z.example.", true},
		{"y.example. 60 IN NSEC example. A RRSIG NSEC", "x.example.", false},
	} {
		l, ok := linkOf(t, "example.", c.text)
		if got := l.Spans(mustName(t, c.name)); !ok || got != c.want || l.SpansHash(hash{}) {
			t.Errorf("%s spans %s: %v", c.text, c.name, got)
		}
	}
	low, high := hash{0x10}, hash{0x20}
	text := func(from, to hash) string {
		return hashLabel(from) + ".example. 60 IN NSEC3 1 0 3 abcd " + hashLabel(to) + " A"
	}
	within, _ := linkOf(t, "example.", text(low, high))
	around, _ := linkOf(t, "example.", text(high, low))
	for h, want := range map[hash][2]bool{
		{0x0f}: {false, true}, {0x10}: {true, false}, {0x18}: {true, false}, {0x20}: {false, true}, {0x21}: {false, true},
	} {
		if got := [2]bool{within.SpansHash(h), around.SpansHash(h)}; got != want || within.Spans(dnsname.Root) {
			t.Errorf("%x is spanned by a link and by the last one: %v, want %v", h[0], got, want)
		}
	}
	if c := (Chain{3, "\xab\xcd"}); within.Chain != c || within.Hash != low {
		t.Errorf("%+v", within)
	}
}

// The hash of RFC 5155, appendix A, that it is asked for, and only once.
func TestAHasherHashesANameOnce(t *testing.T) {
	c := Chain{12, "\xaa\xbb\xcc\xdd"}
	name := mustName(t, "a.example.")
	h := NewHasher(&purse{hash: parameters{c.Iterations, c.Salt}.blocks(name)})
	for range 2 {
		sum, err := h.Hash(c, name)
		if want := "35mthgpgcu1qg68fab165klnsnk3dpvl"; err != nil || hashLabel(sum) != want {
			t.Errorf("%s, %v; want %s", hashLabel(sum), err, want)
		}
	}
	if _, err := h.Hash(c, mustName(t, "b.example.")); err == nil {
		t.Error("hashed without leave")
	}
	if _, err := h.Hash(Chain{}, name); err == nil {
		t.Error("hashed in another chain without leave")
	}
	at := atHash(t, "example.", "a.example.", parameters{c.Iterations, c.Salt}, 1)
	if p, err := h.Denials(mustName(t, "example."), []*wire.RRset{at}).NoData(name, 28); p != Proven || err != nil {
		t.Errorf("a proof hashes again what was hashed: %v, %v", p, err)
	}
}

func TestTheEncloserByALink(t *testing.T) {
	l, ok := linkOf(t, "example.", "a.b.example. 60 IN NSEC x.y.z.example. A RRSIG NSEC")
	if !ok {
		t.Fatal("no link")
	}
	for text, want := range map[string]string{
		"c.example.": "example.", "c.b.example.": "b.example.", "q.a.b.example.": "a.b.example.", "y.z.example.": "y.z.example.", "b.y.z.example.": "y.z.example.", "b.z.example.": "z.example.",
	} {
		if got := l.Encloser(mustName(t, text)); got != mustName(t, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzLink(f *testing.F) {
	f.Add("\x01a\x07example\x00", []byte("\x07example\x00\x00\x01\x40"), true)
	f.Add("\x20"+hashLabel(hash{1})+"\x07example\x00", append([]byte("\x01\x00\x00\x00\x00\x14"), make([]byte, 20)...), false)
	f.Fuzz(func(t *testing.T, owner string, rdata []byte, plain bool) {
		name, err := dnsname.FromWire([]byte(owner))
		if err != nil {
			return
		}
		set := wire.RRset{Owner: name, Type: wire.TypeNSEC3, Class: wire.ClassIN, TTL: 60, Data: [][]byte{rdata}}
		if plain {
			set.Type = wire.TypeNSEC
		}
		l, ok := NewLink("\x07example\x00", &set)
		if ok && (l.Owner == "") == plain {
			t.Errorf("%+v", l)
		}
		if l.Spans(name) != (ok && plain) {
			t.Error("a link does not span its owner, or is none and does")
		}
	})
}
