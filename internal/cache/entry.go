package cache

import (
	"encoding/binary"
	"hash/crc32"

	"kresd/internal/limits"
	"kresd/internal/rank"
)

// Schema is the version of keys and entries. A Store that holds another one is
// emptied when it is opened; each entry repeats it, because a file may be
// written by two programs at once.
const Schema = 5

// Every entry begins with a header. Numbers are big-endian.
//
//	 0  2  magic
//	 2  1  schema
//	 3  1  kind
//	 4  4  length of the whole entry in octets
//	 8  4  CRC-32C of the key, then of the entry without this field
//	12  1  rank
//	13  1  flags (of answers)
//	14  2  RCODE (of answers), extended error (of failures), what is odd (of sets, sets.go)
//	16  8  when it was made, in wall seconds since 1970
//	24  4  TTL in seconds, counted from then
//	28     body, by kind: sets.go, cutentry.go, answerentry.go, gap.go
//
// The key is part of the checksum, so that an entry that a damaged tree presents
// under another name is not believed either.
const (
	headerLen = 28
	magic     = 0x6b52 // kR
)

// Kinds of entries.
const (
	kindRRset = 1 + iota
	kindNoData
	kindNXDomain
	kindCut
	kindAnswer
	kindFailure
	kindDenial
	kindGap
)

// header is what the header of an entry says about it. Magic, schema, length and
// checksum, which only show that the entry is whole, are left out.
type header struct {
	kind  byte
	rank  rank.Rank
	flags byte
	code  uint16
	made  int64
	ttl   uint32
}

// maxAhead is by how many seconds an entry may have been made in the future. Less
// happens: the clock was set back, or the file comes from a machine whose clock runs
// ahead. An entry that claims more is not used.
const maxAhead = 86400

// age is how old the entry is and how long it may still be used, in seconds; ok
// is false when it may not. Age is never negative, so what is left is never
// more than the TTL, whatever the clock does.
func (h *header) age(now int64) (age, left uint32, ok bool) { return h.ageWithin(now, 0) }

// ageWithin is age for somebody who also takes entries that ended less than grace
// seconds ago; nothing is left of those.
func (h *header) ageWithin(now, grace int64) (age, left uint32, ok bool) {
	d := now - h.made
	if d < -maxAhead || d >= int64(h.ttl)+grace {
		return 0, 0, false
	}
	age = uint32(min(max(d, 0), 1<<32-1))
	return age, h.ttl - min(age, h.ttl), true
}

// newEntry starts an entry; seal ends it.
func newEntry(h header, size int) []byte {
	b := make([]byte, headerLen, headerLen+size)
	binary.BigEndian.PutUint16(b, magic)
	b[2], b[3] = Schema, h.kind
	b[12], b[13] = byte(h.rank), h.flags
	binary.BigEndian.PutUint16(b[14:], h.code)
	binary.BigEndian.PutUint64(b[16:], uint64(h.made))
	binary.BigEndian.PutUint32(b[24:], h.ttl)
	return b
}

// together puts a key behind its entry. The Store keeps both, and they take one piece of
// memory where newEntry was told to leave room for the key.
func together(key, entry []byte) (k, e []byte) {
	n := len(entry)
	all := append(entry, key...)
	return all[n:], all[:n:n]
}

// seal fills in the length and the checksum of an entry. It returns nil when the
// entry is too large.
func seal(key, entry []byte) []byte {
	if len(entry) > limits.MaxCacheEntryBytes {
		return nil
	}
	binary.BigEndian.PutUint32(entry[4:], uint32(len(entry)))
	binary.BigEndian.PutUint32(entry[8:], checksum(key, entry))
	return entry
}

// open checks an entry that was found under key, and returns its body. ok is
// false for anything that seal did not write.
func open(key, entry []byte) (h header, body []byte, ok bool) {
	if len(entry) < headerLen || len(entry) > limits.MaxCacheEntryBytes ||
		binary.BigEndian.Uint16(entry) != magic || entry[2] != Schema ||
		binary.BigEndian.Uint32(entry[4:]) != uint32(len(entry)) ||
		binary.BigEndian.Uint32(entry[8:]) != checksum(key, entry) {
		return header{}, nil, false
	}
	h = parseHeader(entry)
	return h, entry[headerLen:], h.made >= 0 && h.made < 1<<40
}

// parseHeader reads a header without checking it.
func parseHeader(entry []byte) header {
	return header{
		kind: entry[3], rank: rank.Rank(entry[12]), flags: entry[13],
		code: binary.BigEndian.Uint16(entry[14:]),
		made: int64(binary.BigEndian.Uint64(entry[16:])),
		ttl:  binary.BigEndian.Uint32(entry[24:]),
	}
}

func checksum(key, entry []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Update(0, table, key)
	c = crc32.Update(c, table, entry[:8])
	return crc32.Update(c, table, entry[12:])
}
