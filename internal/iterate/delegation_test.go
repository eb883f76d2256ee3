package iterate

import (
	"fmt"
	"slices"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// referred is what a referral from example.com. to sub.example.com. leads to.
func referred(t *testing.T, options resolve.Options, records ...string) *resolve.Outcome {
	t.Helper()
	r, q := query("www.sub.example.com.", wire.TypeA, "example.com.")
	q.Options = options
	consume(r, q, message(t, q.Asked, "NOERROR", records...))
	return &q.Outcome
}

// servers are the names of a cut's servers, and how many addresses of each are known.
func servers(cut *zonecut.Cut) (all []string) {
	for _, ns := range cut.NS {
		all = append(all, fmt.Sprintf("%s %d", ns.Name, len(ns.Addrs)))
	}
	return all
}

// What glue counts is the mode's: only what there is no other way to learn, what the
// delegating zone may know, or all of it.
func TestGlueThatCounts(t *testing.T) {
	const child, parent, elsewhere = "ns.sub.example.com.", "ns.example.com.", "ns.example.net."
	for _, tt := range []struct {
		mode    string
		options resolve.Options
		counts  []string
	}{
		{"strict", resolve.Options{Strict: true}, []string{child}},
		{"normal", resolve.Options{}, []string{child, parent}},
		{"permissive", resolve.Options{Permissive: true}, []string{child, parent, elsewhere}},
	} {
		for _, ns := range []string{child, parent, elsewhere} {
			o := referred(t, tt.options, "ns sub.example.com. 60 NS "+ns, "ar "+ns+" 60 A 192.0.2.8")
			want := 0
			if slices.Contains(tt.counts, ns) {
				want = 1
			}
			if o.Cut == nil || len(o.Cut.NS) != 1 || len(o.Cut.NS[0].Addrs) != want {
				t.Errorf("%s, %s: got %+v, want %d addresses", tt.mode, ns, o.Cut, want)
			}
		}
	}
}

// The root is nobody's name server, and one that is named twice is one.
func TestEachServerOfADelegationOnce(t *testing.T) {
	o := referred(t, resolve.Options{}, "ns sub.example.com. 60 NS .",
		"ns sub.example.com. 60 NS a.sub.example.com.", "ns sub.example.com. 60 NS A.sub.example.com.",
		"ns sub.example.com. 60 NS b.net.", "ns sub.example.com. 60 NS B.net.", "ar a.sub.example.com. 60 A 192.0.2.8")
	if o.Kind != resolve.Referral {
		t.Fatalf("got %s", kind(o.Kind))
	}
	if got, want := servers(o.Cut), []string{"a.sub.example.com. 1", "b.net. 0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if o = referred(t, resolve.Options{}, "ns sub.example.com. 60 NS ."); o.Kind != resolve.Lame {
		t.Errorf("a delegation to nobody: got %s, want lame", kind(o.Kind))
	}
}

// A delegation ends with the one above it, unless nothing is known of that one's end, or it
// is the root's or was given by the operator, which are always there.
func TestADelegationEndsWithItsParent(t *testing.T) {
	const now, ttl = 1000, 60
	for _, tt := range []struct {
		name string
		cut  zonecut.Cut
		want int64
	}{
		{"the parent ends sooner", zonecut.Cut{Name: name("example.com."), Expires: 1010}, 1010},
		{"the parent ends later", zonecut.Cut{Name: name("example.com."), Expires: 5000}, now + ttl},
		{"the parent has no end", zonecut.Cut{Name: name("example.com.")}, now + ttl},
		{"the parent was given", zonecut.Cut{Name: name("example.com."), Expires: 1010, Hints: true}, now + ttl},
		{"the parent is the root", zonecut.Cut{Name: dnsname.Root, Expires: 1010}, now + ttl},
	} {
		r, q := query("www.sub.example.com.", wire.TypeA, "example.com.")
		q.Cut = &tt.cut
		consume(r, q, message(t, q.Asked, "NOERROR", "ns sub.example.com. 60 NS ns.sub.example.com."))
		if c := q.Outcome.Cut; c == nil || c.Expires != tt.want {
			t.Errorf("%s: got %+v, want the end %d", tt.name, c, tt.want)
		}
	}
}

// Every server keeps two addresses; beyond these, a cut keeps some in all.
func TestAddressesBeyondTwoAreSharedByTheCut(t *testing.T) {
	var records, want []string
	extra := limits.ExtraAddrsKept
	for i := range 6 {
		records = append(records, fmt.Sprintf("ns sub.example.com. 60 NS ns%d.sub.example.com.", i))
		for k := range 22 {
			records = append(records, fmt.Sprintf("ar ns%d.sub.example.com. 60 A 192.0.%d.%d", i, i, k))
		}
		more := min(20, extra)
		extra -= more
		want = append(want, fmt.Sprintf("ns%d.sub.example.com. %d", i, 2+more))
	}
	o := referred(t, resolve.Options{}, records...)
	if o.Kind != resolve.Referral {
		t.Fatalf("got %s", kind(o.Kind))
	}
	got := servers(o.Cut)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The DS set of a delegation is the child's own; another name's says nothing of it, and
// then the proof that there is none does.
func TestTheDSSetOfADelegation(t *testing.T) {
	const ns, sig = "ns sub.example.com. 60 NS ns.sub.example.com.", " 60 RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"
	proof := []string{"ns sub.example.com. 60 NSEC z.example.com. NS", "ns sub.example.com." + sig}
	for _, tt := range []struct {
		name    string
		records []string
		ds      bool
		want    uint16
	}{
		{"its own", []string{ns, "ns sub.example.com. 60 DS 1 8 2 AA"}, true, wire.TypeDS},
		{"its own beside a proof", append([]string{ns, "ns sub.example.com. 60 DS 1 8 2 AA"}, proof...), true, wire.TypeDS},
		{"another's", append([]string{ns, "ns other.example.com. 60 DS 1 8 2 AA"}, proof...), false, wire.TypeNSEC},
		{"none", append([]string{ns}, proof...), false, wire.TypeNSEC},
	} {
		o := referred(t, resolve.Options{}, tt.records...)
		if o.Kind != resolve.Referral || (o.Cut.DS != nil) != tt.ds || tt.ds && o.Cut.DSRank != rank.Initial|rank.Auth {
			t.Errorf("%s: got %s with %+v", tt.name, kind(o.Kind), o.Cut)
		} else if len(o.Authority) != 1 || o.Authority[0].Type != tt.want {
			t.Errorf("%s: beside it stands %+v, want a set of type %d", tt.name, o.Authority, tt.want)
		}
	}
}

// What a minimised question shows is the zone's own NS set at that very name: no alias
// and no hearsay leads to another zone.
func TestOnlyAnNSSetAtTheNameIsACut(t *testing.T) {
	for why, m := range map[string][]string{
		"an alias to an apex": {"aa NOERROR", "an b.example.com. 60 CNAME c.example.com.", "an c.example.com. 60 NS ns.c.example.com.", "ar ns.c.example.com. 60 A 192.0.2.8"},
		"hearsay":             {"ra NOERROR", "an b.example.com. 60 NS ns.b.example.com.", "ar ns.b.example.com. 60 A 192.0.2.8"},
	} {
		r, q := query("a.b.example.com.", wire.TypeA, "example.com.")
		checkout(r, q)
		consume(r, q, message(t, q.Asked, m[0], m[1:]...))
		if checkout(r, q); q.Outcome.Kind != resolve.Pending || q.Asked != q.Question {
			t.Errorf("%s: got %s, next is asked %+v", why, kind(q.Outcome.Kind), q.Asked)
		}
	}
}

// A referral is the server's word, be it to the whole question or a part of it.
func TestAReferralIsFromTheServer(t *testing.T) {
	for _, part := range []bool{false, true} {
		r, q := query("a.b.example.com.", wire.TypeA, "example.com.")
		if part {
			checkout(r, q)
		}
		consume(r, q, message(t, q.Asked, "NOERROR", "ns b.example.com. 60 NS ns.b.example.com."))
		if q.Outcome.Kind != resolve.Referral || q.Outcome.Origin != resolve.FromServer {
			t.Errorf("minimised %v: got %+v", part, q.Outcome)
		}
	}
}

// A referral in place of DS is held back as long as the zone above may be signed.
func TestAReferralInPlaceOfDSIsFollowedAtOnceBelowAnUnsignedZone(t *testing.T) {
	for rankOf, want := range map[rank.Rank]string{rank.Insecure | rank.Auth: "referral", rank.Secure | rank.Auth: "lame", rank.Initial: "lame"} {
		r, q := query("sub.example.com.", wire.TypeDS, "example.com.")
		q.Cut.DSRank, q.Cut.DSExpires = rankOf, r.Now+60
		consume(r, q, message(t, q.Asked, "NOERROR", "ns sub.example.com. 60 NS ns.sub.example.com."))
		if got := kind(q.Outcome.Kind); got != want || q.HoldsBack() != (want == "lame") {
			t.Errorf("with the rank %d above: %s, held back %t", rankOf, got, q.HoldsBack())
		}
	}
}
