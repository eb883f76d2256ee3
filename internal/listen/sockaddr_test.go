package listen

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlMessage is a message as the kernel writes it.
func controlMessage(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// The answer's interface is the routing table's choice, which knows better than
// the way by which the question came; a link-local address is one of an
// interface's own.
func TestAnswersLeaveByTheRoutingTable(t *testing.T) {
	index := binary.NativeEndian.AppendUint32(nil, 7)
	v4 := func(a string) []byte { // in_pktinfo: interface, local address, destination
		ip := netip.MustParseAddr(a).AsSlice()
		return append(append(append([]byte{}, index...), ip...), ip...)
	}
	v6 := func(a string) []byte { return append(netip.MustParseAddr(a).AsSlice(), index...) } // in6_pktinfo: address, interface
	for _, c := range []struct {
		addr        string
		level, kind int
		data        []byte
		at          int // of the interface in the data
		index       uint32
	}{
		{"192.0.2.1", unix.SOL_IP, unix.IP_PKTINFO, v4("192.0.2.1"), 0, 0},
		{"2001:db8::1", unix.SOL_IPV6, unix.IPV6_PKTINFO, v6("2001:db8::1"), 16, 0},
		{"fe80::1", unix.SOL_IPV6, unix.IPV6_PKTINFO, v6("fe80::1"), 16, 7},
	} {
		control := controlMessage(c.level, c.kind, c.data)
		if got := local(control); got != netip.MustParseAddr(c.addr) {
			t.Errorf("%s: asked %v", c.addr, got)
		}
		if got := binary.NativeEndian.Uint32(control[cmsgData+c.at:]); got != c.index {
			t.Errorf("%s: the answer leaves by interface %d, want %d", c.addr, got, c.index)
		}
	}
	for name, control := range map[string][]byte{
		"a message of another kind":    controlMessage(unix.SOL_SOCKET, unix.SCM_RIGHTS, index),
		"another one of IPv4":          controlMessage(unix.SOL_IP, unix.IP_TTL, v4("192.0.2.1")),
		"another one of IPv6":          controlMessage(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, v6("2001:db8::1")),
		"that number of another level": controlMessage(unix.SOL_SOCKET, unix.IP_PKTINFO, v4("192.0.2.1")),
		"and of yet another":           controlMessage(unix.SOL_SOCKET, unix.IPV6_PKTINFO, v6("2001:db8::1")),
		"half of one of IPv4":          controlMessage(unix.SOL_IP, unix.IP_PKTINFO, index),
		"half of one of IPv6":          controlMessage(unix.SOL_IPV6, unix.IPV6_PKTINFO, index),
		"half of a head":               make([]byte, unix.SizeofCmsghdr-1),
		"nothing":                      nil,
	} {
		if got := local(control); got.IsValid() {
			t.Errorf("%s: %v", name, got)
		}
	}
}
