package selection

import (
	"net/netip"
)

var (
	thisNet   = netip.MustParsePrefix("0.0.0.0/8")
	carriers  = netip.MustParsePrefix("100.64.0.0/10")
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// Forbidden tells whether an address that a stranger named must not be asked:
// it would reach ourselves or a crowd, never a name server (CVE-2026-50251).
// Private addresses are allowed.
func Forbidden(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == broadcast || thisNet.Contains(a)
}

// Local tells whether an address is of a private network or this host's own (RFC 6890, RFC
// 1918, RFC 6598, RFC 3927, RFC 4193), also where it is of IPv4 in IPv6's clothes.
func Local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsUnspecified() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || thisNet.Contains(a) || carriers.Contains(a)
}
