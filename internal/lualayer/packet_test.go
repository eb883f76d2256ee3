package lualayer

import (
	"fmt"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

func name(text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

func record(owner string, t uint16, data string) wire.RR {
	return wire.RR{Owner: name(owner), Type: t, Class: wire.ClassIN, TTL: 60, RData: []byte(data)}
}

// What a script puts into a packet is an answer, a denial or an alias by what it holds.
func TestWhatAPacketOfAScriptSays(t *testing.T) {
	cname := func(from, to string) wire.RR { return record(from, wire.TypeCNAME, string(name(to))) }
	a := func(owner string) wire.RR { return record(owner, wire.TypeA, "\xc0\x00\x02\x01") }
	kinds := map[resolve.Kind]string{resolve.Positive: "positive", resolve.Alias: "alias", resolve.NoData: "nodata", resolve.NXDomain: "nxdomain"}
	for _, c := range []struct {
		what   string
		qtype  uint16
		rcode  int
		answer []wire.RR
		want   string
	}{
		{"an address", wire.TypeA, 0, []wire.RR{a("x.test.")}, "positive 0 1"},
		{"two addresses", wire.TypeA, 0, []wire.RR{a("x.test."), record("x.test.", wire.TypeA, "\xc0\x00\x02\x02")}, "positive 0 1"},
		{"another name's address", wire.TypeA, 0, []wire.RR{a("y.test.")}, "nodata 0 1"},
		{"another type", wire.TypeAAAA, 0, []wire.RR{a("x.test.")}, "nodata 0 1"},
		{"everything", wire.TypeANY, 0, []wire.RR{a("x.test.")}, "positive 0 1"},
		{"everything, and that is nothing", wire.TypeANY, 0, nil, "nodata 0 0"},
		{"an alias with its target", wire.TypeA, 0, []wire.RR{cname("x.test.", "y.test."), a("y.test.")}, "positive 0 2"},
		{"an alias", wire.TypeA, 0, []wire.RR{cname("x.test.", "y.test."), cname("y.test.", "z.test.")}, "alias 0 2 z.test."},
		{"an alias that is asked for", wire.TypeCNAME, 0, []wire.RR{cname("x.test.", "y.test.")}, "positive 0 1"},
		{"an alias to itself", wire.TypeA, 0, []wire.RR{cname("x.test.", "x.test.")}, "nodata 0 1"},
		{"a circle", wire.TypeA, 0, []wire.RR{cname("x.test.", "y.test."), cname("y.test.", "x.test.")}, "nodata 0 2"},
		{"an alias into nothing", wire.TypeA, wire.RcodeNXDomain, []wire.RR{cname("x.test.", "y.test.")}, "nxdomain 3 1"},
		{"no name", wire.TypeA, wire.RcodeNXDomain, nil, "nxdomain 3 0"},
		{"nothing", wire.TypeA, 0, nil, "nodata 0 0"},
		{"a refusal", wire.TypeA, wire.RcodeRefused, nil, "nodata 5 0"},
	} {
		q := &resolve.Query{Question: resolve.Question{Name: name("x.test."), Type: c.qtype, Class: wire.ClassIN}}
		o := outcomeOf(q, &wire.Msg{Rcode: c.rcode, Answer: c.answer})
		got := fmt.Sprint(kinds[o.Kind], " ", o.Rcode, " ", len(o.Answer))
		if o.Target != "" {
			got += " " + o.Target.String()
		}
		if got != c.want || !o.Own {
			t.Errorf("%s: got %s (own %t), want %s", c.what, got, o.Own, c.want)
		}
	}
}

// An outcome is worded as a message and read again: nothing is lost, signatures neither.
func TestOutcomesSurviveTheirWords(t *testing.T) {
	sig := strings.Repeat("\x00", wire.SigFixed+8)
	sig = "\x00\x01" + sig[2:] // that covers A
	set := resolve.Set{RRset: wire.RRset{Owner: name("x.test."), Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, Data: [][]byte{{1}, {2}}, Sigs: [][]byte{[]byte(sig)}}}
	q := &resolve.Query{Question: resolve.Question{Name: name("x.test."), Type: wire.TypeA, Class: wire.ClassIN}}
	q.Outcome = resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{set}}
	m := messageOf(q)
	if len(m.Answer) != 3 || m.Question != q.Name || m.Rcode != 0 {
		t.Fatalf("worded as %+v", m)
	}
	if o := outcomeOf(q, m); o.Kind != resolve.Positive || len(o.Answer) != 1 || len(o.Answer[0].Data) != 2 || len(o.Answer[0].Sigs) != 1 || o.Answer[0].TTL != 60 {
		t.Errorf("read as %+v", o)
	}
}

// A hook costs those questions something that it is called for, and only what may change a
// resolution keeps requests apart.
func TestWhichHooksCostWhat(t *testing.T) {
	type cost struct {
		sees  module.Sight
		alone bool
	}
	for name, want := range map[string]cost{
		"begin": {module.SeesAll, false}, "reset": {module.SeesOwned, true}, "produce": {module.SeesOpen, true},
		"checkout": {module.SeesServers, false}, "consume": {module.SeesOwned, true},
		"answer_finalize": {module.SeesAll, false}, "finish": {module.SeesAll, false},
	} {
		h := hooks{}
		*h.named(name) = &script.Ref{}
		if got := (cost{h.sight(), h.takePart()}); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		h.begin = new(script.Ref)
		if h.sight() != module.SeesAll {
			t.Errorf("%s beside begin sees %v", name, h.sight())
		}
	}
}
