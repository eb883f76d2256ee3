package listen

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"kresd/internal/limits"
)

// The header of the PROXY protocol, version 2, that a proxy puts in front of a
// datagram or a stream to say whose it is. (The text of the protocol is the file
// doc/proxy-protocol.txt of HAProxy.)

// proxySignature begins each header. As a message of the DNS it would be a query
// with the opcode 1, which nobody sends.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyFixed is the part of a header that says how long the rest is.
const proxyFixed = len(proxySignature) + 4

// The commands and families in a header.
const (
	proxyLocal = 0x20 // version 2: the proxy asks itself
	proxyOther = 0x21 // and for somebody

	proxyIPv4 = 1
	proxyIPv6 = 2
)

// errProxyHeader says that there is no header, or a wrong one.
var errProxyHeader = errors.New("no header of the PROXY protocol, version 2, as it must be")

// beginsProxyHeader tells whether b begins like a header.
func beginsProxyHeader(b []byte) bool {
	return len(b) >= len(proxySignature) && string(b[:len(proxySignature)]) == proxySignature
}

// proxyHeaderLen is how long the header is that b, its fixed part, begins.
func proxyHeaderLen(b []byte) (int, error) {
	if len(b) < proxyFixed || !beginsProxyHeader(b) {
		return 0, errProxyHeader
	}
	n := proxyFixed + int(binary.BigEndian.Uint16(b[proxyFixed-2:]))
	if n > limits.ProxyHeader {
		return 0, errProxyHeader
	}
	return n, nil
}

// OwnHeader is the header by which a proxy asks for itself.
func OwnHeader() []byte { return append([]byte(proxySignature), proxyLocal, 0, 0, 0) }

// A proxied is what a header says. Invalid addresses stand for those of the
// connection itself.
type proxied struct{ client, local netip.AddrPort }

// parseProxyHeader reads a header, which is all of b. Of what may follow the
// addresses only the form matters. A header for somebody whose address is not told
// is refused: the proxy's own could be trusted more than that client is.
func parseProxyHeader(b []byte) (p proxied, err error) {
	n, err := proxyHeaderLen(b)
	if err != nil || n != len(b) {
		return proxied{}, errProxyHeader
	}
	command, family, how := b[12], b[13]>>4, b[13]&0x0f
	rest := b[proxyFixed:]
	switch {
	case command == proxyLocal:
		return proxied{}, nil
	case command != proxyOther || how != 1 && how != 2: // a stream or datagrams
		return proxied{}, errProxyHeader
	case family == proxyIPv4 && len(rest) >= 12:
		p.client = addrPortAt(netip.AddrFrom4([4]byte(rest)), rest[8:])
		p.local = addrPortAt(netip.AddrFrom4([4]byte(rest[4:])), rest[10:])
		rest = rest[12:]
	case family == proxyIPv6 && len(rest) >= 36:
		p.client = addrPortAt(netip.AddrFrom16([16]byte(rest)).Unmap(), rest[32:])
		p.local = addrPortAt(netip.AddrFrom16([16]byte(rest[16:])).Unmap(), rest[34:])
		rest = rest[36:]
	default:
		return proxied{}, errProxyHeader
	}
	if a := p.client.Addr(); a.IsUnspecified() || a.IsMulticast() || !wellFormed(rest) {
		return proxied{}, errProxyHeader
	}
	return p, nil
}

func addrPortAt(a netip.Addr, port []byte) netip.AddrPort {
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
}

// wellFormed tells whether b is items, each a type in one octet, a length in two and
// so many octets.
func wellFormed(b []byte) bool {
	for len(b) >= 3 {
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}
