package hints

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

type roots struct{ cut *zonecut.Cut }

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
	i, err := Open(r)
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

func ask(i *module.Instance, name string, qtype uint16) (resolve.Outcome, bool, *resolve.Request) {
	n, _ := dnsname.Parse(name)
	req := &resolve.Request{}
	q := &resolve.Query{Question: resolve.Question{Name: n, Type: qtype, Class: wire.ClassIN}}
	done := i.Layer.Produce(req, q) == resolve.Done
	if done {
		i.Layer.Finalize(req)
	}
	return q.Outcome, done, req
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
	out, done, req := ask(i, "HOST.example", wire.TypeA)
	if !done || out.Kind != resolve.Positive || string(out.Answer[0].Data[0]) != "\xc0\x00\x02\x01" || req.Result.AA || !req.Result.NoCache {
		t.Errorf("A of host.example: %+v, done %v, %+v", out, done, req.Result)
	}
	if out, _, _ := ask(i, "alias.example", wire.TypeAAAA); out.Kind != resolve.NoData {
		t.Errorf("AAAA of a name that has only A: %v, want no data", out.Kind)
	}
	if out, _, _ := ask(i, "1.2.0.192.in-addr.arpa", wire.TypePTR); wire.Target(out.Answer[0].Data[0]).String() != "host.example." {
		t.Errorf("PTR leads to %s, want the canonical name", wire.Target(out.Answer[0].Data[0]))
	}
	for name, qtype := range map[string]uint16{"host.example": wire.TypeMX, "alias.example": wire.TypePTR, "1.2.0.192.in-addr.arpa": wire.TypeA} {
		if out, done, _ := ask(i, name, qtype); !done || out.Kind != resolve.NoData {
			t.Errorf("%s, type %d: done %v, %+v, want no data", name, qtype, done, out)
		}
	}
	fn(t, i, "use_nodata", false)
	if _, done, _ := ask(i, "alias.example", wire.TypeAAAA); done {
		t.Error("use_nodata(false) was ignored")
	}
}

func TestBrokenHostsFileNamesTheLine(t *testing.T) {
	i, _ := open(t)
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("192.0.2.1 good.example\nnonsense here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := i.Config(path)
	if err == nil || !strings.Contains(err.Error(), "hosts:2:") {
		t.Errorf("error %v does not name the line", err)
	}
	if _, done, _ := ask(i, "good.example", wire.TypeA); !done {
		t.Error("lines before the broken one were lost")
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
	if _, done, _ := ask(i, "a.example", wire.TypeA); done {
		t.Error("a deleted name is still answered")
	}
	if _, done, _ := ask(i, "7.2.0.192.in-addr.arpa", wire.TypePTR); done {
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
	if d := i.Fast.Produce(query("a.example", wire.TypeA)); d != module.Pass {
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
		{"a.example", wire.TypeA, 2}, {"a.example", wire.TypeAAAA, 1}, {"a.example", wire.TypeMX, 0},
		{"7.2.0.192.in-addr.arpa", wire.TypePTR, 1}, {"7.2.0.192.in-addr.arpa", wire.TypeA, 0}, {"b.example", wire.TypeA, -1},
	} {
		q := query(c.name, c.qtype)
		var msg []byte
		out := make([]byte, 0, 512)
		give := func() {
			if msg = nil; i.Fast.Produce(q) == module.Answer {
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
	if d := i.Fast.Produce(query("a.example", wire.TypeMX)); d != module.Pass {
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
	for _, bad := range []any{-1.0, math.NaN(), math.Inf(1), "5"} {
		if _, err := call("ttl", bad); err == nil {
			t.Errorf("hints.ttl(%v) succeeded", bad)
		}
	}
	if got := fn(t, i, "ttl", 5.9); got != 5.0 {
		t.Errorf("ttl = %v", got)
	}
	got := fn(t, i, "add_hosts", "/nonexistent/hosts").(*luavalue.Table)
	if reason, _ := got.Get("error").(string); got.Get("result") != false || !strings.Contains(reason, "/nonexistent/hosts") {
		t.Errorf("add_hosts of a missing file: %+v", got)
	}
	for key, bad := range map[string]any{"a.example": "nonsense", "b..example": "192.0.2.1", "c.example 192.0.2.1": "192.0.2.1", "d.example": 5.0, "e.example": &luavalue.Table{}} {
		if err := i.Set(key, bad); err == nil {
			t.Errorf("hints[%q] = %v succeeded", key, bad)
		}
	}
	if all := fn(t, i, "get").(*luavalue.Table); len(all.Pairs) != 0 {
		t.Errorf("what was refused is there: %+v", all.Pairs)
	}
	for _, bad := range []any{5.0, luavalue.List("/etc/hosts"), (&luavalue.Table{}).Add("path", "/etc/hosts"), true} {
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
	if _, done, _ := ask(i, "a.example", wire.TypeA); done {
		t.Error("a name outlived hints.config()")
	}
	if r.cut == nil {
		t.Error("hints.config() took the root hints away")
	}
}
