package records

import (
	"fmt"
	"net/netip"

	"kresd/internal/script"
)

// Address is an address with a port as scripts see it, nil where there is none.
func (v *Objects) Address(a netip.AddrPort) any {
	if !a.IsValid() {
		return nil
	}
	return &script.Handle{Class: v.addr, Value: a}
}

// addrClass is an address with a port.
func addrClass() *script.Class {
	class := &script.Class{Name: "address", CData: true}
	method := func(name string, fn func(netip.AddrPort) any) script.Func {
		return script.Func{Name: name, Min: 1, Max: 1, Fn: func(c *script.Call) error {
			return c.Return(fn(c.Handle(1, class).(netip.AddrPort)))
		}}
	}
	// The numbers of families and lengths are Linux's AF_INET and AF_INET6.
	class.Methods = []script.Func{
		method("ip", func(a netip.AddrPort) any { return string(a.Addr().AsSlice()) }),
		method("port", func(a netip.AddrPort) any { return a.Port() }),
		method("len", func(a netip.AddrPort) any { return len(a.Addr().AsSlice()) }),
		method("family", func(a netip.AddrPort) any {
			if a.Addr().Is4() {
				return 2
			}
			return 10
		}),
	}
	class.Text = func(value any) string {
		a := value.(netip.AddrPort)
		return fmt.Sprintf("%s#%d", a.Addr(), a.Port())
	}
	return class
}
