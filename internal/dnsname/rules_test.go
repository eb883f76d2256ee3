package dnsname

import (
	"strings"
	"testing"
)

// A name lies in a zone whose labels its last ones are: neither one that is merely as long,
// nor one that ends in the same letters.
func TestOfTheSameLengthIsNotTheSame(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		want       bool
	}{
		{"example.com.", "example.com.", true}, {"example.com.", "example.net.", false}, {"www.example.com.", "www.example.net.", false},
		{"a.example.com.", "example.com.", true}, {"a.example.com.", "example.net.", false}, {"a.b.", "c.", false},
		{"myexample.com.", "example.com.", false}, {"com.", "example.com.", false}, {".", "com.", false}, {"com.", ".", true}, {".", ".", true},
	} {
		n, z := name(t, c.name), name(t, c.zone)
		if got := n.IsSubdomainOf(z); got != c.want {
			t.Errorf("%s in %s: %v", c.name, c.zone, got)
		}
		if got := n.IsStrictlyBelow(z); got != (c.want && n != z) {
			t.Errorf("%s below %s: %v", c.name, c.zone, got)
		}
	}
}

// The common ancestor of two names is the longest that both have, however many labels each
// has.
func TestTheCommonAncestorOfTwoNames(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a.example.", "b.example.", "example."}, {"x.y.z.example.", "b.example.", "example."}, {"a.example.", "example.", "example."},
		{"example.", "example.", "example."}, {"a.x.", "a.y.", "."}, {".", "a.b.", "."}, {"p.q.r.s.", "t.q.r.s.", "q.r.s."},
	} {
		a, b, want := name(t, c.a), name(t, c.b), name(t, c.want)
		if got := CommonAncestor(a, b); got != want {
			t.Errorf("%s and %s: %s", c.a, c.b, got)
		}
		if got := CommonAncestor(b, a); got != want {
			t.Errorf("%s and %s: %s", c.b, c.a, got)
		}
	}
}

// Both ways to a key make the same, in whatever memory, and back from it comes the name; what
// is too long, or no key, makes none.
func TestBothWaysToAKey(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := Name("\x3f" + label + "\x3f" + label + "\x3f" + label + "\x3d" + label[:61] + "\x00")
	for _, n := range []Name{Root, name(t, "example."), name(t, "WWW.example."), "\x02\x00\x01\x03a\x02\x00\x00", "\x01\x1f\x01 \x01\x7f\x00", longest} {
		want := n.AppendKey([]byte("before"))
		for _, room := range []int{0, 6 + MaxKeyLen - 1, 6 + MaxKeyLen, 1000} {
			dst := append(make([]byte, 0, room), "before"...)
			if got, ok := AppendWireKey(dst, []byte(n)); !ok || string(got) != string(want) {
				t.Errorf("%q in %d octets: %q, want %q", n, room, got, want)
			}
		}
		back, rest, err := FromKey(append(want[6:], "\x00rest"...))
		if err != nil || back != n || string(rest) != "\x00rest" {
			t.Errorf("%q came back as %q, %q, %v", n, back, rest, err)
		}
	}
	for what, wire := range map[string]string{
		"nothing": "", "without an end": "\x03www", "a label of 64": "\x40" + label + "a\x00", "too long": string(longest[:192]) + "\x3e" + label[:62] + "\x00",
	} {
		if key, ok := AppendWireKey(nil, []byte(wire)); ok {
			t.Errorf("%s: %q", what, key)
		}
	}
	for _, key := range []string{"a", "a\x01", "\x01\x00\x00", "\x01\x03\x00", strings.Repeat("a", 64) + "\x00", strings.Repeat(label+"\x00", 3) + label[:62] + "\x00"} {
		if n, _, err := FromKey([]byte(key)); err == nil {
			t.Errorf("%q is the key of %q", key, n)
		}
	}
}
