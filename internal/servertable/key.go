package servertable

import (
	"encoding/binary"
	"net/netip"
)

// keyOf is the key of an address. IPv4 addresses are kept as mapped ones.
func keyOf(addr netip.AddrPort) key {
	b := addr.Addr().As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), uint64(addr.Port()) | mark}
}

func addrOf(k key) netip.AddrPort {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k[0])
	binary.BigEndian.PutUint64(b[8:], k[1])
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), uint16(k[2]))
}
