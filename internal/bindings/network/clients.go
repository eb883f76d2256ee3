package network

import (
	"fmt"
	"net/netip"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// clientLimits are the functions of net that say what clients may use up, and have under
// way to servers. A change replaces the whole value, so that who reads it reads one.
func clientLimits(d *Host) []script.Func {
	return []script.Func{
		{Name: "limits", Args: "[{ name = n, … }]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					if err := setLimits(d, c.Table(1)); err != nil {
						return err
					}
				}
				out, now := &luavalue.Table{}, *d.Settings.Clients.Load()
				for _, l := range settableLimits(&now) {
					out.Add(l.name, float64(*l.value))
				}
				return c.Return(out)
			}},
		{Name: "forwarders", Args: "[{ 'address or network', … }]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					if err := setForwarders(d, c.Arg(1)); err != nil {
						return err
					}
				}
				return c.Return(networkTexts(d.Settings.Clients.Load().Forwarders))
			}},
		{Name: "proxy_allowed", Args: "[{ 'address or network', … }]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					list, err := clientNetworks("net.proxy_allowed", c.Arg(1))
					if err != nil {
						return err
					}
					d.Settings.Proxies.Store(&list)
					d.Changed()
				}
				if list := d.Settings.Proxies.Load(); list != nil {
					return c.Return(networkTexts(*list))
				}
				return c.Return([]any{})
			}},
	}
}

// settableLimit is a limit by the name that operators give it.
type settableLimit struct {
	name  string
	least int
	value *int
}

func settableLimits(c *limits.Clients) []settableLimit {
	return []settableLimit{
		{"pending", 100, &c.Pending},
		{"waiters_per_client", 1, &c.PerClient},
		{"late_waiters", 0, &c.Late},
		{"tcp_conns", 1, &c.Conns},
		{"tcp_conns_per_client", 1, &c.ConnsPerClient},
		{"outstanding_per_server", 1, &c.PerServer},
		{"outstanding_per_zone", 1, &c.PerZone},
	}
}

// setLimits changes the limits that t names, all or none.
func setLimits(d *Host, t *luavalue.Table) error {
	changed := *d.Settings.Clients.Load()
	for _, p := range t.Pairs {
		if err := setLimit(&changed, p.Key, p.Value); err != nil {
			return err
		}
	}
	d.Settings.Clients.Store(&changed)
	d.Changed()
	return nil
}

func setLimit(of *limits.Clients, name, value any) error {
	for _, l := range settableLimits(of) {
		if name != l.name {
			continue
		}
		n, ok := value.(float64)
		if !ok || n != float64(int(n)) || int(n) < l.least || int(n) > limits.ClientLimitMost {
			return fmt.Errorf("net.limits: %s is a whole number from %d to %d", l.name, l.least, limits.ClientLimitMost)
		}
		*l.value = int(n)
		return nil
	}
	return fmt.Errorf("net.limits: there is no limit '%v' to set; there are pending, waiters_per_client, late_waiters, tcp_conns, tcp_conns_per_client, outstanding_per_server and outstanding_per_zone", name)
}

// networkTexts is a list of networks as scripts see it.
func networkTexts(list []netip.Prefix) []any {
	out := []any{}
	for _, p := range list {
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return out
}

// setForwarders replaces the list.
func setForwarders(d *Host, value any) error {
	list, err := clientNetworks("net.forwarders", value)
	if err != nil {
		return err
	}
	changed := *d.Settings.Clients.Load()
	changed.Forwarders = list
	d.Settings.Clients.Store(&changed)
	d.Changed()
	return nil
}

// clientNetworks reads the argument of a function: a list of addresses and networks,
// or one.
func clientNetworks(function string, value any) (list []netip.Prefix, err error) {
	values := []any{value}
	if t, ok := value.(*luavalue.Table); ok {
		values = nil
		for i, p := range t.Pairs {
			if p.Key != float64(i+1) {
				return nil, fmt.Errorf("%s: a list expected, not a table with the key '%v'", function, p.Key)
			}
			values = append(values, p.Value)
		}
	}
	if len(values) > limits.Forwarders {
		return nil, fmt.Errorf("%s: %d addresses and networks, at most %d are taken", function, len(values), limits.Forwarders)
	}
	for _, v := range values {
		p, err := clientNetwork(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", function, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// clientNetwork reads an address, or a network as an address and the length of its
// prefix.
func clientNetwork(v any) (netip.Prefix, error) {
	text, ok := v.(string)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("address or network expected, got %s", script.TypeName(v))
	}
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("'%s' is neither an address nor a network such as 10.0.0.0/8", text)
	case p != p.Masked():
		return p, fmt.Errorf("'%s' has bits behind its prefix; the network is %s", text, p.Masked())
	}
	return p, nil
}
