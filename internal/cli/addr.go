package cli

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"kresd/internal/systemd"
)

// The ports of the services.
const (
	DNSPort = 53
	TLSPort = 853
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
	num, name, given := strings.Cut(text, ":")
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 {
		return FD{}, fmt.Errorf("'%s' is not a descriptor number with an optional :kind", text)
	}
	if !given {
		return FD{Num: n, Kind: systemd.DNS}, nil
	}
	kind, ok := systemd.KindOf(name)
	if !ok {
		return FD{}, fmt.Errorf("'%s' has an unknown kind: %s is required", text, systemd.KindNames)
	}
	return FD{Num: n, Kind: kind}, nil
}

// parseTLSFD reads FD, which is served as TLS.
func parseTLSFD(text string) (FD, error) {
	fd, err := parseFD(text)
	switch {
	case err != nil || strings.Contains(text, ":"):
		return FD{}, fmt.Errorf("'%s' is not a descriptor number", text)
	}
	fd.Kind = systemd.TLS
	return fd, nil
}
