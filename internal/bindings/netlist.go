package bindings

import (
	"net/netip"
	"slices"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/transport"
)

// boundAddr is an address and the kinds of transport by which it is asked.
type boundAddr struct {
	addr  netip.AddrPort
	kinds []transport.Kind
}

// boundAddrs gathers endpoints by address, in their order. Two endpoints in one
// network are two entries, though their address be one.
func boundAddrs(endpoints []Endpoint) []boundAddr {
	var list []boundAddr
	for _, e := range endpoints {
		i := slices.IndexFunc(list, func(b boundAddr) bool { return b.addr == e.Addr && !b.uses(e.Kind.Network()) })
		if i < 0 {
			i, list = len(list), append(list, boundAddr{addr: e.Addr})
		}
		list[i].kinds = append(list[i].kinds, e.Kind)
	}
	return list
}

func (b *boundAddr) uses(network string) bool {
	return slices.ContainsFunc(b.kinds, func(k transport.Kind) bool { return k.Network() == network })
}

// table is what net.list says of an address: its port, the networks, and each
// service but plain DNS.
func (b *boundAddr) table() *luavalue.Table {
	t := (&luavalue.Table{}).Add("port", float64(b.addr.Port())).Add("tcp", b.uses("tcp")).Add("udp", b.uses("udp"))
	for _, k := range b.kinds {
		if k.Service() != plainDNS {
			t.Add(k.Service(), true)
		}
	}
	return t
}

// list shows the first endpoint of each address as the manual does, and further
// ones under "more".
func (n *network) list(c *script.Call) error {
	out := &luavalue.Table{}
	for _, b := range boundAddrs(n.d.Listener.Endpoints()) {
		key := b.addr.Addr().String()
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

// endpoints is what later versions of the manual return from net.list().
func (n *network) endpoints(c *script.Call) error {
	out := &luavalue.Table{}
	for _, e := range n.d.Listener.Endpoints() {
		family := "inet6"
		if e.Addr.Addr().Is4() {
			family = "inet4"
		}
		how := (&luavalue.Table{}).Add("family", family).Add("ip", e.Addr.Addr().String()).
			Add("port", float64(e.Addr.Port())).Add("protocol", e.Kind.Network())
		out.Add(float64(len(out.Pairs)+1), (&luavalue.Table{}).Add("kind", e.Kind.Service()).Add("transport", how))
	}
	return c.Return(out)
}
