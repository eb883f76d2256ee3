package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/freeport"
	"kresd/internal/safe"
)

// An Internet is a set of name servers that have zones, on one port.
type Internet struct {
	zones   []*Zone
	hosts   map[netip.Addr]*Host
	servers []*dns.Server
	port    uint16
	claim   *freeport.Claim // nil: the port was given
	group   safe.Group
	closing chan struct{}
	absent  []netip.Addr
}

// Load makes an Internet of the files NAME.zone in dir; root.zone is the root.
func Load(dir fs.FS) (*Internet, error) {
	files, err := fs.Glob(dir, "*.zone")
	if err != nil {
		return nil, err
	}
	var zones []*Zone
	for _, file := range files {
		z, err := loadZone(dir, file)
		if err != nil {
			return nil, err
		}
		zones = append(zones, z)
	}
	return New(zones...)
}

func loadZone(dir fs.FS, file string) (*Zone, error) {
	f, err := dir.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	origin := strings.TrimSuffix(file, ".zone")
	if origin == "root" {
		origin = "."
	}
	return ParseZone(origin, f, file)
}

// New makes an Internet of these zones. One of them must be the root, and the
// root's servers must have addresses.
func New(zones ...*Zone) (*Internet, error) {
	n := &Internet{zones: zones, hosts: map[netip.Addr]*Host{}, closing: make(chan struct{})}
	for _, z := range zones {
		for name, nd := range z.nodes {
			for _, addr := range n.serverAddrs(nd) {
				h := n.ensure(addr)
				if name == z.origin && !slices.Contains(h.zones, z) {
					h.zones = append(h.zones, z)
				}
			}
		}
	}
	if len(n.Roots()) == 0 {
		return nil, errors.New("no zone says where a root server is")
	}
	return n, nil
}

func (n *Internet) ensure(addr netip.Addr) *Host {
	h, ok := n.hosts[addr]
	if !ok {
		h = &Host{addr: addr}
		n.hosts[addr] = h
	}
	return h
}

// serverAddrs returns the addresses of the name servers at a node, wherever a
// zone has them.
func (n *Internet) serverAddrs(nd node) []netip.Addr {
	var out []netip.Addr
	for _, target := range targets(nd[dns.TypeNS]) {
		out = append(out, n.Addrs(target)...)
	}
	return out
}

// Addrs returns the addresses that the zones have for a name, glue included.
func (n *Internet) Addrs(name string) []netip.Addr {
	var out []netip.Addr
	for _, z := range n.zones {
		for _, rr := range z.addresses(new(dns.Msg), []string{name}) {
			if a := address(rr); !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func address(rr dns.RR) netip.Addr {
	switch rr := rr.(type) {
	case *dns.A:
		a, _ := netip.AddrFromSlice(rr.A)
		return a.Unmap()
	case *dns.AAAA:
		a, _ := netip.AddrFromSlice(rr.AAAA)
		return a
	}
	return netip.Addr{}
}

// Roots returns the root servers' names and addresses: what a resolver's hints
// have to say.
func (n *Internet) Roots() map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for _, z := range n.zones {
		if z.origin != "." {
			continue
		}
		for _, name := range targets(z.nodes["."][dns.TypeNS]) {
			if addrs := n.Addrs(name); len(addrs) > 0 {
				out[dns.CanonicalName(name)] = addrs
			}
		}
	}
	return out
}

// Host returns the server at addr, nil when there is none.
func (n *Internet) Host(addr string) *Host { return n.hosts[netip.MustParseAddr(addr)] }

// Hosts returns all servers, ordered by address.
func (n *Internet) Hosts() []*Host {
	var out []*Host
	for _, h := range n.hosts {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *Host) int { return a.addr.Compare(b.addr) })
	return out
}

// Queries returns how many queries all servers got.
func (n *Internet) Queries() (sum uint64) {
	for _, h := range n.hosts {
		sum += h.Queries()
	}
	return sum
}

// Port returns the port of all servers once they are started.
func (n *Internet) Port() uint16 { return n.port }

// Absent returns the servers that could not be started because this machine
// lacks their address: IPv6 ones, where there is no IPv6.
func (n *Internet) Absent() []netip.Addr { return n.absent }

// Start binds every server's address on port, UDP and TCP, and serves until
// Close. Port 0 chooses one that is free on all addresses.
func (n *Internet) Start(port uint16) error {
	if port != 0 {
		return n.start(port)
	}
	var err error
	for range 20 {
		if n.claim, err = freeport.Choose(); err != nil {
			return err
		}
		if err = n.start(n.claim.Port); err == nil {
			return nil
		}
		n.claim.Release()
		if !errors.Is(err, syscall.EADDRINUSE) { // a resolver draws its ports from all
			return err
		}
	}
	return err
}

func (n *Internet) start(port uint16) error {
	var servers []*dns.Server
	n.absent = nil
	for _, h := range n.Hosts() {
		pair, err := h.bind(port, n.closing)
		if h.addr.Is6() && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
			n.absent = append(n.absent, h.addr)
			continue
		}
		servers = append(servers, pair...)
		if err != nil {
			shut(servers)
			return fmt.Errorf("name server: %w", err)
		}
	}
	n.servers, n.port = servers, port
	for _, s := range servers {
		n.group.Go("authority", func() { _ = s.ActivateAndServe() })
	}
	return nil
}

// Close ends all servers. An Internet is started once.
func (n *Internet) Close() {
	close(n.closing)
	shut(n.servers)
	n.group.Wait()
	if n.claim != nil {
		n.claim.Release()
	}
}

// shut closes sockets, whether or not their servers were activated.
func shut(servers []*dns.Server) {
	for _, s := range servers {
		_ = s.Shutdown() // wakes its connections; an error says that it did not run yet
		if s.Listener != nil {
			s.Listener.Close()
		}
		if s.PacketConn != nil {
			s.PacketConn.Close()
		}
	}
}

// bind opens the UDP and the TCP socket of a host.
func (h *Host) bind(port uint16, closing <-chan struct{}) ([]*dns.Server, error) {
	at := net.JoinHostPort(h.addr.String(), strconv.Itoa(int(port)))
	udp, err := net.ListenPacket("udp", at)
	if err != nil {
		return nil, err
	}
	servers := []*dns.Server{{PacketConn: udp, Handler: h.handler(false, closing)}}
	tcp, err := net.Listen("tcp", at)
	if err != nil {
		return servers, err
	}
	return append(servers, &dns.Server{Listener: listener{tcp, h}, Handler: h.handler(true, closing)}), nil
}

func (h *Host) handler(tcp bool, closing <-chan struct{}) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		x := h.exchangeWith(q, tcp, w.RemoteAddr())
		for _, pkt := range x.Ahead {
			h.count(w.Write(pkt))
		}
		if x.Delay > 0 {
			select {
			case <-time.After(x.Delay):
			case <-closing:
				return
			}
		}
		if x.Raw == nil && x.Reply != nil {
			x.Raw, _ = x.Reply.Pack()
		}
		if x.Raw != nil {
			h.count(w.Write(x.Raw))
		}
	}
}
