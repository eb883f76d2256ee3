// Package freeport chooses ports for servers that are started later, by another process
// or at an address that is told first: for tests, and for the small Internet.
//
// A port that was free when it was chosen may be taken when it is bound, by three kinds
// of sockets. The kernel gives its ephemeral ports to every connection that goes out, and
// a resolver under test makes thousands; so no port is chosen from that range. Another
// test, in this process or beside it, may choose the same port; so who chooses one claims
// it until it is released, by a name that only one socket may have. And a server may be
// there already; so a port is tried, at all addresses and without sharing it.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Claim is a port that whoever else chooses by this package does not get.
type Claim struct {
	Port    uint16
	release func()
}

// Release lets others choose the port again. It may be called more than once.
func (c *Claim) Release() { c.release() }

// tries is how many ports are drawn until one is free: a machine where so many are taken
// has none.
const tries = 200

// Choose claims a port that is free for UDP and TCP at all addresses.
func Choose() (*Claim, error) {
	first, end := outside(ephemeral())
	for range tries {
		port := uint16(first + rand.IntN(end-first))
		c, err := claim(port)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if free(port) {
			return c, nil
		}
		c.Release()
	}
	return nil, fmt.Errorf("none of %d ports from %d to %d is free for UDP and TCP", tries, first, end-1)
}

// claim binds the name of a port in the abstract namespace of UNIX sockets (unix(7)). It
// belongs to the network namespace, as ports do, and ends with the process that has it.
func claim(port uint16) (*Claim, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@kresd-port-%d", port)}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &Claim{port, sync.OnceFunc(func() { _ = unix.Close(fd) })}, nil
}

// free tells whether nothing is bound to a port.
func free(port uint16) bool {
	at := net.JoinHostPort("", strconv.Itoa(int(port)))
	udp, err := net.ListenPacket("udp", at)
	if err != nil {
		return false
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	return tcp.Close() == nil
}

// The ports from which is chosen where the kernel leaves them alone, and how many it must
// leave for a choice.
const (
	firstPort, endPort = 20000, 30000
	enough             = 1000
)

// outside is a range of ports, without its end, that has none of the kernel's from first
// to last, if there is one.
func outside(first, last int) (from, end int) {
	const all = 1 << 16
	switch {
	case first >= firstPort+enough:
		return firstPort, min(first, endPort)
	case last < endPort-enough:
		return max(last+1, firstPort), endPort
	case all-last > enough:
		return last + 1, all
	}
	return firstPort, endPort
}

// ephemeral are the first and the last port that the kernel chooses (ip(7)); without a
// word of the kernel those that it has by default.
func ephemeral() (first, last int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if f := strings.Fields(string(text)); err == nil && len(f) == 2 {
		first, err = strconv.Atoi(f[0])
		if err == nil {
			last, err = strconv.Atoi(f[1])
		}
		if err == nil {
			return first, last
		}
	}
	return 32768, 60999
}
