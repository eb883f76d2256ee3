package upstream

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"kresd/internal/limits"
)

// Raw system calls on non-blocking UDP sockets. None of them can block, so they
// bypass the scheduler's bookkeeping (syscall.RawSyscall).

// Values of linux/in.h and linux/in6.h that package syscall lacks. OMIT ignores
// path MTU values that the network reports, which anybody can forge, and never
// sets "don't fragment" (RFC 9715; HARDENING A12).
const (
	ipMTUDiscover   = 10
	ipv6MTUDiscover = 23
	pmtudiscOmit    = 5
)

// sockaddr is a struct sockaddr_in or sockaddr_in6.
type sockaddr [28]byte

func (s *sockaddr) set(ap netip.AddrPort) {
	*s = sockaddr{}
	binary.BigEndian.PutUint16(s[2:], ap.Port())
	if a := ap.Addr(); a.Is4() {
		binary.NativeEndian.PutUint16(s[:], syscall.AF_INET)
		a4 := a.As4()
		copy(s[4:], a4[:])
	} else {
		binary.NativeEndian.PutUint16(s[:], syscall.AF_INET6)
		a16 := a.As16()
		copy(s[8:], a16[:])
		binary.NativeEndian.PutUint32(s[24:], scope(a.Zone()))
	}
}

// scope is the index of the interface that a link-local address belongs to.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	return 0
}

// is4 tells the family.
func (s *sockaddr) is4() bool { return binary.NativeEndian.Uint16(s[:]) == syscall.AF_INET }

func (s *sockaddr) len() uintptr {
	if s.is4() {
		return 16
	}
	return 28
}

// same compares family, port and address.
func (s *sockaddr) same(t *sockaddr) bool {
	if s.is4() {
		return [8]byte(s[:8]) == [8]byte(t[:8])
	}
	return [4]byte(s[:4]) == [4]byte(t[:4]) && [16]byte(s[8:24]) == [16]byte(t[8:24])
}

// newSocket opens a UDP socket of the family of peer.
func newSocket(peer *sockaddr) (fd int, errno syscall.Errno) {
	family, level, option := uintptr(syscall.AF_INET), uintptr(syscall.IPPROTO_IP), uintptr(ipMTUDiscover)
	if !peer.is4() {
		family, level, option = syscall.AF_INET6, syscall.IPPROTO_IPV6, ipv6MTUDiscover
	}
	r, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, family, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	v := int32(pmtudiscOmit)
	if _, _, errno = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, r, level, option, uintptr(unsafe.Pointer(&v)), 4, 0); errno != 0 {
		closeSocket(int(r))
		return -1, errno
	}
	return int(r), 0
}

func bindSocket(fd int, a *sockaddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(a)), a.len())
	return errno
}

func connectSocket(fd int, a *sockaddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(a)), a.len())
	return errno
}

// receive reads one datagram; size is its whole length even when buf is shorter.
func receive(fd int, buf []byte, from *sockaddr) (size int, errno syscall.Errno) {
	l := uint32(len(from))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		syscall.MSG_TRUNC, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&l)))
	return int(n), errno
}

// growBuffer lets more datagrams wait for being read, as far as the system allows:
// the answer may come at the end of a flood.
func growBuffer(fd int) {
	v := int32(limits.UpstreamGuessBuffer)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, uintptr(unsafe.Pointer(&v)), 4, 0)
}

func closeSocket(fd int) {
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}
