package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/script"
)

// boolField is an option that is true or false.
func boolField(name string, v *atomic.Bool) script.Field {
	return script.Field{Name: name,
		Get: func(*script.Call) (any, error) { return v.Load(), nil },
		Set: func(c *script.Call) error { v.Store(c.Bool(1)); return nil }}
}

// outgoing gets or sets a source address; nil is any.
func outgoing(d *Host, name, family string, v6 bool, v *atomic.Pointer[netip.Addr]) script.Func {
	return script.Func{Name: name, Args: "[address | nil]", Max: 1,
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
			a, err := netip.ParseAddr(c.Text(1))
			if err != nil || a.Is4() == v6 || a.Is4In6() {
				return fmt.Errorf("net.%s: '%s' is not an %s address", name, c.String(1), family)
			}
			if err := d.Bindable(a); err != nil {
				return fmt.Errorf("net.%s: no socket can be bound to %s: %w", name, a, err)
			}
			v.Store(&a)
			return c.Return(true)
		}}
}

// Bindable says why no question can leave from an address; nil: one can.
func Bindable(a netip.Addr) error {
	if a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return errors.New("it is no address of one machine")
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	var errno syscall.Errno
	switch {
	case err == nil:
		return conn.Close()
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errors.New("this machine does not have the address")
	case errors.Is(err, syscall.EINVAL) && a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "":
		return fmt.Errorf("a link-local address needs its interface, as in %s%%eth0", a)
	case errors.As(err, &errno):
		return errno
	}
	return err
}

// milliseconds gets or sets a duration given in milliseconds, lo at least.
func milliseconds(d *Host, c *script.Call, v *atomic.Int64, lo float64) error {
	if c.NArgs() > 0 {
		v.Store(int64(c.Milliseconds(1, lo)))
		d.Changed()
	}
	return c.Return(float64(v.Load() / int64(time.Millisecond)))
}
