package listen

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

// probe tells whether addr can be bound, without disturbing those who are bound to it.
//
// A UDP socket receives from the moment it is bound, so binding one in a group
// that other workers serve would lose what the kernel hands to it. A TCP socket
// that is bound and does not listen receives nothing, and its bind fails for
// the same reasons: the address is not of this machine, the port is privileged,
// another program is on it. Such a bind does not find a port that another program
// uses for UDP alone. Of those, sockets of another user are found in the
// kernel's list; one of the same user may as well be a sibling's, and is left to
// the real bind at Open, whose error also names the address.
func (b binder) probe(addr netip.AddrPort, flags Flags) error {
	if err := b.probeTCP(addr, flags); err != nil {
		return bindError(addr, err)
	}
	if flags.uses("udp") && foreignUDP(addr, os.Getuid()) {
		return bindError(addr, unix.EADDRINUSE)
	}
	return nil
}

// uses tells whether one of the kinds needs a socket of a network, "tcp" or "udp".
func (f *Flags) uses(network string) bool {
	return slices.ContainsFunc(f.Kinds, func(k transport.Kind) bool { return k.Network() == network })
}

func (b binder) probeTCP(addr netip.AddrPort, flags Flags) error {
	fd, err := unix.Socket(familyFor(addr.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	options := []sockopt{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, {unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}}
	if addr.Addr().Is6() {
		options = append(options, forIPv6Alone())
	}
	if flags.FreeBind {
		options = append(options, freelyBound(addr.Addr().Is6()))
	}
	if err := set(fd, options...); err != nil {
		return err
	}
	bindTo := addr
	if !flags.uses("tcp") { // only the address matters; its port may be another's
		bindTo = netip.AddrPortFrom(addr.Addr(), 0)
	}
	err = unix.Bind(fd, toSockaddr(bindTo, zoneIndex(addr.Addr())))
	if b.helps(err) {
		err = b.at(fd, bindTo)
	}
	return err
}

// foreignUDP tells whether a UDP socket of another user prevents that addr is bound. Where
// the kernel's list cannot be read, it says no.
func foreignUDP(addr netip.AddrPort, uid int) bool {
	path := "/proc/net/udp"
	if addr.Addr().Is6() {
		path = "/proc/net/udp6"
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return foreignIn(f, addr, uid)
}

// foreignIn searches a list in the format of /proc/net/udp (proc_pid_net(5)):
// after a line of titles, one socket a line, the second field "ADDRESS:PORT" in
// hexadecimal and the eighth the user's number.
func foreignIn(list io.Reader, addr netip.AddrPort, uid int) bool {
	sc := bufio.NewScanner(list)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 8 {
			continue
		}
		at, ok := procAddr(f[1])
		if !ok || at.Port() != addr.Port() || f[7] == strconv.Itoa(uid) {
			continue
		}
		if at.Addr() == addr.Addr().WithZone("") || at.Addr().IsUnspecified() || addr.Addr().IsUnspecified() {
			return true
		}
	}
	return false
}

// procAddr reads "0100007F:0035": the address as 32-bit words in the machine's
// order, here little-endian or not, and the port.
func procAddr(s string) (netip.AddrPort, bool) {
	a, p, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(a)
	port, err2 := strconv.ParseUint(p, 16, 16)
	if !ok || err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	if littleEndian {
		for w := raw; len(w) > 0; w = w[4:] {
			w[0], w[1], w[2], w[3] = w[3], w[2], w[1], w[0]
		}
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}
