// Package doq carries messages of the DNS over QUIC, one stream for each question
// (RFC 9250), for servers and for clients. It knows streams, codes of errors and
// when a client is asked to prove its address; what is in a message, who may ask,
// and what becomes of a question are its users' affair.
//
// It alone imports quic-go, whose interface changes with nearly every release.
//
// Questions before the handshake is complete (0-RTT) are neither taken nor sent:
// who recorded one could send it again (RFC 9250, section 4.5), and a client that
// resumes a session saves little by them. A client that tries is answered after the
// handshake.
package doq

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/quic-go/quic-go"

	"kresd/internal/transport"
	"kresd/internal/wire"
)

// Protocol is the name of DNS over QUIC in a handshake.
const Protocol = transport.ALPNDoQ

// maxFramed is the most octets of a message with its length in front, and an octet more,
// to be seen where it is too many.
const maxFramed = 2 + wire.MaxMessage + 1

// A Code says to the other side why a stream or a connection ends (RFC 9250,
// section 8.4).
type Code uint64

// The codes.
const (
	NoError          Code = 0
	InternalError    Code = 1
	ProtocolError    Code = 2
	RequestCancelled Code = 3
	ExcessiveLoad    Code = 4
	Unspecified      Code = 5
)

// String is the name of the code in RFC 9250, section 8.4.
func (c Code) String() string {
	names := [...]string{"DOQ_NO_ERROR", "DOQ_INTERNAL_ERROR", "DOQ_PROTOCOL_ERROR", "DOQ_REQUEST_CANCELLED", "DOQ_EXCESSIVE_LOAD", "DOQ_UNSPECIFIED_ERROR"}
	if c < Code(len(names)) {
		return names[c]
	}
	return fmt.Sprintf("error %d", uint64(c))
}

// What reading a stream may end with, beside errors of the connection.
var (
	// ErrProtocol: what came is not one message behind its length.
	ErrProtocol = errors.New("not one message on a stream")
	// ErrSlow: the message has not come in time.
	ErrSlow = errors.New("no whole message in time")
	// errLost: the server knows nothing of the connection any more; it was started
	// anew, perhaps.
	errLost = errors.New("the other side knows nothing of this connection")
)

// addrOf is an address without a zone, IPv4 as IPv4.
func addrOf(a net.Addr) netip.AddrPort {
	u, _ := a.(*net.UDPAddr)
	ap := u.AddrPort() // of none it is the zero AddrPort
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// quieten has the library not write about buffers on standard error: the sockets are
// made by those who know what the machine allows.
func quieten() {
	const name, quiet = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true"
	if os.Getenv(name) != quiet {
		_ = os.Setenv(name, quiet)
	}
}

// CodeOf is why the other side has ended a stream or the connection, if err says that
// it has.
func CodeOf(err error) (Code, bool) {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote {
		return Code(e.ErrorCode), true
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return Code(e.ErrorCode), true
	}
	return 0, false
}

// ResetOf is why the other side has ended one stream, if err says that it has: it goes on
// with others.
func ResetOf(err error) (Code, bool) {
	e, ok := errors.AsType[*quic.StreamError](err)
	if !ok || !e.Remote {
		return 0, false
	}
	return Code(e.ErrorCode), true
}

// plain is err in this package's words where it has some.
func plain(err error) error {
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return errLost
	}
	return err
}
