package selection

import (
	"net/netip"
)

var (
	thisNet   = netip.MustParsePrefix("0.0.0.0/8")
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// Forbidden tells whether an address that a stranger named must not be asked:
// it would reach ourselves or a crowd, never a name server (CVE-2026-50251).
// Private addresses are allowed.
func Forbidden(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == broadcast || thisNet.Contains(a)
}
