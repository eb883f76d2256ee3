package trustanchor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

const day = 24 * 3600

// dnskey makes the RDATA of a key that is told apart by a letter.
func dnskey(letter byte, flags uint16) []byte {
	return append([]byte{byte(flags >> 8), byte(flags), 3, dnssec.ED25519}, []byte(strings.Repeat(string(letter), 32))...)
}

// keys are the RDATA of SEP keys by their letters; a capital is a revoked one.
func keys(letters string) (plain, gone [][]byte) {
	for _, l := range []byte(letters) {
		if l < 'a' {
			gone = append(gone, dnskey(l+'a'-'A', 257|dnssec.FlagRevoke))
		} else {
			plain = append(plain, dnskey(l, 257))
		}
	}
	return plain, gone
}

// states tells of a set: the letter of each key, its state and its timer in days.
func (k *KeySet) states() string {
	var list []string
	for _, key := range k.Keys {
		text := fmt.Sprintf("DS:%s", key.State)
		if key.Type == wire.TypeDNSKEY {
			text = fmt.Sprintf("%c:%s", key.RData[4], key.State)
			if key.RData[1]&dnssec.FlagRevoke != 0 {
				text = strings.ToUpper(text[:1]) + text[1:]
			}
		}
		if key.Timer != 0 && key.State != Removed {
			text += fmt.Sprintf("@%g", float64(key.Timer)/day)
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

// seen is a look that succeeded.
func seen(letters string) Sighting {
	s := Sighting{Proved: true, TTL: 2 * day * time.Second, Left: 10 * day * time.Second}
	s.Keys, s.Revoked = keys(letters)
	return s
}

// The states of RFC 5011, section 4, each by each event. Days stand for the time.
func TestStatesFollowWhatIsSeen(t *testing.T) {
	type look struct {
		day  float64
		seen string // letters; "-": nothing that a trusted key signed, "-A": but a has revoked itself
		want string
	}
	for name, tc := range map[string]struct {
		keep  int
		looks []look
	}{
		"the same key": {0, []look{{0, "a", "a:Valid"}, {100, "a", "a:Valid"}}},
		"a new key is trusted after the hold-down": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {15, "ab", "a:Valid b:AddPend@31"}, {30.9, "ab", "a:Valid b:AddPend@31"},
			{31, "ab", "a:Valid b:Valid"}, {32, "b", "a:Missing@62 b:Valid"},
		}},
		"a new key that goes away is forgotten, and waits anew": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {20, "a", "a:Valid"}, {31, "ab", "a:Valid b:AddPend@61"},
		}},
		"a new key waits also while nothing can be proved": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {20, "-", "a:Valid b:AddPend@31"}, {40, "-", "a:Valid b:AddPend@31"}, {41, "ab", "a:Valid b:Valid"},
		}},
		"a missing key comes back": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {31, "ab", "a:Valid b:Valid"}, {40, "a", "a:Valid b:Missing@70"}, {50, "a", "a:Valid b:Missing@70"}, {60, "ab", "a:Valid b:Valid"},
		}},
		"a missing key is given up in the end": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {31, "ab", "a:Valid b:Valid"}, {40, "a", "a:Valid b:Missing@70"}, {160, "a", "a:Valid b:Missing@70"}, {161, "a", "a:Valid"},
		}},
		"the last key is not given up for being missing": {0, []look{
			{1, "b", "a:Missing@31 b:AddPend@31"}, {500, "c", "a:Missing@31 c:AddPend@530"},
		}},
		"a revoked key": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {31, "ab", "a:Valid b:Valid"}, {40, "Ab", "A:Revoked@70 b:Valid"}, {69, "b", "A:Revoked@70 b:Valid"}, {70, "b", "b:Valid"},
		}},
		"a removed key is remembered when asked to": {1, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {31, "ab", "a:Valid b:Valid"}, {40, "Ab", "A:Revoked@70 b:Valid"}, {71, "b", "A:Removed b:Valid"}, {72, "ab", "A:Removed b:Valid"},
		}},
		"a revoked key does not come back": {0, []look{
			{1, "ab", "a:Valid b:AddPend@31"}, {31, "ab", "a:Valid b:Valid"}, {40, "Ab", "A:Revoked@70 b:Valid"}, {50, "ab", "A:Revoked@70 b:Valid"},
		}},
		"a key may revoke itself where nothing else is proved":            {0, []look{{1, "-A", "A:Revoked@31"}, {40, "-A", "A:Revoked@31"}}},
		"a missing key may be revoked":                                    {0, []look{{1, "b", "a:Missing@31 b:AddPend@31"}, {2, "Ab", "A:Revoked@32 b:AddPend@31"}}},
		"a new key that is revoked is none":                               {0, []look{{1, "aB", "a:Valid"}}},
		"a pending key that is revoked is forgotten":                      {0, []look{{1, "ab", "a:Valid b:AddPend@31"}, {2, "aB", "a:Valid"}}},
		"of what nobody trusted signed, keys are neither new nor missing": {0, []look{{1, "-", "a:Valid"}}},
	} {
		t.Run(name, func(t *testing.T) {
			set := &KeySet{Keys: []Key{{Type: wire.TypeDNSKEY, RData: dnskey('a', 257), State: Valid}}}
			for _, l := range tc.looks {
				s := seen(strings.TrimPrefix(l.seen, "-"))
				s.Proved = !strings.HasPrefix(l.seen, "-")
				before := set.states()
				next, changes := set.Step(s, int64(l.day*day), Timing{HoldDown: holdDown, KeepRemoved: tc.keep})
				if set.states() != before {
					t.Fatal("the set that is in force was changed")
				}
				if got := next.states(); got != l.want {
					t.Fatalf("day %g, seen %s: %s, want %s", l.day, l.seen, got, l.want)
				}
				if (len(changes) > 0) != (before != next.states()) {
					t.Errorf("day %g: %s became %s, told as %v", l.day, before, next.states(), changes)
				}
				set = next
			}
		})
	}
}

// The key itself takes the place of its digests and inherits their state.
func TestAKeyReplacesItsDigest(t *testing.T) {
	for _, digest := range []uint8{dnssec.DigestSHA1, dnssec.DigestSHA256, dnssec.DigestSHA384} {
		rdata := dnskey('a', 257)
		ds := []byte{byte(dnssec.KeyTag(rdata) >> 8), byte(dnssec.KeyTag(rdata)), dnssec.ED25519, digest}
		ds = append(ds, dnssec.Digest(digest, "\x00", rdata)...)
		other := append([]byte(nil), ds...)
		other[len(other)-1]++
		set := &KeySet{Owner: "\x00", Fetched: true, Keys: []Key{
			{Type: wire.TypeDS, RData: ds, Tag: dnssec.KeyTag(rdata), State: Valid}, {Type: wire.TypeDS, RData: other, Tag: dnssec.KeyTag(rdata), State: Valid},
		}}
		next, changes := set.Step(seen("ab"), 0, Timing{HoldDown: holdDown})
		if got := next.states(); got != "a:Valid DS:Missing@30 b:AddPend@30" || next.Keys[0].TTL != 2*day || next.Fetched || len(changes) != 2 {
			t.Errorf("digest %d: %s, %+v", digest, got, next.Keys[0])
		}
		if digest == dnssec.DigestSHA256 && set.summed() != next.summed() {
			t.Error("who trusts the key and who trusts its digest share nothing in the cache")
		}
		next, _ = (&KeySet{Owner: "\x00", Keys: set.Keys[:1]}).Step(seen("A"), 0, Timing{HoldDown: holdDown})
		if got := next.states(); got != "A:Revoked@30" {
			t.Errorf("digest %d, revoked: %s", digest, got)
		}
	}
	twice := &KeySet{Owner: "\x00"}
	rdata := dnskey('a', 257)
	for _, digest := range []uint8{dnssec.DigestSHA1, dnssec.DigestSHA256} {
		ds := []byte{byte(dnssec.KeyTag(rdata) >> 8), byte(dnssec.KeyTag(rdata)), dnssec.ED25519, digest}
		twice.Keys = append(twice.Keys, Key{Type: wire.TypeDS, RData: append(ds, dnssec.Digest(digest, "\x00", rdata)...), Tag: dnssec.KeyTag(rdata), State: Valid})
	}
	if next, _ := twice.Step(seen("a"), 0, Timing{}); next.states() != "a:Valid" {
		t.Errorf("two digests of one key became %s", next.states())
	}
}

// The hold-down is the operator's where it was shortened, and else at least as long
// as the keys may be cached (RFC 5011, section 2.4.1).
func TestHoldDown(t *testing.T) {
	set := &KeySet{Keys: []Key{{Type: wire.TypeDNSKEY, RData: dnskey('a', 257), State: Valid}}}
	for _, tc := range []struct {
		hold, ttl time.Duration
		want      int64
	}{{holdDown, time.Hour, 30 * day}, {holdDown, 40 * day * time.Second, 40 * day}, {30 * time.Second, time.Hour, 30}, {1500 * time.Millisecond, time.Hour, 2}} {
		s := seen("ab")
		s.TTL = tc.ttl
		if next, _ := set.Step(s, 0, Timing{HoldDown: tc.hold}); next.Keys[1].Timer != tc.want {
			t.Errorf("hold-down %v, TTL %v: until %d, want %d", tc.hold, tc.ttl, next.Keys[1].Timer, tc.want)
		}
	}
}

// Keys are looked at as often as RFC 5011, section 2.3, says.
func TestTimesBetweenLooks(t *testing.T) {
	const h = time.Hour
	for _, tc := range []struct {
		ttl, left, next, retry time.Duration
		text                   string
	}{
		{48 * h, 20 * 24 * h, 24 * h, 4*h + 48*time.Minute, "24 hours"},
		{48 * h, 10 * h, 5 * h, h, "5 hours"},
		{1000 * h * 24, 1000 * h * 24, 15 * 24 * h, 24 * h, "360 hours"},
		{h, h, h, h, "1 hour"},
		{0, 0, h, h, "1 hour"},
		{3*h + h/100, 100 * h, h + h/2 + h/200, h, "1.51 hours"},
	} {
		t5011 := Timing{}
		if next, retry := t5011.Next(tc.ttl, tc.left), t5011.Retry(tc.ttl, tc.left); next != tc.next || retry != tc.retry || Span(next) != tc.text {
			t.Errorf("TTL %v, signature %v: %v (%s), then %v", tc.ttl, tc.left, next, Span(next), retry)
		}
		if own := (Timing{Refresh: 10 * time.Second}); own.Next(tc.ttl, tc.left) != 10*time.Second || own.Retry(tc.ttl, tc.left) != 10*time.Second {
			t.Error("the operator's time is not used")
		}
	}
	if got := Span(10 * time.Second); got != "10 seconds" {
		t.Error(got)
	}
}
