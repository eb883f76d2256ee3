package upstream

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// A link carries whole messages to one server and back: all that a connection
// needs of TCP, and of any protocol that is added. How a protocol carries a message (its
// length in front, a stream of its own) is hidden behind the link.
type link interface {
	// protocol is what the link speaks.
	protocol() zonecut.Protocol
	// write sends the message that begins at msg[2]; the two octets before it are
	// room for its length. Any goroutine writes. Where the server must allow it first,
	// it waits until ctx ends and no longer than limits.UpstreamStreamWait; then
	// nothing was sent, and the error is errNoStream. Others end the link for further
	// questions.
	write(ctx context.Context, msg []byte) error
	// open tells whether another question need not wait for its turn, as far as is
	// known.
	open() bool
	// read returns the next message, in new memory. Each time that nothing came for
	// limits.UpstreamTCPIdle, or for as long as the server keeps the link
	// (keepaliveLink), it calls wait, and ends when that is false; a message that has
	// begun must end soon, however slowly its octets drip. One goroutine reads. An error ends
	// the link, but for an unanswerable; messages that were read before are returned first.
	read(wait func() bool) ([]byte, error)
	// close ends the link, and read by that.
	close() error
}

// unanswerable tells that a server will not answer one question, in the words of the
// protocol below DNS, and may answer others that it was asked on the link.
type unanswerable struct {
	id   uint16
	why  error
	last bool // the link takes no further questions
}

func (u *unanswerable) Error() string { return u.why.Error() }

func (u *unanswerable) Unwrap() error { return u.why }

// A dialer opens a link to a server, which it has authenticated where the server's
// peer demands that. The link leaves from source (Exchanger.source). Its errors are
// kinds of resolve's.
type dialer func(ctx context.Context, to zonecut.Endpoint, source netip.Addr) (link, error)

// ErrNoTransport: the server must be spoken to in a protocol that cannot be spoken
// here. Nothing was sent, and nothing is learnt about the server by that.
var ErrNoTransport = errors.New("no transport for this protocol")

// speaks says why a server cannot be asked in the protocol of its peer; nil: it can.
// A question that demands another protocol is never sent in plain DNS instead.
func (e *Exchanger) speaks(to zonecut.Endpoint) error {
	if e.pool.dialers[to.Peer.Protocol()] == nil {
		return fmt.Errorf("%s: %w", to, ErrNoTransport)
	}
	return nil
}

// stream is a link over a stream of octets, where each message follows its length
// in two octets (RFC 1035, section 4.2.2): TCP, and TLS over it.
type stream struct {
	conn    net.Conn
	in      *bufio.Reader
	speaks  zonecut.Protocol
	writing sync.Mutex // held while a message is written

	mu    sync.Mutex
	idle  time.Duration // how long a message is waited for while nobody needs one
	waits bool          // it is, now
}

func newStream(conn net.Conn, speaks zonecut.Protocol) *stream {
	return &stream{conn: conn, in: bufio.NewReader(conn), speaks: speaks, idle: limits.UpstreamTCPIdle}
}

// dialTCP opens a link in plain DNS.
func (p *pool) dialTCP(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
	conn, err := p.connect(ctx, to, from)
	if err != nil {
		return nil, err
	}
	return newStream(conn, zonecut.Do53), nil
}

// connect opens a connection by TCP from an address of ours.
func (p *pool) connect(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (net.Conn, error) {
	d := net.Dialer{Timeout: limits.TCPConnectTimeout, KeepAlive: -1, Control: endWhenUnheard}
	if !from.IsUnspecified() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice(), Zone: from.Zone()}
	}
	conn, err := d.DialContext(ctx, "tcp", to.Addr.String())
	switch {
	case unboundTCP(from, err):
		return nil, p.e.noSource(from)
	case err != nil:
		return nil, dialError(err)
	}
	return conn, nil
}

// endWhenUnheard makes the kernel end a connection whose other end does not confirm what
// it was sent: a server that has forgotten an idle one without a word, as those behind
// translators of addresses do, costs a question no more than that until it is asked anew.
func endWhenUnheard(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limits.UpstreamUnheard.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}

// tcpUserTimeout is TCP_USER_TIMEOUT (RFC 5482), which package syscall lacks.
const tcpUserTimeout = 0x12

func (s *stream) protocol() zonecut.Protocol { return s.speaks }

func (s *stream) open() bool { return true }

func (s *stream) close() error { return s.conn.Close() }

func (s *stream) read(wait func() bool) ([]byte, error) {
	if err := s.begin(wait); err != nil {
		return nil, err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(limits.TCPWholeMessage)); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return nil, err
	}
	pkt := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(s.in, pkt)
	return pkt, err
}

// begin waits for the first octet of a message.
func (s *stream) begin(wait func() bool) error {
	defer s.waiting(false)
	for {
		s.waiting(true)
		_, err := s.in.Peek(1)
		if err == nil || !isTimeout(err) || !wait() {
			return err
		}
	}
}

// waiting notes whether a message is waited for, and for how long from now on. A deadline
// that cannot be set is that of a closed connection, from which nothing is read either.
func (s *stream) waiting(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits = now; now {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.idle))
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
