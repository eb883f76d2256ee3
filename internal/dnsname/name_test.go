package dnsname

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func name(t testing.TB, text string) Name {
	t.Helper()
	n, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return n
}

func TestParsePrintsBack(t *testing.T) {
	for in, want := range map[string]string{
		".":                            ".",
		"com":                          "com.",
		"WWW.Example.COM.":             "www.example.com.",
		`a\.b.c`:                       `a\.b.c.`,
		`\000\255.x`:                   `\000\255.x.`,
		`a\ b.x`:                       `a\032b.x.`,
		"*.example.com":                "*.example.com.",
		strings.Repeat("a", 63) + ".b": strings.Repeat("a", 63) + ".b.",
	} {
		if got := name(t, in).String(); got != want {
			t.Errorf("Parse(%q).String() = %q, want %q", in, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("abcdefg.", 32) // 256 octets in wire form
	for in, want := range map[string]error{
		"":                      ErrEmpty,
		"..":                    ErrEmptyLabel,
		"a..b":                  ErrEmptyLabel,
		".a":                    ErrEmptyLabel,
		strings.Repeat("a", 64): ErrLabelLong,
		long:                    ErrNameLong,
		`a\`:                    ErrEscape,
		`a\25`:                  ErrEscape,
		`a\256`:                 ErrEscape,
		`a\2x5`:                 ErrEscape,
	} {
		if _, err := Parse(in); !errors.Is(err, want) {
			t.Errorf("Parse(%q) = %v, want %v", in, err, want)
		}
	}
}

func TestAncestry(t *testing.T) {
	w, e, c := name(t, "www.example.com"), name(t, "example.com"), name(t, "com")
	if !w.IsSubdomainOf(e) || !e.IsSubdomainOf(e) || !e.IsSubdomainOf(Root) || c.IsSubdomainOf(e) {
		t.Error("IsSubdomainOf is wrong about www.example.com, example.com, com and the root")
	}
	if name(t, "notexample.com").IsSubdomainOf(e) {
		t.Error("a suffix of octets that is no label boundary was taken for an ancestor")
	}
	// The label "\003com" holds the octets of "com" behind a length octet of its own.
	if name(t, `x\003com`).IsSubdomainOf(c) {
		t.Error("octets inside a label were taken for labels")
	}
	if e.IsStrictlyBelow(e) || !w.IsStrictlyBelow(e) {
		t.Error("IsStrictlyBelow is wrong")
	}
	if got := CommonAncestor(name(t, "a.b.example.com"), name(t, "c.b.example.com")); got != name(t, "b.example.com") {
		t.Errorf("CommonAncestor = %s", got)
	}
	if got := w.Suffix(1); got != c {
		t.Errorf("Suffix(1) = %s", got)
	}
	if w.Labels() != 3 || Root.Labels() != 0 || w.Label() != "www" || Root.Parent() != Root {
		t.Error("Labels, Label or Parent is wrong")
	}
}

func TestRebase(t *testing.T) {
	got, err := name(t, "a.b.old.net").Rebase(name(t, "old.net"), name(t, "new.org"))
	if err != nil || got != name(t, "a.b.new.org") {
		t.Errorf("Rebase = %s, %v", got, err)
	}
	if _, err := name(t, "old.net").Rebase(name(t, "old.net"), Root); err == nil {
		t.Error("a DNAME's own name was replaced (RFC 6672, section 2.3)")
	}
	deep := name(t, strings.Repeat("abcdefg.", 30)+"x.")
	if _, err := deep.Rebase(name(t, "x"), name(t, strings.Repeat("abcdefg.", 8))); !errors.Is(err, ErrNameLong) {
		t.Errorf("Rebase past 255 octets = %v, want ErrNameLong", err)
	}
}

// The example of RFC 4034, section 6.1.
func TestCompareIsCanonicalOrder(t *testing.T) {
	want := []string{"example", "a.example", "yljkjljk.a.example", "z.a.example", "zabc.a.example", "z.example", `\001.z.example`, "*.z.example", `\200.z.example`}
	var names []Name
	for _, s := range want {
		names = append(names, name(t, s))
	}
	slices.Reverse(names)
	slices.SortFunc(names, Compare)
	for i, n := range names {
		if n != name(t, want[i]) {
			t.Errorf("place %d holds %s, want %s", i, n, want[i])
		}
	}
}

func TestKeysOfASubtreeShareAPrefix(t *testing.T) {
	zone := name(t, "example.com").AppendKey(nil)
	for _, s := range []string{"example.com", "www.example.com", `\000.example.com`, `\001a.example.com`, "a.b.c.example.com"} {
		if !bytes.HasPrefix(name(t, s).AppendKey(nil), zone) {
			t.Errorf("the key of %s lies outside its subtree", s)
		}
	}
	for _, s := range []string{"com", "example2.com", `example\000.com`, `example\000a.com`, "example.net"} {
		if bytes.HasPrefix(name(t, s).AppendKey(nil), zone) {
			t.Errorf("the key of %s lies inside example.com", s)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"\x00", "\x03com\x00", "\x01\x00\x01\x01\x00", "\x03WwW\x03com\x00", "\x40"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := FromWire(b)
		if err != nil {
			if _, ok := AppendWireKey(nil, b); ok {
				t.Fatalf("AppendWireKey accepts %x, FromWire says %v", b, err)
			}
			return
		}
		if back := name(t, n.String()); back != n {
			t.Fatalf("%x prints as %q, which reads as %x", n, n.String(), back)
		}
		key := n.AppendKey(nil)
		wkey, ok := AppendWireKey(nil, b)
		if !ok || !bytes.Equal(key, wkey) {
			t.Fatalf("%x: AppendKey %x, AppendWireKey %x %v", n, key, wkey, ok)
		}
		back, rest, err := FromKey(append(key, 0, 'A'))
		if err != nil || back != n || !bytes.Equal(rest, []byte{0, 'A'}) {
			t.Fatalf("FromKey(%x) = %x, %x, %v", key, back, rest, err)
		}
		if !n.IsSubdomainOf(n.Parent()) {
			t.Fatalf("%s is not below its parent", n)
		}
	})
}
