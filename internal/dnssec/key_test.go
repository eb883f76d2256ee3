package dnssec

import (
	"crypto/sha256"
	"errors"
	"testing"
)

// What a DNSKEY record says of itself decides whether it signs data.
func TestWhatKeysAreFor(t *testing.T) {
	rdata := rdataOf(t, p256().key)
	for _, c := range []struct {
		name           string
		flags          uint16
		protocol       byte
		signs, revoked bool
	}{
		{"a zone key", FlagZone, 3, true, false},
		{"a secure entry point", FlagZone | FlagSEP, 3, true, false},
		{"no zone key", FlagSEP, 3, false, false},
		{"revoked", FlagZone | FlagSEP | FlagRevoke, 3, false, true},
		{"of another protocol", FlagZone, 2, false, false},
	} {
		b := append([]byte{byte(c.flags >> 8), byte(c.flags), c.protocol}, rdata[3:]...)
		k, ok := ParseKey(b)
		if !ok || k.Err() != nil || k.Signs() != c.signs || k.Revoked() != c.revoked || k.Flags != c.flags {
			t.Errorf("%s: %v, %v, signs %v, revoked %v", c.name, ok, k.Err(), k.Signs(), k.Revoked())
		}
	}
}

// A record that is too short is no key; a key that nothing can be verified with is one
// that says why.
func TestKeysThatVerifyNothing(t *testing.T) {
	if _, ok := ParseKey([]byte{1, 0, 3}); ok {
		t.Error("three octets are a key")
	}
	p256Point := rdataOf(t, p256().key)[keyFixed:]
	noPoint := append([]byte{}, p256Point...)
	noPoint[0] ^= 0xff
	for _, c := range []struct {
		name      string
		algorithm byte
		key       []byte
		want      error
	}{
		{"an unknown algorithm", 200, p256Point, errAlgorithm},
		{"a P-256 key of 63 octets", ECDSAP256SHA256, p256Point[1:], errShortKey},
		{"a P-384 key of 64 octets", ECDSAP384SHA384, p256Point, errShortKey},
		{"no point of the curve", ECDSAP256SHA256, noPoint, errShortKey},
		{"an Ed25519 key of 31 octets", ED25519, make([]byte, ed25519KeySize-1), errShortKey},
		{"an Ed25519 key of 33 octets", ED25519, make([]byte, ed25519KeySize+1), errShortKey},
		{"an Ed448 key of 56 octets", ED448, make([]byte, ed448KeySize-1), errShortKey},
		{"no key at all", ECDSAP256SHA256, nil, errShortKey},
	} {
		k, ok := ParseKey(append([]byte{1, 0, 3, c.algorithm}, c.key...))
		if !ok || !errors.Is(k.Err(), c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, ok, k.Err(), c.want)
		}
	}
	if err := newKey(t, p256Point).Err(); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func newKey(t *testing.T, point []byte) *Key {
	t.Helper()
	k, ok := ParseKey(append([]byte{1, 0, 3, ECDSAP256SHA256}, point...))
	if !ok {
		t.Fatal("no key")
	}
	return &k
}

// The tag of an RSA/MD5 key is cut out of its modulus (RFC 4034, appendix B.1).
func TestKeyTagOfAnRSAMD5Key(t *testing.T) {
	if got := KeyTag([]byte{1, 0, 3, 1, 9, 0x12, 0x34, 8}); got != 0x1234 {
		t.Errorf("got %#x", got)
	}
	if got := KeyTag([]byte{1, 0, 3, 1, 0x12, 0x34, 8}); got != 0x1234 {
		t.Errorf("the shortest: got %#x", got)
	}
	if got := KeyTag([]byte{1, 0, 3, 1, 0x12, 0x34}); got != 0 {
		t.Errorf("without room for it: got %#x", got)
	}
}

func TestKeysAreChosenAndCounted(t *testing.T) {
	sep, plain := p256(), newSigner(t, "example.", ECDSAP256SHA256, 256)
	plain.key.Flags = FlagZone
	zone := mustName(t, "example.")
	ks := ParseKeys(zone, [][]byte{rdataOf(t, sep.key), {1, 2}, rdataOf(t, plain.key)})
	if ks.Len() != 2 {
		t.Errorf("%d keys", ks.Len())
	}
	only := ks.Only(func(k *Key) bool { return k.Flags&FlagSEP != 0 })
	var tags []uint16
	only.Each(func(k *Key) { tags = append(tags, k.Tag) })
	if only.Zone != zone || only.Len() != 1 || len(tags) != 1 || tags[0] != sep.key.KeyTag() || ks.Len() != 2 {
		t.Errorf("%d keys, tags %v", only.Len(), tags)
	}
}

// A DS record that names a key which is none of a zone, or of another protocol, has nobody
// trust it (RFC 4034, section 5.2).
func TestOnlyZoneKeysAreNamedByDS(t *testing.T) {
	base := rdataOf(t, p256().key)
	for _, c := range []struct {
		flags    uint16
		protocol byte
		want     int
	}{{FlagZone | FlagSEP, 3, 1}, {FlagZone, 3, 1}, {FlagSEP, 3, 0}, {0, 3, 0}, {FlagZone, 2, 0}} {
		rdata := append([]byte{byte(c.flags >> 8), byte(c.flags), c.protocol}, base[3:]...)
		zone := mustName(t, "example.")
		sum := sha256.Sum256(append([]byte(zone), rdata...))
		ds, ok := ParseDS(append([]byte{byte(KeyTag(rdata) >> 8), byte(KeyTag(rdata)), rdata[3], 2}, sum[:]...))
		if !ok {
			t.Fatal("no DS record")
		}
		trusted, err := ParseKeys(zone, [][]byte{rdata}).Trusted([]DS{ds}, endless())
		if err != nil || trusted.Len() != c.want {
			t.Errorf("flags %d, protocol %d: %d keys, %v", c.flags, c.protocol, trusted.Len(), err)
		}
	}
}
