package validate_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// forwarder is the address of a resolver that others send their questions to.
var forwarder = netip.MustParseAddr("203.0.113.53")

// forwards is a rule that sends what lies at and below a name to the forwarder.
func forwards(scope string) func(*resolve.Request) {
	return func(r *resolve.Request) {
		if r.Name.IsSubdomainOf(mustName(scope)) {
			r.Options.Forward, r.Scope = true, mustName(scope)
			r.Cut = &zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{{Name: mustName("forwarder."), Addrs: []netip.Addr{forwarder}}}}
		}
	}
}

// resolver plays a forwarder. cd tells that it is one that does not validate.
func resolver(behind *world, cd bool) func(context.Context, resolve.Exchange) (resolve.Reply, error) {
	return altered(behind, cd, nil)
}

// altered is resolver, of which change alters what it found.
func altered(behind *world, cd bool, change func(*resolve.Request)) func(context.Context, resolve.Exchange) (resolve.Reply, error) {
	return func(_ context.Context, x resolve.Exchange) (resolve.Reply, error) {
		if err := x.Budget.Send(); err != nil {
			return resolve.Reply{}, err
		}
		r := behind.resolve(x.Name.String(), x.Type, func(r *resolve.Request) { r.CD, r.DO = cd, true })
		if change != nil {
			change(r)
		}
		q := &wire.Question{Name: []byte(x.Name), Type: x.Type, Class: x.Class, Flags: wire.FlagRD, HasEDNS: true, DO: true, UDPSize: 4096}
		pkt := reply.Build(nil, q, &r.Result, reply.Shape{Kind: transport.TCP, Bufsize: 4096})
		m, err := wire.Parse(pkt)
		if err != nil {
			return resolve.Reply{}, resolve.ErrTimeout
		}
		return resolve.Reply{Msg: m, Size: len(pkt), TCP: true}, nil
	}
}

// What a forwarder says is proven like what servers of zones say, be it about everything
// or about one zone, and chains with the proofs of their wildcards too.
func TestWhatForwardersSayIsProven(t *testing.T) {
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.example.com.", dns.TypeA, "NOERROR secure"},
		{"example.com.", dns.TypeDNSKEY, "NOERROR secure"},
		{"example.com.", dns.TypeDS, "NOERROR secure"},
		{"alias.example.com.", dns.TypeA, "NOERROR secure"},
		{"out.example.com.", dns.TypeA, "NOERROR insecure"},
		{"x.wild.example.com.", dns.TypeA, "NOERROR secure"},
		{"x.wild.example.com.", dns.TypeAAAA, "NOERROR secure"},
		{"x.wildalias.example.com.", dns.TypeA, "NOERROR secure"},
		{"x.wildalias.example.com.", dns.TypeMX, "NOERROR secure"},
		{"x.old.example.com.", dns.TypeA, "NOERROR secure"},
		{"y.old.example.com.", dns.TypeA, "NXDOMAIN secure"},
		{"b.example.com.", dns.TypeA, "NOERROR secure"},
		{"none.example.com.", dns.TypeA, "NXDOMAIN secure"},
		{"www.plain.com.", dns.TypeA, "NOERROR insecure"},
		{"none.plain.com.", dns.TypeA, "NXDOMAIN insecure"},
	} {
		for _, scope := range []string{".", "example.com."} {
			for _, cd := range []bool{true, false} {
				w := newWorld(t)
				w.forwarder = resolver(newWorld(t), cd)
				if got := outcome(&w.resolve(c.name, c.qtype, forwards(scope)).Result); got != c.want {
					t.Errorf("%s %s, forwarded below %s: %s, want %s", c.name, dns.TypeToString[c.qtype], scope, got, c.want)
				}
			}
		}
	}
}

// A forwarder that lies is not believed.
func TestAForwarderThatLiesIsNotBelieved(t *testing.T) {
	behind := newWorld(t)
	behind.host("192.0.2.1").Play(spoilt(dns.TypeA))
	behind.host("192.0.2.2").Play(spoilt(dns.TypeA))
	w := newWorld(t)
	w.forwarder = resolver(behind, true)
	if res := &w.resolve("www.example.com.", dns.TypeA, forwards(".")).Result; res.Rcode != dns.RcodeServerFailure {
		t.Error(outcome(res))
	}
}

// Who is asked by a rule for some names is heard about no others: an alias is followed out
// of the rule, and of a zone above its name only what is proven is told.
func TestWhatForwardersSayOfOtherNamesMustBeProven(t *testing.T) {
	for _, c := range []struct {
		scope, name string
		qtype       uint16
		cd          bool   // the client proves it itself
		want        string // outcome, owners of the answer, and of the authority section
	}{
		{"example.com.", "out.example.com.", dns.TypeA, false, "NOERROR insecure; out.example.com. www.plain.com.; "},
		{"b.example.com.", "none.b.example.com.", dns.TypeA, false, "NXDOMAIN secure; ; example.com. a.b.example.com. alias.example.com."},
		{"b.example.com.", "none.b.example.com.", dns.TypeA, true, "NXDOMAIN insecure; ; example.com. a.b.example.com. alias.example.com."},
		{"x.old.example.com.", "x.old.example.com.", dns.TypeA, false, "NOERROR secure; old.example.com. x.old.example.com. x.new.example.com.; "},
		{"none.plain.com.", "none.plain.com.", dns.TypeA, false, "NXDOMAIN insecure; ; "},
		{"none.plain.com.", "none.plain.com.", dns.TypeA, true, "NXDOMAIN insecure; ; "},
		{"plain.com.", "none.plain.com.", dns.TypeA, false, "NXDOMAIN insecure; ; plain.com."},
	} {
		w := newWorld(t)
		w.forwarder = resolver(newWorld(t), true)
		w.route = routes(c.scope)
		for range 2 {
			r := w.resolve(c.name, c.qtype, func(r *resolve.Request) {
				r.CD, r.DO, r.ByName = c.cd, true, true
				route := w.route(r, r.Question)
				r.Options.Forward, r.Scope, r.Cut = true, route.Scope, route.Cut
			})
			got := outcome(&r.Result) + "; " + owners(r.Result.Answer) + "; " + owners(r.Result.Authority)
			if got != c.want {
				t.Errorf("%s, forwarded below %s: %s, want %s", c.name, c.scope, got, c.want)
			}
		}
	}
}

// routes is a rule for the names at and below one.
func routes(scope string) func(*resolve.Request, resolve.Question) *resolve.Route {
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{{Name: mustName("forwarder."), Addrs: []netip.Addr{forwarder}}}}
	return func(_ *resolve.Request, q resolve.Question) *resolve.Route {
		if !q.Name.IsSubdomainOf(mustName(scope)) {
			return nil
		}
		return &resolve.Route{Cut: cut, Scope: mustName(scope)}
	}
}

// owners are those of some sets.
func owners(sets []resolve.Set) string {
	var names []string
	for i := range sets {
		names = append(names, sets[i].Owner.String())
	}
	return strings.Join(names, " ")
}

// Behind a forwarder, which tells of no zone cuts, an NS set that the zone above had signed
// was secure, and an SOA made an answer bogus though the zone is delegated without DS.
func TestWhatTheZoneAboveSignedBehindAForwarder(t *testing.T) {
	kid := func(origin string, island bool) site {
		s := signedBy(site{origin: origin, addr: "192.0.2.5", seed: "kid", text: "www." + origin + " A 192.0.2.40\n"}, "example.com.", "one")
		s.island = island
		return s
	}
	for _, e := range []expected{
		{"un.example.com.", dns.TypeNS, no}, {"un.example.com.", dns.TypeSOA, no}, {"example.com.", dns.TypeNS, yes}, {"example.com.", dns.TypeSOA, yes},
		{"un.example.com.", dns.TypeDNSKEY, no}, {"kid.example.com.", dns.TypeNS, bogus}, {"kid.example.com.", dns.TypeSOA, bogus},
	} {
		w := newWorld(t)
		w.forwarder = resolver(newWorldOf(t, above("com", of("one", ""), kid("un.example.com.", true), kid("kid.example.com.", false))...), true)
		if got := outcome(&w.resolve(e.name, e.qtype, forwards(".")).Result); got != e.want && !(e.want == bogus && strings.HasPrefix(got, "SERVFAIL")) {
			t.Errorf("%s %s: %s, want %s", e.name, dns.TypeToString[e.qtype], got, e.want)
		}
	}
}

// What the servers of a stub zone say is the operator's word: nothing of it is proven, and it
// is kept below what is.
func TestWhatAStubSaysIsNotProven(t *testing.T) {
	w := newWorld(t)
	w.forwarder = altered(newWorld(t), true, nil)
	r := w.resolve("www.example.com.", dns.TypeA, func(r *resolve.Request) {
		forwards("example.com.")(r)
		r.Options.Forward, r.Options.Stub = false, true
	})
	if got := outcome(&r.Result); got != "NOERROR insecure" || len(r.Result.Answer) == 0 || r.Result.Answer[0].Rank != rank.Try|rank.Auth {
		t.Errorf("%s, %+v", got, r.Result.Answer)
	}
	if w.counts.Bogus()+w.counts.Secure() != 0 {
		t.Error("something was judged")
	}
}
