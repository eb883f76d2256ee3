package cache

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func cut(t testing.TB, zone string, expires int64) *zonecut.Cut {
	apex := zone
	if zone == "." {
		zone = ""
	}
	return &zonecut.Cut{
		Name: name(t, apex), Expires: expires,
		NS: []zonecut.NameServer{
			{Name: name(t, "ns1."+zone), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
			{Name: name(t, "ns2.other.")},
		},
	}
}

func TestDelegationRoundTrip(t *testing.T) {
	w := newWorld(t)
	want := cut(t, "example.", w.now()+100)
	ds := sign(rrset(t, secure, "example.", wire.TypeDS, 100, "\x00\x01\x0d\x02digest"), 1)
	want.DS, want.DSRank = &ds.RRset, secure
	w.Keep(want, w.now())
	got := w.Closest(name(t, "a.b.example."), w.now())
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.pass(40)
	if got = w.Closest(name(t, "example."), w.now()); got.Expires != want.Expires || got.DS.TTL != 60 {
		t.Errorf("later: %+v", got)
	}
}

// A zone whose denials cost too much lies above what it delegates.
func TestDelegationOfACostlyZone(t *testing.T) {
	w := newWorld(t)
	for costly, kept := range map[string]bool{".": true, "b.": true, "a.b.": false} {
		want := cut(t, "a.b.", w.now()+100)
		want.Costly = name(t, costly)
		w.Keep(want, w.now())
		got := w.Closest(name(t, "a.b."), w.now())
		if kept != (got != nil) || kept && got.Costly != want.Costly {
			t.Errorf("below %s: got %+v", costly, got)
		}
	}
}

func TestClosest(t *testing.T) {
	w := newWorld(t)
	hints := cut(t, ".", 0)
	hints.Hints = true
	if w.Closest(name(t, "a.example."), w.now()) != nil {
		t.Error("a delegation from nowhere")
	}
	w.SetHints(hints)
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	w.Keep(cut(t, "b.a.example.", w.now()+50), w.now())
	for _, c := range []struct {
		after int
		name  string
		want  string
	}{
		{0, "b.a.example.", "b.a.example."}, {0, "x.b.a.example.", "b.a.example."}, {0, "a.example.", "example."},
		{0, "xexample.", "."}, {0, ".", "."}, {50, "b.a.example.", "example."}, {50, "b.a.example.", "."},
	} {
		w.pass(c.after)
		if got := w.Closest(name(t, c.name), w.now()); got.Name != name(t, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got.Name, c.want)
		}
	}
	w.Keep(hints, w.now())
	if w.mem.writes != 2 {
		t.Error("hints were stored")
	}
}

// A name that was withdrawn by its parent ends when the parent's word ends,
// whatever hangs below it is renewed (CVE-2012-1033, CVE-2022-30698).
func TestGhostDomain(t *testing.T) {
	w := newWorld(t)
	w.SetHints(cut(t, ".", 0))
	start := w.now()
	w.Keep(cut(t, "com.", start+10_000), start)
	w.Keep(cut(t, "ghost.com.", start+100), start)
	apex := name(t, "ghost.com.")
	sub := func(n int) dnsname.Name {
		p, err := apex.Prepend(string(rune('a' + n)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var last int64
	// Up to 8 s after the end: as long as a request that began before may take.
	for n := range 13 {
		now := w.now()
		below := cut(t, sub(n).String(), now+86400)
		w.Keep(below, now) // the ghost's server delegates to itself, again and again
		w.learn(resolve.Question{Name: apex, Type: wire.TypeNS, Class: wire.ClassIN},
			positive(rrset(t, insecure, "ghost.com.", wire.TypeNS, 86400, "\x03ns1\x05ghost\x03com\x00")))
		w.learn(resolve.Question{Name: name(t, "ns1.ghost.com."), Type: wire.TypeA, Class: wire.ClassIN},
			positive(rrset(t, insecure, "ns1.ghost.com.", wire.TypeA, 86400, "\x01\x02\x03\x04")))
		for i := range n + 1 {
			if c := w.Closest(sub(i), w.now()); c.Name != name(t, "com.") {
				last = max(last, c.Expires)
			}
		}
		w.pass(9)
	}
	if last > start+100 {
		t.Errorf("lives %d s past the parent's TTL", last-start-100)
	}
	// Long after, an old entry is no obstacle for what the parent of the parent says.
	w.pass(1000)
	w.Keep(cut(t, "x.ghost.com.", w.now()+50), w.now())
	if c := w.Closest(name(t, "x.ghost.com."), w.now()); c.Name != name(t, "x.ghost.com.") {
		t.Errorf("delegation below a forgotten one: %s", c.Name)
	}
}

func TestDelegationsLiveNoLongerThanMaxTTL(t *testing.T) {
	w := newWorld(t)
	if err := w.SetMaxTTL(60); err != nil {
		t.Fatal(err)
	}
	w.Keep(cut(t, "example.", w.now()+3600), w.now())
	if c := w.Closest(name(t, "example."), w.now()); c.Expires != w.now()+60 {
		t.Errorf("%d s", c.Expires-w.now())
	}
}

func TestAddrs(t *testing.T) {
	w := newWorld(t)
	ns := name(t, "ns.example.")
	check := func(what string, addrs int, k4, k6 bool) {
		t.Helper()
		a, g4, g6 := w.Addrs(ns, w.now())
		if len(a) != addrs || g4 != k4 || g6 != k6 {
			t.Errorf("%s: %v, known %v %v", what, a, g4, g6)
		}
	}
	qa, qaaaa := question(t, "ns.example.", wire.TypeA), question(t, "ns.example.", wire.TypeAAAA)
	check("empty", 0, false, false)
	w.learn(qa, positive(rrset(t, bogus, "ns.example.", wire.TypeA, 50, "\x01\x02\x03\x04")), withCD)
	check("bogus", 0, false, false)
	w.pass(60)
	w.learn(qa, positive(rrset(t, rank.Insecure, "ns.example.", wire.TypeA, 50, "\x01\x02\x03\x04")))
	check("glue", 1, true, false)
	w.learn(qaaaa, resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{soa(t, insecure, "example.", 60, 60)}})
	check("no AAAA", 1, true, true)
	w.pass(60)
	check("expired", 0, false, false)
	w.learn(qa, resolve.Outcome{Kind: resolve.NXDomain, Authority: []resolve.Set{soa(t, insecure, "example.", 60, 60)}})
	check("no such name", 0, true, true)
}

// A child's own name servers, asked for, serve beside those that the parent named,
// for as long as the parent's delegation lives.
func TestTheChildsServersServeToo(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	q := question(t, "example.", wire.TypeNS)
	w.learn(q, resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{
		rrset(t, insecure, "example.", wire.TypeNS, 1000, "\x03ns1\x07example\x00", "\x03ns3\x05third\x00", "\x00"),
	}})
	var got []string
	for _, ns := range w.Closest(name(t, "a.example."), w.now()).NS {
		got = append(got, ns.Name.String())
	}
	if want := []string{"ns1.example.", "ns2.other.", "ns3.third."}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w.pass(101)
	if c := w.Closest(name(t, "a.example."), w.now()); c != nil {
		t.Errorf("after the delegation's end: got %+v", c)
	}
}

// What a zone's servers said of themselves ends with the delegation by which they
// were asked: after the zone has moved, its former servers are not asked beside the
// new ones, or they would renew themselves for ever.
func TestFormerServersEndWithTheirDelegation(t *testing.T) {
	w := newWorld(t)
	start := w.now()
	apex, former, present := name(t, "moved.com."), name(t, "ns.old.net."), name(t, "ns.new.org.")
	by := func(ns dnsname.Name) *zonecut.Cut {
		return &zonecut.Cut{Name: apex, Expires: w.now() + 100, NS: []zonecut.NameServer{{Name: ns}}}
	}
	old := by(former)
	w.Keep(old, start)
	says := func(cut *zonecut.Cut) *resolve.Set {
		q := question(t, "moved.com.", wire.TypeNS)
		req := w.request(q)
		w.looked(req)
		query := &resolve.Query{Question: q, Asked: q, Cut: cut}
		query.Outcome = positive(rrset(t, insecure, "moved.com.", wire.TypeNS, 86400, string(former)))
		query.Outcome.Origin = resolve.FromServer
		w.layer.Consume(req, query, &wire.Msg{})
		return &query.Outcome.Answer[0]
	}
	if set := says(old); set.TTL != 100 {
		t.Errorf("TTL %d, want the delegation's", set.TTL)
	}
	for _, late := range []bool{false, true} {
		w.pass(101)
		w.Keep(by(present), w.now())
		if late { // the answer to a question that began before
			says(old)
		}
		if c := w.Closest(apex, w.now()); c.Find(former) != nil || c.Find(present) == nil {
			t.Errorf("%d s later, a late answer %v: %+v", w.now()-start, late, c.NS)
		}
	}
}

// What a forwarder said is for clients: iteration asks no server that it named
// (MaginotDNS, CVE-2021-25220).
func TestForwardersNameNoServers(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "com.", w.now()+1000), w.now())
	for _, r := range []rank.Rank{rank.Try | rank.Auth, rank.Initial | rank.Auth} { // with CD=1 it is not judged at all
		w.learn(question(t, "com.", wire.TypeNS), positive(rrset(t, r, "com.", wire.TypeNS, 600, "\x04evil\x03net\x00")))
		w.learn(question(t, "ns2.other.", wire.TypeA), positive(rrset(t, r, "ns2.other.", wire.TypeA, 600, "\x01\x02\x03\x04")))
		if c := w.Closest(name(t, "www.victim.com."), w.now()); len(c.NS) != 2 {
			t.Errorf("rank %d: %+v", r, c.NS)
		}
		if addrs, _, _ := w.Addrs(name(t, "ns2.other."), w.now()); len(addrs) > 0 {
			t.Errorf("rank %d: %v", r, addrs)
		}
		if r&^rank.Auth == rank.Try && w.peek(question(t, "ns2.other.", wire.TypeA)).Kind != resolve.Positive {
			t.Error("the client is not told")
		}
	}
}

// A delegation whose servers must be spoken to over TLS came from the operator. Kept
// without that, it would have them asked in the clear.
func TestServersWithAPeerAreNotKept(t *testing.T) {
	w := newWorld(t)
	c := cut(t, "example.", w.now()+100)
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	c.NS[1].Peer = peer
	w.Keep(c, w.now())
	if got := w.Closest(name(t, "www.example."), w.now()); got != nil {
		t.Errorf("kept: %+v", got)
	}
}
