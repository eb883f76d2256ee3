package dnssec

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"

	"github.com/cloudflare/circl/sign/ed448"
)

// Algorithms of keys and signatures (IANA, DNS Security Algorithm Numbers).
const (
	RSASHA1          = 5
	RSASHA1NSEC3     = 7
	RSASHA256        = 8
	RSASHA512        = 10
	ECDSAP256SHA256  = 13
	ECDSAP384SHA384  = 14
	ED25519          = 15
	ED448            = 16
	DigestSHA1       = 1 // of DS records
	DigestSHA256     = 2
	DigestSHA384     = 4
	sizeP256         = 32
	sizeP384         = 48
	ed448KeySize     = ed448.PublicKeySize
	ed448SignedSize  = ed448.SignatureSize
	ed25519KeySize   = ed25519.PublicKeySize
	ed25519SigOctets = ed25519.SignatureSize
)

// Algorithms says which algorithms count besides those that are always good. A
// zone that is signed with others alone is insecure, as if it were not signed (RFC
// 4035, section 5.2).
type Algorithms struct {
	// NoSHA1 leaves out what rests on SHA-1: algorithms 5 and 7, and DS digest 1
	// (RFC 9905).
	NoSHA1 bool
}

// Signs tells whether signatures of an algorithm count.
func (a Algorithms) Signs(algorithm uint8) bool {
	switch algorithm {
	case RSASHA1, RSASHA1NSEC3:
		return !a.NoSHA1
	case RSASHA256, RSASHA512, ECDSAP256SHA256, ECDSAP384SHA384, ED25519, ED448:
		return true
	}
	return false
}

// Digests tells whether DS digests of a type count.
func (a Algorithms) Digests(digest uint8) bool {
	switch digest {
	case DigestSHA1:
		return !a.NoSHA1
	case DigestSHA256, DigestSHA384:
		return true
	}
	return false
}

// newVerifier decodes the public key of a DNSKEY record.
func newVerifier(algorithm uint8, key []byte) (verifier, error) {
	switch algorithm {
	case RSASHA1, RSASHA1NSEC3, RSASHA256, RSASHA512:
		return newRSA(algorithm, key)
	case ECDSAP256SHA256:
		return newECDSA(elliptic.P256(), sizeP256, key)
	case ECDSAP384SHA384:
		return newECDSA(elliptic.P384(), sizeP384, key)
	case ED25519: // RFC 8080, section 3
		if len(key) != ed25519KeySize {
			return nil, errShortKey
		}
		return ed25519Key(key), nil
	case ED448:
		if len(key) != ed448KeySize {
			return nil, errShortKey
		}
		return ed448Key(key), nil
	}
	return nil, errAlgorithm
}

// ecdsaKey is a point (RFC 6605, section 4); size is that of a coordinate in octets.
type ecdsaKey struct {
	public *ecdsa.PublicKey
	size   int
}

func newECDSA(curve elliptic.Curve, size int, key []byte) (verifier, error) {
	public, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, key...))
	if err != nil {
		return nil, errShortKey // it is too short or too long, or no point of the curve
	}
	return &ecdsaKey{public, size}, nil
}

func (k *ecdsaKey) verify(message, signature []byte) bool {
	if len(signature) != 2*k.size {
		return false
	}
	var digest []byte
	if k.size == sizeP256 {
		sum := sha256.Sum256(message)
		digest = sum[:]
	} else {
		sum := sha512.Sum384(message)
		digest = sum[:]
	}
	var der [2*(sizeP384+3) + 3]byte
	return ecdsa.VerifyASN1(k.public, digest, appendSignature(der[:0], signature[:k.size], signature[k.size:]))
}

// appendSignature appends a signature as the standard library takes it (RFC 3279, section
// 2.2.3): a sequence of two integers, each of at most sizeP384 octets.
func appendSignature(der, r, s []byte) []byte {
	const sequence = 0x30
	start := len(der)
	der = append(der, sequence, 0)
	der = appendInteger(appendInteger(der, r), s)
	der[start+1] = byte(len(der) - start - 2)
	return der
}

// appendInteger appends a number as DER has it: without leading zeros, but with one
// where its highest bit is set, since it is not negative.
func appendInteger(der, number []byte) []byte {
	const integer = 2
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	length := byte(len(number))
	if number[0] >= 0x80 {
		return append(append(der, integer, length+1, 0), number...)
	}
	return append(append(der, integer, length), number...)
}

type ed25519Key []byte

func (k ed25519Key) verify(message, signature []byte) bool {
	return len(signature) == ed25519SigOctets && ed25519.Verify(ed25519.PublicKey(k), message, signature)
}

type ed448Key []byte

func (k ed448Key) verify(message, signature []byte) bool {
	return len(signature) == ed448SignedSize && ed448.Verify(ed448.PublicKey(k), message, signature, "")
}

// digestOf is the digest of a DS record's type; nil for a type that is unknown.
func digestOf(digest uint8, octets []byte) []byte {
	switch digest {
	case DigestSHA1:
		sum := sha1.Sum(octets)
		return sum[:]
	case DigestSHA256:
		sum := sha256.Sum256(octets)
		return sum[:]
	case DigestSHA384:
		sum := sha512.Sum384(octets)
		return sum[:]
	}
	return nil
}
