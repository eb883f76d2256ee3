package network

import (
	"net/netip"
	"slices"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/transport"
)

// The services of net.listen that a port or a flag stands for, and their ports.
const (
	plainDNS     = "dns"
	dnsOverTLS   = "tls"
	dnsOverHTTPS = "doh2"
	dnsOverHTTP  = "http" // behind a proxy
	dnsOverQUIC  = "doq"

	dnsPort = 53
	tlsPort = 853
)

// boundAddr is an address, or the path of a UNIX socket, and the kinds of transport
// by which it is asked.
type boundAddr struct {
	addr  netip.AddrPort
	path  string
	kinds []transport.Kind
}

// boundAddrs gathers endpoints by address, in their order. Two endpoints in one
// network are two entries, though their address be one.
func boundAddrs(endpoints []Endpoint) []boundAddr {
	var list []boundAddr
	for _, e := range endpoints {
		i := slices.IndexFunc(list, func(b boundAddr) bool { return b.addr == e.Addr && b.path == e.Path && !b.uses(e.Kind.Network()) })
		if i < 0 {
			i, list = len(list), append(list, boundAddr{addr: e.Addr, path: e.Path})
		}
		list[i].kinds = append(list[i].kinds, e.Kind)
	}
	return list
}

func (b *boundAddr) uses(network string) bool {
	return slices.ContainsFunc(b.kinds, func(k transport.Kind) bool { return k.Network() == network })
}

// key is by what net.list shows it.
func (b *boundAddr) key() string {
	if b.path != "" {
		return b.path
	}
	return b.addr.Addr().String()
}

// table is what net.list says of an address: its port, the networks, and each
// service but plain DNS. A path has neither port nor networks.
func (b *boundAddr) table() *luavalue.Table {
	t := &luavalue.Table{}
	if b.path != "" {
		t.Add("unix", true)
	} else {
		t.Add("port", float64(b.addr.Port())).Add("tcp", b.uses("tcp")).Add("udp", b.uses("udp"))
	}
	for _, k := range b.kinds {
		if k.Service() != plainDNS {
			t.Add(k.Service(), true)
		}
	}
	return t
}

// listBound is net.list(): a table by addresses. It shows the first port of an address
// as the manual does, and further ports under "more".
func listBound(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		out := &luavalue.Table{}
		for _, b := range boundAddrs(d.Listener.Endpoints()) {
			key := b.key()
			first, _ := out.Get(key).(*luavalue.Table)
			if first == nil {
				out.Add(key, b.table())
				continue
			}
			more, _ := first.Get("more").(*luavalue.Table)
			if more == nil {
				more = &luavalue.Table{}
				first.Add("more", more)
			}
			more.Add(float64(len(more.Pairs)+1), b.table())
		}
		return c.Return(out)
	}
}

// listEndpoints is net.endpoints(): a list with an entry for each endpoint, in the form
// that net.list() has in later versions of the manual.
func listEndpoints(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		out := &luavalue.Table{}
		for _, e := range d.Listener.Endpoints() {
			out.Add(float64(len(out.Pairs)+1), (&luavalue.Table{}).Add("kind", e.Kind.Service()).Add("transport", e.table()))
		}
		return c.Return(out)
	}
}

// table is where an endpoint lies, as net.endpoints() shows it.
func (e *Endpoint) table() *luavalue.Table {
	t := &luavalue.Table{}
	switch {
	case e.Path != "":
		return t.Add("family", "unix").Add("path", e.Path).Add("protocol", "stream")
	case e.Addr.Addr().Is4():
		t.Add("family", "inet4")
	default:
		t.Add("family", "inet6")
	}
	return t.Add("ip", e.Addr.Addr().String()).Add("port", float64(e.Addr.Port())).Add("protocol", e.Kind.Network())
}
