package dnssec

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// Every algorithm, with sets of one record and of several in any order.
func TestEveryAlgorithm(t *testing.T) {
	for _, tt := range []struct {
		algorithm uint8
		bits      int
	}{
		{RSASHA1, 1024}, {RSASHA1NSEC3, 1024}, {RSASHA256, 2048}, {RSASHA512, 1024}, {ECDSAP256SHA256, 256},
		{ECDSAP384SHA384, 384}, {ED25519, 256}, {ED448, 456},
	} {
		t.Run(fmt.Sprint(tt.algorithm), func(t *testing.T) {
			s := newSigner(t, "example.", tt.algorithm, tt.bits)
			set, _ := setOf(t, "www.example. 300 IN A 192.0.2.9", "www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.5")
			s.sign(t, set, nil)
			v, err := Verify(set, s.keys(t), Algorithms{}, now, endless())
			if err != nil || v.TTL != 300 || v.Tag != s.key.KeyTag() || v.Encloser != "" {
				t.Fatalf("got %+v, %v", v, err)
			}
			set.Data[0][3]++
			if _, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); !reasonIs(err, WrongSignature) {
				t.Errorf("with another address: %v", err)
			}
			set.Data[0][3]--
			_, err = Verify(set, s.keys(t), Algorithms{NoSHA1: true}, now, endless())
			if sha1 := tt.algorithm == RSASHA1 || tt.algorithm == RSASHA1NSEC3; sha1 != reasonIs(err, NoAlgorithm) {
				t.Errorf("without SHA-1: %v", err)
			}
		})
	}
}

// What the library signs is what is verified here: its canonical form is another
// hand's.
func TestTheLibrarysSignaturesHold(t *testing.T) {
	s := p256()
	for _, texts := range [][]string{
		{"www.example. 300 IN A 192.0.2.9", "www.example. 300 IN A 192.0.2.10"},
		{"example. 300 IN MX 10 b.example.", "example. 300 IN MX 5 a.example."},
		{"example. 300 IN SOA ns.example. admin.example. 1 2 3 4 5"},
		{"*.example. 300 IN TXT \"b\" \"c\"", "*.example. 300 IN TXT \"a\""},
		{"_s._tcp.example. 300 IN SRV 0 0 53 ns.example."},
		{"example. 300 IN CAA 0 issue \"ca.example\""},
	} {
		set, rrs := setOf(t, texts...)
		sig := &dns.RRSIG{Algorithm: s.key.Algorithm, Inception: uint32(now - 60), Expiration: uint32(now + 60), KeyTag: s.key.KeyTag(), SignerName: s.zone}
		if err := sig.Sign(s.private, rrs); err != nil {
			t.Fatal(err)
		}
		set.Sigs = [][]byte{rdataOf(t, sig)}
		if v, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); err != nil || v.TTL != 60 {
			t.Errorf("%s: %+v, %v", texts[0], v, err)
		}
	}
}

func reasonIs(err error, want Reason) bool {
	var f *Failure
	return errors.As(err, &f) && f.Reason == want
}

// A signature with one thing wrong is not accepted, whatever the thing: each was
// made by the right key over what it claims, so that nothing but the check named
// stands in its way (HARDENING A1).
func TestForgedSignatures(t *testing.T) {
	s := p256()
	flip := func(at int) func(*wire.RRset) {
		return func(set *wire.RRset) { sig := set.Sigs[0]; sig[(len(sig)+at)%len(sig)] ^= 1 }
	}
	cases := []struct {
		name   string
		record string
		made   func(*dns.RRSIG)  // before it is signed
		after  func(*wire.RRset) // afterwards
		at     int64             // the clock, as far from now
		why    Reason
	}{
		{name: "another type is covered", made: func(r *dns.RRSIG) { r.TypeCovered = dns.TypeAAAA }, why: Malformed},
		{name: "another zone signs", made: func(r *dns.RRSIG) { r.SignerName = "other." }, why: WrongSigner},
		{name: "the parent signs", made: func(r *dns.RRSIG) { r.SignerName = "." }, why: WrongSigner},
		{name: "a name below signs", made: func(r *dns.RRSIG) { r.SignerName = "www.example." }, why: WrongSigner},
		{name: "an owner beside the zone", record: "victim. 300 IN A 192.0.2.1", why: WrongSigner},
		{name: "an owner that only ends like the zone", record: "a\\.example. 300 IN A 192.0.2.1", why: WrongSigner},
		{name: "an owner whose last letters are the zone", record: "myexample. 300 IN A 192.0.2.1", why: WrongSigner},
		{name: "a DS set at the apex", record: "example. 300 IN DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", why: WrongSigner},
		{name: "a DNSKEY set below the apex", record: "www.example. 300 IN DNSKEY 257 3 13 AAAA", why: WrongSigner},
		{name: "an SOA set below the apex", record: "www.example. 300 IN SOA ns. host. 1 2 3 4 5", why: WrongSigner},
		{name: "an NS set below the apex", record: "www.example. 300 IN NS ns.example.", why: WrongSigner},
		{name: "more labels than the owner", made: func(r *dns.RRSIG) { r.Labels = 3 }, why: WrongLabels},
		{name: "255 labels", made: func(r *dns.RRSIG) { r.Labels = 255 }, why: WrongLabels},
		{name: "fewer labels than the signer", made: func(r *dns.RRSIG) { r.Labels = 0 }, why: WrongLabels},
		{name: "a literal wildcard with its label counted", record: "*.example. 300 IN A 192.0.2.1", made: func(r *dns.RRSIG) { r.Labels = 2 }, why: WrongLabels},
		{name: "an expanded NSEC", record: "www.example. 300 IN NSEC x.example. A", made: func(r *dns.RRSIG) { r.Labels = 1 }, why: WrongLabels},
		{name: "an expanded DS", record: "www.example. 300 IN DS 1 13 2 00", made: func(r *dns.RRSIG) { r.Labels = 1 }, why: WrongLabels},
		{name: "an unknown algorithm", made: func(r *dns.RRSIG) { r.Algorithm = 200 }, why: NoAlgorithm},
		{name: "another known algorithm", made: func(r *dns.RRSIG) { r.Algorithm = ED25519 }, why: NoSuchKey},
		{name: "another key's tag", made: func(r *dns.RRSIG) { r.KeyTag++ }, why: NoSuchKey},
		{name: "expired", made: func(r *dns.RRSIG) { r.Expiration = uint32(now - 1) }, why: Expired},
		{name: "of the year 2106 and beyond, begun and over", made: func(r *dns.RRSIG) { r.Inception, r.Expiration = 1<<32-10, 5 }, at: 1<<32 + 6 - now, why: Expired},
		{name: "expired long ago", at: 50 * 365 * 86400, why: Expired},
		{name: "not yet valid", made: func(r *dns.RRSIG) { r.Inception = uint32(now + 1) }, why: NotYetValid},
		{name: "ends before it begins", made: func(r *dns.RRSIG) { r.Inception, r.Expiration = uint32(now+10), uint32(now-10) }, why: EndsTooEarly},
		{name: "another TTL than was signed", after: func(set *wire.RRset) { binary.BigEndian.PutUint32(set.Sigs[0][4:], 301) }, why: WrongSignature},
		{name: "a later end than was signed", after: func(set *wire.RRset) { set.Sigs[0][11]++ }, why: WrongSignature},
		{name: "an earlier begin than was signed", after: func(set *wire.RRset) { set.Sigs[0][15]-- }, why: WrongSignature},
		{name: "a bit of the signature", after: flip(-1), why: WrongSignature},
		{name: "a signature that is too short", after: func(set *wire.RRset) { set.Sigs[0] = set.Sigs[0][:len(set.Sigs[0])-1] }, why: WrongSignature},
		{name: "a signature that is too long", after: func(set *wire.RRset) { set.Sigs[0] = append(set.Sigs[0], 0) }, why: WrongSignature},
		{name: "no octet of signature", after: func(set *wire.RRset) { set.Sigs[0] = set.Sigs[0][:wire.SigFixed+len("\x07example\x00")] }, why: Malformed},
		{name: "no signer", after: func(set *wire.RRset) { set.Sigs[0] = set.Sigs[0][:wire.SigFixed] }, why: Malformed},
		{name: "a record more", after: func(set *wire.RRset) { set.Data = append(set.Data, []byte{192, 0, 2, 7}) }, why: WrongSignature},
		{name: "another record", after: func(set *wire.RRset) { set.Data[0] = []byte{192, 0, 2, 7} }, why: WrongSignature},
		{name: "another owner", after: func(set *wire.RRset) { set.Owner = "\x03ftp\x07example\x00" }, why: WrongSignature},
		{name: "another class", after: func(set *wire.RRset) { set.Class = 3 }, why: WrongSignature},
		{name: "no signature", after: func(set *wire.RRset) { set.Sigs = nil }, why: NoSignature},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			if tt.record == "" {
				tt.record = "www.example. 300 IN A 192.0.2.1"
			}
			set, _ := setOf(t, tt.record)
			s.sign(t, set, tt.made)
			if tt.after != nil {
				tt.after(set)
			}
			if v, err := Verify(set, s.keys(t), Algorithms{}, now+tt.at, endless()); !reasonIs(err, tt.why) {
				t.Errorf("got %+v, %v; want reason %d", v, err, tt.why)
			}
		})
	}
}

// A signature holds from the second of its inception to that of its expiration, both
// included (RFC 4034, section 3.1.5), also where these are one.
func TestASignatureHoldsFromItsFirstToItsLastSecond(t *testing.T) {
	s := p256()
	for _, c := range []struct {
		from, to, at int64
		why          Reason // 0: it holds
	}{
		{-5, 5, -6, NotYetValid}, {-5, 5, -5, 0}, {-5, 5, 5, 0}, {-5, 5, 6, Expired},
		{0, 0, -1, NotYetValid}, {0, 0, 0, 0}, {0, 0, 1, Expired},
	} {
		set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
		s.sign(t, set, func(r *dns.RRSIG) { r.Inception, r.Expiration = uint32(now+c.from), uint32(now+c.to) })
		if _, err := Verify(set, s.keys(t), Algorithms{}, now+c.at, endless()); c.why == 0 && err != nil || c.why != 0 && !reasonIs(err, c.why) {
			t.Errorf("from %d to %d, at %d: %v", c.from, c.to, c.at, err)
		}
	}
}

// A key that must not sign, or cannot, verifies nothing.
func TestUnfitKeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*dns.DNSKEY)
		why    Reason
	}{
		{"no zone key", func(k *dns.DNSKEY) { k.Flags = 1 }, UnfitKey},
		{"revoked", func(k *dns.DNSKEY) { k.Flags |= FlagRevoke }, UnfitKey},
		{"another protocol", func(k *dns.DNSKEY) { k.Protocol = 4 }, UnfitKey},
		{"no point of the curve", func(k *dns.DNSKEY) { k.PublicKey = strings.Repeat("A", 84) + "AQ==" }, WrongSignature},
		{"too short", func(k *dns.DNSKEY) { k.PublicKey = "AAAA" }, WrongSignature},
		{"empty", func(k *dns.DNSKEY) { k.PublicKey = "" }, WrongSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := *p256()
			key := *s.key
			tt.change(&key)
			s.key = &key
			set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
			s.sign(t, set, nil)
			if _, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); !reasonIs(err, tt.why) {
				t.Errorf("got %v, want reason %d", err, tt.why)
			}
		})
	}
}

// One signature that holds is enough, wherever it stands (RFC 6840, section 5.11);
// of those that do not, the failure that says most is told.
func TestOneOfSeveralSignatures(t *testing.T) {
	s := p256()
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	s.sign(t, set, func(r *dns.RRSIG) { r.Algorithm = 200 })
	s.sign(t, set, func(r *dns.RRSIG) { r.Inception, r.Expiration = uint32(now-9*86400), uint32(now-3*86400) })
	s.sign(t, set, func(r *dns.RRSIG) { r.KeyTag++ })
	_, err := Verify(set, s.keys(t), Algorithms{}, now, endless())
	want := fmt.Sprintf("signature of www.example. A by key %d of example. expired 3 days ago", s.key.KeyTag())
	if err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if f := err.(*Failure); f.Code() != ede.SignatureExpired {
		t.Errorf("extended error %d", f.Code())
	}
	s.sign(t, set, nil)
	if _, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); err != nil {
		t.Error(err)
	}
}

func TestTTLOfWhatWasVerified(t *testing.T) {
	s := p256()
	for _, tt := range []struct{ have, signed, left, want uint32 }{{300, 300, 86400, 300}, {300, 60, 86400, 60}, {60, 300, 86400, 60}, {300, 300, 20, 20}, {300, 300, 0, 0}} {
		set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
		set.TTL = tt.have
		s.sign(t, set, func(r *dns.RRSIG) { r.OrigTtl, r.Expiration = tt.signed, uint32(now)+tt.left })
		if v, err := Verify(set, s.keys(t), Algorithms{}, now, endless()); err != nil || v.TTL != tt.want {
			t.Errorf("%+v: got %d, %v", tt, v.TTL, err)
		}
	}
}

func TestWildcardsAreToldByTheirSignature(t *testing.T) {
	s := p256()
	star, _ := setOf(t, "*.b.example. 300 IN A 192.0.2.1")
	s.sign(t, star, nil)
	if v, err := Verify(star, s.keys(t), Algorithms{}, now, endless()); err != nil || v.Encloser != "" {
		t.Errorf("asked for by its own name: %+v, %v", v, err)
	}
	star.Owner = mustName(t, "x.a.b.example.")
	if v, err := Verify(star, s.keys(t), Algorithms{}, now, endless()); err != nil || v.Encloser != mustName(t, "b.example.") {
		t.Errorf("expanded: %+v, %v", v, err)
	}
	star.Owner = mustName(t, "x.c.example.")
	if _, err := Verify(star, s.keys(t), Algorithms{}, now, endless()); err == nil {
		t.Error("expanded for a name that it does not cover")
	}
}

// Keys of shapes that are in use although Go's own check refuses them, and of
// shapes that are not allowed (HARDENING A10).
func TestShapesOfRSAKeys(t *testing.T) {
	for _, tt := range []struct {
		bits int
		e    int64
		ok   bool
	}{{512, 3, true}, {512, 65537, true}, {768, 3, true}, {1024, 65537, true}, {1280, 1<<32 + 1, true}, {2048, 3, true}, {4096, 65537, true}, {504, 3, false}, {1024, 1<<32 + 15, false}} {
		private := rsaPrivate(t, tt.bits, tt.e)
		public := rsaPublic(&private.PublicKey, big.NewInt(tt.e))
		v, err := newVerifier(RSASHA256, public)
		if (err == nil) != tt.ok {
			t.Errorf("%d bits, exponent %d: %v", tt.bits, tt.e, err)
		}
		if err != nil {
			continue
		}
		k := v.(*rsaKey)
		size := (tt.bits + 7) / 8
		m := new(big.Int).SetBytes(k.encoded(k.digest([]byte("message")), size))
		sig := m.Exp(m, private.D, private.N).FillBytes(make([]byte, size))
		if !k.verify([]byte("message"), sig) || !k.verifySlowly(k.digest([]byte("message")), sig) {
			t.Errorf("%d bits, exponent %d: a right signature is refused", tt.bits, tt.e)
		}
		if k.verify([]byte("messagf"), sig) || k.verifySlowly(k.digest([]byte("messagf")), sig) || k.verifySlowly(k.digest([]byte("message")), append([]byte{0}, sig...)) {
			t.Errorf("%d bits, exponent %d: a wrong signature is accepted", tt.bits, tt.e)
		}
	}
	private := rsaPrivate(t, 512, 3) // too short for what a signature with SHA-512 stands for
	v, err := newVerifier(RSASHA512, rsaPublic(&private.PublicKey, big.NewInt(3)))
	if err != nil || v.verify([]byte("message"), make([]byte, 64)) {
		t.Errorf("512 bits and SHA-512: %v", err)
	}
	for _, bad := range [][]byte{nil, {1}, {1, 3}, {0, 0, 1}, {0, 0, 0, 3, 9}, {3, 1, 0}, append([]byte{1, 2}, make([]byte, 128)...), append([]byte{1, 0}, make([]byte, 128)...)} {
		if _, err := newVerifier(RSASHA256, bad); err == nil {
			t.Errorf("%x is taken for a key", bad)
		}
	}
}

// badlySigned is a set with fifty signatures that are wrong, and who made them.
func badlySigned(t *testing.T) (*signer, *wire.RRset) {
	t.Helper()
	s := p256()
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	for range 50 {
		s.sign(t, set, nil)
		sig := set.Sigs[len(set.Sigs)-1]
		sig[len(sig)-1] ^= 1
	}
	return s, set
}

// Many keys with one tag and many signatures cost a few checks, each asked for
// before it is made (KeyTrap, CVE-2023-50387).
func TestChecksAreBounded(t *testing.T) {
	s, set := badlySigned(t)
	var data [][]byte
	for range 50 {
		data = append(data, rdataOf(t, s.key))
	}
	m := &purse{1000, 1000, 0}
	_, err := Verify(set, ParseKeys(mustName(t, "example."), data), Algorithms{}, now, m)
	if spent := 1000 - m.verify; !reasonIs(err, TooDear) || spent != limits.MaxVerifyPerRRset {
		t.Errorf("%d checks, %v", spent, err)
	}
	for _, c := range []struct {
		poor *purse
		want Reason
	}{{&purse{verify: 0, failed: 9}, TooDear}, {&purse{verify: 9, failed: 1}, WrongSignature}} {
		if _, err := Verify(set, s.keys(t), Algorithms{}, now, c.poor); !reasonIs(err, c.want) || !errors.Is(err, errSpent) {
			t.Errorf("%+v: %v", c.poor, err)
		}
		if c.poor.verify < 7 && c.poor.verify > 0 {
			t.Errorf("%d checks are left of 9 when the first failures are too many", c.poor.verify)
		}
	}
	if n := ParseKeys(mustName(t, "example."), data).Len(); n != limits.MaxKeysPerSet {
		t.Errorf("%d keys are decoded", n)
	}
}

// Two keys of an honest zone may have one tag. That the first of them has not signed
// is no failure, so that an answer of many sets is not refused for it.
func TestTheOtherKeyOfATagIsNoFailure(t *testing.T) {
	s := newSigner(t, "example.", ED25519, 256)
	own := rdataOf(t, s.key)
	twin := slices.Clone(own)
	copy(twin[keyFixed:], []byte{own[keyFixed+2], own[keyFixed+3], own[keyFixed], own[keyFixed+1]}) // the tag is a sum of words
	keys := ParseKeys(mustName(t, "example."), [][]byte{twin, own})
	set, _ := setOf(t, "www.example. 300 IN A 192.0.2.1")
	s.sign(t, set, nil)
	if _, err := Verify(set, keys, Algorithms{}, now, &purse{2, 0, 0}); err != nil {
		t.Error(err)
	}
	set.Sigs[0][len(set.Sigs[0])-1] ^= 1
	m := &purse{9, 1, 0}
	if _, err := Verify(set, keys, Algorithms{}, now, m); !reasonIs(err, WrongSignature) || m.failed != 0 || m.verify != 7 {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestDS(t *testing.T) {
	s, other := p256(), newSigner(t, "example.", ECDSAP256SHA256, 256)
	ds := func(k *dns.DNSKEY, digest uint8) []byte { return rdataOf(t, k.ToDS(digest)) }
	keys := ParseKeys(mustName(t, "example."), [][]byte{rdataOf(t, s.key), rdataOf(t, other.key)})
	trusted := func(m Meter, data ...[]byte) string {
		ks, err := keys.Trusted(UsableDS(data, Algorithms{}), m)
		if err != nil {
			return err.Error()
		}
		var tags []string
		ks.Each(func(k *Key) { tags = append(tags, fmt.Sprint(k.Tag)) })
		return strings.Join(tags, " ")
	}
	own := fmt.Sprint(s.key.KeyTag())
	wrong := ds(s.key, 2)
	wrong[len(wrong)-1]++
	for _, tt := range []struct {
		name string
		data [][]byte
		want string
	}{
		{"SHA-1", [][]byte{ds(s.key, 1)}, own}, {"SHA-256", [][]byte{ds(s.key, 2)}, own}, {"SHA-384", [][]byte{ds(s.key, 4)}, own},
		{"twice", [][]byte{ds(s.key, 2), ds(s.key, 4)}, own},
		{"another digest", [][]byte{wrong}, ""},
		{"SHA-1 is left out beside a better one that is wrong", [][]byte{ds(s.key, 1), wrong}, ""},
		{"none", nil, ""}, {"malformed", [][]byte{{1, 2, 3, 4}}, ""},
	} {
		if got := trusted(endless(), tt.data...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := trusted(&purse{}, ds(s.key, 2)); got != "spent" {
		t.Errorf("without a budget: %q", got)
	}
	for _, tt := range []struct {
		alg, digest byte
		want        int
	}{{13, 2, 1}, {13, 3, 0}, {12, 2, 0}, {3, 2, 0}, {5, 1, 1}, {16, 4, 1}} {
		if n := len(UsableDS([][]byte{{0, 1, tt.alg, tt.digest, 0}}, Algorithms{})); n != tt.want {
			t.Errorf("algorithm %d, digest %d: %d usable", tt.alg, tt.digest, n)
		}
	}
	if n := len(UsableDS([][]byte{ds(s.key, 1), {0, 1, 5, 2, 0}}, Algorithms{NoSHA1: true})); n != 0 {
		t.Errorf("without SHA-1: %d usable", n)
	}
}

func TestKeyTagsAreTheLibrarys(t *testing.T) {
	for _, s := range []*signer{p256(), newSigner(t, "example.", RSASHA256, 1024), newSigner(t, "example.", ED448, 0)} {
		if got, want := KeyTag(rdataOf(t, s.key)), s.key.KeyTag(); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

// The key tag of a revoked key differs (RFC 5011, section 2.1), and big keys have
// one, too.
func TestKeyTagOfALargeKey(t *testing.T) {
	rdata := append([]byte{1, 1, 3, 8}, make([]byte, 6000)...)
	before := KeyTag(rdata)
	rdata[1] |= FlagRevoke
	if after := KeyTag(rdata); after != before+FlagRevoke || before == 0 {
		t.Errorf("%d, revoked %d", before, after)
	}
}

// The numbers of a signature are told to the standard library as it would write them
// itself, whatever their first octets are.
func TestSignaturesInDER(t *testing.T) {
	for _, first := range [][]byte{{0x7f}, {0x80}, {0xff}, {0, 0x7f}, {0, 0x80}, {0, 0, 1}, {1}, bytes.Repeat([]byte{0}, 32), bytes.Repeat([]byte{0}, 48)} {
		for _, size := range []int{32, 48} {
			r := make([]byte, size)
			copy(r, first)
			s := bytes.Repeat([]byte{0x81}, size)
			got := appendSignature(nil, r, s)
			want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%x: %x, want %x, %v", r, got, want, err)
			}
		}
	}
}
