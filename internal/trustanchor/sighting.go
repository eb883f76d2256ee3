package trustanchor

import (
	"errors"
	"fmt"
	"time"

	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// A Sighting is what a zone showed of its keys at one time.
type Sighting struct {
	// Proved tells that a trusted key signed the set. If none did, only Revoked counts.
	Proved bool
	// Keys are the RDATA of the keys that may be anchors and are not revoked.
	Keys [][]byte
	// Revoked are the RDATA of keys that are revoked and signed the set themselves
	// (RFC 5011, section 2.1).
	Revoked [][]byte
	// TTL is the original TTL of the set, and Left how long the signature that proved
	// it is still valid.
	TTL, Left time.Duration
}

// errNoKeys says that an answer had no DNSKEY set.
var errNoKeys = errors.New("the answer has no DNSKEY records")

// Look judges a zone's DNSKEY set and the signatures with it by the keys of the zone
// that are trusted, at the wall second now. It fails where the set proves nothing.
func (k *KeySet) Look(set *wire.RRset, now int64) (Sighting, error) {
	if set == nil || set.Owner != k.Owner || set.Type != wire.TypeDNSKEY || len(set.Data) == 0 {
		return Sighting{}, errNoKeys
	}
	keys, m := dnssec.ParseKeys(k.Owner, set.Data), &allowance{left: limits.AnchorChecks}
	revoked, err := keys.RevokedBySelf(set, dnssec.Algorithms{}, now, m)
	if err != nil {
		return Sighting{}, err
	}
	var s Sighting
	for i := range revoked {
		if k.knows(revoked[i].RData) {
			s.Revoked = append(s.Revoked, revoked[i].RData)
		}
	}
	trusted := keys.Only(func(key *dnssec.Key) bool { return key.Signs() && k.trusts(key.RData) })
	proof, err := dnssec.Verify(set, trusted, dnssec.Algorithms{}, now, m)
	switch {
	case err == nil:
		s.Proved = true
	case len(s.Revoked) > 0: // the signatures of revoked keys revoke them and no more
		return s, nil
	case trusted.Len() == 0:
		return s, fmt.Errorf("%s shows none of the keys that are trusted", k.Owner)
	default:
		return s, err
	}
	s.TTL, s.Left = timesOf(set, proof, now)
	keys.Each(func(key *dnssec.Key) {
		if key.Signs() && key.Flags&dnssec.FlagSEP != 0 && key.Err() == nil {
			s.Keys = append(s.Keys, key.RData)
		}
	})
	return s, nil
}

// timesOf are the original TTL and the rest of the life of the signature that
// proved a set.
func timesOf(set *wire.RRset, proof dnssec.Verified, now int64) (ttl, left time.Duration) {
	for _, rdata := range set.Sigs {
		s, ok := dnssec.ParseSignature(rdata)
		if ok && s.Tag == proof.Tag && s.Algorithm == proof.Algorithm {
			return time.Duration(s.OriginalTTL) * time.Second, time.Duration(max(s.Ends(now)-now, 0)) * time.Second
		}
	}
	return 0, 0
}

// trusts tells whether a DNSKEY record is one of the anchors.
func (k *KeySet) trusts(rdata []byte) bool {
	for i := range k.Keys {
		if key := &k.Keys[i]; key.State.Trusted() && key.is(k.Owner, rdata) {
			return true
		}
	}
	return false
}

// knows tells whether a DNSKEY record, revoked or not, is one of the keys.
func (k *KeySet) knows(rdata []byte) bool {
	for i := range k.Keys {
		if k.Keys[i].is(k.Owner, rdata) {
			return true
		}
	}
	return false
}

// allowance bounds what one look costs; it implements dnssec.Meter.
type allowance struct{ left int }

var errDear = errors.New("the set has more keys and signatures than are tried")

// Verify implements dnssec.Meter.
func (a *allowance) Verify() error {
	if a.left--; a.left < 0 {
		return errDear
	}
	return nil
}

// Failed implements dnssec.Meter.
func (a *allowance) Failed() error { return nil }

// Hash implements dnssec.Meter: keys are proved without any.
func (a *allowance) Hash(int) error { return errDear }
