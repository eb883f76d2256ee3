package cache

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/resolve"
)

// A key is the name's (dnsname.AppendKey: labels from the root, a zero octet
// after each), a zero octet that no label begins with, the partition unless it is
// everybody's, the family, and what tells entries of one family and name apart. So
// the keys of a subtree are contiguous in all partitions together, and those of a
// name in each.
//
//	C  delegation       nothing
//	R  RRset or NODATA  type, class
//	X  NXDOMAIN         class
//	F  failure          type, class, bits
//	A  answer           type, class, bits
//	d  SOA of denials   nothing
//	h  NSEC3        its chain (algorithm, iterations, salt), hash
//	n  NSEC         its owner relative to the apex (dnsname.AppendKey)
//	o  gap          0 and where it begins, relative to the apex (gap.low); 1, its chain
//	                and the hash of an NSEC3 set's owner
//	p  (before one of these) a partition, in 8 octets
//
// Denials lie under the apex of their zone in the order of its chain. There may be
// very many of them, so that they stand behind the other families: who reads what
// is known of the apex itself ends where they begin.
const (
	familyAnswer   = 'A'
	familyCut      = 'C'
	familyFailure  = 'F'
	familyRRset    = 'R'
	familyNXDomain = 'X'
	familyDenier   = 'd'
	familyNSEC3    = 'h'
	familyNSEC     = 'n'
	familyGap      = 'o'

	// markPartition stands behind all families, so that who reads everybody's
	// entries of a name in order may end there.
	markPartition = 'p'
)

// Bits of a question that change its answer.
const (
	bitDO = 1 << iota
	bitCD
)

// maxKey is the longest key that a Store takes, in octets. Names whose keys
// would be longer are not cached.
const maxKey = 511

// afterName is the most that stands behind the name in a key of a fixed length.
const afterName = 32

// usualKey has room for the keys of nearly all names.
const usualKey = 96

// scratchKey has room for any key, storable or not.
const scratchKey = dnsname.MaxKeyLen + afterName

func variant(do, cd bool) byte {
	var b byte
	if do {
		b |= bitDO
	}
	if cd {
		b |= bitCD
	}
	return b
}

// A node is one of the tree of names, in a partition: under it lies all that is known of its
// name (RFC 1034, section 3.1).
type node struct {
	in   resolve.Partition
	name dnsname.Name
}

// appendPartition appends what stands between a name's own key and a family.
func appendPartition(key []byte, in resolve.Partition) []byte {
	key = append(key, 0)
	if in != 0 {
		key = binary.BigEndian.AppendUint64(append(key, markPartition), uint64(in))
	}
	return key
}

// prefix begins all keys of a node. Where the node is everybody's, keys of other
// partitions that begin with it stand behind. The room is of a fixed size, so that it
// needs no memory where the key is not kept; few names make it grow.
func (p node) prefix() []byte { return p.appendPrefix(make([]byte, 0, usualKey)) }

func (p node) appendPrefix(dst []byte) []byte { return appendPartition(p.name.AppendKey(dst), p.in) }

func (p node) key(family byte) []byte { return append(p.prefix(), family) }

func (p node) cut() []byte { return p.key(familyCut) }

func (p node) rrset(t, class uint16) []byte { return appendRRset(p.prefix(), t, class) }

func (p node) nxdomain(class uint16) []byte {
	return binary.BigEndian.AppendUint16(p.key(familyNXDomain), class)
}

func (p node) failure(q resolve.Question, cd bool) []byte {
	return appendFailure(p.prefix(), q, cd)
}

func (p node) answer(t, class uint16, b byte) []byte { return appendAnswer(p.prefix(), t, class, b) }

// These end a key whose beginning, the prefix of a node, stands in key.

func appendRRset(key []byte, t, class uint16) []byte {
	return appendType(append(key, familyRRset), t, class)
}

func appendFailure(key []byte, q resolve.Question, cd bool) []byte {
	return append(appendType(append(key, familyFailure), q.Type, q.Class), variant(false, cd))
}

func appendAnswer(key []byte, t, class uint16, b byte) []byte {
	return append(appendType(append(key, familyAnswer), t, class), b)
}

func appendType(key []byte, t, class uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(key, t), class)
}

// soa is the key of the SOA with which the zone denies whose apex is the node.
func (p node) soa() []byte { return p.key(familyDenier) }

// nsec is the key of the NSEC set of a name, in the zone whose apex is the node.
// The keys of a name and of those below it are one range.
func (p node) nsec(owner dnsname.Name) []byte { return p.appendNSEC(p.prefix(), owner) }

func (p node) appendNSEC(prefix []byte, owner dnsname.Name) []byte {
	relative := owner[:len(owner)-len(p.name)] + dnsname.Root
	return relative.AppendKey(append(prefix, familyNSEC))
}

// chain begins the keys of all NSEC3 sets of a chain, in the zone whose apex is the
// node.
func (p node) chain(c dnssec.Chain) []byte { return appendChain(p.key(familyNSEC3), c) }

// appendChain appends what tells chains of NSEC3 sets apart.
func appendChain(key []byte, c dnssec.Chain) []byte {
	key = binary.BigEndian.AppendUint16(append(key, hashSHA1), c.Iterations)
	return append(append(key, byte(len(c.Salt))), c.Salt...)
}

// splitChain reads what appendChain appended, and returns how many octets that is; 0
// for something else.
func splitChain(key []byte) (iterations uint16, salt []byte, n int) {
	const fixed = 4
	if len(key) < fixed || key[0] != hashSHA1 || len(key) < fixed+int(key[3]) {
		return 0, nil, 0
	}
	n = fixed + int(key[3])
	return binary.BigEndian.Uint16(key[1:]), key[fixed:n], n
}

// hashSHA1 is the only hash algorithm of NSEC3 (RFC 5155, section 11).
const hashSHA1 = 1

// isDenial tells whether a family holds denials of a zone's names.
func isDenial(family byte) bool {
	return family == familyNSEC || family == familyNSEC3 || family == familyDenier || family == familyGap
}

// splitKey takes a key apart: where it lies, the family, and what follows it. ok is
// false for what is no key of a node.
func splitKey(key []byte) (at node, family byte, rest []byte, ok bool) {
	n, rest, err := dnsname.FromKey(key)
	if err != nil || len(rest) < 2 || rest[0] != 0 {
		return at, 0, nil, false
	}
	at.name, rest = n, rest[1:]
	if rest[0] == markPartition {
		if len(rest) < 10 {
			return at, 0, nil, false
		}
		at.in, rest = resolve.Partition(binary.BigEndian.Uint64(rest[1:])), rest[9:]
		if at.in == 0 || rest[0] == markPartition {
			return at, 0, nil, false
		}
	}
	return at, rest[0], rest[1:], true
}
