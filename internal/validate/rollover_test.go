package validate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// rolled is example.com. in one phase of its life.
type rolled struct {
	ksk, zsk, published []string // seeds of keys; published beside those that sign
	ds                  []string // seeds of the keys that the parent names
	denial              authority.Denial
	unsigned            bool
}

// rollingKeys are the keys of example.com., whose seeds say their algorithms.
var rollingKeys = map[string]*authority.Key{
	"13 one": authority.NewKey("example.com.", authority.KSK, dns.ECDSAP256SHA256, "one"),
	"13 two": authority.NewKey("example.com.", authority.KSK, dns.ECDSAP256SHA256, "two"),
	"8 new":  authority.NewKey("example.com.", authority.KSK, dns.RSASHA256, "new"),
}

func keysOf(seeds ...[]string) (out []*authority.Key) {
	for _, seed := range slices.Concat(seeds...) {
		out = append(out, rollingKeys[seed])
	}
	return out
}

func (r rolled) sites() []site {
	s := of("one", "*.wild.example.com. A 192.0.2.11\na.b.example.com. A 192.0.2.12\n")
	for i := range 8 {
		s.text += fmt.Sprintf("n%d.example.com. A 192.0.2.13\n", i)
	}
	if r.unsigned {
		s.seed = ""
	}
	s.ds = func(*dns.DS) (out []dns.RR) {
		for _, k := range keysOf(r.ds) {
			out = append(out, k.DS(dns.SHA256))
		}
		return out
	}
	s.sign = func(g *authority.Signing) {
		g.KSK, g.ZSK, g.Denial = keysOf(r.ksk), keysOf(r.zsk), r.denial
		g.Published = keysOf(r.ksk, r.zsk, r.published)
	}
	return above("com", s, unsigned(""))
}

// A zone goes through each kind of rollover in the middle of a cache's life (RFC 6781,
// section 4.1; RFC 7583), also faster than the TTLs of what the cache has: nobody hears
// bogus, whatever was asked before, and what is proven stays proven.
func TestRolloversInTheMiddleOfACachesLife(t *testing.T) {
	type list = []string
	one, two := list{"13 one"}, list{"13 two"}
	both := list{"13 one", "13 two"}
	nsec3 := func(salt string, iterations uint16) authority.Denial {
		return authority.Denial{Kind: authority.NSEC3, Salt: salt, Iterations: iterations}
	}
	whole := func(d authority.Denial) rolled { return rolled{ksk: one, zsk: one, ds: one, denial: d} }
	optOut := authority.Denial{Kind: authority.NSEC3, OptOut: true}
	for what, phases := range map[string][]rolled{
		"zone signing key, published before": {{ksk: one, zsk: one, ds: one}, {ksk: one, zsk: one, ds: one, published: two}, {ksk: one, zsk: two, ds: one, published: one}, {ksk: one, zsk: two, ds: one}},
		"zone signing key, two signatures":   {{ksk: one, zsk: one, ds: one}, {ksk: one, zsk: both, ds: one}, {ksk: one, zsk: two, ds: one}},
		"key signing key, two signatures":    {{ksk: one, zsk: one, ds: one}, {ksk: both, zsk: one, ds: one}, {ksk: both, zsk: one, ds: two}, {ksk: two, zsk: one, ds: two}, {ksk: two, zsk: two, ds: two}},
		"key signing key, two DS":            {{ksk: one, zsk: one, ds: one}, {ksk: one, zsk: one, ds: both}, {ksk: two, zsk: one, ds: both}, {ksk: two, zsk: one, ds: two}},
		"algorithm": {{ksk: one, zsk: one, ds: one}, {ksk: one, zsk: list{"13 one", "8 new"}, ds: one}, {ksk: list{"13 one", "8 new"}, zsk: list{"13 one", "8 new"}, ds: one},
			{ksk: list{"13 one", "8 new"}, zsk: list{"13 one", "8 new"}, ds: list{"8 new"}}, {ksk: list{"8 new"}, zsk: list{"13 one", "8 new"}, ds: list{"8 new"}}, {ksk: list{"8 new"}, zsk: list{"8 new"}, ds: list{"8 new"}}},
		"algorithm, DS of both":       {{ksk: one, zsk: one, ds: one}, {ksk: list{"13 one", "8 new"}, zsk: list{"13 one", "8 new"}, ds: list{"13 one", "8 new"}}, {ksk: list{"8 new"}, zsk: list{"8 new"}, ds: list{"8 new"}}},
		"all keys at once":            {{ksk: one, zsk: one, ds: one}, {ksk: two, zsk: two, ds: two}},
		"the algorithm at once":       {{ksk: one, zsk: one, ds: one}, {ksk: list{"8 new"}, zsk: list{"8 new"}, ds: list{"8 new"}}},
		"another salt":                {whole(nsec3("aa", 1)), whole(nsec3("bb", 1)), whole(nsec3("", 0))},
		"other iterations":            {whole(nsec3("aa", 0)), whole(nsec3("aa", 10)), whole(nsec3("aa", 50)), whole(nsec3("aa", 1))},
		"NSEC to NSEC3 and back":      {whole(authority.Denial{}), whole(nsec3("aa", 1)), whole(authority.Denial{})},
		"NSEC to compact and back":    {whole(authority.Denial{}), whole(authority.Denial{Kind: authority.Compact}), whole(authority.Denial{})},
		"minimal ranges and back":     {whole(nsec3("aa", 1)), whole(authority.Denial{Kind: authority.MinimalNSEC3, Salt: "aa", Iterations: 1}), whole(authority.Denial{Kind: authority.MinimalNSEC}), whole(authority.Denial{})},
		"opt-out and back":            {whole(nsec3("", 0)), whole(optOut), whole(nsec3("", 0)), whole(authority.Denial{})},
		"signed, then DS":             {{unsigned: true}, {ksk: one, zsk: one}, {ksk: one, zsk: one, ds: one}},
		"DS goes, then signatures":    {{ksk: one, zsk: one, ds: one}, {ksk: one, zsk: one}, {unsigned: true}},
		"unsigned and another signer": {{ksk: one, zsk: one, ds: one}, {unsigned: true}, {ksk: two, zsk: two, ds: two}},
	} {
		for _, step := range []int64{10, 400, 4000} { // within all TTLs, past those of denials, past all
			t.Run(fmt.Sprintf("%s, every %d s", what, step), func(t *testing.T) {
				w := newWorldOf(t, phases[0].sites()...)
				for i, phase := range phases {
					w.turn(phase.sites()...)
					fresh := newWorldOf(t, phase.sites()...)
					fresh.now = w.now
					for _, q := range []expected{
						a(fmt.Sprintf("n%d.example.com.", i), ""), a("n0.example.com.", ""), a(fmt.Sprintf("none%d.example.com.", i), ""), a(fmt.Sprintf("x%d.wild.example.com.", i), ""),
						{fmt.Sprintf("n%d.example.com.", i), dns.TypeTXT, ""}, a(fmt.Sprintf("x%d.none.example.com.", i), ""), a("b.example.com.", ""), {"example.com.", dns.TypeDNSKEY, ""}, {"example.com.", dns.TypeSOA, ""},
					} {
						got, want := w.ask(q.name, q.qtype), fresh.ask(q.name, q.qtype)
						if !matches(got, want, i > 0 && step < 4000) {
							t.Errorf("phase %d: %s %s: %s, without a cache %s", i, q.name, dns.TypeToString[q.qtype], got, want)
						}
					}
					w.now += step
				}
			})
		}
	}
}

// matches tells whether a cache may say what it does where servers would say want. One that
// remembers another phase may still have its verdict and the RCODE of its kind of denial.
func matches(got, want string, remembers bool) bool {
	if got == want {
		return true
	}
	told := []string{yes, no, gone, goneU}
	return remembers && slices.Contains(told, got) && slices.Contains(told, want)
}

// The times of signatures are serial numbers (RFC 4034, section 3.1.5): they go on past 2038
// and 2106.
func TestSignaturesPast2038And2106(t *testing.T) {
	for _, now := range []int64{1<<31 - 100, 1<<31 + 100, 1<<32 - 100, 1 << 32, 1<<32 + 100, 1<<32 + 1<<31} {
		sites := above("com", of("hashed", "www.example.com. A 192.0.2.10\n"))
		for i := range sites {
			seal := sites[i].sign
			sites[i].sign = func(g *authority.Signing) {
				if seal != nil {
					seal(g)
				}
				g.From, g.Until = uint32(now-3600), uint32(now+3600)
			}
		}
		w := newWorldOf(t, sites...)
		w.now = now
		w.expect("www.example.com.", dns.TypeA, yes)
		w.expect("none.example.com.", dns.TypeA, gone)
		w.now += 2 * 3600
		w.expect("www.example.com.", dns.TypeA, "SERVFAIL 7…")
		w.now -= 4 * 3600
		w.expect("www.example.com.", dns.TypeAAAA, "SERVFAIL 8…")
		if t.Failed() {
			t.Fatalf("at %d", now)
		}
	}
}

// A signature is valid in its first second and in its last one, and in no other before or
// behind (RFC 4035, section 5.3.1).
func TestTheFirstAndTheLastSecond(t *testing.T) {
	for off, want := range map[int64]string{-86400: yes, -86401: "SERVFAIL 8…", 30 * 86400: yes, 30*86400 + 1: "SERVFAIL 7…"} {
		w := newWorldOf(t, above("com", of("one", "www.example.com. A 192.0.2.10\n"))...)
		w.now = begin + off
		w.expect("www.example.com.", dns.TypeA, want)
	}
}
