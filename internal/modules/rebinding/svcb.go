package rebinding

import (
	"encoding/binary"
	"net/netip"

	"kresd/internal/selection"
)

// Parameters of SVCB records that hold addresses (RFC 9460, section 14.3.2).
const (
	ipv4hint = 4
	ipv6hint = 6
)

// localHint finds the first local address among the hints of an SVCB or HTTPS record. Of one
// that is malformed it finds those before the place where that shows.
func localHint(data []byte) (addr netip.Addr, found bool) {
	at := 2 // behind the priority
	for at < len(data) && data[at] != 0 {
		at += int(data[at]) + 1
	}
	for at++; at+4 <= len(data); {
		key, n := binary.BigEndian.Uint16(data[at:]), int(binary.BigEndian.Uint16(data[at+2:]))
		if at += 4; at+n > len(data) {
			return addr, false
		}
		if addr, found = localAmong(data[at:at+n], key); found {
			return addr, true
		}
		at += n
	}
	return addr, false
}

// localAmong finds the first local address in the value of a parameter.
func localAmong(value []byte, key uint16) (addr netip.Addr, found bool) {
	size := 0
	switch key {
	case ipv4hint:
		size = 4
	case ipv6hint:
		size = 16
	default:
		return addr, false
	}
	for ; len(value) >= size; value = value[size:] {
		if a, ok := netip.AddrFromSlice(value[:size]); ok && selection.Local(a) {
			return a, true
		}
	}
	return addr, false
}
