package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"
)

// Flags of keys (RFC 4034, section 2.1.1; RFC 5011, section 7).
const (
	ZSK = dns.ZONE
	KSK = dns.ZONE | dns.SEP
)

// rsaBits is the size of RSA keys: the smallest that every library takes.
const rsaBits = 1024

// A Key signs sets of a zone.
type Key struct {
	dns.DNSKEY
	seal func(text []byte) []byte
}

// NewKey makes a key of a zone out of a seed: the same arguments make the same
// key, and the same key makes the same signatures. An algorithm that is not one of
// RFC 8624's gives octets that look like a key and like signatures.
func NewKey(zone string, flags uint16, algorithm uint8, seed string) *Key {
	k := &Key{DNSKEY: dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: dns.CanonicalName(zone), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}}
	random := rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%s %d %s", zone, algorithm, seed)))
	var public []byte
	switch algorithm {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		public, k.seal = rsaKey(algorithm, random)
	case dns.ECDSAP256SHA256:
		public, k.seal = ecdsaKey(elliptic.P256(), crypto.SHA256, random)
	case dns.ECDSAP384SHA384:
		public, k.seal = ecdsaKey(elliptic.P384(), crypto.SHA384, random)
	case dns.ED25519:
		private := ed25519.NewKeyFromSeed(octets(random, ed25519.SeedSize))
		public, k.seal = private[ed25519.SeedSize:], func(text []byte) []byte { return ed25519.Sign(private, text) }
	case dns.ED448:
		private := ed448.NewKeyFromSeed(octets(random, ed448.SeedSize))
		public, k.seal = private[ed448.SeedSize:], func(text []byte) []byte { return ed448.Sign(private, text, "") }
	default:
		public, k.seal = octets(random, 64), func(text []byte) []byte { sum := sha512.Sum512(text); return sum[:] }
	}
	k.PublicKey = base64.StdEncoding.EncodeToString(public)
	return k
}

// Record is the DNSKEY record, which the caller may change.
func (k *Key) Record() *dns.DNSKEY { return dns.Copy(&k.DNSKEY).(*dns.DNSKEY) }

// With is the key with another record: other flags, another protocol. Its
// signatures are made by the same private half and name the record's tag.
func (k *Key) With(change func(*dns.DNSKEY)) *Key {
	out := &Key{DNSKEY: *k.Record(), seal: k.seal}
	change(&out.DNSKEY)
	return out
}

// DS is the parent's record about the key.
func (k *Key) DS(digest uint8) *dns.DS {
	ds := k.ToDS(digest)
	if ds == nil { // a digest that the library does not know
		ds = k.ToDS(dns.SHA256)
		ds.DigestType = digest
	}
	ds.Algorithm = k.Algorithm
	return ds
}

// Sign is the signature of a set by the key, valid between two wall seconds. What
// change alters is signed as altered.
func (k *Key) Sign(set []dns.RR, from, until uint32, change func(*dns.RRSIG)) *dns.RRSIG {
	h := set[0].Header()
	sig := &dns.RRSIG{
		Hdr:         dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: h.Class, Ttl: h.Ttl},
		TypeCovered: h.Rrtype, Algorithm: k.Algorithm, Labels: uint8(dns.CountLabel(h.Name)), OrigTtl: h.Ttl,
		Inception: from, Expiration: until, KeyTag: k.KeyTag(), SignerName: k.Hdr.Name,
	}
	if isWildcard(h.Name) {
		sig.Labels--
	}
	if change != nil {
		change(sig)
	}
	sig.Signature = base64.StdEncoding.EncodeToString(k.seal(signedText(set, sig)))
	return sig
}

func octets(random io.Reader, n int) []byte {
	out := make([]byte, n)
	_, _ = io.ReadFull(random, out) // a stream of ChaCha8 has no end
	return out
}

// ecdsaKey is a key and its signatures as RFC 6605, section 4, writes them. They
// are deterministic (RFC 6979).
func ecdsaKey(curve elliptic.Curve, hash crypto.Hash, random io.Reader) (public []byte, seal func([]byte) []byte) {
	size := (curve.Params().BitSize + 7) / 8
	scalar := new(big.Int).SetBytes(octets(random, size+8))
	scalar.Mod(scalar, new(big.Int).Sub(curve.Params().N, big.NewInt(1)))
	private := must(ecdsa.ParseRawPrivateKey(curve, scalar.Add(scalar, big.NewInt(1)).FillBytes(make([]byte, size))))
	return must(private.PublicKey.Bytes())[1:], func(text []byte) []byte {
		h := hash.New()
		h.Write(text)
		var point struct{ R, S *big.Int }
		must(asn1.Unmarshal(must(private.Sign(nil, h.Sum(nil), hash)), &point))
		return append(point.R.FillBytes(make([]byte, size)), point.S.FillBytes(make([]byte, size))...)
	}
}

// rsaKey is a key as RFC 3110 writes it, and its PKCS #1 1.5 signatures.
func rsaKey(algorithm uint8, random io.Reader) (public []byte, seal func([]byte) []byte) {
	const exponent = 65537
	one, e := big.NewInt(1), big.NewInt(exponent)
	private := &rsa.PrivateKey{}
	for private.D == nil {
		p, q := prime(random), prime(random)
		private.N, private.E, private.Primes = new(big.Int).Mul(p, q), exponent, []*big.Int{p, q}
		private.D = new(big.Int).ModInverse(e, new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
	}
	private.Precompute()
	return append(append([]byte{3}, e.Bytes()...), private.N.Bytes()...), func(text []byte) []byte {
		hash, sum := digest(algorithm, text)
		return must(rsa.SignPKCS1v15(nil, private, hash, sum))
	}
}

// prime is a prime with half the bits of a key, whose product with another has all.
func prime(random io.Reader) *big.Int {
	for {
		b := octets(random, rsaBits/16)
		b[0] |= 0xc0
		b[len(b)-1] |= 1
		if p := new(big.Int).SetBytes(b); p.ProbablyPrime(10) {
			return p
		}
	}
}

func digest(algorithm uint8, text []byte) (crypto.Hash, []byte) {
	switch algorithm {
	case dns.RSASHA256:
		sum := sha256.Sum256(text)
		return crypto.SHA256, sum[:]
	case dns.RSASHA512:
		sum := sha512.Sum512(text)
		return crypto.SHA512, sum[:]
	}
	sum := sha1.Sum(text)
	return crypto.SHA1, sum[:]
}

// must is for what fails only where this package is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
