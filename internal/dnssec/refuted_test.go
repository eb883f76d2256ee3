package dnssec

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// A chain that costs too much leaves a claim open only as far as no other record, whose
// signature holds as well, says the contrary.
func TestACostlyChainDoesNotHideWhatAnotherRefutes(t *testing.T) {
	p := parameters{1, "ab"}
	dear := atHash(t, "example.", "elsewhere.example.", parameters{limits.NSEC3Iterations + 1, ""}, dns.TypeA)
	at := func(name string, types ...uint16) *wire.RRset { return atHash(t, "example.", name, p, types...) }
	over := func(name string) *wire.RRset { return around(t, "example.", name, p, 0) }
	optOut := func(name string) *wire.RRset { return around(t, "example.", name, p, nsec3OptOut) }
	nsec := func(owner, next string, types ...uint16) *wire.RRset { return nsecSet(t, owner, next, types...) }
	apex := at("example.", dns.TypeSOA, dns.TypeNS)
	for _, tt := range []struct {
		claim, want string
		sets        []*wire.RRset
	}{
		{"nx w.example.", "unproven", []*wire.RRset{at("w.example.", dns.TypeA)}},
		{"nx w.example.", "unproven", []*wire.RRset{nsec("w.example.", "x.example.", dns.TypeA)}},
		{"nx w.example.", "unproven", []*wire.RRset{nsec("v.example.", "a.w.example.", dns.TypeA)}},
		{"nx w.example.", "unproven", []*wire.RRset{apex, over("w.example."), at("*.example.", dns.TypeA)}},
		{"nx w.example.", "unproven", []*wire.RRset{nsec("v.example.", "x.example.", dns.TypeA), nsec("*.example.", "a.example.", dns.TypeA)}},
		{"nx w.example.", "unproven", []*wire.RRset{nsec("w.example.", "x.example.", dns.TypeA), apex, optOut("w.example."), over("*.example.")}},
		{"nx w.example.", "unsigned", []*wire.RRset{apex, over("w.example.")}},
		{"nx w.example.", "unsigned", []*wire.RRset{apex, optOut("w.example."), at("*.example.", dns.TypeA)}},
		{"nx w.example.", "unsigned", []*wire.RRset{nsec("w.example.", "\\000.w.example.", dns.TypeNS, wire.TypeNXNAME)}},
		{"nx w.example.", "proven", []*wire.RRset{apex, over("w.example."), over("*.example.")}},
		{"nodata w.example. A", "unproven", []*wire.RRset{at("w.example.", dns.TypeA)}},
		{"nodata w.example. A", "unproven", []*wire.RRset{at("w.example.", dns.TypeCNAME)}},
		{"nodata w.example. A", "unproven", []*wire.RRset{nsec("w.example.", "x.example.", dns.TypeA)}},
		{"nodata w.example. A", "unproven", []*wire.RRset{apex, over("w.example."), at("*.example.", dns.TypeA)}},
		{"nodata w.example. A", "unproven", []*wire.RRset{nsec("v.example.", "x.example.", dns.TypeA), nsec("*.example.", "a.example.", dns.TypeA)}},
		{"nodata w.example. A", "unsigned", []*wire.RRset{at("w.example.", dns.TypeNS)}},
		{"nodata w.example. A", "unsigned", []*wire.RRset{apex, over("w.example.")}},
		{"nodata w.example. A", "unsigned", []*wire.RRset{apex, optOut("w.example."), at("*.example.", dns.TypeA)}},
		{"nodata w.example. DS", "unsigned", []*wire.RRset{at("w.example.", dns.TypeSOA, dns.TypeNS, dns.TypeDS)}},
		{"nodata w.example. DS", "unproven", []*wire.RRset{at("w.example.", dns.TypeNS, dns.TypeDS)}},
		{"expanded b.w.example. example.", "unproven", []*wire.RRset{at("w.example.", dns.TypeA)}},
		{"expanded b.w.example. example.", "unproven", []*wire.RRset{at("b.w.example.", dns.TypeA)}},
		{"expanded b.w.example. example.", "unproven", []*wire.RRset{nsec("a.w.example.", "c.w.example.", dns.TypeA)}},
		{"expanded b.w.example. example.", "unsigned", []*wire.RRset{apex}},
		{"expanded b.w.example. w.example.", "unsigned", []*wire.RRset{at("w.example.", dns.TypeA)}},
		{"cut w.example.", "unproven, a cut", []*wire.RRset{at("w.example.", dns.TypeNS, dns.TypeDS)}},
		{"cut w.example.", "unproven, a cut", []*wire.RRset{nsec("w.example.", "x.example.", dns.TypeNS, dns.TypeDS)}},
		{"cut w.example.", "unproven, a cut", []*wire.RRset{nsec("w.example.", "x.example.", dns.TypeNS, dns.TypeDS), apex, optOut("w.example.")}},
		{"cut w.example.", "unproven", []*wire.RRset{at("w.example.", dns.TypeCNAME)}},
		{"cut w.example.", "unsigned, a cut", []*wire.RRset{apex}},
	} {
		for i := range 2 { // whichever comes first
			sets := slices.Insert(slices.Clone(tt.sets), i*len(tt.sets), dear)
			d := NewDenials(mustName(t, "example."), sets, endless())
			if got := judged(t, d, tt.claim); got != tt.want {
				t.Errorf("%s with %d records: got %s, want %s", tt.claim, len(tt.sets), got, tt.want)
			}
		}
	}
}

// What a record refutes is not left open by hashes that nobody may spend.
func TestARefutationThatCannotBeHashedIsNoVerdict(t *testing.T) {
	dear := atHash(t, "example.", "elsewhere.example.", parameters{limits.NSEC3Iterations + 1, ""}, dns.TypeA)
	over := around(t, "example.", "w.example.", parameters{1, "ab"}, 0)
	for _, claim := range []string{"nx w.example.", "nodata w.example. A", "expanded b.w.example. example.", "cut w.example."} {
		m := &purse{0, 0, 1 << 20}
		judged(t, NewDenials(mustName(t, "example."), []*wire.RRset{dear, over}, m), claim)
		spent := 1<<20 - m.hash
		for budget := range spent {
			if got := judged(t, NewDenials(mustName(t, "example."), []*wire.RRset{dear, over}, &purse{0, 0, budget}), claim); got != errSpent.Error() {
				t.Errorf("%s with %d of %d blocks: %s", claim, budget, spent, got)
			}
		}
	}
}

// An opt-out zone leaves out empty non-terminals above nothing but unsigned delegations. What
// does not exist below one cannot be proven where a wildcard stands above it, and is no
// forgery (RFC 5155, sections 6 and 7.1). Without opt-out, for a name that the wildcard would
// stand for, or where nothing is shown of the wildcard, it is.
func TestAWildcardAboveAnEmptyNonTerminalThatOptOutLeavesOut(t *testing.T) {
	p := parameters{1, "ab"}
	at := func(name string, types ...uint16) *wire.RRset { return atHash(t, "example.", name, p, types...) }
	apex, wildcard := at("example.", dns.TypeSOA, dns.TypeNS), at("*.example.", dns.TypeA)
	h := p.hash(mustName(t, "*.example."))
	before := hashedSet(t, "example.", p, nsec3OptOut, h.step(-5), h, dns.TypeA)
	over, optOut := around(t, "example.", "e.example.", p, 0), around(t, "example.", "e.example.", p, nsec3OptOut)
	for _, tt := range []struct {
		claim, want string
		sets        []*wire.RRset
	}{
		{"nx x.e.example.", "unsigned", []*wire.RRset{apex, optOut, wildcard}},
		{"nx x.e.example.", "unsigned", []*wire.RRset{apex, optOut, before}},
		{"nx x.e.example.", "unproven", []*wire.RRset{apex, optOut}},
		{"nx x.e.example.", "unproven", []*wire.RRset{apex, over, wildcard}},
		{"nx x.e.example.", "unproven", []*wire.RRset{optOut, wildcard}},
		{"nx e.example.", "unproven", []*wire.RRset{apex, optOut, wildcard}},
		{"nx x.e.example.", "unproven", []*wire.RRset{apex, optOut, wildcard, at("x.e.example.", dns.TypeA)}},
		{"nx x.e.example.", "unproven", []*wire.RRset{apex, optOut, wildcard, at("e.example.")}},
	} {
		if got := judged(t, NewDenials(mustName(t, "example."), tt.sets, endless()), tt.claim); got != tt.want {
			t.Errorf("%s with %d records: got %s, want %s", tt.claim, len(tt.sets), got, tt.want)
		}
	}
}
