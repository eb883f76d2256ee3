package tasentinel

import (
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// The anchors of the root have the tags 20326 and 38696, that of example. has 4759.
func open(t *testing.T) *module.Instance {
	t.Helper()
	store := trustanchor.New()
	store.UseBuiltin()
	if err := store.Add("example. IN DS 4759 8 2 3384CAE149834F17054DD9150E8C33D3979C4092F5C1B8D35E17A3C36A83810F"); err != nil {
		t.Fatal(err)
	}
	inst, err := Module(store.Snapshot).Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func name(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnswersSayWhichKeysAreTrusted(t *testing.T) {
	const proven, unproven = rank.Secure | rank.Auth, rank.Insecure | rank.Auth
	layer := open(t).Layer
	for _, c := range []struct {
		name   string
		rrtype uint16
		rank   rank.Rank
		cd     bool
		want   string
	}{
		{"root-key-sentinel-is-ta-20326.test.", wire.TypeA, proven, false, ""},
		{"Root-Key-Sentinel-Is-TA-20326.test.", wire.TypeAAAA, proven, false, ""},
		{"root-key-sentinel-not-ta-20326.test.", wire.TypeA, proven, false, "root key sentinel: key 20326 is a trust anchor of the root"},
		{"root-key-sentinel-not-ta-20326.test.", wire.TypeAAAA, proven, false, "root key sentinel: key 20326 is a trust anchor of the root"},
		{"root-key-sentinel-not-ta-20326.test.", wire.TypeTXT, proven, false, ""},
		{"root-key-sentinel-not-ta-20326.test.", wire.TypeA, unproven, false, ""},
		{"root-key-sentinel-not-ta-20326.test.", wire.TypeA, proven, true, ""},
		{"root-key-sentinel-is-ta-00001.test.", wire.TypeA, proven, false, "root key sentinel: key 1 is no trust anchor of the root"},
		{"root-key-sentinel-not-ta-00001.test.", wire.TypeA, proven, false, ""},
		{"root-key-sentinel-is-ta-04759.test.", wire.TypeA, proven, false, "root key sentinel: key 4759 is no trust anchor of the root"},
		{"root-key-sentinel-not-ta-04759.test.", wire.TypeA, proven, false, ""},
		{"root-key-sentinel-is-ta-99999.test.", wire.TypeA, proven, false, ""}, // no key tag
		{"root-key-sentinel-is-ta-1.test.", wire.TypeA, proven, false, ""},
		{"root-key-sentinel-is-ta-0000x.test.", wire.TypeA, proven, false, ""},
		{"root-key-sentinel-is-ta-0000:.test.", wire.TypeA, proven, false, ""},
		{"www.root-key-sentinel-is-ta-00001.test.", wire.TypeA, proven, false, ""},
		{".", wire.TypeA, proven, false, ""},
	} {
		r := &resolve.Request{Question: resolve.Question{Name: name(t, c.name), Type: c.rrtype, Class: wire.ClassIN}, CD: c.cd}
		r.Result = resolve.Result{Rank: c.rank, EDE: ede.None, Answer: []resolve.Set{{}}}
		layer.Finalize(r)
		if got := r.Result.EDEText; got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, wire.TypeText(c.rrtype), got, c.want)
		}
		if failed := r.Result.Rcode == wire.RcodeServFail && len(r.Result.Answer) == 0; failed != (c.want != "") {
			t.Errorf("%s %s: RCODE %d with %d sets", c.name, wire.TypeText(c.rrtype), r.Result.Rcode, len(r.Result.Answer))
		}
	}
}

// The question that an alias leads to is not the client's.
func TestTheTargetOfAnAliasIsNoSentinel(t *testing.T) {
	layer := open(t).Layer
	r := &resolve.Request{Question: resolve.Question{Name: name(t, "root-key-sentinel-is-ta-00001.test."), Type: wire.TypeA}, Inner: true}
	r.Result.Rank = rank.Secure | rank.Auth
	layer.Finalize(r)
	if r.Result.Failure != nil {
		t.Error("a question that an alias led to was judged")
	}
}

// What is cached is not told past the module.
func TestSentinelsTakeTheDriversWay(t *testing.T) {
	begin := open(t).Fast.Begin
	for text, want := range map[string]module.Disposition{
		"ROOT-key-sentinel-is-ta-20326.test.": module.Driver, "root-key-sentinel-not-ta-20326.test.": module.Driver,
		"root-key-sentinel-is-ta-2032.test.": module.Pass, "www.test.": module.Pass, ".": module.Pass,
	} {
		q := &module.Query{Subject: rules.Subject{Type: wire.TypeA}}
		q.Subject.SetName([]byte(name(t, text)))
		if got := begin(q); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { begin(q) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
		if q.Subject.Type = wire.TypeTXT; begin(q) != module.Pass {
			t.Errorf("%s: a question for TXT takes the driver's way", text)
		}
	}
}

// The largest tag is one, and what is no name says nothing.
func TestWhatANameSays(t *testing.T) {
	for text, want := range map[string]int{
		"root-key-sentinel-is-ta-65535.": 65535, "root-key-sentinel-not-ta-00000.": 0, "root-key-sentinel-is-ta-65536.": -1, "root-key-sentinel-is-ta-.": -1, "root-key-sentinel-is-to-00001.": -1,
	} {
		s, ok := read(name(t, text))
		if ok != (want >= 0) || ok && int(s.tag) != want {
			t.Errorf("%s: %+v %v", text, s, ok)
		}
	}
	for _, bad := range []string{"", "\x05abc", "\x1droot-key-sentinel-is-ta-0000"} {
		if s, ok := read(bad); ok {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

// A reason that others gave is replaced, and without an anchor of the root no key is one.
func TestTheReasonIsTheSentinels(t *testing.T) {
	inst, err := Module(trustanchor.New().Snapshot).Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	for layer, want := range map[*resolve.Layer]string{
		inst.Layer: "root key sentinel: key 20326 is no trust anchor of the root", open(t).Layer: "why",
	} {
		r := &resolve.Request{Question: resolve.Question{Name: name(t, "root-key-sentinel-is-ta-20326.test."), Type: wire.TypeA}}
		r.Result = resolve.Result{Rank: rank.Secure | rank.Auth, EDE: ede.StaleAnswer, EDEText: "why"}
		if layer.Finalize(r); r.Result.EDEText != want || (r.Result.EDE == ede.StaleAnswer) != (want == "why") {
			t.Errorf("told %d %q, want %q", r.Result.EDE, r.Result.EDEText, want)
		}
	}
}
