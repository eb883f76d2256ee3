package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/bindings/servers"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/transport"
	"kresd/internal/wording"
)

// Install makes the global.
func Install(d *Host) {
	n := &network{d: d}
	client := &servers.Host{Reader: servers.Reader{Use: d.Encryption.UseAuthorities}, Settings: d.Settings, Policy: d.Policy, View: d.View, Changed: d.Changed}
	d.VM.RegisterObject(script.Object{
		Name:      "net",
		Protected: true,
		Fields: []script.Field{
			boolField("ipv4", &d.Settings.IPv4),
			boolField("ipv6", &d.Settings.IPv6),
		},
		Funcs:   slices.Concat(n.listening(), netParameters(d), encryption(d), clientLimits(d), servers.Functions(client)),
		Index:   n.device,
		Assign:  n.assign,
		Merging: n.merging,
	})
}

// network is the part of net that listens.
type network struct {
	d               *Host
	asked, listened int    // values that were to be listened on, and addresses of them, so far
	refused         int    // addresses that could not be bound so far, which was told
	missed          []miss // what the same command or file has read in vain since it listened last
	missedBy        context.Context
	together        bool // a table is being set: whether it names an address is seen at its end
}

// miss is a reading of what this machine does not have: what an address that turns
// out nil comes from.
type miss struct{ where, told string }

// missing notes a reading in vain.
func (n *network) missing(c *script.Call, format string, args ...any) {
	if n.missedBy != c.Context() {
		n.missed, n.missedBy = nil, c.Context()
	}
	n.missed = append(n.missed, miss{c.Position(), fmt.Sprintf(format, args...)})
	if len(n.missed) > limits.MissesTold {
		n.missed = n.missed[1:]
	}
}

// take takes what the same command or file has read in vain.
func (n *network) take(c *script.Call) (list []miss) {
	if n.missedBy == c.Context() {
		list = n.missed
	}
	n.missed, n.missedBy = nil, nil
	return list
}

// told joins the words about the last readings, at most most of them.
func told(list []miss, most int) string {
	list = list[max(0, len(list)-most):]
	words := make([]string, len(list))
	for i, m := range list {
		words[i] = m.told
	}
	return strings.Join(slices.Compact(words), "; ")
}

// device is an interface as a script reads it.
func (n *network) device(c *script.Call, key any) any {
	name, ok := key.(string)
	if !ok {
		return nil
	}
	for _, i := range n.d.Interfaces() {
		if i.Name == name {
			return n.watched(i)
		}
	}
	told := fmt.Sprintf("this machine has no interface '%s' with an address", wording.Printable(name))
	n.missing(c, "%s", told)
	c.Missed("net."+name, told)
	return nil
}

// interfaces is net.interfaces().
func (n *network) interfaces(c *script.Call) error {
	all := &luavalue.Table{}
	for _, i := range n.d.Interfaces() {
		all.Add(i.Name, n.watched(i))
	}
	return c.Return(&script.Watched{Table: all, Missing: func(c *script.Call, key any) { n.device(c, key) }})
}

// watched is the table of an interface, which notes addresses that it has not.
func (n *network) watched(i Interface) *luavalue.Table {
	t := i.table()
	addrs := t.Get("addr").(*luavalue.Table)
	return (&luavalue.Table{}).Add("mac", t.Get("mac")).Add("addr", &script.Watched{Table: addrs, Missing: func(c *script.Call, key any) {
		n.missing(c, "the interface '%s' has no addr[%v], its last address is addr[%d]", i.Name, key, len(addrs.Pairs))
	}})
}

// merging serves net = { … }. An address in it that is nil leaves its place, where
// it stands in a list, and the reading from which it came.
func (n *network) merging(c *script.Call, merge func() error) error {
	if err := n.noAddress(c); err != nil {
		return err
	}
	missed, nils := n.take(c), c.Nils(3)
	if nils > 0 && len(missed) > 0 {
		n.failed(c, fmt.Errorf("net = {…}: %s", told(missed, nils)))
	}
	asked, listened, refused := n.asked, n.listened, n.refused
	n.together = true
	defer func() { n.together = false }()
	if err := merge(); err != nil {
		return err
	}
	switch named := n.asked > asked || nils > 0; {
	case n.listened > listened || n.refused > refused || nils > 0 && len(missed) > 0:
	case named:
		n.failed(c, errors.New("net = {…}: no address is named: all that stands there is nil or empty"))
	case len(missed) > 0 && missed[len(missed)-1].where == c.Position(): // net = { lan = net.wlan0 }
		n.failed(c, fmt.Errorf("net = {…}: %s", told(missed, 1)))
	}
	return nil
}

// noAddress is the error about an entry of the list in net = { … } that can be no address:
// it comes before anything in the list is listened on. Where each mistake is told, as
// setting the entries does, there is no need for that.
func (n *network) noAddress(c *script.Call) error {
	t, ok := c.Arg(3).(*luavalue.Table)
	if !ok || n.d.VM.Options().Mistake != nil {
		return nil
	}
	for _, pair := range t.Pairs {
		if _, listed := pair.Key.(float64); !listed {
			continue
		}
		what := ""
		switch pair.Value.(type) {
		case float64:
			what = "number"
		case bool:
			what = "boolean"
		default:
			continue
		}
		return script.Usage(fmt.Sprintf("bad value for 'net.%v' (address expected, got %s)", pair.Key, what))
	}
	return nil
}

func (n *network) listening() []script.Func {
	return []script.Func{
		{Name: "listen", Args: "addresses[, port = 53[, flags]]", Min: 1, Max: 3, Fn: n.listen},
		{Name: "close", Args: "address[, port = 53]", Min: 1, Max: 2, Fn: n.close},
		{Name: "list", Max: 0, Fn: listBound(n.d)},
		{Name: "endpoints", Max: 0, Fn: listEndpoints(n.d)},
		{Name: "interfaces", Max: 0, Fn: n.interfaces},
	}
}

// assign serves net = { … } and net[key] = address: anything that is no known
// option is an address to listen on.
func (n *network) assign(c *script.Call, key any) (bool, error) {
	value := c.Arg(1)
	switch value.(type) {
	case nil:
		if missed := n.take(c); len(missed) > 0 {
			return false, fmt.Errorf("net.%v: nil is no address: %s", key, told(missed, 1))
		}
	case string, *luavalue.Table:
		n.asked++
		before := n.listened
		if n.listenOn(c, value, dnsPort, listenFlags{service: plainDNS}) && n.listened == before && !n.together {
			n.failed(c, fmt.Errorf("net.%v: no address is named: the list is empty", key))
		}
		return true, nil
	}
	if _, isIndex := key.(float64); isIndex {
		c.TypeError(1, "address")
	}
	return false, nil
}

func (n *network) listen(c *script.Call) error {
	missed := n.take(c)
	switch c.Type(1) {
	case "string", "table":
	case "nil":
		if len(missed) > 0 {
			return fmt.Errorf("net.listen: nil is no address: %s", told(missed, 1))
		}
		fallthrough
	default:
		c.TypeError(1, "address, interface or list of them")
	}
	port := c.OptInt(2, 0, 65535, dnsPort)
	f, err := listenFlagsOf(n.d, c, port)
	switch {
	case err != nil && f.service == webManagement && c.Within(script.Config):
		n.d.Log.Warn(fmt.Sprintf("%s%v; the configuration goes on without it", c.Position(), err))
		return c.Return(false)
	case err != nil:
		return err
	}
	value, nils, before := c.Arg(1), c.Nils(1), n.listened
	whole := nils == 0 || len(missed) == 0
	if !whole {
		n.failed(c, fmt.Errorf("net.listen: %s", told(missed, nils)))
	}
	bound := n.listenOn(c, value, uint16(port), f)
	if bound && whole && n.listened == before {
		return n.none(c, nils, missed)
	}
	return c.Return(bound && whole)
}

// none serves net.listen of a list without an address. On a console an empty one is
// done at once; a configuration that says no more than that has nothing to listen on.
func (n *network) none(c *script.Call, nils int, missed []miss) error {
	why := "the list is empty"
	switch {
	case len(missed) > 0: // net.listen({ addr = net.eth0.addr[7] })
		why = told(missed, 1)
	case nils > 0:
		why = "all of the list is nil"
	case c.Kind() == script.Console:
		return c.Return(true)
	}
	n.failed(c, fmt.Errorf("net.listen: no address is named: %s", why))
	return c.Return(false)
}

// listenOn binds everything that value names, if all of it can be read, and stops at the
// first failure. That is told to the console that asked, and to the log else, with its
// place.
func (n *network) listenOn(c *script.Call, value any, port uint16, f listenFlags) bool {
	addrs, err := n.d.addresses(value)
	if err != nil {
		c.Raise(err)
	}
	refuse := func(err error) bool {
		n.refused++
		n.failed(c, err)
		return false
	}
	for _, a := range addrs {
		if _, err := endpoint(a, port); err != nil {
			return refuse(err)
		}
	}
	for _, a := range addrs {
		if err := n.listenAt(c, a, port, f); err != nil {
			return refuse(err)
		}
		n.listened++
	}
	return true
}

// endpoint is where an address has the port; the zero value for the path of a socket.
func endpoint(addr string, port uint16) (at netip.AddrPort, err error) {
	if strings.HasPrefix(addr, "/") {
		return at, nil
	}
	ip, err := parseAddr(addr)
	if err == nil && port == 0 {
		err = errors.New("port 0 cannot be asked")
	}
	return netip.AddrPortFrom(ip, port), bindError(addr, port, err)
}

// bindError is err with the address that could not be listened on; its port is left out
// where the text has a port of its own, or is no address but a network or a path.
func bindError(addr string, port uint16, err error) error {
	if err == nil {
		return nil
	}
	if _, bad := netip.ParseAddrPort(addr); bad == nil || strings.ContainsAny(addr, "@/") {
		return fmt.Errorf("bind to '%s': %w", addr, err)
	}
	return fmt.Errorf("bind to '%s@%d': %w", addr, port, err)
}

// listenAt binds one address, or awaits it. Once in a group it is told which
// addresses of the configuration are awaited.
func (n *network) listenAt(c *script.Call, addr string, port uint16, f listenFlags) error {
	if strings.HasPrefix(addr, "/") {
		if err := n.d.Listener.ListenPath(addr, transport.Offering(f.service), f.mode, c.Position()); err != nil {
			return fmt.Errorf("bind to '%s': %w", addr, err)
		}
		return nil
	}
	at, err := endpoint(addr, port)
	if err != nil {
		return err
	}
	awaited, err := n.d.Listener.Listen(at, transport.Offering(f.service), f.freebind, c.Position())
	if err != nil {
		return bindError(addr, port, err)
	}
	if awaited && (n.d.ID() == 0 || !c.Within(script.Config)) {
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
	text, port := c.Text(1), c.OptInt(2, 0, 65535, dnsPort)
	if strings.HasPrefix(text, "/") {
		return c.Return(n.d.Listener.ClosePath(text))
	}
	addr, err := parseAddr(text)
	return c.Return(err == nil && n.d.Listener.Close(netip.AddrPortFrom(addr, uint16(port))))
}

// parseAddr reads an IP address, or an IPv6 one with a zone.
func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil {
		return a.Unmap(), nil
	}
	if ip, port, ok := strings.Cut(text, "@"); ok && !strings.HasPrefix(ip, "@") {
		return a, fmt.Errorf("the port is an argument of its own: net.listen('%s', %s)", wording.Printable(ip), wording.Printable(port))
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return a, fmt.Errorf("the port is an argument of its own: net.listen('%s', %d)", at.Addr(), at.Port())
	}
	if net, err := netip.ParsePrefix(text); err == nil {
		return a, fmt.Errorf("a network is no address: net.listen('%s')", net.Addr())
	}
	switch strings.ToLower(text) {
	case "*", "", "any", "all":
		return a, errors.New("all addresses of this machine are '0.0.0.0' and '::'")
	case "localhost":
		return a, errors.New("a name is no address: net.listen({ '127.0.0.1', '::1' })")
	}
	return a, errors.New("neither an IP address nor an interface")
}

// netParameters are the functions of net that get and set a number or address.
func netParameters(d *Host) []script.Func {
	s := d.Settings
	return []script.Func{
		{Name: "bufsize", Args: "[clients[, upstream]]", Max: 2,
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
		{Name: "tcp_pipeline", Args: "[n]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					s.TCPPipeline.Store(int32(c.Int(1, 0, 65535)))
					d.Changed()
				}
				return c.Return(float64(s.TCPPipeline.Load()))
			}},
		{Name: "tcp_in_idle", Args: "[ms]", Max: 1,
			Fn: func(c *script.Call) error { return milliseconds(d, c, &s.TCPIdle, 1) }},
		{Name: "doh_paths", Args: "[path | { paths }]", Max: 1, Fn: func(c *script.Call) error { return dohPaths(d, c) }},
		{Name: "doh_headers", Args: "[name | { names } | nil]", Max: 1, Fn: func(c *script.Call) error { return dohHeaders(d, c) }},
		outgoing(d, "outgoing_v4", "IPv4", false, &s.Outgoing4),
		outgoing(d, "outgoing_v6", "IPv6", true, &s.Outgoing6),
	}
}
