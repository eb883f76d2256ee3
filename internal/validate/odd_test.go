package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// fast is the extended error that the cached answer's way tells, "" for none; ok is false
// where that way has no answer.
func (w *world) fast(name string, qtype uint16, do bool) (told string, ok bool) {
	w.t.Helper()
	if err := w.store.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	const size = 4096
	var q wire.Question
	if p := q.Parse(wire.AppendQuery(nil, 1, wire.FlagRD, []byte(mustName(name)), qtype, wire.ClassIN, size, do, nil)); p != wire.Fine {
		w.t.Fatalf("%s: problem %d", name, p)
	}
	f := w.cache.NewFast()
	defer f.Close()
	f.Begin(w.now)
	defer f.End()
	in := resolve.Partition(0).With(w.anchors.Snapshot().Fingerprint())
	msg, ok := f.Answer(in, &q, make([]byte, size), reply.Shape{Kind: transport.UDP, Bufsize: size})
	if !ok {
		return "", false
	}
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		w.t.Fatal(err)
	}
	for _, option := range m.IsEdns0().Option {
		if e, is := option.(*dns.EDNS0_EDE); is {
			told = fmt.Sprintf("%d %s", e.InfoCode, e.ExtraText)
		}
	}
	return told, true
}

// Why a zone is insecure was told with its first answer alone: what the cache had of it
// later, for other clients too, said nothing (RFC 8914, sections 4.2 and 4.3; RFC 9276,
// section 3.2).
func TestWhatTheCacheHoldsTellsWhyItIsNotProven(t *testing.T) {
	odd := zone{"example.com.", "unknown", exampleText}
	digest := basic(zone{"example.com.", "one", "nods\n" + exampleText}, plain)
	ds := key("example.com.", "one").DS(dns.SHA256)
	ds.DigestType = 200
	digest[1].text += ds.String() + "\n"
	const algorithm, iterations = "1 example.com. has keys, and none of an algorithm that is known here", "27 com. has NSEC3 records with more than 50 iterations"
	for _, c := range []struct {
		what  string
		zones []zone
		name  string
		qtype uint16
		want  string
	}{
		{"a set", basic(odd, plain), "www.example.com.", dns.TypeA, algorithm},
		{"its keys", basic(odd, plain), "example.com.", dns.TypeDNSKEY, algorithm},
		{"an alias", basic(odd, plain), "alias.example.com.", dns.TypeA, algorithm},
		{"below a DNAME", basic(odd, plain), "x.old.example.com.", dns.TypeA, algorithm},
		{"a wildcard", basic(odd, plain), "x.wild.example.com.", dns.TypeA, algorithm},
		{"no name", basic(odd, plain), "none.example.com.", dns.TypeA, algorithm},
		{"no type", basic(odd, plain), "www.example.com.", dns.TypeTXT, algorithm},
		{"an unknown digest", digest, "www.example.com.", dns.TypeA, "2 the DS set of example.com. has no digest that is known here"},
		{"no name, too many iterations", below("costly", example, plain), "none.com.", dns.TypeA, iterations},
		{"no type, too many iterations", below("costly", example, plain), "com.", dns.TypeTXT, iterations},
		{"a wildcard, too many iterations", basic(zone{"example.com.", "costly", exampleText}, plain), "x.wild.example.com.", dns.TypeA, strings.Replace(iterations, "com.", "example.com.", 1)},
		{"the target of a proven alias", basic(example, zone{"plain.com.", "unknown", plain.text}), "out.example.com.", dns.TypeA, strings.Replace(algorithm, "example", "plain", 1)},
		{"an unsigned zone", basic(odd, plain), "www.plain.com.", dns.TypeA, ""},
		{"a proven set beside it", basic(odd, plain), "com.", dns.TypeSOA, ""},
	} {
		w := newWorld(t, c.zones...)
		first := w.ask(c.name, c.qtype)
		if _, told, _ := strings.Cut(first, "secure "); told != c.want {
			t.Errorf("%s: at first %s, want %q", c.what, first, c.want)
		}
		w.asked()
		w.now++
		for _, do := range []bool{true, false} { // of the former no whole answer is kept yet
			r := w.resolve(c.name, c.qtype, func(r *resolve.Request) { r.DO = do })
			if got := outcome(&r.Result); got != first || !r.Result.Cached {
				t.Errorf("%s, DO %t: the driver says %s, from the cache %t; want %s", c.what, do, got, r.Result.Cached, first)
			}
			if told, ok := w.fast(c.name, c.qtype, do); told != c.want || !ok {
				t.Errorf("%s, DO %t: the cached answer's way says %q (%t), want %q", c.what, do, told, ok, c.want)
			}
		}
		if asked := w.asked(); len(asked) > 0 {
			t.Errorf("%s: not from the cache: %v", c.what, asked)
		}
	}
}

// A zone that is delegated below one that nobody can validate said nothing of why it is
// insecure, with DS or without; nor did the denial of a DS set by too many iterations.
func TestZonesBelowAnOddOneTellWhy(t *testing.T) {
	const algorithm, iterations = " 1 example.com. has keys, and none of an algorithm that is known here", " 27 example.com. has NSEC3 records with more than 50 iterations"
	leaf := func(origin, addr, seed string) site {
		return site{origin: origin, addr: addr, seed: seed, text: "www." + origin + " A 192.0.2.40\n"}
	}
	sites := func(seed string) []site {
		return above("com", of(seed, ""), leaf("sub.example.com.", "192.0.2.5", "kid"), leaf("un.example.com.", "192.0.2.6", ""), leaf("here.example.com.", "", "kid"), leaf("deep.un.example.com.", "192.0.2.7", ""),
			leaf("uh.example.com.", "", ""), island(leaf("ui.example.com.", "192.0.2.8", "kid")))
	}
	for _, c := range []struct {
		seed string
		asks []expected
	}{
		{"unknown", []expected{
			a("www.sub.example.com.", no+algorithm), a("none.sub.example.com.", goneU+algorithm), a("www.un.example.com.", no+algorithm), {"un.example.com.", dns.TypeTXT, no + algorithm}, a("www.here.example.com.", no+algorithm),
			a("www.deep.un.example.com.", no+algorithm), {"sub.example.com.", dns.TypeDNSKEY, no + algorithm}, {"un.example.com.", dns.TypeDS, no + algorithm}, {"sub.example.com.", dns.TypeDS, no + algorithm},
		}},
		{"costly", []expected{
			{"un.example.com.", dns.TypeDS, no + iterations}, {"none.example.com.", dns.TypeDS, goneU + iterations}, {"sub.example.com.", dns.TypeDS, yes}, a("www.un.example.com.", no+iterations), a("none.un.example.com.", goneU+iterations),
			{"un.example.com.", dns.TypeTXT, no + iterations}, a("www.deep.un.example.com.", no+iterations), a("www.ui.example.com.", no+iterations), a("none.uh.example.com.", goneU+iterations), a("www.sub.example.com.", yes),
		}},
	} {
		for _, e := range c.asks {
			w := newWorldOf(t, sites(c.seed)...)
			for range 2 {
				w.expect(e.name, e.qtype, e.want)
				w.now++
			}
		}
		warm(t, sites(c.seed), c.asks, 1)
	}
}

// island is a site without DS.
func island(s site) site {
	s.island = true
	return s
}

// Who checks signatures by itself is told of none that were not checked.
func TestWithCDNothingIsSaidOfWhatIsNotProven(t *testing.T) {
	w := newWorld(t, basic(zone{"example.com.", "unknown", exampleText}, plain)...)
	w.expect("www.example.com.", dns.TypeA, "NOERROR insecure 1 example.com…")
	if got := outcome(&w.resolve("www.example.com.", dns.TypeA, func(r *resolve.Request) { r.CD = true }).Result); got != "NOERROR insecure" {
		t.Error(got)
	}
}

// What failed behind an alias of a zone that nobody can validate was not told: that the zone
// cannot be validated was in its place.
func TestAFailureBehindAnUnprovenAliasSaysWhatFailed(t *testing.T) {
	for _, cached := range []bool{false, true} {
		w := newWorld(t, basic(zone{"example.com.", "unknown", exampleText}, zone{"plain.com.", "three", plain.text})...)
		w.host("192.0.2.3").Play(spoilt(dns.TypeA))
		if cached {
			w.expect("out.example.com.", dns.TypeCNAME, "NOERROR insecure 1 example.com…")
		}
		w.expect("out.example.com.", dns.TypeA, "SERVFAIL 6 …")
	}
}
