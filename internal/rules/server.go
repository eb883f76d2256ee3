package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/zonecut"
)

// A Server is one that questions are sent to, as an operator names it.
type Server struct {
	// Text is IP, IP@PORT, IP#PORT, or a URL that says how the server is spoken to:
	// tls://HOST[:PORT], quic://HOST[:PORT] or https://HOST[:PORT][/PATH].
	Text string
	// Addresses are those of the HOST in a URL, which nobody is asked for.
	Addresses []string
	// Proof is how the server shows that it is the one that is meant. Its protocol, host
	// and path follow from Text.
	Proof zonecut.PeerConfig
}

// endpoints are the name servers of a cut that s stands for. overTLS tells that an
// address without a URL means DNS over TLS.
func (s *Server) endpoints(overTLS bool, peers *Peers) ([]zonecut.NameServer, error) {
	switch {
	case strings.Contains(s.Text, "://"):
		return s.byURL()
	case len(s.Addresses) > 0:
		return nil, fmt.Errorf("address belongs to a URL, and '%s' is none", s.Text)
	}
	addr, port, err := ParseTarget(s.Text)
	if err != nil {
		return nil, err
	}
	ns := zonecut.NameServer{Addrs: []netip.Addr{addr}, Port: port}
	switch proves := s.proves(); {
	case !overTLS && proves:
		return nil, fmt.Errorf("'%s' is asked in plain DNS, which proves nothing: write 'tls://%s', or policy.TLS_FORWARD", s.Text, addr)
	case !overTLS:
	case proves:
		if ns.Peer, err = s.peer(zonecut.DoT, "", ""); err != nil {
			return nil, err
		}
	default:
		if ns.Peer = peers.Of(netip.AddrPortFrom(addr, portOr(port, zonecut.DoT.Port()))); ns.Peer.Plain() {
			return nil, fmt.Errorf("nothing says how '%s' proves who it is: give it pin_sha256, or hostname and, unless the system's authorities count, ca_file", s.Text)
		}
	}
	return []zonecut.NameServer{ns}, nil
}

// TLSClient is where a server that is named by IP, IP@PORT or IP#PORT is spoken to by DNS
// over TLS, and how. It may prove who it is by a pin or by a name.
func TLSClient(s *Server) (at netip.AddrPort, as zonecut.Peer, err error) {
	if len(s.Addresses) > 0 {
		return at, as, errors.New("address belongs to a URL")
	}
	addr, port, err := ParseTarget(s.Text)
	if err != nil {
		return at, as, err
	}
	c := s.Proof
	c.Protocol = zonecut.DoT
	as, err = zonecut.NewPeer(c)
	return netip.AddrPortFrom(addr, portOr(port, zonecut.DoT.Port())), as, err
}

// proves tells whether anything is said about authentication.
func (s *Server) proves() bool {
	return len(s.Proof.Pins)+len(s.Proof.Names)+len(s.Proof.Authorities) > 0 || s.Proof.Insecure
}

// peer is how the server is spoken to.
func (s *Server) peer(by zonecut.Protocol, host, path string) (zonecut.Peer, error) {
	c := s.Proof
	c.Protocol, c.Host, c.Path = by, host, path
	if len(c.Names) == 0 && len(c.Pins) == 0 && !c.Insecure && host != "" {
		c.Names = []string{host}
	}
	if len(c.Names) > 0 && len(c.Pins) > 0 {
		return zonecut.Peer{}, errors.New("pin_sha256 and hostname are given; one way to prove who the server is has to be chosen")
	}
	return zonecut.NewPeer(c)
}

// byURL reads a URL.
func (s *Server) byURL() ([]zonecut.NameServer, error) {
	u, err := url.Parse(strings.TrimSuffix(s.Text, "{?dns}")) // RFC 8484, section 4.1
	if err != nil {
		return nil, fmt.Errorf("'%s' is no URL: %w", s.Text, errors.Unwrap(err))
	}
	by, path, err := protocolOf(u)
	if err != nil {
		return nil, err
	}
	host, port, err := hostOf(u)
	if err != nil {
		return nil, err
	}
	addrs, err := s.addresses(host)
	if err != nil {
		return nil, err
	}
	peer, err := s.peer(by, host, path)
	if err != nil {
		return nil, err
	}
	list := make([]zonecut.NameServer, len(addrs))
	for i, addr := range addrs {
		list[i] = zonecut.NameServer{Addrs: []netip.Addr{addr}, Port: port, Peer: peer}
	}
	return list, nil
}

// protocolOf is how a URL wants its server to be spoken to, and the path there.
func protocolOf(u *url.URL) (by zonecut.Protocol, path string, err error) {
	switch u.Scheme {
	case "tls":
		by = zonecut.DoT
	case "quic":
		by = zonecut.DoQ
	case "https":
		if by, path = zonecut.DoH, u.EscapedPath(); path == "" {
			path = "/dns-query"
		}
		return by, path, noMore(u)
	default:
		return 0, "", fmt.Errorf("'%s' begins with none of tls://, https:// and quic://", u)
	}
	if u.Path != "" && u.Path != "/" {
		return 0, "", fmt.Errorf("'%s' has a path, which is for https:// only", u)
	}
	return by, "", noMore(u)
}

// noMore refuses parts of a URL that would mean nothing.
func noMore(u *url.URL) error {
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return fmt.Errorf("'%s' has more than a host, a port and a path", u)
	}
	return nil
}

// hostOf is the host of a URL in small letters, and its port; 0: the usual one.
func hostOf(u *url.URL) (host string, port uint16, err error) {
	host = strings.ToLower(u.Hostname())
	if text := u.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("'%s' has no port from 1 to 65535", u)
		}
		port = uint16(n)
	}
	if host, err = HostName(host); err != nil {
		return "", 0, fmt.Errorf("'%s': %w", u, err)
	}
	return host, port, nil
}

// addresses are those of the host.
func (s *Server) addresses(host string) ([]netip.Addr, error) {
	own, err := netip.ParseAddr(host)
	switch {
	case err == nil && len(s.Addresses) > 0:
		return nil, fmt.Errorf("'%s' names its address, and another is given", s.Text)
	case err == nil:
		if err := ofServer(own.Unmap()); err != nil {
			return nil, fmt.Errorf("'%s' %w", s.Text, err)
		}
		return []netip.Addr{own.Unmap()}, nil
	case len(s.Addresses) == 0:
		return nil, fmt.Errorf("the address of '%s' has to be given, as nobody is asked for it: { '%s', address = '192.0.2.1' }", host, s.Text)
	}
	var list []netip.Addr
	for _, text := range s.Addresses {
		addr, port, err := ParseTarget(text)
		switch {
		case err != nil:
			return nil, err
		case port != 0:
			return nil, fmt.Errorf("'%s' has a port, which belongs into the URL", text)
		}
		list = append(list, addr)
	}
	return list, nil
}

// HostName checks the name of a host, or an IP address, of which a server's certificate
// must be, and gives it the form in which it is compared.
func HostName(text string) (string, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return "", fmt.Errorf("no certificate is for an address with a scope, as '%s'", text)
		}
		return addr.Unmap().String(), nil
	}
	name, err := dnsname.Parse(text)
	if err != nil || name == dnsname.Root {
		return "", fmt.Errorf("'%s' is no host name", text)
	}
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", fmt.Errorf("'%s' is no host name", text)
		}
	}
	return strings.ToLower(strings.TrimSuffix(text, ".")), nil
}

// ParseTarget reads IP, IP@PORT or IP#PORT. Port 0 is the usual one.
func ParseTarget(text string) (addr netip.Addr, port uint16, err error) {
	host := text
	if i := strings.LastIndexAny(text, "@#"); i >= 0 {
		n, err := strconv.ParseUint(text[i+1:], 10, 16)
		if err != nil || n == 0 {
			return addr, 0, fmt.Errorf("'%s' has no port from 1 to 65535 behind '%c'", text, text[i])
		}
		host, port = text[:i], uint16(n)
	}
	addr, err = netip.ParseAddr(host)
	if err != nil {
		return addr, 0, fmt.Errorf("'%s' is not an IP address with an optional @port", text)
	}
	addr = addr.Unmap()
	if err := ofServer(addr); err != nil {
		return addr, 0, fmt.Errorf("'%s' %w", text, err)
	}
	return addr, port, nil
}

// ofServer tells whether a server can be found at an address.
func ofServer(addr netip.Addr) error {
	switch {
	case addr.IsUnspecified():
		return errors.New("is the address of no server")
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return fmt.Errorf("is link-local, and needs its interface, as in %s%%eth0", addr)
	}
	return nil
}

func portOr(port, usual uint16) uint16 {
	if port == 0 {
		return usual
	}
	return port
}
