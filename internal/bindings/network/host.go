// Package network is the global net: where clients are listened for, what they may use up, how
// they are spoken to, and from where questions are sent.
//
// What it controls are a Listener and an Encryption, which the worker implements, and
// settings. How servers are spoken to by TLS is package servers' to say.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - host.go (what the global controls), interfaces.go (what an address may be called),
//     netparam.go (numbers and addresses that are got and set).
//   - For clients: padding.go, doh.go, tlsserver.go (certificate and tickets), clients.go
//     (limits on them).
//   - Listening: netlist.go (what is bound), listenflags.go.
//   - The global: net.go.
package network

import (
	"io/fs"
	"net"
	"net/netip"
	"time"

	"kresd/internal/logging"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/script"
	"kresd/internal/settings"
	"kresd/internal/transport"
)

// A Host is what the global controls.
type Host struct {
	VM         *script.VM
	Settings   *settings.Settings
	Listener   Listener
	Encryption Encryption
	Policy     *policy.Policy
	View       *view.View
	Log        *logging.Logger
	// ID is the worker's number in its group.
	ID func() int
	// Interfaces are the network interfaces.
	Interfaces func() []Interface
	// Bindable says why no question can leave from an address.
	Bindable func(netip.Addr) error
	// Changed is called after a setting was changed.
	Changed func()
}

// Listener opens and closes the addresses that clients ask.
type Listener interface {
	// Serves tells whether there is a way to serve a kind of transport.
	Serves(transport.Kind) bool
	// Listen binds an address for the given kinds, on behalf of the script's code at
	// place, "file:line: ". While the configuration loads it only makes sure that it
	// could. An address that is bound already is no error. awaited tells that the machine
	// does not have the address yet: it is listened on as soon as it is there.
	Listen(addr netip.AddrPort, kinds []transport.Kind, freebind bool, place string) (awaited bool, err error)
	// ListenPath is Listen for the UNIX socket of a path, whose file has mode; 0 stands
	// for the one that it has unless another is asked for.
	ListenPath(path string, kinds []transport.Kind, mode fs.FileMode, place string) error
	// Failed notes that a script wanted to listen somewhere in vain, and why: then
	// nothing is listened on instead.
	Failed(err error)
	// Close tells whether the address was bound.
	Close(addr netip.AddrPort) bool
	// ClosePath is Close for a UNIX socket.
	ClosePath(path string) bool
	// Endpoints lists what is bound, in the order in which it was.
	Endpoints() []Endpoint
}

// Encryption is what the encrypted transports for clients have in common.
type Encryption interface {
	// UseCertificate takes a certificate and its key from two files. On error what
	// was in use stays in use.
	UseCertificate(certFile, keyFile string) error
	// Certificate names these files; "" while the ephemeral certificate serves.
	Certificate() (certFile, keyFile string, end time.Time)
	// UseAuthorities takes a file of certificates of authorities into use, which is read
	// again when it changes. On error nothing changes.
	UseAuthorities(file string) error
	// UseTicketSecret is SetTicketSecret for what stands in a file.
	UseTicketSecret(file string) error
	// SetTicketSecret has the keys of tickets follow from a secret; nil: from a
	// random one.
	SetTicketSecret(secret []byte) error
}

// Endpoint is an address, or the path of a UNIX socket, that is bound for one kind
// of transport.
type Endpoint struct {
	Addr netip.AddrPort
	Path string
	Kind transport.Kind
}

// An Interface is a network interface that has addresses.
type Interface struct {
	Name  string
	MAC   net.HardwareAddr
	Addrs []netip.Addr
}
