package dnssec

import (
	"crypto/sha256"
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// Verified is what a valid signature says about a set.
type Verified struct {
	// TTL is the most that the set may live, in seconds: neither longer than it was
	// signed for nor past the end of the signature (RFC 4035, section 5.3.3).
	TTL uint32
	// Tag and Algorithm are those of the key that signed.
	Tag       uint16
	Algorithm uint8
	// Encloser is the name whose wildcard made the set, "" where none did. Then the
	// set counts only with a proof that the name itself does not exist (Denials.
	// Expanded).
	Encloser dnsname.Name
}

// Verify checks that a set was signed by one of the keys of a zone that signs its
// data, at the wall second now. It tries no more signatures than limits.
// MaxVerifyPerRRset. The error is a *Failure.
func Verify(set *wire.RRset, keys *Keys, algorithms Algorithms, now int64, m Meter) (Verified, error) {
	v := verification{set: newSignedSet(set), keys: keys, algorithms: algorithms, now: now, meter: m}
	for _, rdata := range set.Sigs {
		s, ok := ParseSignature(rdata)
		if !ok {
			v.fail(&s, Malformed, 0, nil)
			continue
		}
		if v.try(&s) {
			return v.verified(&s), nil
		}
		if v.ended {
			break
		}
	}
	if v.worst == nil {
		v.worst = &Failure{Reason: NoSignature, Owner: set.Owner, Type: set.Type, Zone: keys.Zone}
	}
	return Verified{}, v.worst
}

// verification is one set and the search for a signature that holds.
type verification struct {
	set        signedSet
	keys       *Keys
	algorithms Algorithms
	now        int64
	meter      Meter
	tries      int
	ended      bool     // by a limit
	worst      *Failure // nil: none yet
}

// fail takes note of why a signature does not hold, if that says more than what is
// known.
func (v *verification) fail(s *Signature, why Reason, at int64, err error) bool {
	if v.worst == nil || why > v.worst.Reason {
		v.worst = &Failure{
			Reason: why, Owner: v.set.Owner, Type: v.set.Type, Zone: v.keys.Zone,
			Tag: s.Tag, Algorithm: s.Algorithm, At: instant(at), Now: instant(v.now), Err: err,
		}
	}
	return false
}

// try tells whether a signature holds. Everything that costs nothing is judged
// before anything is computed.
func (v *verification) try(s *Signature) bool {
	if why, ok := s.fits(v.set.RRset, v.keys.Zone); !ok {
		return v.fail(s, why, 0, nil)
	}
	if !v.algorithms.Signs(s.Algorithm) {
		return v.fail(s, NoAlgorithm, 0, nil)
	}
	if why, at, ok := s.current(v.now); !ok {
		return v.fail(s, why, at, nil)
	}
	keys := v.keys.tagged(s.Tag, s.Algorithm)
	if len(keys) == 0 {
		return v.fail(s, NoSuchKey, 0, nil)
	}
	tries := v.tries
	for _, k := range keys {
		if v.signedBy(s, k) {
			return true
		}
		if v.ended {
			return false
		}
	}
	if v.tries == tries {
		return false
	}
	if err := v.meter.Failed(); err != nil {
		v.worst.Err, v.ended = err, true
	}
	return false
}

// signedBy spends one check. Of two keys with one tag only one has signed, so that
// not to be signed by the other is no failure of the signature.
func (v *verification) signedBy(s *Signature, k *Key) bool {
	if !k.Signs() {
		return v.fail(s, UnfitKey, 0, nil)
	}
	message := v.set.message(s)
	memory, number := v.remembered(message, s, k)
	if memory != nil && memory.Known(number) {
		return true
	}
	if v.tries++; v.tries > limits.MaxVerifyPerRRset {
		v.ended = true
		return v.fail(s, TooDear, 0, ErrTries)
	}
	if err := v.meter.Verify(); err != nil {
		v.ended = true
		return v.fail(s, TooDear, 0, err)
	}
	if k.err == nil && k.public.verify(message, s.octets) {
		if memory != nil {
			memory.Learn(number)
		}
		return true
	}
	return v.fail(s, WrongSignature, 0, k.err) // a key that cannot be read counts as one that did not sign
}

// remembered is who knows whether the check was made before, and its number; nil when
// nobody does. The lengths keep one part from running into another.
func (v *verification) remembered(message []byte, s *Signature, k *Key) (m Memory, number [sha256.Size]byte) {
	m, ok := v.meter.(Memory)
	if !ok {
		return nil, number
	}
	h := sha256.New()
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:], uint32(len(k.RData)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(len(s.octets)))
	h.Write(lengths[:])
	h.Write(k.RData)
	h.Write(s.octets)
	h.Write(message)
	h.Sum(number[:0])
	return m, number
}

func (v *verification) verified(s *Signature) Verified {
	left := max(s.Ends(v.now)-v.now, 0)
	out := Verified{TTL: min(v.set.TTL, s.OriginalTTL), Tag: s.Tag, Algorithm: s.Algorithm}
	if left < int64(out.TTL) {
		out.TTL = uint32(left)
	}
	if owner := signedOwner(v.set.Owner, s.Labels); owner != v.set.Owner {
		out.Encloser = v.set.Owner.Suffix(s.Labels)
	}
	return out
}
