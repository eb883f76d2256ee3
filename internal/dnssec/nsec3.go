package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// hash is a hashed name, or the next one (RFC 5155, section 5).
type hash [sha1.Size]byte

// nsec3 is one NSEC3 record.
type nsec3 struct {
	owner, next hash
	optOut      bool
	types       types
}

// parameters are what all NSEC3 records of one chain share (RFC 5155, section 3.1).
type parameters struct {
	iterations uint16
	salt       string
}

// hashes are the NSEC3 records of a zone in one answer.
type hashes struct {
	zone   dnsname.Name
	of     parameters
	list   []nsec3
	hasher *Hasher
}

// addHashed takes in an NSEC3 set. Records of another chain than the first one's that can be
// hashed are left out, as are those with an algorithm or a flag that means nothing here
// (RFC 5155, sections 8.1 and 8.2).
func (d *Denials) addHashed(set *wire.RRset) {
	n, of, ok := parseNSEC3(d.zone, set)
	if !ok {
		return
	}
	if of.iterations > limits.NSEC3Iterations {
		d.costly = true
		return
	}
	if d.hash == nil {
		d.hash = &hashes{zone: d.zone, of: of, hasher: d.hasher}
	}
	if of == d.hash.of && len(d.hash.list) < limits.NSEC3PerResponse {
		d.hash.list = append(d.hash.list, n)
	}
}

const (
	nsec3SHA1   = 1 // the only hash algorithm
	nsec3OptOut = 1 // the only flag
	nsec3Fixed  = 5 // octets of RDATA before the salt
	hashedLabel = 32
)

func parseNSEC3(zone dnsname.Name, set *wire.RRset) (n nsec3, of parameters, ok bool) {
	if len(set.Data) != 1 || set.Owner.IsRoot() || set.Owner.Parent() != zone || Damaged(set) {
		return n, of, false
	}
	b := set.Data[0]
	if b[0] != nsec3SHA1 || b[1]&^nsec3OptOut != 0 {
		return n, of, false
	}
	salt, rest := b[nsec3Fixed:nsec3Fixed+int(b[4])], b[nsec3Fixed+int(b[4]):]
	owner, known := unhashLabel(set.Owner.Label())
	if !known || rest[0] != sha1.Size {
		return n, of, false
	}
	n = nsec3{owner: owner, next: hash(rest[1 : 1+sha1.Size]), optOut: b[1]&nsec3OptOut != 0, types: types(rest[1+sha1.Size:])}
	return n, parameters{binary.BigEndian.Uint16(b[2:]), string(salt)}, true
}

// unhashLabel reads the first label of an NSEC3 record's owner (RFC 5155, section
// 3.3).
func unhashLabel(label string) (h hash, ok bool) {
	if len(label) != hashedLabel {
		return h, false
	}
	n, err := base32.HexEncoding.Decode(h[:], []byte(strings.ToUpper(label)))
	return h, err == nil && n == len(h)
}

// hashLabel is the first label of the NSEC3 record of a name.
func hashLabel(h hash) string { return strings.ToLower(base32.HexEncoding.EncodeToString(h[:])) }

// A Hasher hashes names for the proofs of one question, each name of a chain once.
type Hasher struct {
	meter Meter
	known []hashedName // few: no more than a name has ancestors, for a chain or two
}

type hashedName struct {
	of   parameters
	name dnsname.Name
	sum  hash
}

// NewHasher is a Hasher that asks the meter before it hashes.
func NewHasher(m Meter) *Hasher { return &Hasher{meter: m} }

// Hash is the hash of a name in a chain (RFC 5155, section 5).
func (h *Hasher) Hash(c Chain, name dnsname.Name) ([sha1.Size]byte, error) {
	return h.hash(parameters{c.Iterations, c.Salt}, name)
}

func (h *Hasher) hash(of parameters, name dnsname.Name) (hash, error) {
	for i := range h.known {
		if k := &h.known[i]; k.name == name && k.of == of {
			return k.sum, nil
		}
	}
	sum, err := h.fresh(of, name)
	if err == nil {
		h.known = append(h.known, hashedName{of, name, sum})
	}
	return sum, err
}

// fresh is the hash of a name that was not hashed for this question yet.
func (h *Hasher) fresh(of parameters, name dnsname.Name) (hash, error) {
	n := HashedName{Chain{of.iterations, of.salt}, name}
	memory, remembers := h.meter.(HashMemory)
	remembers = remembers && of.iterations > 0
	if remembers {
		if sum, ok := memory.Hashed(n); ok {
			return sum, nil
		}
	}
	if err := h.meter.Hash(of.blocks(name)); err != nil {
		return hash{}, err
	}
	sum := of.hash(name)
	if remembers {
		memory.LearnHash(n, sum)
	}
	return sum, nil
}

func (hs *hashes) hashed(name dnsname.Name) (hash, error) { return hs.hasher.hash(hs.of, name) }

// blocks is what hashing a name costs, in blocks of SHA-1.
func (p parameters) blocks(name dnsname.Name) int {
	return HashBlocks(name.Len(), p.iterations, len(p.salt))
}

func (p parameters) hash(name dnsname.Name) hash {
	return HashSalted(append([]byte(name), p.salt...), len(p.salt), p.iterations)
}

// HashBlocks is what hashing a name of so many octets costs, in blocks of SHA-1.
func HashBlocks(octets int, iterations uint16, salt int) int {
	const block, end = sha1.BlockSize, 9
	blocks := func(octets int) int { return (octets + salt + end + block - 1) / block }
	return blocks(octets) + int(iterations)*blocks(sha1.Size)
}

// maxSalt is the longest salt, whose length is told in one octet.
const maxSalt = 255

// HashSalted is the hash of a name in canonical wire form with its salt, of so many
// octets, behind it (RFC 5155, section 5). It allocates nothing, and asks no meter.
func HashSalted(name []byte, salt int, iterations uint16) [sha1.Size]byte {
	h := sha1.Sum(name)
	var buf [sha1.Size + maxSalt]byte
	n := sha1.Size + copy(buf[sha1.Size:], name[len(name)-salt:])
	for range iterations {
		copy(buf[:], h[:])
		h = sha1.Sum(buf[:n])
	}
	return h
}

// covers tells whether a hash lies strictly between the owner's and the next one:
// equal is a match, and no name without records.
func (n *nsec3) covers(h hash) bool { return Between(n.owner[:], h[:], n.next[:]) }

// Between tells whether a hash lies strictly between that of an NSEC3 set's owner and
// the next one.
func Between(owner, h, next []byte) bool {
	after, before := bytes.Compare(owner, h) < 0, bytes.Compare(h, next) < 0
	if bytes.Compare(owner, next) < 0 {
		return after && before
	}
	return after || before // the last of the chain, which leads back to the first
}

func (hs *hashes) match(name dnsname.Name) (*nsec3, error) {
	h, err := hs.hashed(name)
	if err != nil {
		return nil, err
	}
	for i := range hs.list {
		if hs.list[i].owner == h {
			return &hs.list[i], nil
		}
	}
	return nil, nil
}

func (hs *hashes) cover(name dnsname.Name) (*nsec3, error) {
	h, err := hs.hashed(name)
	if err != nil {
		return nil, err
	}
	for i := range hs.list {
		if hs.list[i].covers(h) {
			return &hs.list[i], nil
		}
	}
	return nil, nil
}

// enclosed is the closest encloser proof of a name (RFC 5155, section 8.3): an
// ancestor that exists, and the name one label longer that does not.
type enclosed struct {
	encloser dnsname.Name
	next     *nsec3 // covers the next closer name
}

// enclose looks for the closest encloser of a name that itself has no record; nil
// when it is not proven. It goes up from the name, and hashes each ancestor at most
// once for all proofs of an answer.
func (hs *hashes) enclose(name dnsname.Name) (*enclosed, error) {
	if !name.IsStrictlyBelow(hs.zone) {
		return nil, nil
	}
	closer := name
	for n := name.Parent(); ; n = n.Parent() {
		at, err := hs.match(n)
		switch {
		case err != nil:
			return nil, err
		case at == nil && n == hs.zone:
			return nil, nil
		case at == nil:
			closer = n
			continue
		case !at.types.below(): // the name is not this zone's (RFC 5155, section 8.3)
			return nil, nil
		}
		next, err := hs.cover(closer)
		if next == nil || err != nil {
			return nil, err
		}
		return &enclosed{n, next}, nil
	}
}

// worth is what a proof by a closest encloser is worth: below an opt-out range
// there may be delegations without a signature (RFC 5155, section 9.2).
func (e *enclosed) worth() Proof {
	if e.next.optOut {
		return Unsigned
	}
	return Proven
}

// nameError also takes the one denial that a zone with opt-out cannot prove: of a name below
// an empty non-terminal that has no record, since there are but unsigned delegations below it
// (RFC 5155, section 7.1), while a wildcard stands above that. The proof then ends above the
// wildcard, whose record the server shows. It is not what section 8.4 asks for, and never
// Proven. But the range that opts out lets each delegation without DS be at or above the name
// (sections 6 and 8.9), from which the same denial would come unsigned: it is insecure, not
// bogus. Right below the closest encloser the wildcard would have been the answer.
func (hs *hashes) nameError(name dnsname.Name) (Proof, error) {
	if at, err := hs.match(name); at != nil || err != nil {
		return Unproven, err // it exists
	}
	e, err := hs.enclose(name)
	if e == nil || err != nil {
		return Unproven, err
	}
	w, err := hs.cover(Wildcard(e.encloser))
	switch {
	case err != nil:
		return Unproven, err
	case w == nil && e.next.optOut && name.Labels() > e.encloser.Labels()+1 && hs.links(Wildcard(e.encloser)):
		return Unsigned, nil
	case w == nil:
		return Unproven, nil
	}
	return e.worth(), nil
}

// links tells whether a record is that of a name or leads to it, whose hash is known.
func (hs *hashes) links(name dnsname.Name) bool {
	h, err := hs.hashed(name)
	return err == nil && slices.ContainsFunc(hs.list, func(n nsec3) bool { return n.owner == h || n.next == h })
}

func (hs *hashes) noData(name dnsname.Name, qtype uint16) (Proof, error) {
	at, err := hs.match(name)
	if err != nil {
		return Unproven, err
	}
	if at != nil {
		return proven(at.types.lacks(qtype, name.IsRoot())), nil
	}
	e, err := hs.enclose(name)
	switch {
	case e == nil || err != nil:
		return Unproven, err
	case e.next.optOut: // an unsigned delegation, or only names below one, whatever a wildcard has
		return Unsigned, nil
	}
	w, err := hs.match(Wildcard(e.encloser))
	if w == nil || err != nil {
		return Unproven, err
	}
	return proven(w.types.lacks(qtype, false)), nil
}

func (hs *hashes) expanded(name, encloser dnsname.Name) (Proof, error) {
	if !name.IsStrictlyBelow(encloser) || !encloser.IsSubdomainOf(hs.zone) {
		return Unproven, nil
	}
	next, err := hs.cover(name.Suffix(encloser.Labels() + 1))
	if next == nil || err != nil {
		return Unproven, err
	}
	return (&enclosed{encloser, next}).worth(), nil
}

func (hs *hashes) cut(name dnsname.Name) (p Proof, cut bool, err error) {
	at, err := hs.match(name)
	if err != nil {
		return Unproven, false, err
	}
	if at != nil {
		return proven(at.types.lacks(wire.TypeDS, false)), at.types.delegates(), nil
	}
	e, err := hs.enclose(name)
	if e == nil || err != nil {
		return Unproven, false, err
	}
	return e.worth(), e.next.optOut, nil
}
