package ddr

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A service is an encrypted transport at one port, with the addresses at which it is
// offered.
type service struct {
	priority uint16
	target   dnsname.Name
	alpn     string
	port     uint16 // 0: the usual one
	path     string // of DNS over HTTPS

	any4, any6 bool // at every address of the family
	addrs      []netip.Addr
}

// designated says of each kind of transport that clients are told of how it is
// called (RFC 9461, section 4.1), its usual port (section 4.2) and its place among
// the others.
var designated = [transport.Kinds]struct {
	alpn     string
	port     uint16
	priority uint16
}{
	transport.TLS:   {transport.ALPNDoT, 853, 1},
	transport.HTTPS: {transport.ALPNHTTP2, 443, 2},
	transport.QUIC:  {transport.ALPNDoQ, 853, 3},
}

// services gathers endpoints by transport and port. target is the name of all.
func services(endpoints []Endpoint, target dnsname.Name, path string) []service {
	var list []service
	for _, e := range endpoints {
		what := designated[e.Kind]
		if what.alpn == "" || !e.Addr.IsValid() {
			continue
		}
		s := service{priority: what.priority, target: target, alpn: what.alpn}
		if e.Addr.Port() != what.port {
			s.port = e.Addr.Port()
		}
		if e.Kind == transport.HTTPS {
			s.path = path + "{?dns}"
		}
		i := slices.IndexFunc(list, func(o service) bool { return o.alpn == s.alpn && o.port == s.port })
		if i < 0 {
			i, list = len(list), append(list, s)
		}
		list[i].offer(e.Addr.Addr())
	}
	slices.SortStableFunc(list, func(a, b service) int { return int(a.priority) - int(b.priority) })
	return list
}

// offer notes an address at which the service is offered.
func (s *service) offer(a netip.Addr) {
	switch {
	case a.IsUnspecified():
		s.any4, s.any6 = s.any4 || a.Is4(), s.any6 || a.Is6()
	case len(s.addrs) < limits.DesignationHints:
		s.addrs = append(s.addrs, a.WithZone(""))
	}
}

// listed tells whether one of the services is offered at this very address.
func listed(list []service, local netip.Addr) bool {
	return slices.ContainsFunc(list, func(s service) bool { return slices.Contains(s.addrs, local) })
}

// at are the addresses at which a client that asks at local finds the service. Addresses
// that only this host can reach are told to clients on it, and link-local ones to clients
// that ask at the same address.
func (s *service) at(local netip.Addr) (list []netip.Addr) {
	if s.any4 && local.Is4() || s.any6 && local.Is6() {
		list = append(list, local)
	}
	for _, a := range s.addrs {
		near := a.IsLoopback() == local.IsLoopback() && (!a.IsLinkLocalUnicast() || a == local)
		if near && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// records are the RDATA of the designations for those who ask at local.
func records(list []service, local netip.Addr) (data [][]byte) {
	for i := range list {
		if addrs := list[i].at(local); len(addrs) > 0 {
			data = append(data, list[i].rdata(addrs))
		}
	}
	return data
}

// The keys of SVCB parameters (RFC 9460, section 14.3.2; RFC 9461, section 5), in
// the order in which they stand in a record.
const (
	keyALPN     = 1
	keyPort     = 3
	keyIPv4Hint = 4
	keyIPv6Hint = 6
	keyDoHPath  = 7
)

// rdata is the RDATA of one designation (RFC 9460, section 2.2).
func (s *service) rdata(addrs []netip.Addr) []byte {
	data := binary.BigEndian.AppendUint16(nil, s.priority)
	data = append(data, s.target...)
	data = parameter(data, keyALPN, append([]byte{byte(len(s.alpn))}, s.alpn...))
	if s.port != 0 {
		data = parameter(data, keyPort, binary.BigEndian.AppendUint16(nil, s.port))
	}
	var four, six []byte
	for _, a := range addrs {
		if a.Is4() {
			four = append(four, a.AsSlice()...)
		} else {
			six = append(six, a.AsSlice()...)
		}
	}
	data = parameter(data, keyIPv4Hint, four)
	data = parameter(data, keyIPv6Hint, six)
	return parameter(data, keyDoHPath, []byte(s.path))
}

// parameter appends a parameter, unless it is empty.
func parameter(data []byte, key uint16, value []byte) []byte {
	if len(value) == 0 {
		return data
	}
	data = binary.BigEndian.AppendUint16(data, key)
	data = binary.BigEndian.AppendUint16(data, uint16(len(value)))
	return append(data, value...)
}
