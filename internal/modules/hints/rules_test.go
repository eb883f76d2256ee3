package hints

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/textfile"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// The name of an address is the one that everybody else gives it (RFC 1035, section 3.5; RFC
// 3596, section 2.5).
func TestTheReverseNameOfAnAddress(t *testing.T) {
	addrs := []string{"2001:db8::1", "::", "fedc:ba98:7654:3210:123:4567:89ab:cdef"}
	for i := range 256 {
		addrs = append(addrs, fmt.Sprintf("192.%d.2.%d", 255-i, i))
	}
	for _, a := range addrs {
		want, err := dns.ReverseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := reverseName(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

// A name above hints is the DNS's to tell of, which may well have it: hints neither deny it
// nor say that it has no data, unless it has a hint itself.
func TestANameAboveHintsIsNotAnswered(t *testing.T) {
	i, _ := open(t)
	fn(t, i, "set", "box.lan.example 192.0.2.7")
	own := func(name string) (resolve.Outcome, bool) {
		n, err := dnsname.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		return i.Layer.Own(nil, resolve.Question{Name: n, Type: wire.TypeA, Class: wire.ClassIN}, false)
	}
	for _, name := range []string{"lan.example", "example", ".", "2.0.192.in-addr.arpa"} {
		for _, nodata := range []bool{true, false} {
			fn(t, i, "use_nodata", nodata)
			if o, ok := own(name); ok {
				t.Errorf("%s, with use_nodata(%t): %+v", name, nodata, o)
			}
		}
	}
	fn(t, i, "use_nodata", true)
	fn(t, i, "set", "lan.example 2001:db8::1")
	if o, ok := own("lan.example"); !ok || o.Kind != resolve.NoData {
		t.Errorf("with a hint of its own: %+v, %t", o, ok)
	}
}

// A hint is an answer on the operator's word, of class IN, with the TTL that was set. Where a
// name has no data of a type the resolver's own questions about its zone go on.
func TestWhatAHintAnswers(t *testing.T) {
	i, _ := open(t)
	own := func(name string, qtype, class uint16, sub bool) (resolve.Outcome, bool) {
		n, err := dnsname.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		return i.Layer.Own(nil, resolve.Question{Name: n, Type: qtype, Class: class}, sub)
	}
	if _, ok := own("a.example", wire.TypeA, wire.ClassIN, false); ok {
		t.Error("an empty table answers")
	}
	fn(t, i, "set", "a.example 192.0.2.7")
	fn(t, i, "ttl", 77.0)
	o, ok := own("a.example", wire.TypeA, wire.ClassIN, true)
	if !ok || len(o.Answer) != 1 || o.Answer[0].TTL != 77 || o.Answer[0].Rank != rank.Auth|rank.Insecure || !o.Cached || !o.Answer[0].Cached {
		t.Errorf("%v %+v", ok, o)
	}
	if _, ok := own("a.example", wire.TypeA, 3, false); ok {
		t.Error("class CHAOS is answered")
	}
	for _, qtype := range []uint16{wire.TypeNS, wire.TypeDS, wire.TypeDNSKEY, wire.TypeSOA} {
		if _, ok := own("a.example", qtype, wire.ClassIN, true); ok {
			t.Errorf("type %d: the resolver's own question stops at the hint", qtype)
		}
		if o, ok := own("a.example", qtype, wire.ClassIN, false); !ok || o.Kind != resolve.NoData {
			t.Errorf("type %d: a client's question does not", qtype)
		}
	}
	if o, ok := own("a.example", wire.TypeMX, wire.ClassIN, true); !ok || o.Kind != resolve.NoData {
		t.Error("the resolver's own question for another type does not stop at the hint")
	}
}

// On the listener's thread a name with very many addresses is left to the driver, which says
// the same.
func TestANameWithVeryManyAddresses(t *testing.T) {
	for n, want := range map[int]module.Disposition{manyAddresses: module.Answer, manyAddresses + 1: module.Driver} {
		i, _ := open(t)
		for k := range n {
			fn(t, i, "set", fmt.Sprintf("a.example 192.0.2.%d", k))
		}
		q := &module.Query{Question: &wire.Question{Name: []byte("\x01a\x07example\x00"), Type: wire.TypeA, Class: wire.ClassIN, UDPSize: 4096}}
		q.Subject.Type = wire.TypeA
		q.Subject.SetName(q.Question.Name)
		if got := i.Fast.Own(q); got != want {
			t.Errorf("%d addresses: %d, want %d", n, got, want)
		}
		if o, ok := ask(i, "a.example", wire.TypeA); !ok || len(o.Answer[0].Data) != n {
			t.Errorf("the driver tells %+v of %d", o, n)
		}
	}
}

// What is listed for people is in order, and shows each name with its addresses.
func TestListsAreInOrder(t *testing.T) {
	i, _ := open(t)
	keys := func(v any) (list []string) {
		for _, p := range v.(*luavalue.Table).Pairs {
			list = append(list, p.Key.(string))
		}
		return list
	}
	var want []string
	for k := range 20 {
		want = append(want, fmt.Sprintf("n%02d.example.", k))
		fn(t, i, "set", fmt.Sprintf("n%02d.example 192.0.2.1", 19-k))
	}
	if got := keys(fn(t, i, "get")); !slices.Equal(got, want) {
		t.Errorf("get lists %v", got)
	}
	servers := &luavalue.Table{}
	for k := range 20 {
		servers.Add(fmt.Sprintf("n%02d.example.", 19-k), "192.0.2.1")
	}
	if got := keys(fn(t, i, "root", servers)); !slices.Equal(got, want) {
		t.Errorf("root lists %v", got)
	}
	for _, f := range i.Functions {
		if f.Name == "get" {
			if got, err := f.Fn([]any{"unknown.example"}); err != nil || len(got) > 0 && got[0] != nil {
				t.Errorf("an unknown name: %v, %v", got, err)
			}
		}
	}
}

// Root hints are names with addresses; everything else is refused, with its place.
func TestRootHintsThatAreNone(t *testing.T) {
	for _, bad := range []*luavalue.Table{
		(&luavalue.Table{}).Add(1.0, "192.0.2.1"), (&luavalue.Table{}).Add("a..root.", "192.0.2.1"), (&luavalue.Table{}).Add("a.", 5.0),
		(&luavalue.Table{}).Add("a.", luavalue.List()), (&luavalue.Table{}).Add("a.", luavalue.List("192.0.2.1", true)), (&luavalue.Table{}).Add("a.", luavalue.List("x")),
	} {
		if cut, err := rootCut(bad); err == nil {
			t.Errorf("%+v became %+v", bad, cut)
		}
	}
	if _, err := rootCut(luavalue.List("192.0.2.1")); err == nil || !strings.Contains(err.Error(), "'1' is no name of a server") {
		t.Errorf("addresses without names: %v", err)
	}
}

// fileOfRoots has root hints of a file, which may be missing.
type fileOfRoots struct {
	roots
	cut *zonecut.Cut
	err error
}

func (r *fileOfRoots) ReadRootHints(string) (*zonecut.Cut, error) { return r.cut, r.err }

// The file of root hints is read again as long as they are of a file, also where no other is,
// and what it says counts as soon as all was read.
func TestTheFileOfRootHintsIsReadAgain(t *testing.T) {
	one, two := &zonecut.Cut{Name: dnsname.Root}, &zonecut.Cut{Name: dnsname.Root}
	r := &fileOfRoots{cut: one}
	h := &hints{roots: r, files: textfile.Disk, warn: func(string) {}}
	h.table.Store(newTable())
	if _, err := h.rootFile("root.hints"); err != nil || r.roots.cut != one {
		t.Fatalf("%v, %+v", err, r.roots.cut)
	}
	if err := h.config(nil); err != nil {
		t.Fatal(err)
	}
	r.cut = two
	apply, err := h.reread()
	if err != nil || r.roots.cut != one {
		t.Fatalf("%v: the hints count before they are applied", err)
	}
	if err := h.set("a.example 192.0.2.1"); err != nil { // meanwhile
		t.Fatal(err)
	}
	if apply(); r.roots.cut != two || len(h.table.Load().addrs("\x01a\x07example\x00")) != 1 {
		t.Errorf("the root hints were not read again, or a hint is gone")
	}
	if r.err = os.ErrNotExist; true {
		if _, err := h.reread(); err == nil || !strings.Contains(err.Error(), "hints.root_file") {
			t.Errorf("without the file: %v", err)
		}
	}
	if _, err := h.rootFile("other"); err == nil {
		t.Error("a file that is missing was taken")
	}
	if _, err := h.root(one); err != nil {
		t.Fatal(err)
	}
	if _, err := h.reread(); err != nil {
		t.Errorf("root hints of no file any more: %v", err)
	}
}

// After hints.config() what was loaded and set before does not come again with a reload.
func TestConfigForgetsWhatItWasMadeOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("192.0.2.1 of.file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &hints{roots: noRoots{}, files: textfile.Disk, warn: func(string) {}}
	h.table.Store(newTable())
	for _, err := range []error{h.set("a.example 192.0.2.1"), h.config(path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for when := range 2 {
		if got := lists(t, h, "a.example") + "/" + lists(t, h, "of.file"); got != "/192.0.2.1" {
			t.Errorf("read %d times: %s", 1+when, got)
		}
		apply, err := h.reread()
		if err != nil {
			t.Fatal(err)
		}
		apply()
	}
	if err := h.config(nil); err != nil {
		t.Fatal(err)
	}
	apply, err := h.reread()
	if apply(); err != nil || h.table.Load().names != 0 {
		t.Errorf("%v, %d names", err, h.table.Load().names)
	}
}

// A word is told whole up to its bound, and cut behind it.
func TestLongWordsAreToldInPart(t *testing.T) {
	for n, want := range map[int]int{79: 79, 80: 80, 81: 80 + len("…")} {
		if got := len(short(strings.Repeat("x", n))); got != want {
			t.Errorf("%d octets: %d are told, want %d", n, got, want)
		}
	}
}

// A hosts file that ends within a line that is too long is read to its end.
func TestAHostsFileThatEndsInALongLine(t *testing.T) {
	for _, text := range []string{"192.0.2.1 a.example\n" + strings.Repeat("x", 1<<20), "192.0.2.1 a.example\n" + strings.Repeat("x", 1<<20) + "\n192.0.2.2 b.example"} {
		table := newTable()
		skipped, err := table.readHosts(strings.NewReader(text), "hosts", func(string) {})
		if err != nil || skipped != 1 || len(table.addrs("\x01a\x07example\x00")) != 1 || strings.Contains(text, "b.example") != (len(table.addrs("\x01b\x07example\x00")) == 1) {
			t.Errorf("%v, %d lines are skipped, %d names", err, skipped, table.names)
		}
	}
}

// Where types that a hint does not have are asked of the DNS, those that it has are answered
// all the same, with no bit of the header set that says more.
func TestWithoutNoDataHintsAnswerWhatTheyHave(t *testing.T) {
	i, _ := open(t)
	fn(t, i, "set", "a.example 192.0.2.7")
	for _, nodata := range []bool{true, false} {
		fn(t, i, "use_nodata", nodata)
		for text, qtype := range map[string]uint16{"a.example": wire.TypeA, "7.2.0.192.in-addr.arpa": wire.TypePTR} {
			n, _ := dnsname.Parse(text)
			q := &module.Query{Question: &wire.Question{Name: []byte(n), Type: qtype, Class: wire.ClassIN, UDPSize: 512}}
			q.Subject.Type = qtype
			q.Subject.SetName(q.Question.Name)
			if i.Fast.Own(q) != module.Answer {
				t.Errorf("nodata %v: %s is not answered on the listener's thread", nodata, text)
				continue
			}
			m, err := wire.Parse(q.Answered().Finish(make([]byte, 0, 512), q.Question, reply.Shape{Bufsize: 512}))
			if err != nil || len(m.Answer) != 1 || m.AA() || m.TC() || m.Rcode != wire.RcodeNoError {
				t.Errorf("nodata %v: %s: %+v, %v", nodata, text, m, err)
			}
			if o, ok := ask(i, text, qtype); !ok || len(o.Answer) != 1 {
				t.Errorf("nodata %v: %s is not answered by the driver", nodata, text)
			}
		}
	}
}

// What is added or removed says whether that was done, and what is no hint is refused.
func TestWhatIsNoHint(t *testing.T) {
	i, _ := open(t)
	for _, c := range []struct {
		function, text string
		ok             bool
	}{
		{"set", "a.example 192.0.2.7", true}, {"set", "a.example", false}, {"set", "a.example 192.0.2.7 192.0.2.8", false}, {"set", "a..example 192.0.2.7", false},
		{"del", "", false}, {"del", "a.example 192.0.2.7 more", false}, {"del", "a..example", false}, {"del", "b.example", false}, {"del", "a.example 192.0.2.8", false},
		{"del", "a.example x", false}, {"del", "a.example 192.0.2.7", true}, {"del", "a.example", false},
	} {
		if got := fn(t, i, c.function, c.text).(*luavalue.Table).Get("result"); got != c.ok {
			t.Errorf("%s '%s': %v, want %v", c.function, c.text, got, c.ok)
		}
	}
	for _, f := range i.Functions {
		if f.Name == "get" {
			if _, err := f.Fn([]any{"a..example"}); err == nil {
				t.Error("get of what is no name succeeded")
			}
		}
	}
}
