package zonecut

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unique"
)

// Protocol is what carries questions to a server and its answers back (RFC 9499,
// section 6).
type Protocol uint8

// The protocols, under the names that RFC 9499 gives them.
const (
	Do53 Protocol = iota // plain DNS over UDP, and over TCP where UDP is not enough
	DoT                  // DNS over TLS (RFC 7858)
	DoH                  // DNS over HTTPS (RFC 8484)
	DoQ                  // DNS over QUIC (RFC 9250)
)

// String is the protocol's name in sentences.
func (p Protocol) String() string {
	switch p {
	case Do53:
		return "plain DNS"
	case DoT:
		return "DNS over TLS"
	case DoH:
		return "DNS over HTTPS"
	case DoQ:
		return "DNS over QUIC"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Port is where servers usually listen for the protocol.
func (p Protocol) Port() uint16 {
	switch p {
	case DoT, DoQ:
		return 853
	case DoH:
		return 443
	}
	return 53
}

// A Pin is the SHA-256 of the public key information in a server's own certificate
// (RFC 7858, section 4.2).
type Pin = [sha256.Size]byte

// PeerConfig says in which protocol a server has to be spoken to and how it shows
// that it is the server that was meant: by one of Pins or one of Names, whichever
// there are, or not at all (Insecure).
type PeerConfig struct {
	Protocol Protocol // not Do53
	// Host is the server's name in SNI, and the host of a DoH server; "": the first of
	// Names. It proves nothing.
	Host string
	// Names are host names and IP addresses of which the server's certificate must
	// have one.
	Names []string
	// Authorities are the files with certificates of which one must vouch for a server
	// with Names, as they are when the server is spoken to; none stands for those that
	// the system trusts.
	Authorities []string
	// Pins are the keys of which the server must have one.
	Pins []Pin
	// Insecure encrypts and takes any server for the right one.
	Insecure bool
	// Path is where a DoH server takes questions; it begins with a slash.
	Path string
}

// A Peer is how a server must be spoken to, beside its address. The zero Peer is
// plain DNS. A Peer never changes and is as small as a pointer; two are equal (==)
// exactly when all that their configurations say is equal, so that a Peer can be a
// part of what identifies a server.
type Peer struct{ handle unique.Handle[peer] }

// peer is a PeerConfig in a form that can be compared. Lists of which the order
// means nothing are sorted.
type peer struct {
	protocol           Protocol
	insecure           bool
	host, path         string
	names, authorities string // each behind a zero octet
	pins               string
	kind               uint32
}

// NewPeer checks a configuration and makes it a Peer. The errors are sentences
// about the configuration, without its place.
func NewPeer(c PeerConfig) (Peer, error) {
	if err := c.check(); err != nil {
		return Peer{}, err
	}
	p := peer{protocol: c.Protocol, insecure: c.Insecure, host: strings.ToLower(c.Host), path: c.Path}
	for _, name := range c.Names {
		p.names += "\x00" + strings.ToLower(name)
	}
	pins := slices.Clone(c.Pins)
	slices.SortFunc(pins, func(a, b Pin) int { return bytes.Compare(a[:], b[:]) })
	for _, pin := range slices.Compact(pins) {
		p.pins += string(pin[:])
	}
	for _, file := range slices.Compact(slices.Sorted(slices.Values(c.Authorities))) {
		p.authorities += "\x00" + file
	}
	p.kind = p.hash()
	return Peer{unique.Make(p)}, nil
}

// Anybody is a server that is asked by DNS over TLS, and need not prove anything.
func Anybody() Peer {
	p, _ := NewPeer(PeerConfig{Protocol: DoT, Insecure: true}) // nothing in it is wrong
	return p
}

func (c *PeerConfig) check() error {
	proves := len(c.Names) > 0 || len(c.Pins) > 0
	switch {
	case c.Protocol == Do53 || c.Protocol > DoQ:
		return fmt.Errorf("%v has nothing to authenticate", c.Protocol)
	case !proves && !c.Insecure:
		return errors.New("nothing says how the server is authenticated: a name, a pin or insecure")
	case proves && c.Insecure:
		return errors.New("a server that is taken insecurely has no use for names and pins")
	case len(c.Authorities) > 0 && len(c.Names) == 0:
		return errors.New("certificate authorities are of no use without a name")
	case slices.Contains(c.Names, ""):
		return errors.New("the name of the server is empty")
	case (c.Protocol == DoH) != strings.HasPrefix(c.Path, "/"):
		return errors.New("a path is for DNS over HTTPS, and begins with a slash")
	}
	return nil
}

// hash is a number that is the same in every process. The protocol is in its
// highest four bits, and it is never 0.
func (p *peer) hash() uint32 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %t %q %q %q %q %q", p.protocol, p.insecure, p.host, p.names, p.path, p.pins, p.authorities))
	return uint32(p.protocol)<<28 | binary.BigEndian.Uint32(sum[:])>>4
}

// Plain tells whether the server is spoken to in plain DNS.
func (p Peer) Plain() bool { return p == Peer{} }

// Protocol is the one in which the server must be spoken to.
func (p Peer) Protocol() Protocol {
	if p.Plain() {
		return Do53
	}
	return p.handle.Value().protocol
}

// Config is what the Peer was made of, in new memory; the zero PeerConfig for plain
// DNS.
func (p Peer) Config() (c PeerConfig) {
	if p.Plain() {
		return c
	}
	v := p.handle.Value()
	c = PeerConfig{Protocol: v.protocol, Insecure: v.insecure, Host: v.host, Path: v.path}
	if v.names != "" {
		c.Names = strings.Split(v.names[1:], "\x00")
	}
	for pins := v.pins; pins != ""; pins = pins[sha256.Size:] {
		c.Pins = append(c.Pins, Pin([]byte(pins[:sha256.Size])))
	}
	if v.authorities != "" {
		c.Authorities = strings.Split(v.authorities[1:], "\x00")
	}
	return c
}

// Kind tells Peers of one address apart by a number that is the same in every
// process, where there is no room for a Peer: 0 for plain DNS. Two Peers may have
// one Kind, so that nothing on which security rests is decided by it.
func (p Peer) Kind() uint32 {
	if p.Plain() {
		return 0
	}
	return p.handle.Value().kind
}

// ProtocolOfKind is the Protocol of all Peers with this Kind.
func ProtocolOfKind(kind uint32) Protocol { return Protocol(kind >> 28) }

// An Endpoint identifies a server: where it listens and how it must be spoken to.
// What is true of one endpoint says nothing about another with the same address: DoT
// and DoQ share a port, and two rules may trust different keys. Endpoints can be
// compared.
type Endpoint struct {
	Addr netip.AddrPort
	Peer Peer
}

// String is the address and, but for plain DNS, the protocol.
func (e Endpoint) String() string {
	text := fmt.Sprintf("%s@%d", e.Addr.Addr(), e.Addr.Port())
	if !e.Peer.Plain() {
		text += " by " + e.Peer.Protocol().String()
	}
	return text
}
