package cache

import (
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Why a set need not be signed is told for as long as the set is kept.
func TestWhyASetNeedNotBeSignedIsKept(t *testing.T) {
	for _, odd := range []resolve.Oddity{
		{}, {Why: resolve.UnknownAlgorithm}, {Why: resolve.UnknownDigest, Labels: 2}, {Why: resolve.CostlyDenial, Labels: 127},
	} {
		w := newWorld(t)
		a, alias, from := rrset(t, insecure, "www.example.com.", wire.TypeA, 60, "\x0a\x00\x00\x01"),
			rrset(t, insecure, "alias.example.com.", wire.TypeCNAME, 60, string(name(t, "www.example.com."))),
			rrset(t, insecure, "old.example.com.", wire.TypeDNAME, 60, string(name(t, "new.example.com.")))
		denier := soa(t, insecure, "example.com.", 60, 60)
		a.Odd, alias.Odd, from.Odd, denier.Odd = odd, odd, odd, odd
		w.learn(question(t, "www.example.com.", wire.TypeA), positive(a))
		w.learn(question(t, "alias.example.com.", wire.TypeA), resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{alias}, Target: a.Owner})
		w.learn(question(t, "old.example.com.", wire.TypeDNAME), positive(from))
		w.learn(question(t, "www.example.com.", wire.TypeTXT), resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{denier}})
		w.learn(question(t, "none.example.com.", wire.TypeA), resolve.Outcome{Kind: resolve.NXDomain, Rcode: wire.RcodeNXDomain, Authority: []resolve.Set{denier}})
		w.pass(59)
		for _, q := range []resolve.Question{
			question(t, "www.example.com.", wire.TypeA), question(t, "alias.example.com.", wire.TypeA), question(t, "x.old.example.com.", wire.TypeA),
			question(t, "www.example.com.", wire.TypeTXT), question(t, "none.example.com.", wire.TypeA),
		} {
			o := w.peek(q)
			if sets := append(o.Answer, o.Authority...); len(sets) == 0 || sets[0].Odd != odd {
				t.Errorf("%s: %+v, want %+v", q, sets, odd)
			}
		}
	}
}
