package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// A signedSet is an RRset on its way to be verified. What a signature covers is put
// together once for all signatures that agree on the owner and the TTL, as those of
// one set do.
type signedSet struct {
	*wire.RRset
	sorted [][]byte // RDATA in canonical order (RFC 4034, section 6.3)
	labels int      // those that body was made for; -1: none was made
	ttl    uint32
	body   []byte
}

func newSignedSet(set *wire.RRset) signedSet {
	sorted := set.Data
	if !slices.IsSortedFunc(sorted, bytes.Compare) {
		sorted = slices.Clone(sorted)
		slices.SortFunc(sorted, bytes.Compare)
	}
	return signedSet{RRset: set, sorted: sorted, labels: -1}
}

// message is what a signature signs (RFC 4034, section 3.1.8.1): its own RDATA
// without the signature, then every record with the owner and the TTL that they had
// when they were signed.
func (set *signedSet) message(s *Signature) []byte {
	if set.labels != s.Labels || set.ttl != s.OriginalTTL {
		set.labels, set.ttl = s.Labels, s.OriginalTTL
		set.body = set.records(s)
	}
	return append(append(make([]byte, 0, len(s.head)+len(set.body)), s.head...), set.body...)
}

func (set *signedSet) records(s *Signature) []byte {
	var room [dnsname.MaxLen + 8]byte
	start := append(room[:0], signedOwner(set.Owner, s.Labels)...)
	start = binary.BigEndian.AppendUint16(start, set.Type)
	start = binary.BigEndian.AppendUint16(start, set.Class)
	start = binary.BigEndian.AppendUint32(start, s.OriginalTTL)
	size := 0
	for _, d := range set.sorted {
		size += len(start) + 2 + len(d)
	}
	out := make([]byte, 0, size)
	for _, d := range set.sorted {
		out = binary.BigEndian.AppendUint16(append(out, start...), uint16(len(d)))
		out = append(out, d...)
	}
	return out
}

// signedOwner is the owner as it was signed: where a signature covers fewer labels
// the set was made from a wildcard (RFC 4035, section 5.3.2).
func signedOwner(owner dnsname.Name, labels int) dnsname.Name {
	have := owner.Labels()
	if owner.IsWildcard() {
		have--
	}
	if labels >= have {
		return owner
	}
	return Wildcard(owner.Suffix(labels))
}

// Wildcard is the name of the wildcard at a closest encloser (RFC 4592, section
// 2.1.1); "" where that would be too long to exist.
func Wildcard(encloser dnsname.Name) dnsname.Name {
	n, err := encloser.Prepend("*")
	if err != nil {
		return ""
	}
	return n
}
