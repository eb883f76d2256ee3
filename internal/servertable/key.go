package servertable

import (
	"encoding/binary"
	"net/netip"
)

// A Key names a record.
type Key struct {
	// Addr is the server's address. The zone of an IPv6 address is not kept.
	Addr netip.AddrPort
	// Kind tells servers apart that have one address and are spoken to differently;
	// 0 is the usual kind. The table does not know what the other kinds mean.
	Kind uint32
}

// keyWords is a Key as it stands in words 1 to 3 of a slot: an IPv6 address (IPv4
// addresses are kept as mapped ones), and then the kind, the mark and the port.
type keyWords [3]uint64

// mark is in the last of the words of every key, so that no key is all zero.
const mark = 1 << 16

// kindAt is the first bit of the kind in the last word.
const kindAt = 17

func wordsOf(k Key) keyWords {
	b := k.Addr.Addr().As16()
	return keyWords{
		binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]),
		uint64(k.Kind)<<kindAt | mark | uint64(k.Addr.Port()),
	}
}

func keyOf(w keyWords) Key {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w[0])
	binary.BigEndian.PutUint64(b[8:], w[1])
	return Key{netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), uint16(w[2])), uint32(w[2] >> kindAt)}
}
