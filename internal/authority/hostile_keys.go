package authority

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/miekg/dns"
)

// What a zone sends that wants to keep a validator busy: the attacks of
// CVE-2023-50387 (KeyTrap and its relatives) are Collisions times WrongSignatures,
// or WrongDigests.

// Collisions are n DNSKEY records that have the zone, algorithm, flags and tag of k:
// nobody can tell before trying that none of them made a signature. Their keys are
// random octets of the right shape; there are some for RSA and the Edwards curves.
func (k *Key) Collisions(n int) []*Key {
	random := rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%s %d", k.Hdr.Name, k.KeyTag())))
	var out []*Key
	for range n {
		twin := k.With(func(r *dns.DNSKEY) { r.PublicKey = base64.StdEncoding.EncodeToString(tagged(k, random)) })
		out = append(out, twin)
	}
	return out
}

// tagged is a random key of the shape and tag of k.
func tagged(k *Key, random *rand.ChaCha8) []byte {
	public := must(base64.StdEncoding.DecodeString(k.PublicKey))
	const head = 4 // an RSA key's exponent
	for i := head; i < len(public)-1; i++ {
		public[i] = octets(random, 1)[0] | public[i]&0x80
	}
	// Two octets at an even place of the RDATA set the tag (RFC 4034, appendix B).
	const word = 8
	copy(public[word:], []byte{0, 0})
	sum := uint32(k.Flags) + uint32(k.Protocol)<<8 + uint32(k.Algorithm)
	for i, b := range public {
		sum += uint32(b) << (8 * (1 - i&1))
	}
	want := k.KeyTag()
	for n := range uint32(1 << 16) {
		if uint16(sum+n+(sum+n)>>16) == want {
			binary.BigEndian.PutUint16(public[word:], uint16(n))
			return public
		}
	}
	return tagged(k, random) // no word does it
}

// WrongSignatures are n signatures of a set that look like those of k and are not.
func (k *Key) WrongSignatures(set []dns.RR, n int, from, until uint32) []dns.RR {
	right := k.Sign(set, from, until, nil)
	length := base64.StdEncoding.DecodedLen(len(right.Signature))
	random := rand.NewChaCha8(sha256.Sum256([]byte(right.Signature)))
	var out []dns.RR
	for range n {
		sig := dns.Copy(right).(*dns.RRSIG)
		sig.Signature = base64.StdEncoding.EncodeToString(wrongSignature(right, octets(random, length)))
		out = append(out, sig)
	}
	return out
}

// wrongSignature changes the right one where that is not noticed before it is
// computed with.
func wrongSignature(right *dns.RRSIG, with []byte) []byte {
	b := must(base64.StdEncoding.DecodeString(right.Signature))
	copy(b[2:18], with)
	return b
}

// WrongDigests are n DS records with the tag of k whose digests are of nothing.
func (k *Key) WrongDigests(n int, digest uint8) []dns.RR {
	random := rand.NewChaCha8(sha256.Sum256([]byte(k.PublicKey)))
	var out []dns.RR
	for range n {
		ds := k.DS(digest)
		ds.Digest = fmt.Sprintf("%x", octets(random, len(ds.Digest)/2))
		out = append(out, ds)
	}
	return out
}
