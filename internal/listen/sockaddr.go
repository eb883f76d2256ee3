package listen

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr is the kernel's form of an address: struct sockaddr_in or sockaddr_in6. An
// answer is sent to it as it was received, scope included.
type sockaddr [unix.SizeofSockaddrInet6]byte

// addrPort reads the address, without its scope: a netip zone would have to be
// allocated.
func (a *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(a[2:])
	switch binary.NativeEndian.Uint16(a[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// port is the address's port, which lies in the same place in both families.
func (a *sockaddr) port() uint16 { return binary.BigEndian.Uint16(a[2:]) }

// pktinfo is a control message that holds the local address of a datagram
// (IP_PKTINFO, IPV6_PKTINFO): received, it tells which address was asked; sent
// back, it chooses the source of the answer.
type pktinfo struct {
	buf [64]byte
	len int
}

// Offsets of fields in a control message.
var (
	cmsgData  = unix.CmsgLen(0)
	cmsgLevel = unix.SizeofCmsghdr - 8
	cmsgType  = unix.SizeofCmsghdr - 4
)

// local returns the address that was asked and prepares the control message for the
// answer: the interface is left to the routing table, except for link-local addresses,
// which mean nothing without it. Where control holds no such message, local returns the
// zero Addr, and control is not to be sent.
func local(control []byte) netip.Addr {
	if len(control) < unix.SizeofCmsghdr {
		return netip.Addr{}
	}
	level := binary.NativeEndian.Uint32(control[cmsgLevel:])
	kind := binary.NativeEndian.Uint32(control[cmsgType:])
	data := control[cmsgData:]
	switch {
	case level == unix.SOL_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		clear(data[:4]) // ipi_ifindex
		return netip.AddrFrom4([4]byte(data[4:8]))
	case level == unix.SOL_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		addr := netip.AddrFrom16([16]byte(data[:16]))
		if !addr.IsLinkLocalUnicast() {
			clear(data[16:20]) // ipi6_ifindex
		}
		return addr.Unmap()
	}
	return netip.Addr{}
}

// toSockaddr is the address for calls that are made once in a socket's life, such as bind.
func toSockaddr(a netip.AddrPort, zone uint32) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone}
}

// fromSockaddr is the reverse, without a zone.
func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
