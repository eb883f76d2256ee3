package dnssec

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// A signature whose length is not that of its algorithm holds for nothing, whatever the
// length is.
func TestSignaturesHaveTheLengthOfTheirAlgorithm(t *testing.T) {
	for _, algorithm := range []uint8{ECDSAP256SHA256, ECDSAP384SHA384, ED25519, ED448, RSASHA256} {
		bits := map[uint8]int{ECDSAP256SHA256: 256, ECDSAP384SHA384: 384, ED25519: 256, RSASHA256: 1024}[algorithm]
		s := newSigner(t, "example.", algorithm, bits)
		set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
		s.sign(t, set, nil)
		whole := set.Sigs[0]
		head := wire.SigFixed + len("\x07example\x00")
		for n := head + 1; n <= len(whole)+2; n++ {
			set.Sigs[0] = append(bytes.Clone(whole[:min(n, len(whole))]), make([]byte, max(0, n-len(whole)))...)
			_, err := Verify(set, s.keys(t), Algorithms{}, now, endless())
			if holds := err == nil; holds != (n == len(whole)) {
				t.Errorf("algorithm %d, %d octets of %d: %v", algorithm, n-head, len(whole)-head, err)
			}
		}
	}
}

// RDATA that is too short for a signature or a DS record is none.
func TestRDATAThatIsTooShort(t *testing.T) {
	for n := range wire.SigFixed + 9 {
		sig := append(make([]byte, wire.SigFixed), "\x07example\x00"...)
		if _, ok := ParseSignature(sig[:min(n, len(sig))]); ok {
			t.Errorf("%d octets are a signature", n)
		}
	}
	for n := range dsFixed + 2 {
		if _, ok := ParseDS(make([]byte, n)); ok != (n > dsFixed) {
			t.Errorf("%d octets: %v", n, ok)
		}
	}
}

// Sets of one name, such as denials, keys and DS, hold by a signature that covers all of the
// owner's labels, and by no other; further ones may be made from a wildcard.
func TestWhichSetsAWildcardMakes(t *testing.T) {
	s := p256()
	for record, expands := range map[string]bool{
		"www.example. 300 IN A 192.0.2.1":                                         true,
		"www.example. 300 IN NSEC x.example. A":                                   false,
		"www.example. 300 IN DS 1 13 2 00":                                        false,
		"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 300 IN NSEC3 1 0 0 - 2t7b4g4v": false,
	} {
		for labels := uint8(1); labels <= 2; labels++ {
			set, _ := setOf(t, record)
			s.sign(t, set, func(r *dns.RRSIG) { r.Labels = labels })
			if _, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); (err == nil) != (labels == 2 || expands) {
				t.Errorf("%s, signed with %d labels: %v", record, labels, err)
			}
		}
	}
	keys := &wire.RRset{Owner: mustName(t, "example."), Type: wire.TypeDNSKEY, Class: wire.ClassIN, TTL: 300, Data: [][]byte{rdataOf(t, s.key)}}
	s.sign(t, keys, nil)
	if _, err := Verify(keys, s.keys(t), Algorithms{}, now, endless()); err != nil {
		t.Errorf("the keys: %v", err)
	}
}

// Each signature of a set is over the set as that signature has it: with its TTL and its
// labels, whatever another one says.
func TestEachSignatureIsOverItsOwnForm(t *testing.T) {
	s := p256()
	for what, other := range map[string]func(*dns.RRSIG){
		"another TTL":                  func(r *dns.RRSIG) { r.OrigTtl = 77 },
		"other labels":                 func(r *dns.RRSIG) { r.Labels = 1 },
		"another TTL and other labels": func(r *dns.RRSIG) { r.OrigTtl, r.Labels = 77, 1 },
	} {
		set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
		s.sign(t, set, other)
		set.Sigs[0][len(set.Sigs[0])-1] ^= 1 // it does not hold, and the next one is tried
		s.sign(t, set, nil)
		if v, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); err != nil || v.Encloser != "" {
			t.Errorf("behind one with %s: %+v, %v", what, v, err)
		}
	}
}

// A set that is verified is others' too: its records stay in their order.
func TestAVerifiedSetStaysAsItIs(t *testing.T) {
	s := p256()
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.9", "www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.5")
	s.sign(t, set, nil)
	before := slices.Clone(set.Data)
	if _, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(before, set.Data, bytes.Equal) {
		t.Errorf("%v became %v", before, set.Data)
	}
}

// knowing is a meter that remembers checks, and counts what it is asked.
type knowing struct {
	purse
	known  map[[sha256.Size]byte]bool
	looked int
	asked  int
}

func (k *knowing) Verify() error { k.asked++; return k.purse.Verify() }
func (k *knowing) Known(check [sha256.Size]byte) bool {
	k.looked++
	return k.known[check]
}
func (k *knowing) Learn(check [sha256.Size]byte) { k.known[check] = true }

// A check that was made is remembered, so that it costs nothing the next time; one that
// failed is not.
func TestAKnownCheckCostsNothing(t *testing.T) {
	s := p256()
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	s.sign(t, set, nil)
	m := &knowing{purse: purse{verify: 1}, known: map[[sha256.Size]byte]bool{}}
	for i := range 3 {
		if _, err := Verify(set, s.keys(t), Algorithms{}, now, m); err != nil {
			t.Errorf("time %d: %v", i, err)
		}
	}
	if m.asked != 1 {
		t.Errorf("%d checks", m.asked)
	}
	wrong, _ := setOf(t, "ftp.example. 300 IN A 192.0.2.1")
	s.sign(t, wrong, nil)
	wrong.Sigs[0][len(wrong.Sigs[0])-1] ^= 1
	bad := &knowing{purse: *endless(), known: map[[sha256.Size]byte]bool{}}
	if _, err := Verify(wrong, s.keys(t), Algorithms{}, now, bad); err == nil || len(bad.known) != 0 {
		t.Errorf("%v, and %d checks are remembered", err, len(bad.known))
	}
}

// A check that is remembered is that of one message, by one key and one signature: whatever
// differs is checked.
func TestARememberedCheckIsOfThatMessage(t *testing.T) {
	s, other := p256(), newSigner(t, "example.", ECDSAP256SHA256, 256)
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	s.sign(t, set, nil)
	m := &knowing{purse: *endless(), known: map[[sha256.Size]byte]bool{}}
	if _, err := Verify(set, s.keys(t), Algorithms{}, now, m); err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*wire.RRset)) *wire.RRset {
		c := *set
		c.Data, c.Sigs = [][]byte{bytes.Clone(set.Data[0])}, [][]byte{bytes.Clone(set.Sigs[0])}
		change(&c)
		return &c
	}
	for what, c := range map[string]*wire.RRset{
		"another record":    changed(func(c *wire.RRset) { c.Data[0][3]++ }),
		"another owner":     changed(func(c *wire.RRset) { c.Owner = "\x03ftp\x07example\x00" }),
		"another end":       changed(func(c *wire.RRset) { c.Sigs[0][11]++ }),
		"another signature": changed(func(c *wire.RRset) { c.Sigs[0][len(c.Sigs[0])-1]++ }),
	} {
		if _, err := Verify(c, s.keys(t), Algorithms{}, now, m); !reasonIs(err, WrongSignature) {
			t.Errorf("%s: %v", what, err)
		}
	}
	tag := other.keys(t).list[0].Tag
	binary.BigEndian.PutUint16(set.Sigs[0][16:], tag)
	if _, err := Verify(set, other.keys(t), Algorithms{}, now, m); !reasonIs(err, WrongSignature) {
		t.Errorf("another key: %v", err)
	}
}

// When a limit is reached the search for a signature ends there: nothing more is put
// together, looked up or asked for.
func TestALimitEndsTheSearch(t *testing.T) {
	s, set := badlySigned(t)
	keys := ParseKeys(mustName(t, "example."), [][]byte{rdataOf(t, s.key), rdataOf(t, s.key)})
	for what, c := range map[string]struct {
		purse purse
		most  int
	}{
		"tries":    {*endless(), limits.MaxVerifyPerRRset + 1},
		"checks":   {purse{verify: 1, failed: -1, hash: -1}, 2},
		"failures": {purse{verify: -1, failed: 0, hash: -1}, 2},
	} {
		m := &knowing{purse: c.purse, known: map[[sha256.Size]byte]bool{}}
		if _, err := Verify(set, keys, Algorithms{}, now, m); err == nil || m.looked > c.most {
			t.Errorf("%s: %d steps, at most %d are due; %v", what, m.looked, c.most, err)
		}
	}
}

// A signature that nothing was spent on counts as no failure.
func TestOnlyWhatWasCheckedCanFail(t *testing.T) {
	s := *p256()
	key := *s.key
	key.Flags = 0 // not a zone key
	s.key = &key
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	s.sign(t, set, nil)
	if _, err := Verify(set, s.keys(t), Algorithms{}, now, &purse{0, 0, 0}); !reasonIs(err, UnfitKey) || errors.Is(err, errSpent) {
		t.Errorf("got %v", err)
	}
}

// A DS set may name several keys, each of which is trusted, once.
func TestADSSetOfSeveralKeys(t *testing.T) {
	a, b := p256(), newSigner(t, "example.", ECDSAP256SHA256, 256)
	keys := ParseKeys(mustName(t, "example."), [][]byte{rdataOf(t, a.key), rdataOf(t, b.key)})
	var data [][]byte
	for _, k := range []*dns.DNSKEY{a.key, b.key, a.key} {
		data = append(data, rdataOf(t, k.ToDS(DigestSHA256)), rdataOf(t, k.ToDS(DigestSHA384)))
	}
	named, err := keys.Trusted(UsableDS(data, Algorithms{}), endless())
	if err != nil || named.Len() != 2 {
		t.Errorf("%d keys are trusted, want 2; %v", named.Len(), err)
	}
}

// The length of an RSA key's exponent stands in one octet, or in two behind a zero (RFC 3110,
// section 2).
func TestTheLengthOfAnExponent(t *testing.T) {
	s := newSigner(t, "example.", RSASHA256, 1024)
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	rdata := rdataOf(t, s.key)
	short := rdata[keyFixed:]
	long := append([]byte{0, 0, short[0]}, short[1:]...)
	whole := append(bytes.Clone(rdata[:keyFixed]), long...)
	keys := ParseKeys(mustName(t, "example."), [][]byte{whole})
	keys.Each(func(k *Key) {
		set.Sigs = nil
		s.sign(t, set, func(r *dns.RRSIG) { r.KeyTag = k.Tag })
		if k.Err() != nil || k.Bits() != 1024 {
			t.Errorf("%v, %d bits", k.Err(), k.Bits())
		}
	})
	if _, err := Verify(set, keys, Algorithms{}, now, endless()); err != nil {
		t.Error(err)
	}
	for n := range 4 {
		for _, octets := range [][]byte{short[:n], long[:n], make([]byte, n), {0, 0, 0, 1, 1}, {0, 0, 2, 1, 1}, {2, 1, 1}} {
			if k, err := newRSA(RSASHA256, octets); err == nil {
				t.Errorf("%x is a key: %+v", octets, k)
			}
		}
	}
}

// A zone's denials say nothing about names beside it, though its last record leads back to
// its apex and so past all of them.
func TestDenialsSpeakOfNoOtherZone(t *testing.T) {
	d := NewDenials(mustName(t, "example."), chain(t), endless())
	for _, claim := range []string{"nx zzz.", "nx www.other.", "nodata zzz. A", "nodata zzz. DS", "cut zzz.", "expanded zzz. .", "expanded a.zzz. zzz."} {
		if got := judged(t, d, claim); got != "unproven" {
			t.Errorf("%s: %s", claim, got)
		}
	}
}

// That there is no DS set is not for the child to say: its record at its apex, which has the
// SOA, proves nothing about the delegation (RFC 6840, section 4.1).
func TestTheApexOfAChildDeniesNoDS(t *testing.T) {
	p := parameters{0, ""}
	apex := []uint16{dns.TypeSOA, dns.TypeNS}
	for what, sets := range map[string][]*wire.RRset{
		"NSEC":  {nsecSet(t, "sub.example.", "a.sub.example.", apex...)},
		"NSEC3": {atHash(t, "example.", "sub.example.", p, apex...)},
	} {
		d := NewDenials(mustName(t, "example."), sets, endless())
		if got, _, err := d.Cut(mustName(t, "sub.example.")); got != Unproven || err != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
		if got, err := d.NoData(mustName(t, "sub.example."), wire.TypeDS); got != Unproven || err != nil {
			t.Errorf("%s, no data: %v, %v", what, got, err)
		}
	}
}

// A zone that hashes too often denies nothing that counts: whatever is delegated may be so
// without a signature.
func TestACostlyChainLeavesAllOpen(t *testing.T) {
	zone := mustName(t, "example.")
	for iterations, costly := range map[uint16]bool{limits.NSEC3Iterations: false, limits.NSEC3Iterations + 1: true} {
		p := parameters{iterations, ""}
		sets := []*wire.RRset{atHash(t, "example.", "example.", p, dns.TypeSOA), around(t, "example.", "a.example.", p, 0), around(t, "example.", "*.example.", p, 0)}
		d := NewDenials(zone, sets, endless())
		if d.Costly() != costly {
			t.Errorf("%d iterations: costly %v", iterations, d.Costly())
		}
		want := "proven"
		if costly {
			want = "unsigned"
		}
		if got := judged(t, d, "nx a.example."); got != want {
			t.Errorf("%d iterations: %s, want %s", iterations, got, want)
		}
		if got := judged(t, d, "cut a.example."); costly && got != "unsigned, a cut" {
			t.Errorf("%d iterations, a cut: %s", iterations, got)
		}
		if _, ok := NewLink(zone, sets[0]); ok == costly {
			t.Errorf("%d iterations: a link %v", iterations, ok)
		}
	}
	if NewDenials(zone, chain(t), endless()).Costly() {
		t.Error("NSEC records are called costly")
	}
}

// A zone that goes over to fewer iterations may show some of both chains: which record came
// first made its denials insecure or not. What the chain proves that can be hashed is proven,
// and the rest is open.
func TestACostlyChainBesideAnother(t *testing.T) {
	cheap, dear := parameters{1, "ab"}, parameters{limits.NSEC3Iterations + 1, "cd"}
	proof := func(p parameters) []*wire.RRset {
		return []*wire.RRset{atHash(t, "example.", "example.", p, dns.TypeSOA), around(t, "example.", "a.example.", p, 0), around(t, "example.", "*.example.", p, 0), atHash(t, "example.", "d.example.", p, dns.TypeNS)}
	}
	for _, sets := range [][]*wire.RRset{append(proof(cheap), proof(dear)...), append(proof(dear), proof(cheap)...)} {
		d := NewDenials(mustName(t, "example."), sets, endless())
		for _, tt := range []struct {
			claim, want string
			costly      bool
		}{
			{"nx a.example.", "proven", false}, {"nodata example. A", "proven", false}, {"cut d.example.", "proven, a cut", false}, {"expanded a.example. example.", "proven", false},
			{"nodata d.example. A", "unsigned", true}, {"cut b.d.example.", "unsigned, a cut", true},
		} {
			if got := judged(t, d, tt.claim); got != tt.want || d.Costly() != tt.costly {
				t.Errorf("%s, at first %d iterations: %s, costly %v; want %s, %v", tt.claim, sets[0].Data[0][3], got, d.Costly(), tt.want, tt.costly)
			}
		}
	}
}

// Only what is below the encloser, which is in the zone, can be made from its wildcard.
func TestWhatCanBeExpandedFromAnEncloser(t *testing.T) {
	p := parameters{0, ""}
	hashed := []*wire.RRset{}
	for _, name := range []string{"a.example.", "example.", "other.", "a.other."} {
		hashed = append(hashed, around(t, "example.", name, p, 0))
	}
	d := NewDenials(mustName(t, "example."), hashed, endless())
	for claim, want := range map[string]string{
		"expanded a.example. example.": "proven", "expanded example. example.": "unproven", "expanded a.example. a.example.": "unproven",
		"expanded a.other. other.": "unproven", "expanded a.example. .": "unproven", "expanded example. .": "unproven",
	} {
		if got := judged(t, d, claim); got != want {
			t.Errorf("%s: %s, want %s", claim, got, want)
		}
	}
}

// The owner of an NSEC3 record is a hash of 32 characters in base 32; any other label is the
// owner of none.
func TestOwnersThatAreNoHashes(t *testing.T) {
	set := atHash(t, "example.", "example.", parameters{0, ""}, dns.TypeA)
	if _, ok := NewLink(mustName(t, "example."), set); !ok {
		t.Fatal("the test's own record is none")
	}
	label := set.Owner.Label()
	for n := 1; n <= 63; n++ {
		other := *set
		other.Owner, _ = mustName(t, "example.").Prepend((label + label)[:n])
		if _, ok := NewLink(mustName(t, "example."), &other); ok != (n == hashedLabel) {
			t.Errorf("a label of %d characters: %v", n, ok)
		}
	}
	for _, odd := range []string{"w", "!", "=", "-"} {
		other := *set
		other.Owner, _ = mustName(t, "example.").Prepend(label[:31] + odd)
		if _, ok := NewLink(mustName(t, "example."), &other); ok {
			t.Errorf("a label that ends in %q is a hash", odd)
		}
	}
}

// Strictly between two hashes lies what is neither; the last of a chain leads to the first,
// and one that is alone to itself.
func TestWhatLiesBetweenHashes(t *testing.T) {
	for between, want := range map[string]bool{
		"b c d": true, "b b d": false, "b d d": false, "b a d": false, "b e d": false,
		"d e b": true, "d a b": true, "d d b": false, "d b b": false, "d c b": false,
		"c b c": true, "c d c": true, "c c c": false,
	} {
		w := strings.Fields(between)
		if got := Between([]byte(w[0]), []byte(w[1]), []byte(w[2])); got != want {
			t.Errorf("%s: %v", between, got)
		}
	}
}

// A record whose next name is damaged, or lies beside the zone, is no link of its chain.
func TestNSECWithADamagedNextName(t *testing.T) {
	good := nsecSet(t, "a.example.", "c.example.", dns.TypeA)
	for what, data := range map[string][]byte{
		"cut off":   good.Data[0][:4],
		"empty":     {},
		"a pointer": {0xc0, 0x0c, 0, 1, 0x40},
		"beside":    append([]byte("\x05other\x00"), 0, 1, 0x40),
	} {
		set := *good
		set.Data = [][]byte{data}
		if _, ok := NewLink(mustName(t, "example."), &set); ok {
			t.Errorf("%s: a link", what)
		}
		if got := judged(t, NewDenials(mustName(t, "example."), []*wire.RRset{&set}, endless()), "nx b.example."); got != "unproven" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// A check is remembered by its key, its signature and its message, each for itself: octets of
// one that are taken for another's make another check.
func TestPartsOfARememberedCheckDoNotRunTogether(t *testing.T) {
	v := verification{meter: &knowing{}}
	number := func(key, signature, message string) [sha256.Size]byte {
		_, n := v.remembered([]byte(message), &Signature{octets: []byte(signature)}, &Key{RData: []byte(key)})
		return n
	}
	of := number("key", "signature", "message")
	if number("key", "signature", "message") != of {
		t.Error("the same check has another number")
	}
	for _, other := range []struct{ key, signature, message string }{
		{"keys", "ignature", "message"}, {"ke", "ysignature", "message"}, {"key", "signaturem", "essage"}, {"key", "signatur", "emessage"}, {"keysignature", "", "message"},
	} {
		if number(other.key, other.signature, other.message) == of {
			t.Errorf("%q has the same number", other)
		}
	}
}

// Of keys that share tag and algorithm a few are tried.
func TestHowManyKeysOfATagAreTried(t *testing.T) {
	key := rdataOf(t, p256().key)
	for _, n := range []int{1, limits.MaxKeysSameTag, limits.MaxKeysSameTag + 1} {
		keys := ParseKeys(mustName(t, "example."), slices.Repeat([][]byte{key}, n))
		if got, want := len(keys.tagged(p256().key.KeyTag(), ECDSAP256SHA256)), min(n, limits.MaxKeysSameTag); got != want {
			t.Errorf("%d of %d keys, want %d", got, n, want)
		}
	}
}
