package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/libp2p/go-reuseport"
	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A BindError says which address could not be bound, in the words of the log:
// bind to 'ADDR@PORT': REASON, or bind to 'PATH': REASON for a UNIX socket.
type BindError struct {
	Addr netip.AddrPort
	Path string
	Err  error
}

func (e *BindError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("bind to '%s': %v", e.Path, e.Err)
	}
	return fmt.Sprintf("bind to '%s@%d': %v", e.Addr.Addr(), e.Addr.Port(), e.Err)
}

func (e *BindError) Unwrap() error { return e.Err }

// bindError keeps of err what the address does not say already.
func bindError(addr netip.AddrPort, err error) error {
	err = reason(err)
	if a := addr.Addr(); err == syscall.EINVAL && a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" {
		err = fmt.Errorf("a link-local address needs its interface, as in %s%%eth0", a)
	}
	return &BindError{Addr: addr, Err: err}
}

// reason is what the kernel says in an error, without the words around it.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// network is Go's name for a transport over addr's family. With it Go makes
// IPv6 sockets that do not take IPv4 (IPV6_V6ONLY).
func network(proto string, addr netip.Addr) string {
	if addr.Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// familyFor is the family of a socket that is bound to addr.
func familyFor(addr netip.Addr) int {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// listenConfig prepares sockets that share their port with the other workers'.
func listenConfig(freeBind bool, also func(fd int) error) *net.ListenConfig {
	lc := &net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	lc.Control = func(network, address string, c syscall.RawConn) error {
		if err := reuseport.Control(network, address, c); err != nil {
			return err
		}
		return withRaw(c, func(fd int) error {
			var options []sockopt
			if freeBind {
				options = append(options, freelyBound(network[len(network)-1] == '6'))
			}
			return errors.Join(set(fd, options...), also(fd))
		})
	}
	return lc
}

// withFD calls fn with the descriptor behind c, if that is open.
func withFD(c syscall.Conn, fn func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return withRaw(raw, fn)
}

func withRaw(c syscall.RawConn, fn func(fd int) error) error {
	var err error
	if ctl := c.Control(func(fd uintptr) { err = fn(int(fd)) }); ctl != nil {
		return ctl
	}
	return err
}

// A sockopt is an option of a socket, and its value.
type sockopt struct{ level, name, value int }

// set sets options of a socket, until one is refused.
func set(fd int, options ...sockopt) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// forIPv6Alone has a socket take no IPv4.
func forIPv6Alone() sockopt { return sockopt{unix.SOL_IPV6, unix.IPV6_V6ONLY, 1} }

// freelyBound lets a socket be bound to an address that the machine does not
// have, or not yet.
func freelyBound(v6 bool) sockopt {
	if v6 {
		return sockopt{unix.SOL_IPV6, unix.IPV6_FREEBIND, 1}
	}
	return sockopt{unix.SOL_IP, unix.IP_FREEBIND, 1}
}

// udp makes a bound UDP socket. It is in the port group from here on.
func (b binder) udp(addr netip.AddrPort, freeBind bool) (fd int, err error) {
	lc := listenConfig(freeBind, func(fd int) error { return setUDP(fd, addr.Addr().Is6(), addr.Addr().IsUnspecified()) })
	pc, err := lc.ListenPacket(context.Background(), network("udp", addr.Addr()), addr.String())
	if b.helps(err) {
		f, err := b.bound(lc, "udp", unix.SOCK_DGRAM, addr)
		if err != nil {
			return -1, err
		}
		defer f.Close()
		return detach(f)
	}
	if err != nil {
		return -1, err
	}
	defer pc.Close()
	return detach(pc.(*net.UDPConn))
}

// detach takes a socket out of Go's hands, for a thread that receives by itself.
// The descriptor is a blocking one.
func detach(c syscall.Conn) (fd int, err error) {
	fd = -1
	err = withFD(c, func(old int) (err error) {
		if fd, err = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			return err
		}
		return unix.SetNonblock(fd, false)
	})
	return fd, err
}

// setUDP sets what a UDP socket needs before it receives, one for all addresses more than
// others.
func setUDP(fd int, v6, wildcard bool) error {
	setReceiveBuffer(fd)
	options := []sockopt{unfragmented(v6)}
	if wildcard {
		options = append(options, tellingLocal(v6))
	}
	return set(fd, options...)
}

// setReceiveBuffer makes room for bursts: beyond the system's limit where that
// is allowed, else up to it. A smaller buffer is no error.
func setReceiveBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, limits.UDPReceiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, limits.UDPReceiveBuffer)
	}
}

// unfragmented makes the kernel ignore forged "fragmentation needed" messages
// and use the interface's MTU (RFC 9715).
func unfragmented(v6 bool) sockopt {
	if v6 {
		return sockopt{unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT}
	}
	return sockopt{unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT}
}

// tellingLocal asks for the local address of each datagram. Only wildcard sockets
// do so: elsewhere it is known, and the question costs time.
func tellingLocal(v6 bool) sockopt {
	if v6 {
		return sockopt{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1}
	}
	return sockopt{unix.SOL_IP, unix.IP_PKTINFO, 1}
}

// tcp makes a listening TCP socket.
func (b binder) tcp(addr netip.AddrPort, freeBind bool) (*net.TCPListener, error) {
	lc := listenConfig(freeBind, func(int) error { return nil })
	ln, err := lc.Listen(context.Background(), network("tcp", addr.Addr()), addr.String())
	if b.helps(err) {
		return b.boundTCP(lc, addr)
	}
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// zoneIndex is the interface that a link-local address's zone names, 0 if none.
func zoneIndex(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(a.Zone()); err == nil {
		return uint32(ifi.Index)
	}
	n, err := strconv.ParseUint(a.Zone(), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
