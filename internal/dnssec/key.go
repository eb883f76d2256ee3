package dnssec

import (
	"encoding/binary"
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// Flags of a DNSKEY record (RFC 4034, section 2.1.1; RFC 5011, section 7).
const (
	FlagZone   = 1 << 8
	FlagRevoke = 1 << 7
	FlagSEP    = 1 << 0
)

// protocol is the only value of a DNSKEY's protocol field (RFC 4034, section 2.1.2).
const protocol = 3

// keyFixed is the length of a DNSKEY's RDATA before the key itself.
const keyFixed = 4

// A Key is one DNSKEY record, decoded once.
type Key struct {
	Flags     uint16
	Protocol  uint8
	Algorithm uint8
	Tag       uint16
	RData     []byte
	public    verifier
	err       error // why it cannot verify anything
}

// verifier checks a signature over a message with one public key.
type verifier interface {
	verify(message, signature []byte) bool
}

// Errors of keys.
var (
	errShortKey  = errors.New("the key is malformed")
	errAlgorithm = errors.New("the algorithm is not supported")
	errKeySize   = errors.New("the key has a size that is not allowed")
)

// ParseKey decodes the RDATA of a DNSKEY record; ok is false for what is none. A
// key that nothing can be verified with is one all the same.
func ParseKey(rdata []byte) (k Key, ok bool) {
	if len(rdata) < keyFixed {
		return Key{}, false
	}
	k = Key{
		Flags: binary.BigEndian.Uint16(rdata), Protocol: rdata[2], Algorithm: rdata[3],
		Tag: KeyTag(rdata), RData: rdata,
	}
	k.public, k.err = newVerifier(k.Algorithm, rdata[keyFixed:])
	return k, true
}

// Err says why the key cannot verify anything; nil when it can.
func (k *Key) Err() error { return k.err }

// Signs tells whether signatures by the key over its zone's data count (RFC 4034,
// section 2.1.1; RFC 5011, section 2.1).
func (k *Key) Signs() bool {
	return k.Flags&FlagZone != 0 && k.Flags&FlagRevoke == 0 && k.Protocol == protocol
}

// Revoked tells whether the key's owner has revoked it (RFC 5011, section 2.1).
func (k *Key) Revoked() bool { return k.Flags&FlagRevoke != 0 }

// KeyTag is the tag of a DNSKEY's RDATA (RFC 4034, appendix B). The RDATA must be
// at least as long as its fixed part.
func KeyTag(rdata []byte) uint16 {
	if rdata[3] == 1 { // RSA/MD5 (appendix B.1)
		if len(rdata) < keyFixed+3 {
			return 0
		}
		return binary.BigEndian.Uint16(rdata[len(rdata)-3:])
	}
	var sum uint32
	for i, b := range rdata {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

// Keys are the DNSKEY set of a zone.
type Keys struct {
	Zone dnsname.Name
	list []Key
}

// ParseKeys decodes the DNSKEY set of a zone, no more than limits.MaxKeysPerSet of
// them. Records that are none are left out.
func ParseKeys(zone dnsname.Name, data [][]byte) *Keys {
	ks := &Keys{Zone: zone}
	for _, rdata := range data[:min(len(data), limits.MaxKeysPerSet)] {
		if k, ok := ParseKey(rdata); ok {
			ks.list = append(ks.list, k)
		}
	}
	return ks
}

// Only is the keys among ks that fn chooses.
func (ks *Keys) Only(fn func(*Key) bool) *Keys {
	out := &Keys{Zone: ks.Zone}
	for i := range ks.list {
		if fn(&ks.list[i]) {
			out.list = append(out.list, ks.list[i])
		}
	}
	return out
}

// Len is how many keys there are.
func (ks *Keys) Len() int { return len(ks.list) }

// Octets is how long the RDATA of all keys is.
func (ks *Keys) Octets() (n int) {
	for i := range ks.list {
		n += len(ks.list[i].RData)
	}
	return n
}

// Each calls fn for every key.
func (ks *Keys) Each(fn func(*Key)) {
	for i := range ks.list {
		fn(&ks.list[i])
	}
}

// tagged are the keys of an algorithm with a tag: usually one, and never more than
// limits.MaxKeysSameTag, because whoever makes keys can make them collide.
func (ks *Keys) tagged(tag uint16, algorithm uint8) []*Key {
	var out []*Key
	for i := range ks.list {
		if k := &ks.list[i]; k.Tag == tag && k.Algorithm == algorithm && len(out) < limits.MaxKeysSameTag {
			out = append(out, k)
		}
	}
	return out
}
