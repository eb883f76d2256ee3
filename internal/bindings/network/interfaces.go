package network

import (
	"fmt"
	"net"
	"net/netip"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// noMAC is shown for interfaces that have none, such as the loopback.
const noMAC = "00:00:00:00:00:00"

// MachineInterfaces are those of this machine that have an address. Link-local
// addresses carry their zone, without which they cannot be bound.
func MachineInterfaces() []Interface {
	found, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var list []Interface
	for _, i := range found {
		out := Interface{Name: i.Name, MAC: i.HardwareAddr}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out.Addrs = append(out.Addrs, withZone(p.Addr(), i.Name))
			}
		}
		if len(out.Addrs) > 0 {
			list = append(list, out)
		}
	}
	return list
}

func withZone(a netip.Addr, name string) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(name)
	}
	return a
}

// device is the entry of one interface, or nil.
func (d *Host) device(name string) any {
	for _, i := range d.Interfaces() {
		if i.Name == name {
			return i.table()
		}
	}
	return nil
}

func (i Interface) table() *luavalue.Table {
	var addrs []any
	for _, a := range i.Addrs {
		addrs = append(addrs, a.String())
	}
	mac := i.MAC.String()
	if mac == "" {
		mac = noMAC
	}
	return (&luavalue.Table{}).Add("addr", luavalue.List(addrs...)).Add("mac", mac)
}

// addresses flattens what net.listen takes: an address, an interface's name, a
// table with the field addr (then only that counts), or a list of these.
func (d *Host) addresses(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		if _, err := netip.ParseAddr(v); err != nil {
			if t := d.device(v); t != nil {
				return d.addresses(t)
			}
		}
		return []string{v}, nil
	case *luavalue.Table:
		if inner := v.Get("addr"); inner != nil {
			return d.addresses(inner)
		}
		var all []string
		for _, item := range v.Pairs {
			list, err := d.addresses(item.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("net: address expected, or a table of them, got %s", script.TypeName(value))
}
