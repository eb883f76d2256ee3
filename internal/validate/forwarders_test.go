package validate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// spoiling is a forwarder that changes what a resolver behind it says.
func spoiling(behind *world, change func(q resolve.Question, res *resolve.Result)) func(context.Context, resolve.Exchange) (resolve.Reply, error) {
	return altered(behind, false, func(r *resolve.Request) { change(r.Question, &r.Result) })
}

// secured is the rank of an answer for which AD is set.
const secured = rank.Secure | rank.Auth

// unsealed leaves out all signatures and proofs.
func unsealed(res *resolve.Result) {
	for _, sets := range []*[]resolve.Set{&res.Answer, &res.Authority} {
		var kept []resolve.Set
		for _, s := range *sets {
			if s.Sigs = nil; !wire.IsDenial(s.Type) {
				kept = append(kept, s)
			}
		}
		*sets = kept
	}
}

// Forwarders that do not know DNSSEC, or a part of it, are not believed about what is
// signed, nor about what they cannot show not to be; where the operator wants no proofs
// they serve.
func TestForwardersThatLackSignatures(t *testing.T) {
	without := func(_ resolve.Question, res *resolve.Result) { unsealed(res) }
	noDS := func(q resolve.Question, res *resolve.Result) {
		if q.Type == wire.TypeDS {
			unsealed(res)
			res.Answer = nil
		}
	}
	failsDS := func(q resolve.Question, res *resolve.Result) {
		if q.Type == wire.TypeDS {
			*res = resolve.Result{Rcode: wire.RcodeServFail}
		}
	}
	vouching := func(_ resolve.Question, res *resolve.Result) { unsealed(res); res.Rank = secured }
	cases := map[string]func(resolve.Question, *resolve.Result){"no signatures": without, "DS denied without proof": noDS, "no answer for DS": failsDS, "no signatures, and says that it validated": vouching}
	for what, change := range cases {
		for name, qtype := range map[string]uint16{"www.example.com.": dns.TypeA, "none.example.com.": dns.TypeA, "www.plain.com.": dns.TypeA, "none.plain.com.": dns.TypeA, "x.wild.example.com.": dns.TypeA} {
			w := newWorld(t)
			w.forwarder = spoiling(newWorld(t), change)
			if got := outcome(&w.resolve(name, qtype, forwards(".")).Result); len(got) < 8 || got[:8] != "SERVFAIL" {
				t.Errorf("%s: %s: %s", what, name, got)
			}
			w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName(".")}})
			if got := outcome(&w.resolve(name, qtype, forwards(".")).Result); len(got) < 8 || got[:8] == "SERVFAIL" {
				t.Errorf("%s, with a negative anchor: %s: %s", what, name, got)
			}
			stub := func(r *resolve.Request) { forwards(".")(r); r.Options.Stub = true }
			w = newWorld(t)
			w.forwarder = spoiling(newWorld(t), change)
			if got := outcome(&w.resolve(name, qtype, stub).Result); len(got) < 8 || got[:8] == "SERVFAIL" {
				t.Errorf("%s, as a stub: %s: %s", what, name, got)
			}
		}
	}
}

// A zone that exists inside a house alone, and that the signed zone above it denies, is
// bogus as a forwarder's, until the operator says that it is not proven.
func TestAZoneThatItsParentDenies(t *testing.T) {
	for _, zone := range []string{"corp.example.com.", "internal."} {
		behind := newWorldOf(t, site{origin: ".", addr: rootAddr}, site{origin: zone, addr: plainAddr, text: "www." + zone + " A 192.0.2.20\n"})
		behind.anchors.Remove(mustName("."))
		w := newWorldOf(t, above("com", of("one", ""))...)
		w.forwarder = resolver(behind, true)
		w.route = routes(zone)
		ask := func() string {
			r := w.resolve("www."+zone, dns.TypeA, forwards(zone))
			return outcome(&r.Result)
		}
		if got := ask(); len(got) < 8 || got[:8] != "SERVFAIL" {
			t.Errorf("%s: %s", zone, got)
		}
		w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName(zone)}})
		w.now++
		if got, want := ask(), "NOERROR insecure 33 nothing at and below "+zone+" is validated"; got != want {
			t.Errorf("%s, with a negative anchor: %s, want %s", zone, got, want)
		}
	}
}

// Behind a forwarder, who tells of no zone cuts, a wildcard of one zone and a hash range of
// the zone above, which covers a name below it by chance, were put together: names that
// another wildcard or none stands for were answered as secure.
func TestAWildcardAndTheHashesOfTheZoneAbove(t *testing.T) {
	sites := above("com", of("hashed", ""), site{origin: "z.example.com.", addr: "192.0.2.5", seed: "kid", text: "*.z.example.com. A 192.0.2.11\na.deep.z.example.com. A 192.0.2.12\n",
		sign: func(g *authority.Signing) { g.Denial = authority.Denial{Kind: authority.MinimalNSEC} }})
	w := newWorldOf(t, sites...)
	w.forwarder = resolver(newWorldOf(t, sites...), true)
	ask := func(name, want string) {
		t.Helper()
		if got := outcome(&w.resolve(name, dns.TypeA, forwards(".")).Result); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for i := range 12 {
		ask(fmt.Sprintf("q%d.example.com.", i), gone)
	}
	ask("x.z.example.com.", yes)
	for i := range 12 {
		ask(fmt.Sprintf("none%d.deep.z.example.com.", i), gone)
	}
}
