package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// now is the wall second of all tests.
const now int64 = 1790000000

func mustName(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// rdataOf is the RDATA of a record of the library's.
func rdataOf(t testing.TB, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, 1<<16)
	h := *rr.Header()
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	start, err := dns.PackDomainName(h.Name, make([]byte, 300), 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[start+10 : n]
}

func rrOf(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// setOf is an RRset of records in presentation format.
func setOf(t testing.TB, texts ...string) (*wire.RRset, []dns.RR) {
	t.Helper()
	var rrs []dns.RR
	set := &wire.RRset{}
	for _, text := range texts {
		rr := rrOf(t, text)
		rrs = append(rrs, rr)
		h := rr.Header()
		set.Owner, set.Type, set.Class, set.TTL = mustName(t, h.Name), h.Rrtype, h.Class, h.Ttl
		set.Data = append(set.Data, rdataOf(t, rr))
	}
	return set, rrs
}

// signer is a zone's key with its private half.
type signer struct {
	zone    string
	key     *dns.DNSKEY
	private crypto.Signer
}

func newSigner(t testing.TB, zone string, algorithm uint8, bits int) *signer {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: algorithm}
	s := &signer{zone: zone, key: k}
	switch algorithm {
	case ED448:
		public, private, err := ed448.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.PublicKey, s.private = base64.StdEncoding.EncodeToString(public), private
	case RSASHA1, RSASHA1NSEC3, RSASHA256, RSASHA512:
		s.private = rsaPrivate(t, bits, 65537)
		k.PublicKey = base64.StdEncoding.EncodeToString(rsaPublic(&s.private.(*rsa.PrivateKey).PublicKey, big.NewInt(65537)))
	default:
		private, err := k.Generate(bits)
		if err != nil {
			t.Fatal(err)
		}
		s.private = private.(crypto.Signer)
	}
	return s
}

// rsaPrivate makes an RSA key of any size, which Go's own generator refuses below 1,024
// bits. It has many small primes, which are found at once.
func rsaPrivate(t testing.TB, bits int, e int64) *rsa.PrivateKey {
	t.Helper()
	one, exponent := big.NewInt(1), big.NewInt(e)
	n, phi := big.NewInt(1), big.NewInt(1)
	primes := max(2, bits/256)
	for found, tries := 0, 0; found < primes; tries++ {
		size := bits / primes
		if found == primes-1 { // of which the product is as long as it should be
			size = bits - n.BitLen() + tries%2
		}
		p, err := rand.Prime(rand.Reader, size)
		if err != nil {
			t.Fatal(err)
		}
		less, longer := new(big.Int).Sub(p, one), new(big.Int).Mul(n, p)
		if found == primes-1 && longer.BitLen() != bits || new(big.Int).GCD(nil, nil, less, exponent).Cmp(one) != 0 {
			continue
		}
		n, phi = longer, phi.Mul(phi, less)
		found++
	}
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e)}, D: new(big.Int).ModInverse(exponent, phi)}
}

// rsaPublic is a key as RFC 3110 has it.
func rsaPublic(k *rsa.PublicKey, e *big.Int) []byte {
	exponent := e.Bytes()
	return append(append([]byte{byte(len(exponent))}, exponent...), k.N.Bytes()...)
}

// sign gives a set a signature by s; change may alter it before it is made.
func (s *signer) sign(t testing.TB, set *wire.RRset, change func(*dns.RRSIG)) {
	t.Helper()
	labels := set.Owner.Labels()
	if set.Owner.IsWildcard() {
		labels--
	}
	sig := &dns.RRSIG{
		Hdr:         dns.RR_Header{Name: set.Owner.String(), Rrtype: dns.TypeRRSIG, Class: set.Class, Ttl: set.TTL},
		TypeCovered: set.Type, Algorithm: s.key.Algorithm, Labels: uint8(labels), OrigTtl: set.TTL,
		Inception: uint32(now - 3600), Expiration: uint32(now + 86400), KeyTag: s.key.KeyTag(), SignerName: s.zone,
	}
	if change != nil {
		change(sig)
	}
	sig.Signature = base64.StdEncoding.EncodeToString([]byte{0})
	fixed := rdataOf(t, sig)
	parsed, ok := ParseSignature(fixed)
	if !ok {
		t.Fatal("the test's own signature is none")
	}
	signed := newSignedSet(set)
	message := signed.message(&parsed)
	set.Sigs = append(set.Sigs, append(fixed[:len(fixed)-1:len(fixed)-1], s.seal(t, message)...))
}

// seal is the signature over a message, made by Go's and the library's own means.
func (s *signer) seal(t testing.TB, message []byte) []byte {
	t.Helper()
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		r := &rsaKey{n: k.N, hash: rsaHash(s.key.Algorithm)}
		size := (k.N.BitLen() + 7) / 8
		m := new(big.Int).SetBytes(r.encoded(r.digest(message), size))
		return m.Exp(m, k.D, k.N).FillBytes(make([]byte, size))
	case *ecdsa.PrivateKey:
		h := crypto.SHA256
		if k.Curve == elliptic.P384() {
			h = crypto.SHA384
		}
		d := h.New()
		d.Write(message)
		r, v, err := ecdsa.Sign(rand.Reader, k, d.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, message)
	case ed448.PrivateKey:
		return ed448.Sign(k, message, "")
	}
	t.Fatalf("no signer for %T", s.private)
	return nil
}

func (s *signer) keys(t testing.TB) *Keys {
	return ParseKeys(mustName(t, s.zone), [][]byte{rdataOf(t, s.key)})
}

// purse is a Meter with so much left of everything; negative: without end.
type purse struct{ verify, failed, hash int }

var errSpent = errors.New("spent")

func endless() *purse { return &purse{-1, -1, -1} }

func spend(n *int, by int) error {
	if *n < 0 {
		return nil
	}
	if *n -= by; *n < 0 {
		*n = 0
		return errSpent
	}
	return nil
}

func (p *purse) Verify() error         { return spend(&p.verify, 1) }
func (p *purse) Failed() error         { return spend(&p.failed, 1) }
func (p *purse) Hash(blocks int) error { return spend(&p.hash, blocks) }

// p256 is one key for all tests that need just any.
var p256 = sync.OnceValue(func() *signer { return newSigner(&testing.T{}, "example.", ECDSAP256SHA256, 256) })

func nsecSet(t testing.TB, owner, next string, types ...uint16) *wire.RRset {
	t.Helper()
	slices.Sort(types)
	rr := &dns.NSEC{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300}, NextDomain: next, TypeBitMap: types}
	return &wire.RRset{Owner: mustName(t, owner), Type: wire.TypeNSEC, Class: wire.ClassIN, TTL: 300, Data: [][]byte{rdataOf(t, rr)}}
}

// hashedSet is the NSEC3 record that lies at one hash and leads to another.
func hashedSet(t testing.TB, zone string, p parameters, flags byte, owner, next hash, types ...uint16) *wire.RRset {
	t.Helper()
	label, err := mustName(t, zone).Prepend(hashLabel(owner))
	if err != nil {
		t.Fatal(err)
	}
	data := binary.BigEndian.AppendUint16([]byte{nsec3SHA1, flags}, p.iterations)
	data = append(append(data, byte(len(p.salt))), p.salt...)
	data = append(append(data, sha1Len), next[:]...)
	if slices.Sort(types); len(types) > 0 {
		bitmap := rdataOf(t, &dns.NSEC{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNSEC, Class: dns.ClassINET}, NextDomain: ".", TypeBitMap: types})
		data = append(data, bitmap[1:]...)
	}
	return &wire.RRset{Owner: label, Type: wire.TypeNSEC3, Class: wire.ClassIN, TTL: 300, Data: [][]byte{data}}
}

const sha1Len = 20

// step is the hash beside h.
func (h hash) step(by int) hash {
	n := new(big.Int).Add(new(big.Int).SetBytes(h[:]), big.NewInt(int64(by)))
	var out hash
	n.FillBytes(out[:])
	return out
}

// around is a record that covers the hash of a name and nothing else.
func around(t testing.TB, zone, name string, p parameters, flags byte) *wire.RRset {
	h := p.hash(mustName(t, name))
	return hashedSet(t, zone, p, flags, h.step(-1), h.step(1), dns.TypeA)
}

func atHash(t testing.TB, zone, name string, p parameters, types ...uint16) *wire.RRset {
	h := p.hash(mustName(t, name))
	return hashedSet(t, zone, p, 0, h, h.step(1), types...)
}
