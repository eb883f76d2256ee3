// Package transport is the list of the transports by which clients may ask:
// what each is called, in which kind of socket it lives, and what it promises.
//
// It opens no socket: how a transport is served is package listen's, how its
// questions are counted is the stats module's. Whoever must tell transports
// apart asks for what a Kind promises (Stream, Encrypted) and not for its name.
package transport

import "net/netip"

// A Kind is a transport without regard to the address family.
type Kind uint8

// The kinds of transport.
const (
	UDP   Kind = iota // RFC 1035, section 4.2.1
	TCP               // RFC 7766
	TLS               // RFC 7858, DoT
	HTTPS             // RFC 8484, DoH
	QUIC              // RFC 9250, DoQ
	HTTP              // DoH behind a proxy that ends its TLS
	Kinds             // how many there are
)

// The names of what is spoken in a handshake of TLS or QUIC (RFC 7301), to clients and
// to servers.
const (
	ALPNDoT   = "dot"      // RFC 7858, section 8.1
	ALPNHTTP1 = "http/1.1" // RFC 7301, section 6
	ALPNHTTP2 = "h2"       // RFC 9113, section 3.1
	ALPNDoQ   = "doq"      // RFC 9250, section 4.1.1
)

// kinds says of each kind its name, the service that net.listen knows it by,
// whether it lives in UDP sockets, whether it is a stream, whether it is encrypted
// and whether we do that.
var kinds = [Kinds]struct {
	name, service                      string
	datagrams, stream, encrypted, ours bool
}{
	UDP:   {"UDP", "dns", true, false, false, false},
	TCP:   {"TCP", "dns", false, true, false, false},
	TLS:   {"TLS", "tls", false, true, true, true},
	HTTPS: {"HTTPS", "doh2", false, true, true, true},
	QUIC:  {"QUIC", "doq", true, true, true, true},
	HTTP:  {"HTTP", "http", false, true, true, false},
}

// String is the name that people read.
func (k Kind) String() string { return kinds[k].name }

// Service is what net.listen calls an endpoint of this kind. Plain DNS is one
// service by two kinds.
func (k Kind) Service() string { return kinds[k].service }

// Offering are the kinds that together are a service of net.listen; none for a
// name that is no service.
func Offering(service string) []Kind {
	var list []Kind
	for k := range Kinds {
		if k.Service() == service {
			list = append(list, k)
		}
	}
	return list
}

// Network is the kind of socket in which the transport lives: "udp" or "tcp".
// Two kinds in the same network cannot share an address and port.
func (k Kind) Network() string {
	if kinds[k].datagrams {
		return "udp"
	}
	return "tcp"
}

// Stream tells that an answer of any size reaches the client whole, and that
// the client's address is not forged. Elsewhere the client's buffer bounds the
// answer (RFC 6891, section 6.2.3).
func (k Kind) Stream() bool { return kinds[k].stream }

// Encrypted tells that only the client can read the answer, or the proxy that
// encrypts it for the client, so that padding hides something (RFC 7830, section
// 6).
func (k Kind) Encrypted() bool { return kinds[k].encrypted }

// Secured tells that it is we who encrypt, so that clients see our certificate.
func (k Kind) Secured() bool { return kinds[k].ours }

// A Header is a field of the head of a request by HTTP, its name in lower case.
type Header struct{ Name, Value string }

// A Family is a family of IP addresses.
type Family uint8

// The address families.
const (
	IPv4 Family = iota
	IPv6
	Families // how many there are
)

// FamilyOf is the family of an address; an IPv4 address in IPv6's clothes is an
// IPv4 address.
func FamilyOf(a netip.Addr) Family {
	if a.Is6() && !a.Is4In6() {
		return IPv6
	}
	return IPv4
}

// A Transport is how a question reached us. The zero Transport is UDP over IPv4.
type Transport struct {
	Kind   Kind
	Family Family
}

// Count is how many Transports there are.
const Count = int(Kinds) * int(Families)

// Index numbers the Transports from 0 to Count-1, for tables.
func (t Transport) Index() int { return int(t.Kind)*int(Families) + int(t.Family) }

// At is the Transport with an Index.
func At(index int) Transport {
	return Transport{Kind: Kind(index / int(Families)), Family: Family(index % int(Families))}
}
