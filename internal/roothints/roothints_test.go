package roothints

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	cut := Builtin()
	if len(cut.NS) != 13 || !cut.Hints || !cut.Name.IsRoot() {
		t.Fatalf("got %d servers of %s, hints %v", len(cut.NS), cut.Name, cut.Hints)
	}
	seen := map[string]bool{}
	for _, ns := range cut.NS {
		if !ns.Addrs[0].Is4() || !ns.Addrs[1].Is6() {
			t.Errorf("%s: got %v, want one IPv4 and one IPv6 address", ns.Name, ns.Addrs)
		}
		for _, a := range ns.Addrs {
			if seen[a.String()] {
				t.Errorf("%s stands twice", a)
			}
			seen[a.String()] = true
		}
	}
}

// The file that packages install says the same.
func TestThePackagedFileIsTheBuiltin(t *testing.T) {
	f, err := os.Open("../../packaging/root.hints")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if cut, err := Parse(f, "root.hints"); err != nil || !reflect.DeepEqual(cut, Builtin()) {
		t.Errorf("it is %v, %v", cut, err)
	}
}

func TestParse(t *testing.T) {
	const file = `
; hints
.                 3600000  NS    A.ROOT.TEST.
.                 3600000  NS    b.root.test.
A.ROOT.TEST.      3600000  A     192.0.2.1
a.root.test.      3600000  AAAA  2001:db8::1
b.root.test.      3600000  A     192.0.2.2
other.test.       3600000  NS    c.root.test.
`
	cut, err := Parse(strings.NewReader(file), "hints")
	if err != nil {
		t.Fatal(err)
	}
	if len(cut.NS) != 2 || len(cut.NS[0].Addrs) != 2 || cut.NS[0].Name.String() != "a.root.test." {
		t.Errorf("got %+v", cut.NS)
	}
	for _, bad := range []string{"", ". NS a.test.\n", ". NS", "x. A 192.0.2.1\n"} {
		if cut, err := Parse(strings.NewReader(bad), "hints"); err == nil {
			t.Errorf("Parse(%q): got %+v, want an error", bad, cut)
		}
	}
}

// FuzzParse: hints are refused, or name servers of the root of which one has an
// address.
func FuzzParse(f *testing.F) {
	f.Add(". 3600000 NS A.ROOT-SERVERS.NET.\nA.ROOT-SERVERS.NET. 3600000 A 198.41.0.4\nA.ROOT-SERVERS.NET. 3600000 AAAA 2001:503:ba3e::2:30\n")
	f.Add("$ORIGIN x.\n$TTL 5\n@ NS y\n")
	f.Add("$INCLUDE /etc/passwd\n")
	f.Fuzz(func(t *testing.T, text string) {
		cut, err := Parse(strings.NewReader(text), "fuzz")
		if err != nil {
			return
		}
		for i := range cut.NS {
			if len(cut.NS[i].Addrs) > 0 {
				return
			}
		}
		t.Errorf("%q: accepted without an address", text)
	})
}
