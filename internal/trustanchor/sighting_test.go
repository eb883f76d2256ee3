package trustanchor

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// signed is a DNSKEY set of a zone and its signatures by some of the keys, as a
// resolver has it.
func signed(t *testing.T, zone string, now int64, shown, by []*authority.Key) *wire.RRset {
	t.Helper()
	owner, err := dnsname.Parse(zone)
	if err != nil {
		t.Fatal(err)
	}
	set := &wire.RRset{Owner: owner, Type: wire.TypeDNSKEY, Class: wire.ClassIN, TTL: 3600}
	var rrs []dns.RR
	for _, k := range shown {
		rrs = append(rrs, k.Record())
		octets, err := rdata(k.Record())
		if err != nil {
			t.Fatal(err)
		}
		set.Data = append(set.Data, octets)
	}
	for _, k := range by {
		octets, err := rdata(k.Sign(rrs, uint32(now-day), uint32(now+10*day), nil))
		if err != nil {
			t.Fatal(err)
		}
		set.Sigs = append(set.Sigs, octets)
	}
	return set
}

func revokedKey(k *authority.Key) *authority.Key {
	return k.With(func(d *dns.DNSKEY) { d.Flags |= dns.REVOKE })
}

// What a zone shows counts where a trusted key signed it; a key that is revoked and
// signed counts for its own revocation alone (RFC 5011, sections 2.1 and 2.2).
func TestWhatAZoneShowsIsProved(t *testing.T) {
	const now = 1_800_000_000
	for _, algorithm := range []uint8{dns.ED25519, dns.RSASHA256, dns.ECDSAP256SHA256} {
		key := func(seed string) *authority.Key { return authority.NewKey("example.", authority.KSK, algorithm, seed) }
		a, b, zsk := key("a"), key("b"), authority.NewKey("example.", authority.ZSK, algorithm, "z")
		strange := key("s").With(func(d *dns.DNSKEY) { d.Protocol = 2 })
		unknown := authority.NewKey("example.", authority.KSK, 253, "u")
		type keys = []*authority.Key
		for name, tc := range map[string]struct {
			shown, by keys
			at        int64
			plain     int // keys that may be anchors
			revoked   int
			proved    bool
			fails     string
		}{
			"signed":                             {keys{a, b, zsk, strange, unknown}, keys{a, zsk}, now, 2, 0, true, ""},
			"signed by another key":              {keys{a, b}, keys{b}, now, 0, 0, false, "no such key"},
			"not signed":                         {keys{a, b}, nil, now, 0, 0, false, "no signature"},
			"without the trusted key":            {keys{b, zsk}, keys{b}, now, 0, 0, false, "none of the keys that are trusted"},
			"signed in the future":               {keys{a, b}, keys{a}, now - 5*day, 0, 0, false, "valid only in 4 days"},
			"signed long ago":                    {keys{a, b}, keys{a}, now + 11*day, 0, 0, false, "expired 1 day ago"},
			"revoked, with another":              {keys{revokedKey(a), b}, keys{revokedKey(a), b}, now, 0, 1, false, ""},
			"revoked by somebody else":           {keys{revokedKey(a), b}, keys{b}, now, 0, 0, false, "none of the keys that are trusted"},
			"revoked, and its signature is old":  {keys{revokedKey(a), b}, keys{revokedKey(a)}, now + 11*day, 0, 0, false, "none of the keys"},
			"a key that is not known is revoked": {keys{a, revokedKey(b)}, keys{a, revokedKey(b)}, now, 1, 0, true, ""},
		} {
			set, err := one("example. IN DS " + strings.Join(strings.Fields(a.DS(dns.SHA256).String())[4:], " "))
			if err != nil {
				t.Fatal(err)
			}
			s, err := set.Look(signed(t, "example.", now, tc.shown, tc.by), tc.at)
			if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
				t.Errorf("algorithm %d, %s: %v, want %q", algorithm, name, err, tc.fails)
			}
			if s.Proved != tc.proved || len(s.Keys) != tc.plain || len(s.Revoked) != tc.revoked {
				t.Errorf("algorithm %d, %s: %+v", algorithm, name, s)
			}
			if s.Proved && (s.TTL != time.Hour || s.Left != 10*day*time.Second) {
				t.Errorf("algorithm %d, %s: original TTL %v, signature valid for %v", algorithm, name, s.TTL, s.Left)
			}
		}
	}
}

// A set of another zone or type, or none at all, shows nothing.
func TestAnAnswerWithoutKeysShowsNothing(t *testing.T) {
	a := authority.NewKey("example.", authority.KSK, dns.ED25519, "a")
	set, err := one("example. IN DS " + strings.Join(strings.Fields(a.DS(dns.SHA256).String())[4:], " "))
	if err != nil {
		t.Fatal(err)
	}
	good := signed(t, "example.", 1_800_000_000, []*authority.Key{a}, []*authority.Key{a})
	other, of := *good, *good
	other.Owner, of.Type = "\x00", wire.TypeDS
	for _, s := range []*wire.RRset{nil, &other, &of, {Owner: good.Owner, Type: good.Type}} {
		if seen, err := set.Look(s, 1_800_000_000); err == nil || seen.Proved {
			t.Errorf("%+v: %+v", s, seen)
		}
	}
	if _, err := set.Look(good, 1_800_000_000); err != nil {
		t.Error(err)
	}
}

// However many keys and signatures a zone shows, a look costs a bounded number of
// checks (HARDENING B1).
func TestALookIsBounded(t *testing.T) {
	const now = 1_800_000_000
	a := authority.NewKey("example.", authority.KSK, dns.ED25519, "a")
	set, err := one("example. IN DS " + strings.Join(strings.Fields(a.DS(dns.SHA256).String())[4:], " "))
	if err != nil {
		t.Fatal(err)
	}
	var shown []*authority.Key
	for i := range 15 {
		shown = append(shown, revokedKey(authority.NewKey("example.", authority.KSK, dns.ED25519, string(rune('b'+i)))))
	}
	s := signed(t, "example.", now, append(shown, a), nil)
	for range 60 {
		s.Sigs = append(s.Sigs, signed(t, "example.", now+1, append(shown, a), append(shown, a)).Sigs...) // of another time: none fits
	}
	m := &allowance{left: 5}
	for range 5 {
		if m.Verify() != nil {
			t.Error("refused too early")
		}
	}
	if m.Verify() == nil {
		t.Error("more checks than are allowed")
	}
	start := time.Now()
	if seen, err := set.Look(s, now+2*day); err == nil && !seen.Proved {
		t.Error("nothing is proved, and nothing is wrong")
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("a look took %v", d)
	}
}

// one is the set of keys that a text has.
func one(text string) (*KeySet, error) {
	sets, err := parse(text)
	if err != nil {
		return nil, err
	}
	return sets[0], nil
}
