package cache

import (
	"encoding/binary"

	"kresd/internal/dnsname"
)

// A key is the name's (dnsname.AppendKey: labels from the root, a zero octet
// after each), a zero octet that no label begins with, the family, and what
// tells entries of one family and name apart. So the keys of a name are
// contiguous, and so are those of a subtree.
//
//	C  delegation       nothing
//	R  RRset or NODATA  type, class
//	X  NXDOMAIN         class
//	F  failure          type, class, bits
//	A  answer           type, class, bits, half of the fingerprint
//
// The fingerprint stands in the key too, so that groups with different
// configurations do not overwrite each other's answers.
const (
	familyAnswer   = 'A'
	familyCut      = 'C'
	familyFailure  = 'F'
	familyRRset    = 'R'
	familyNXDomain = 'X'
)

// Bits of a question that change its answer.
const (
	bitDO = 1 << iota
	bitCD
)

// maxKey is the longest key that a Store takes, in octets. Names whose keys
// would be longer are not cached.
const maxKey = 511

// scratchKey has room for any key, storable or not.
const scratchKey = dnsname.MaxKeyLen + 16

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

// nameKey is the prefix of all keys of a name.
func nameKey(n dnsname.Name) []byte {
	return append(n.AppendKey(make([]byte, 0, 2*len(n)+16)), 0)
}

func familyKey(n dnsname.Name, family byte) []byte {
	return append(nameKey(n), family)
}

func cutKey(n dnsname.Name) []byte { return familyKey(n, familyCut) }

func rrsetKey(n dnsname.Name, t, class uint16) []byte {
	return appendType(familyKey(n, familyRRset), t, class)
}

func nxdomainKey(n dnsname.Name, class uint16) []byte {
	return binary.BigEndian.AppendUint16(familyKey(n, familyNXDomain), class)
}

func failureKey(n dnsname.Name, t, class uint16, cd bool) []byte {
	return append(appendType(familyKey(n, familyFailure), t, class), variant(false, cd))
}

func answerKey(n dnsname.Name, t, class uint16, b byte, fingerprint uint64) []byte {
	return appendAnswerKey(n.AppendKey(make([]byte, 0, 2*len(n)+24)), t, class, b, fingerprint)
}

// appendAnswerKey appends what follows the name's part of the key.
func appendAnswerKey(key []byte, t, class uint16, b byte, fingerprint uint64) []byte {
	key = append(appendType(append(key, 0, familyAnswer), t, class), b)
	return binary.BigEndian.AppendUint32(key, uint32(fingerprint))
}

func appendType(key []byte, t, class uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(key, t), class)
}

// splitKey takes a key apart: the family and what follows it.
func splitKey(key []byte) (n dnsname.Name, family byte, rest []byte, ok bool) {
	n, rest, err := dnsname.FromKey(key)
	if err != nil || len(rest) < 2 || rest[0] != 0 {
		return "", 0, nil, false
	}
	return n, rest[1], rest[2:], true
}
