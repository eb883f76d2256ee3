package wire

import (
	"testing"

	"kresd/internal/dnsname"
)

// A wildcard that is asked for by its own name is not expanded: the label * is not
// counted in its signatures (RFC 4034, section 3.1.3).
func TestExpanded(t *testing.T) {
	for _, tt := range []struct {
		owner  string
		labels int // in the signature; -1: there is none
		want   bool
	}{
		{"www.example.", 2, false}, {"www.example.", 1, true}, {"a.b.example.", 1, true},
		{"*.example.", 1, false}, {"*.example.", 0, true}, {"example.", 1, false}, {".", 0, false}, {"www.example.", -1, false},
	} {
		owner, err := dnsname.Parse(tt.owner)
		if err != nil {
			t.Fatal(err)
		}
		set := RRset{Owner: owner}
		if tt.labels >= 0 {
			sig := make([]byte, SigFixed+1)
			sig[3] = byte(tt.labels)
			set.Sigs = [][]byte{sig}
		}
		if got := set.Expanded(); got != tt.want {
			t.Errorf("%s signed as %d labels: got %v, want %v", tt.owner, tt.labels, got, tt.want)
		}
	}
	if short := (&RRset{Owner: "\x03www\x00", Sigs: [][]byte{{0, 1, 13, 0}}}); short.Expanded() {
		t.Error("a signature that is too short says something")
	}
}

// nameOf is a name of its presentation format; "" stands for none.
func nameOf(t *testing.T, text string) dnsname.Name {
	t.Helper()
	if text == "" {
		return ""
	}
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A set is signed by a zone that it lies in and that was asked, the closest of several;
// a DS set by the zone above.
func TestSignedWithin(t *testing.T) {
	for _, c := range []struct {
		owner   string
		rrtype  uint16
		signers []string
		cut     string
		want    string
	}{
		{"www.example.", TypeA, nil, "example.", ""},
		{"www.example.", TypeA, []string{"example."}, "example.", "example."},
		{"www.example.", TypeA, []string{"example."}, "", "example."},
		{"www.example.", TypeA, []string{"example."}, ".", "example."},
		{"www.example.", TypeA, []string{"."}, "example.", ""},
		{"www.example.", TypeA, []string{"."}, "", "."},
		{"www.example.", TypeA, []string{"beside."}, ".", ""},
		{"www.example.", TypeA, []string{"a.www.example."}, "example.", ""},
		{"www.sub.example.", TypeA, []string{"example.", "sub.example."}, "example.", "sub.example."},
		{"www.sub.example.", TypeA, []string{"sub.example.", "example."}, "example.", "sub.example."},
		{"www.example.", TypeA, []string{"beside.", ".", "example."}, "example.", "example."},
		{"www.example.", TypeA, []string{""}, "example.", ""},
		{"sub.example.", TypeDS, []string{"sub.example."}, "example.", ""},
		{"sub.example.", TypeDS, []string{"sub.example.", "example."}, "example.", "example."},
		{"sub.example.", TypeNS, []string{"example."}, ".", ""},
		{"sub.example.", TypeNS, []string{"sub.example.", "example."}, ".", "sub.example."},
		{"sub.example.", TypeSOA, []string{"example."}, ".", ""},
		{"sub.example.", TypeDNSKEY, []string{"example.", "sub.example."}, "", "sub.example."},
		{"sub.example.", TypeNSEC, []string{"sub.example.", "example."}, "example.", "sub.example."},
	} {
		set := RRset{Owner: nameOf(t, c.owner), Type: c.rrtype}
		for _, by := range c.signers {
			set.Sigs = append(set.Sigs, append(make([]byte, SigFixed), nameOf(t, by)...))
		}
		if got := set.SignedWithin(nameOf(t, c.cut)); got != nameOf(t, c.want) {
			t.Errorf("%s of type %d, signed by %q, asked of %q: got %q, want %q", c.owner, c.rrtype, c.signers, c.cut, got, c.want)
		}
	}
}

// What a DNAME stands for is known again behind it, and nothing else is taken for it.
func TestSynthesized(t *testing.T) {
	dname := RRset{Owner: nameOf(t, "old.example."), Type: TypeDNAME, Class: ClassIN, TTL: 60}
	target := nameOf(t, "www.new.example.")
	cname := dname.Synthesized(nameOf(t, "www.old.example."), target)
	if cname.TTL != 60 || cname.Class != ClassIN || len(cname.Data) != 1 || Target(cname.Data[0]) != target {
		t.Errorf("got %+v", cname)
	}
	for what, change := range map[string]func(before, s *RRset){
		"nothing":               func(_, _ *RRset) {},
		"a set with signatures": func(_, s *RRset) { s.Sigs = [][]byte{{}} },
		"another type":          func(_, s *RRset) { s.Type = TypeA },
		"a CNAME before it":     func(before, _ *RRset) { before.Type = TypeCNAME },
		"the DNAME's own name":  func(before, s *RRset) { s.Owner = before.Owner },
		"a name beside":         func(_, s *RRset) { s.Owner = target },
	} {
		before, s := dname, cname
		change(&before, &s)
		if got := s.SynthesizedBy(&before); got != (what == "nothing") {
			t.Errorf("%s: %v", what, got)
		}
	}
}
