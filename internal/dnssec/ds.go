package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// ErrTries says that one set has more signatures, or one zone more DS records, than
// are tried.
var ErrTries = errors.New("more signatures or digests than are tried")

// A DS is the RDATA of a delegation signer record (RFC 4034, section 5.1), or a
// trust anchor in that form.
type DS struct {
	Tag       uint16
	Algorithm uint8
	Digest    uint8 // the type
	Octets    []byte
}

// dsFixed is the length of a DS record's RDATA before the digest.
const dsFixed = 4

// ParseDS reads the RDATA of a DS record; ok is false for what is none.
func ParseDS(rdata []byte) (d DS, ok bool) {
	if len(rdata) <= dsFixed {
		return d, false
	}
	return DS{Tag: binary.BigEndian.Uint16(rdata), Algorithm: rdata[2], Digest: rdata[3], Octets: rdata[dsFixed:]}, true
}

// UsableDS are the records of a DS set by which a chain of trust may go on: their
// algorithm and digest are supported, and where better digests are there those of
// SHA-1 are left out (RFC 4509, section 3). None: the child is insecure (RFC 4035,
// section 5.2).
func UsableDS(data [][]byte, algorithms Algorithms) (out []DS) {
	strong := false
	for _, rdata := range data {
		if d, ok := ParseDS(rdata); ok && algorithms.Signs(d.Algorithm) && algorithms.Digests(d.Digest) {
			out = append(out, d)
			strong = strong || d.Digest != DigestSHA1
		}
	}
	if !strong {
		return out
	}
	kept := out[:0]
	for _, d := range out {
		if d.Digest != DigestSHA1 {
			kept = append(kept, d)
		}
	}
	return kept
}

// Trusted are the keys among those of a zone that DS records of its parent, or
// trust anchors, name (RFC 4035, section 5.2). With them alone the DNSKEY set is
// verified. The error is the Meter's.
func (ks *Keys) Trusted(ds []DS, m Meter) (*Keys, error) {
	out := &Keys{Zone: ks.Zone}
	for _, d := range ds[:min(len(ds), limits.MaxDSPerZone)] {
		for _, k := range ks.tagged(d.Tag, d.Algorithm) {
			if k.Flags&FlagZone == 0 || k.Protocol != protocol {
				continue
			}
			if err := m.Verify(); err != nil {
				return nil, err
			}
			if d.names(ks.Zone, k) && !out.has(k) {
				out.list = append(out.list, *k)
			}
		}
	}
	return out, nil
}

// names tells whether a DS record is about a key (RFC 4034, section 5.1.4).
func (d *DS) names(zone dnsname.Name, k *Key) bool {
	digest := Digest(d.Digest, zone, k.RData)
	return digest != nil && bytes.Equal(digest, d.Octets)
}

// Digest is the digest of a zone's DNSKEY record as a DS record of the type has it;
// nil for a type that is not supported.
func Digest(kind uint8, zone dnsname.Name, dnskey []byte) []byte {
	return digestOf(kind, append(append(make([]byte, 0, len(zone)+len(dnskey)), zone...), dnskey...))
}

func (ks *Keys) has(k *Key) bool {
	for i := range ks.list {
		if bytes.Equal(ks.list[i].RData, k.RData) {
			return true
		}
	}
	return false
}
