package cli

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseAddr reads ADDR[@PORT] or ADDR[#PORT]. IPv6 addresses need no brackets
// and may have them; "localhost" means both loopback addresses.
func ParseAddr(text string, defaultPort uint16) ([]Addr, error) {
	host, port := text, defaultPort
	if i := strings.LastIndexAny(text, "@#"); i >= 0 {
		n, err := strconv.ParseUint(text[i+1:], 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("'%s' has a bad port: a number from 1 to 65535 is required", text)
		}
		host, port = text[:i], uint16(n)
	}
	if host == "localhost" {
		return []Addr{
			{AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), Given: text},
			{AddrPort: netip.AddrPortFrom(netip.IPv6Loopback(), port), Given: text, Optional: true},
		}, nil
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("'%s' is not an IP address with an optional @port", text)
	}
	return []Addr{{AddrPort: netip.AddrPortFrom(addr.Unmap(), port), Given: text}}, nil
}

// parseFD reads FD[:KIND].
func parseFD(text string) (FD, error) {
	num, kind, given := strings.Cut(text, ":")
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 {
		return FD{}, fmt.Errorf("'%s' is not a descriptor number with an optional :kind", text)
	}
	kind = strings.ToLower(kind)
	switch kind {
	case "", "dns":
		if given && kind == "" {
			return FD{}, fmt.Errorf("'%s' has an empty kind", text)
		}
		return FD{Num: n, Kind: "dns"}, nil
	case "control":
		return FD{Num: n, Kind: kind}, nil
	case "tls", "doh", "doh2", "webmgmt":
		return FD{}, fmt.Errorf("'%s': kind '%s' is not in this version; there are 'dns' and 'control'", text, kind)
	}
	return FD{}, fmt.Errorf("'%s' has an unknown kind: 'dns' or 'control' is required", text)
}
