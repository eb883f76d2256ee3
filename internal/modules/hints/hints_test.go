package hints

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/textfile"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

type roots struct {
	cut   *zonecut.Cut
	warns []string
}

func (r *roots) RootHints() *zonecut.Cut {
	if r.cut == nil {
		return &zonecut.Cut{Name: dnsname.Root}
	}
	return r.cut
}
func (r *roots) SetRootHints(c *zonecut.Cut)                { r.cut = c }
func (r *roots) ReadRootHints(string) (*zonecut.Cut, error) { return nil, os.ErrNotExist }

func open(t *testing.T) (*module.Instance, *roots) {
	t.Helper()
	r := &roots{}
	i, err := Open(r, textfile.Disk, func(line string) { r.warns = append(r.warns, line) })
	if err != nil {
		t.Fatal(err)
	}
	return i, r
}

func fn(t *testing.T, i *module.Instance, name string, args ...any) any {
	t.Helper()
	for _, f := range i.Functions {
		if f.Name == name {
			out, err := f.Fn(args)
			if err != nil {
				t.Fatalf("hints.%s%v: %v", name, args, err)
			}
			return out[0]
		}
	}
	t.Fatalf("no function %s", name)
	return nil
}

func ask(i *module.Instance, name string, qtype uint16) (resolve.Outcome, bool) {
	n, _ := dnsname.Parse(name)
	return i.Layer.Own(nil, resolve.Question{Name: n, Type: qtype, Class: wire.ClassIN}, false)
}

func TestAnswersFromATableAndAHostsFile(t *testing.T) {
	i, _ := open(t)
	path := filepath.Join(t.TempDir(), "hosts")
	text := "# comment\n192.0.2.1\thost.example alias.example # more\n2001:db8::1 host.example\n\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := i.Config((&luavalue.Table{}).Add("file", path)); err != nil {
		t.Fatal(err)
	}
	out, done := ask(i, "HOST.example", wire.TypeA)
	if !done || out.Kind != resolve.Positive || string(out.Answer[0].Data[0]) != "\xc0\x00\x02\x01" {
		t.Errorf("A of host.example: %+v, done %v", out, done)
	}
	if out, _ := ask(i, "alias.example", wire.TypeAAAA); out.Kind != resolve.NoData {
		t.Errorf("AAAA of a name that has only A: %v, want no data", out.Kind)
	}
	if out, _ := ask(i, "1.2.0.192.in-addr.arpa", wire.TypePTR); wire.Target(out.Answer[0].Data[0]).String() != "host.example." {
		t.Errorf("PTR leads to %s, want the canonical name", wire.Target(out.Answer[0].Data[0]))
	}
	for name, qtype := range map[string]uint16{"host.example": wire.TypeMX, "alias.example": wire.TypePTR, "1.2.0.192.in-addr.arpa": wire.TypeA} {
		if out, done := ask(i, name, qtype); !done || out.Kind != resolve.NoData {
			t.Errorf("%s, type %d: done %v, %+v, want no data", name, qtype, done, out)
		}
	}
	if got := fn(t, i, "use_nodata", false).(*luavalue.Table); got.Get("result") != true {
		t.Errorf("use_nodata: %+v", got)
	}
	if _, done := ask(i, "alias.example", wire.TypeAAAA); done {
		t.Error("use_nodata(false) was ignored")
	}
}

func TestOneBadLineOfAHostsFileLosesNoOther(t *testing.T) {
	i, r := open(t)
	path := filepath.Join(t.TempDir(), "hosts")
	text := "\ufeff192.0.2.1 first.example\nnonsense here\n192.0.2.2\n192.0.2.3 half.example double..dot\n# " + strings.Repeat("x", 2*limits.HostsLine) +
		"\n\t192.0.2.4\tindented.example \r\nfe80::1%eth0 scoped.example\n192.0.2.5 last.example"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fn(t, i, "add_hosts", path).(*luavalue.Table); got.Get("result") != true || got.Get("skipped") != 4.0 {
		t.Errorf("add_hosts: %+v, want 4 lines skipped", got)
	}
	for name, known := range map[string]bool{"first.example": true, "half.example": false, "indented.example": true, "last.example": true} {
		if _, done := ask(i, name, wire.TypeA); done != known {
			t.Errorf("%s: known %v, want %v", name, done, known)
		}
	}
	if _, done := ask(i, "scoped.example", wire.TypeAAAA); !done {
		t.Error("an address with a zone is not taken")
	}
	for n, want := range []string{"hosts:2: 'nonsense'", "hosts:3: address 192.0.2.2 without", "hosts:4: bad name 'double..dot'", fmt.Sprintf("hosts:5: longer than %d octets", limits.HostsLine)} {
		if n >= len(r.warns) || !strings.Contains(r.warns[n], want) {
			t.Errorf("warning %d of %q, want %s", n, r.warns, want)
		}
	}
	if err := i.Config(path); err != nil {
		t.Errorf("in a configuration: %v", err)
	}
}

func TestAFileOfBadLinesDoesNotFillTheLog(t *testing.T) {
	i, r := open(t)
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(strings.Repeat("nonsense "+strings.Repeat("y", 500)+"\n", limits.HostsWarnings+7)+"192.0.2.1 good.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fn(t, i, "add_hosts", path)
	if n := len(r.warns); n != limits.HostsWarnings+1 || !strings.Contains(r.warns[n-1], " 7 more lines") || len(r.warns[0]) > 400 {
		t.Errorf("%d lines in the log, the last %q", n, r.warns[max(n-1, 0)])
	}
	if _, done := ask(i, "good.example", wire.TypeA); !done {
		t.Error("the good line is lost")
	}
	if err := os.WriteFile(path, []byte("192.0.2.1 good.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fn(t, i, "add_hosts", path).(*luavalue.Table); len(got.Pairs) != 1 || got.Get("result") != true {
		t.Errorf("a file without bad lines: %+v", got)
	}
}

// Answers to other names are kept for those who have the same names and addresses.
func TestTheShapeIsThatOfTheNamesInAnyOrder(t *testing.T) {
	a, _ := open(t)
	b, _ := open(t)
	if a.Shape() != 0 {
		t.Error("no hints make a difference")
	}
	fn(t, a, "set", "a.example 192.0.2.1")
	first := a.Shape()
	fn(t, a, "set", "b.example 192.0.2.2")
	fn(t, a, "set", "b.example 192.0.2.2")
	fn(t, b, "set", "b.example 192.0.2.2")
	fn(t, b, "set", "a.example 192.0.2.1")
	if a.Shape() != b.Shape() || a.Shape() == first || first == 0 {
		t.Errorf("shapes %x, %x and %x", first, a.Shape(), b.Shape())
	}
	fn(t, b, "use_nodata", false)
	if a.Shape() == b.Shape() {
		t.Error("use_nodata makes no difference")
	}
	fn(t, a, "del", "b.example")
	if a.Shape() != first {
		t.Error("a name that was deleted leaves something behind")
	}
	fn(t, a, "del", "a.example")
	if a.Shape() != 0 {
		t.Error("an empty table makes a difference")
	}
}

func TestSetGetDel(t *testing.T) {
	i, _ := open(t)
	if r := fn(t, i, "set", "a.example 192.0.2.7").(*luavalue.Table); r.Get("result") != true {
		t.Error("set failed")
	}
	if r := fn(t, i, "set", "a.example nonsense").(*luavalue.Table); r.Get("result") != false {
		t.Error("a bad address was taken")
	}
	if err := i.Set("b.example", "192.0.2.8"); err != nil {
		t.Error(err)
	}
	if got := fn(t, i, "get", "a.example").(*luavalue.Table).Values(); len(got) != 1 || got[0] != "192.0.2.7" {
		t.Errorf("get = %v", got)
	}
	fn(t, i, "del", "a.example 192.0.2.7")
	if _, done := ask(i, "a.example", wire.TypeA); done {
		t.Error("a deleted name is still answered")
	}
	if _, done := ask(i, "7.2.0.192.in-addr.arpa", wire.TypePTR); done {
		t.Error("a deleted name's PTR is still answered")
	}
}

func TestRootReplacesTheRootHints(t *testing.T) {
	i, r := open(t)
	table := (&luavalue.Table{}).Add("b.root.", luavalue.List("192.0.2.2", "2001:db8::2")).Add("a.root.", "192.0.2.1")
	fn(t, i, "root", table)
	if len(r.cut.NS) != 2 || !r.cut.Hints || r.cut.NS[0].Addrs[0] != netip.MustParseAddr("192.0.2.1") || len(r.cut.NS[1].Addrs) != 2 {
		t.Errorf("root hints %+v", r.cut)
	}
	fn(t, i, "root", &luavalue.Table{})
	if r.cut == nil || len(r.cut.NS) > 0 || !r.cut.Hints || !r.cut.Name.IsRoot() {
		t.Errorf("an empty table left %+v", r.cut)
	}
	if left := fn(t, i, "root").(*luavalue.Table); len(left.Pairs) > 0 {
		t.Errorf("it shows %v", left)
	}
	for _, bad := range []any{"text", luavalue.List("192.0.2.1"), (&luavalue.Table{}).Add("a.", "nonsense")} {
		for _, f := range i.Functions {
			if f.Name == "root" {
				if _, err := f.Fn([]any{bad}); err == nil {
					t.Errorf("hints.root(%v) succeeded", bad)
				}
			}
		}
	}
}

// The listener's thread answers what the table says, as produce does, and
// allocates nothing for it.
func TestTheListenersThreadAnswersHints(t *testing.T) {
	i, _ := open(t)
	query := func(text string, qtype uint16) *module.Query {
		n, err := dnsname.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		q := &module.Query{Question: &wire.Question{Name: []byte(n), Type: qtype, Class: wire.ClassIN, UDPSize: 512}}
		q.Subject.Type = qtype
		q.Subject.SetName(q.Question.Name)
		return q
	}
	if d := i.Fast.Own(query("a.example", wire.TypeA)); d != module.Pass {
		t.Errorf("an empty table: disposition %d", d)
	}
	fn(t, i, "set", "a.example 192.0.2.7")
	fn(t, i, "set", "a.example 192.0.2.8")
	fn(t, i, "set", "a.example 2001:db8::7")
	fn(t, i, "ttl", 7.0)
	for _, c := range []struct {
		name    string
		qtype   uint16
		answers int
	}{
		{"a.example", wire.TypeA, 2}, {"a.example", wire.TypeAAAA, 1}, {"a.example", wire.TypeMX, 0}, {"a.example", wire.TypePTR, 0},
		{"7.2.0.192.in-addr.arpa", wire.TypePTR, 1}, {"7.2.0.192.in-addr.arpa", wire.TypeA, 0}, {"b.example", wire.TypeA, -1},
	} {
		q := query(c.name, c.qtype)
		var msg []byte
		out := make([]byte, 0, 512)
		give := func() {
			if msg = nil; i.Fast.Own(q) == module.Answer {
				msg = q.Answered().Finish(out, q.Question, reply.Shape{Bufsize: 1232})
			}
		}
		if n := testing.AllocsPerRun(100, give); n != 0 {
			t.Errorf("%s %d: %v allocations", c.name, c.qtype, n)
		}
		got := -1
		if msg != nil {
			got = int(binary.BigEndian.Uint16(msg[6:]))
		}
		if got != c.answers {
			t.Errorf("%s %d: %d records, want %d", c.name, c.qtype, got, c.answers)
		}
	}
	fn(t, i, "use_nodata", false)
	if d := i.Fast.Own(query("a.example", wire.TypeMX)); d != module.Pass {
		t.Errorf("a type that is asked of the DNS: disposition %d", d)
	}
}

func TestFunctionsRefuseWhatTheyCannotUse(t *testing.T) {
	i, _ := open(t)
	call := func(name string, args ...any) ([]any, error) {
		for _, f := range i.Functions {
			if f.Name == name {
				return f.Fn(args)
			}
		}
		t.Fatalf("no function %s", name)
		return nil, nil
	}
	for _, bad := range []any{-1.0, 5.9, math.NaN(), math.Inf(1), "5"} {
		if _, err := call("ttl", bad); err == nil {
			t.Errorf("hints.ttl(%v) succeeded", bad)
		}
	}
	if got := fn(t, i, "ttl", 5.0); got != 5.0 {
		t.Errorf("ttl = %v", got)
	}
	got := fn(t, i, "add_hosts", "/nonexistent/hosts").(*luavalue.Table)
	if reason, _ := got.Get("error").(string); got.Get("result") != false || !strings.Contains(reason, "/nonexistent/hosts") {
		t.Errorf("add_hosts of a missing file: %+v", got)
	}
	for key, bad := range map[string]any{"a.example": "nonsense", "b..example": "192.0.2.1", "c.example 192.0.2.1": "192.0.2.1", "d.example": 5.0, "e.example": &luavalue.Table{}} {
		err := i.Set(key, bad)
		if err == nil || !strings.HasPrefix(err.Error(), "hints['"+key+"']: ") {
			t.Errorf("hints[%q] = %v: %v", key, bad, err)
		}
		if _, text := bad.(string); !text && !strings.Contains(err.Error(), "an address") {
			t.Errorf("hints[%q] = %v: %v, which does not say what is expected", key, bad, err)
		}
	}
	if all := fn(t, i, "get").(*luavalue.Table); len(all.Pairs) != 0 {
		t.Errorf("what was refused is there: %+v", all.Pairs)
	}
	for _, bad := range []any{5.0, "/nonexistent/hosts", luavalue.List("/etc/hosts"), (&luavalue.Table{}).Add("path", "/etc/hosts"), true} {
		if err := i.Config(bad); err == nil {
			t.Errorf("hints.config(%v) succeeded", bad)
		}
	}
}

// hints.config() forgets the table, but not the root hints.
func TestConfigStartsAnew(t *testing.T) {
	i, r := open(t)
	fn(t, i, "root", (&luavalue.Table{}).Add("a.root.", "192.0.2.1"))
	fn(t, i, "set", "a.example 192.0.2.7")
	if err := i.Config(nil); err != nil {
		t.Fatal(err)
	}
	if _, done := ask(i, "a.example", wire.TypeA); done {
		t.Error("a name outlived hints.config()")
	}
	if r.cut == nil {
		t.Error("hints.config() took the root hints away")
	}
}

// Of a table that is too large to look at, the beginning and the number of names can be had.
func TestTheFirstOfManyNames(t *testing.T) {
	i, _ := open(t)
	for n := range 50 {
		fn(t, i, "set", fmt.Sprintf("n%02d.example 192.0.2.%d", (n*7)%50, (n*7)%50))
	}
	for most, want := range map[float64]string{0: "", 1: "n00.example.", 3: "n00.example. n01.example. n02.example."} {
		var names []string
		for _, pair := range fn(t, i, "get", nil, most).(*luavalue.Table).Pairs {
			name := pair.Key.(string)
			names = append(names, name)
			if addr := pair.Value.(*luavalue.Table).Values()[0]; addr != "192.0.2."+strings.TrimLeft(name[1:2], "0")+strings.TrimSuffix(name[2:3], ".") {
				t.Errorf("%s is %v", name, addr)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("the first %v are %q, want %q", most, got, want)
		}
	}
	if got := fn(t, i, "get", nil, 1000.0).(*luavalue.Table); len(got.Pairs) != 50 {
		t.Errorf("of 50 names %d are told", len(got.Pairs))
	}
}
