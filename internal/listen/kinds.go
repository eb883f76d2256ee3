package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// ErrNotServed is returned for a kind of transport that this package has no
// protocol for.
var ErrNotServed = errors.New("this transport is not served")

// A protocol is how one kind of transport is served. Of the two functions it
// has the one for its network.
type protocol struct {
	// datagrams serves a UDP socket that is bound. On error fd is closed.
	datagrams func(s *Server, fd int, at site) (socket, error)
	// connection makes of what was accepted a connection that is not served yet.
	connection func(s *Server, nc accepted) *connection
}

// protocols are the kinds that are served: the one list to which a transport's
// file is added.
func protocols() [transport.Kinds]protocol {
	return [transport.Kinds]protocol{
		transport.UDP:   {datagrams: (*Server).startUDP},
		transport.TCP:   {connection: newTCP},
		transport.TLS:   {connection: newTLS},
		transport.QUIC:  {datagrams: (*Server).startQUIC},
		transport.HTTPS: {connection: newHTTPS},
		transport.HTTP:  {connection: newHTTP},
	}
}

func (p *protocol) exists() bool { return p.datagrams != nil || p.connection != nil }

// Serves tells whether there is a protocol for a kind of transport, and what it
// needs.
func (s *Server) Serves(k transport.Kind) bool {
	if k >= transport.Kinds || !s.protocols[k].exists() {
		return false
	}
	return s.tlsConfig != nil || !k.Secured()
}

// A site is where a socket is bound, and how.
type site struct {
	addr netip.AddrPort
	// path is that of a UNIX socket, which has no addr; file is what lies there as
	// long as clients find this socket by it.
	path string
	file fileID
	// wildcard tells that answers must name the address that was asked.
	wildcard bool
	// shared tells that other processes may hold the same socket, so that leaving
	// must not change its state.
	shared bool
}

// A socket serves one endpoint.
type socket interface {
	// leaveGroup takes the socket out of its port group at once, so that the kernel
	// chooses others; what is queued in it is still served. It returns false where the
	// socket cannot leave, or is not this process's alone.
	leaveGroup() bool
	// stop takes no more in, serves what has come and returns when the socket is
	// closed. Datagrams that wait for an answer have time until by, on the clock's
	// monotonic scale; handshakes that have begun have the given time.
	stop(by, handshakes time.Duration)
	// withFD calls fn with the descriptor, which fn must not keep.
	withFD(fn func(fd int) error) error
}

// A streamListener is a listening socket of streams, as net.TCPListener and
// net.UnixListener are.
type streamListener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// accepted is what a streamListener accepts: a net.TCPConn or net.UnixConn.
type accepted interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// A stream is how octets of one client come and go, perhaps encrypted: what was
// accepted itself, or a tls.Conn on it. Its deadlines are those of what was
// accepted.
type stream interface {
	io.ReadWriter
	// CloseWrite tells the client that no more comes; it may go on sending.
	CloseWrite() error
}

// A punctual connection is one whose Write fails if the client does not take all within
// limits.TCPSendStall.
type punctual struct{ accepted }

// Write implements net.Conn.
func (p punctual) Write(b []byte) (int, error) {
	_ = p.SetWriteDeadline(time.Now().Add(limits.TCPSendStall))
	return p.accepted.Write(b)
}

// A connHandler is what is spoken on a connection.
type connHandler interface {
	// run serves the connection until one of both sides ends it. It ends queries
	// that wait, and closes what was accepted.
	run()
	// hurry makes the connection end as soon as it is silent, because the server
	// leaves.
	hurry()
	// kill ends the connection from outside: run's next step fails.
	kill()
}
