package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"math"
	"math/big"

	"kresd/internal/limits"
)

// rsaKey is a public key of RFC 3110 with the hash of its algorithm.
type rsaKey struct {
	n, e *big.Int
	// quick is the same for Go's own check, which refuses exponents above 31 bits and
	// moduli below 1,024 bits; nil where it would. Such keys are in use: the zone of a
	// top-level domain had an exponent of 2^32+1.
	quick *rsa.PublicKey
	hash  crypto.Hash
}

// newRSA decodes a key: the length of the exponent in one octet, or in three whose
// first is zero, the exponent, the modulus (RFC 3110, section 2).
func newRSA(algorithm uint8, key []byte) (verifier, error) {
	if len(key) < 3 {
		return nil, errShortKey
	}
	size, rest := int(key[0]), key[1:]
	if size == 0 {
		size, rest = int(key[1])<<8|int(key[2]), key[3:]
	}
	if size == 0 || len(rest) <= size || rest[0] == 0 {
		return nil, errShortKey
	}
	k := &rsaKey{e: new(big.Int).SetBytes(rest[:size]), n: new(big.Int).SetBytes(rest[size:]), hash: rsaHash(algorithm)}
	if !k.usable() {
		return nil, errKeySize
	}
	if k.e.IsInt64() && k.e.Int64() <= math.MaxInt32 && k.n.BitLen() >= 1024 {
		k.quick = &rsa.PublicKey{N: k.n, E: int(k.e.Int64())}
	}
	return k, nil
}

// usable tells whether the key has a shape whose check costs little and proves
// something.
func (k *rsaKey) usable() bool {
	most := new(big.Int).SetUint64(limits.RSAMaxExponent)
	return k.n.BitLen() >= limits.RSAMinBits && k.n.BitLen() <= limits.RSAMaxBits && k.n.Bit(0) == 1 &&
		k.e.Bit(0) == 1 && k.e.Cmp(big.NewInt(3)) >= 0 && k.e.Cmp(most) <= 0
}

// Bits is the length of an RSA key's modulus in bits; 0 for a key of another kind, or
// one that cannot be read.
func (k *Key) Bits() int {
	if r, ok := k.public.(*rsaKey); ok {
		return r.n.BitLen()
	}
	return 0
}

func rsaHash(algorithm uint8) crypto.Hash {
	switch algorithm {
	case RSASHA256:
		return crypto.SHA256
	case RSASHA512:
		return crypto.SHA512
	}
	return crypto.SHA1
}

func (k *rsaKey) verify(message, signature []byte) bool {
	digest := k.digest(message)
	if k.quick != nil {
		return rsa.VerifyPKCS1v15(k.quick, k.hash, digest, signature) == nil
	}
	return k.verifySlowly(digest, signature)
}

// verifySlowly is RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.2) for keys of any
// shape. Both sides of the comparison are public, so that it need not take constant time.
func (k *rsaKey) verifySlowly(digest, signature []byte) bool {
	size := (k.n.BitLen() + 7) / 8
	s := new(big.Int).SetBytes(signature)
	if len(signature) != size || s.Cmp(k.n) >= 0 {
		return false
	}
	want := k.encoded(digest, size)
	return want != nil && bytes.Equal(s.Exp(s, k.e, k.n).FillBytes(make([]byte, size)), want)
}

// encoded is the message that a right signature stands for (RFC 8017, section 9.2):
// 0, 1, octets of 255, 0, the digest behind the DER that names its hash. nil: the
// modulus has no room for it.
func (k *rsaKey) encoded(digest []byte, size int) []byte {
	info := append(digestInfo(k.hash), digest...)
	fill := size - 3 - len(info)
	if fill < 8 {
		return nil
	}
	out := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, fill)...)
	return append(append(out, 0), info...)
}

// digestInfo is the DER in front of a digest (RFC 8017, section 9.2, note 1).
func digestInfo(h crypto.Hash) []byte {
	switch h {
	case crypto.SHA256:
		return []byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")
	case crypto.SHA512:
		return []byte("\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40")
	}
	return []byte("\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14")
}

func (k *rsaKey) digest(message []byte) []byte {
	switch k.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(message)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(message)
		return sum[:]
	}
	sum := sha1.Sum(message)
	return sum[:]
}
