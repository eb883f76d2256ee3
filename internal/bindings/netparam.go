package bindings

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// boolField is an option that is true or false.
func boolField(name, help string, v *atomic.Bool) script.Field {
	return script.Field{Name: name, Help: help,
		Get: func(*script.Call) (any, error) { return v.Load(), nil },
		Set: func(c *script.Call) error { v.Store(c.Bool(1)); return nil }}
}

// outgoing gets or sets a source address; nil is any.
func outgoing(name, family string, v6 bool, v *atomic.Pointer[netip.Addr]) script.Func {
	return script.Func{Name: name, Args: "[address | nil]", Max: 1, Help: "source address of queries to other servers by " + family + "; nil: the system's choice",
		Fn: func(c *script.Call) error {
			if c.NArgs() == 0 {
				if a := v.Load(); a != nil {
					return c.Return(a.String())
				}
				return c.Return(nil)
			}
			if c.IsNil(1) {
				v.Store(nil)
				return c.Return(true)
			}
			a, err := netip.ParseAddr(c.String(1))
			if err != nil || a.Is4() == v6 {
				return fmt.Errorf("net.%s: '%s' is not an %s address", name, c.String(1), family)
			}
			v.Store(&a)
			return c.Return(true)
		}}
}

// milliseconds gets or sets a duration given in milliseconds, lo at least.
func milliseconds(d *Daemon, c *script.Call, v *atomic.Int64, lo float64) error {
	if c.NArgs() > 0 {
		ms := c.Number(1)
		if !(ms >= lo && ms <= math.MaxUint32) {
			c.ArgError(1, "milliseconds from %v to %v expected", lo, uint32(math.MaxUint32))
		}
		v.Store(int64(ms * float64(time.Millisecond)))
		d.changed()
	}
	return c.Return(float64(v.Load() / int64(time.Millisecond)))
}

// addresses flattens what net.listen takes: an address, an interface's name, a
// table with the field addr (then only that counts), or a list of these.
func addresses(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		if _, err := netip.ParseAddr(v); err != nil {
			if t, _ := interfaces().Get(v).(*luavalue.Table); t != nil {
				return addresses(t)
			}
		}
		return []string{v}, nil
	case *luavalue.Table:
		if inner := v.Get("addr"); inner != nil {
			return addresses(inner)
		}
		var all []string
		for _, item := range v.Pairs {
			list, err := addresses(item.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("bad type of address: string or table expected, got %s", typeName(value))
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case float64:
		return "number"
	}
	return "function"
}

// interfaces are those of this machine that have an address. Link-local
// addresses carry their zone, without which they cannot be bound.
func interfaces() *luavalue.Table {
	out := &luavalue.Table{}
	list, err := net.Interfaces()
	if err != nil {
		return out
	}
	for _, i := range list {
		addrs := &luavalue.Table{}
		found, _ := i.Addrs()
		for _, a := range found {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				addrs.Add(float64(len(addrs.Pairs)+1), withZone(p.Addr(), i.Name).String())
			}
		}
		if len(addrs.Pairs) == 0 {
			continue
		}
		mac := i.HardwareAddr.String()
		if mac == "" {
			mac = "00:00:00:00:00:00"
		}
		out.Add(i.Name, (&luavalue.Table{}).Add("addr", addrs).Add("mac", mac))
	}
	return out
}

func withZone(a netip.Addr, name string) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(name)
	}
	return a
}
