package authority

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// A Writer sends one message with its two octets of length over TCP, in its own
// way: slowly, too often, in part. An error closes the connection.
type Writer func(c net.Conn, framed []byte) error

// WriteTCP makes the host send all that it says over TCP by w; nil: plainly.
func (h *Host) WriteTCP(w Writer) {
	if w == nil {
		h.write.Store(nil)
		return
	}
	h.write.Store(&w)
}

// Octets returns how many octets of messages were sent since the start.
func (h *Host) Octets() uint64 { return h.octets.Load() }

// Connections returns how many TCP connections came since the start.
func (h *Host) Connections() uint64 { return h.conns.Load() }

func (h *Host) count(n int, _ error) { h.octets.Add(uint64(max(n, 0))) }

// listener counts a host's connections and gives them its Writer.
type listener struct {
	net.Listener
	host *Host
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.host.conns.Add(1)
	return conn{c, l.host}, nil
}

type conn struct {
	net.Conn
	host *Host
}

func (c conn) Write(framed []byte) (int, error) {
	w := c.host.write.Load()
	if w == nil {
		return c.Conn.Write(framed)
	}
	if err := (*w)(c.Conn, framed); err != nil {
		c.Conn.Close()
		return 0, err
	}
	return len(framed), nil
}

// addrPort is the zero AddrPort for an address that has none.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	case *net.TCPAddr:
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	return netip.AddrPort{}
}

// Whole sends the answer in one datagram whatever its size, as servers did that
// never heard of path MTUs.
func Whole() Rule {
	return func(x *Exchange) {
		if x.Reply != nil && !x.TCP {
			x.Raw, _ = x.Reply.Pack()
		}
	}
}

// Forge sends datagrams made by make ahead of each answer over UDP. make gets the
// question and returns messages in wire form.
func Forge(make func(q *dns.Msg) [][]byte) Rule {
	return func(x *Exchange) {
		if !x.TCP {
			x.Ahead = append(x.Ahead, make(x.Query)...)
		}
	}
}

// Answer is what a server that had these zones would say: for Rules of a host
// that speaks for zones it was not given.
func Answer(zones []*Zone, q *dns.Msg) *dns.Msg { return answer(zones, q) }
