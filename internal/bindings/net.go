package bindings

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/transport"
)

// errNoTLS is the answer to everything that would need TLS.
var errNoTLS = errors.New("DNS over TLS is not part of this version: listen without tls, or put a TLS proxy in front")

func installNet(d *Daemon) {
	n := &network{d: d}
	d.VM.RegisterObject(script.Object{
		Name:      "net",
		Help:      "addresses to listen on and parameters of the transports; net = { '127.0.0.1', '::1' } listens. Avoid the wildcards 0.0.0.0 and :: on machines with several addresses: name the addresses instead",
		Protected: true,
		Fields: []script.Field{
			boolField("ipv4", "whether IPv4 is used towards other servers", &d.Settings.IPv4),
			boolField("ipv6", "whether IPv6 is used towards other servers", &d.Settings.IPv6),
		},
		Funcs:   append(append(n.listening(), netParameters(d)...), clientLimits(d)...),
		Index:   n.device,
		Assign:  n.assign,
		Merging: n.merging,
	})
}

// network is the part of net that listens.
type network struct {
	d        *Daemon
	listened int // addresses so far
	// read tells of the interface that a script has read last and not listened on
	// yet, in words: what an address that turns out nil comes from. missing tells that
	// this interface is not there.
	read    string
	missing bool
	readBy  context.Context // of the command or file that read it
}

// lastRead takes what the same command or file has read last.
func (n *network) lastRead(c *script.Call) (read string, missing bool) {
	if n.readBy == c.Context() {
		read, missing = n.read, n.missing
	}
	n.read, n.missing, n.readBy = "", false, nil
	return read, missing
}

// device is an interface as a script reads it.
func (n *network) device(c *script.Call, key any) any {
	name, ok := key.(string)
	if !ok {
		return nil
	}
	n.readBy = c.Context()
	t, _ := n.d.device(name).(*luavalue.Table)
	if n.missing = t == nil; n.missing {
		n.read = fmt.Sprintf("this machine has no interface '%s' with an address", name)
		return nil
	}
	addrs, _ := t.Get("addr").(*luavalue.Table)
	n.read = fmt.Sprintf("the interface '%s' has no further address than addr[%d]", name, len(addrs.Pairs))
	return t
}

// merging serves net = { … }. A nil in it leaves no trace but that an interface
// was read that is not there, or that nothing is named at all.
func (n *network) merging(c *script.Call, merge func() error) error {
	before := n.listened
	read, missing := n.lastRead(c)
	if err := merge(); err != nil {
		return err
	}
	if read != "" && (missing || n.listened == before) {
		n.failed(c, fmt.Errorf("net = {…}: %s", read))
	}
	return nil
}

func (n *network) listening() []script.Func {
	return funcs(
		script.Func{Name: "listen", Args: "addresses[, port = 53[, flags]]", Min: 1, Max: 3, Fn: n.listen,
			Help: "listen on an address, an interface (net.eth0), its name, or a list of them. On machines with several addresses avoid 0.0.0.0 and ::, name the addresses"},
		script.Func{Name: "close", Args: "address[, port = 53]", Min: 1, Max: 2, Fn: n.close, Help: "stop listening on an address"},
		script.Func{Name: "list", Max: 0, Fn: listBound(n.d), Help: "bound addresses"},
		script.Func{Name: "endpoints", Max: 0, Fn: listEndpoints(n.d), Help: "bound addresses as a list, one entry for each transport"},
		script.Func{Name: "interfaces", Max: 0, Help: "interfaces of this machine and their addresses",
			Fn: func(c *script.Call) error { return c.Return(n.d.interfaces()) }},
	)
}

// assign serves net = { … } and net[key] = address: anything that is no known
// option is an address to listen on.
func (n *network) assign(c *script.Call, key any) (bool, error) {
	value := c.Arg(1)
	switch value.(type) {
	case string, *luavalue.Table:
		n.listenOn(c, value, dnsPort, listenFlags{service: plainDNS})
		return true, nil
	}
	if _, isIndex := key.(float64); isIndex {
		c.TypeError(1, "address")
	}
	return false, nil
}

func (n *network) listen(c *script.Call) error {
	read, _ := n.lastRead(c)
	switch c.Type(1) {
	case "string", "table":
	case "nil":
		if read != "" {
			return fmt.Errorf("net.listen: nil is no address: %s", read)
		}
		fallthrough
	default:
		c.TypeError(1, "address, interface or list of them")
	}
	port := c.OptInt(2, 0, 65535, dnsPort)
	f := listenFlags{service: plainDNS}
	if port == tlsPort {
		f.service = dnsOverTLS
	}
	if !c.IsNil(3) {
		for _, p := range c.Table(3).Pairs {
			if err := n.setFlag(&f, p.Key, p.Value); err != nil {
				return err
			}
		}
	}
	if !n.serves(f.service) {
		return errNoTLS
	}
	return c.Return(n.listenOn(c, c.Arg(1), uint16(port), f))
}

// serves tells whether there is a service of this name and a way to serve it.
func (n *network) serves(service string) bool {
	return slices.ContainsFunc(transport.Offering(service), n.d.Listener.Serves)
}

// listenFlags is the third argument of net.listen.
type listenFlags struct {
	service  string
	freebind bool
}

func (n *network) setFlag(f *listenFlags, key, value any) error {
	switch key {
	case "kind":
		kind, ok := value.(string)
		switch {
		case !ok:
			return fmt.Errorf("flag 'kind': string expected, got %s", typeName(value))
		case !n.serves(kind):
			return fmt.Errorf("flag 'kind': only 'dns' is part of this version, not '%s'", kind)
		}
		f.service = kind
		return nil
	case "tls", "freebind":
	default:
		return fmt.Errorf("unknown flag '%v' of net.listen; there are tls, kind and freebind", key)
	}
	on, ok := value.(bool)
	if !ok {
		return fmt.Errorf("flag '%s': boolean expected, got %s", key, typeName(value))
	}
	switch {
	case key == "freebind":
		f.freebind = on
	case on:
		f.service = dnsOverTLS
	default:
		f.service = plainDNS
	}
	return nil
}

// listenOn binds everything that value names and stops at the first failure. That
// is told to the console that asked, and to the log else, with its place.
func (n *network) listenOn(c *script.Call, value any, port uint16, f listenFlags) bool {
	addrs, err := n.d.addresses(value)
	if err != nil {
		c.Raise(err)
	}
	for _, a := range addrs {
		if err := n.listenAt(c, a, port, f); err != nil {
			n.failed(c, err)
			return false
		}
		n.listened++
	}
	return true
}

// listenAt binds one address, or awaits it. Once in a group it is told which
// addresses of the configuration are awaited.
func (n *network) listenAt(c *script.Call, addr string, port uint16, f listenFlags) error {
	ip, err := parseAddr(addr)
	if err == nil && port == 0 {
		err = errors.New("port 0 cannot be asked")
	}
	awaited := false
	if err == nil {
		awaited, err = n.d.Listener.Listen(netip.AddrPortFrom(ip, port), transport.Offering(f.service), f.freebind, c.Position())
	}
	if err != nil {
		return fmt.Errorf("bind to '%s@%d' %w", addr, port, err)
	}
	if awaited && (n.d.Process.ID() == 0 || !c.Within(script.Config)) {
		n.d.Log.Warn(fmt.Sprintf("%sthis machine does not have the address '%s': kresd listens on port %d of it as soon as it appears", c.Position(), addr, port))
	}
	return nil
}

// failed tells that an address cannot be listened on.
func (n *network) failed(c *script.Call, err error) {
	if c.Kind() == script.Console {
		c.Raise(err)
	}
	err = fmt.Errorf("%s%w", c.Position(), err)
	n.d.Listener.Failed(err)
	n.d.Log.Error(err.Error())
}

func (n *network) close(c *script.Call) error {
	addr, err := parseAddr(text(c, 1))
	port := c.OptInt(2, 0, 65535, dnsPort)
	return c.Return(err == nil && n.d.Listener.Close(netip.AddrPortFrom(addr, uint16(port))))
}

// parseAddr reads an IP address, or an IPv6 one with a zone.
func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	switch {
	case err == nil:
		return a.Unmap(), nil
	case strings.HasPrefix(text, "/"):
		return a, errors.New("UNIX sockets are not part of this version")
	}
	return a, errors.New("neither an IP address nor an interface")
}

// netParameters are the functions of net that get and set a number or address.
func netParameters(d *Daemon) []script.Func {
	s := d.Settings
	return funcs(
		script.Func{Name: "bufsize", Args: "[clients[, upstream]]", Max: 2, Help: "EDNS size offered, in octets (512 to 65535)",
			Fn: func(c *script.Call) error {
				if c.NArgs() == 0 {
					return c.Return(float64(s.Bufsize.Load()), float64(s.UpstreamBufsize.Load()))
				}
				down := c.Int(1, limits.MinBufsize, limits.MaxBufsize)
				up := c.OptInt(2, limits.MinBufsize, limits.MaxBufsize, min(down, limits.UDPPayload))
				s.Bufsize.Store(uint32(down))
				s.UpstreamBufsize.Store(uint32(up))
				return c.Return()
			}},
		script.Func{Name: "tcp_pipeline", Args: "[n]", Max: 1, Help: "outstanding queries of one TCP connection (0 to 65535)",
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					s.TCPPipeline.Store(int32(c.Int(1, 0, 65535)))
					d.changed()
				}
				return c.Return(float64(s.TCPPipeline.Load()))
			}},
		script.Func{Name: "tcp_in_idle", Args: "[ms]", Max: 1, Help: "how long a TCP connection may idle, in milliseconds",
			Fn: func(c *script.Call) error { return milliseconds(d, c, &s.TCPIdle, 1) }},
		outgoing("outgoing_v4", "IPv4", false, &s.Outgoing4),
		outgoing("outgoing_v6", "IPv6", true, &s.Outgoing6),
	)
}
