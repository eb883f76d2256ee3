package socket

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"kresd/internal/script"
)

// packets is a UDP socket.
type packets struct {
	opened
	peer netip.AddrPort // invalid: none
}

func (p *packets) waiting() bool { return false }

// newPackets opens a UDP socket.
func (lib *Library) newPackets(c *script.Call) error {
	p := &packets{opened: opened{lib: lib, fd: -1, timeouts: forever}}
	if err := p.listen(":0"); err != nil {
		return failed(c, err)
	}
	return c.Return(&script.Handle{Class: lib.packets, Value: p})
}

func (p *packets) listen(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	p.close()
	p.closed = false
	open(p, &p.opened, conn.(*net.UDPConn))
	return nil
}

func (p *packets) udp() *net.UDPConn {
	conn, _ := p.conn.(*net.UDPConn)
	return conn
}

func (lib *Library) packetClass() *script.Class {
	class := &script.Class{Name: "udp", Text: func(v any) string { return fmt.Sprintf("udp: %p", v) }}
	class.Methods = sharedMethods(class, func(v any) *opened { return &v.(*packets).opened })
	addMethods(class, map[string]method[*packets]{
		"setsockname": {"host, port", 3, bindPackets},
		"setpeername": {"host, port", 3, setPeer},
		"getsockname": {"", 1, func(c *script.Call, p *packets) error {
			if p.udp() == nil {
				return c.Return(nil, "closed")
			}
			return returnName(c, p.udp().LocalAddr())
		}},
		"getpeername": {"", 1, func(c *script.Call, p *packets) error {
			if !p.peer.IsValid() {
				return c.Return(nil, "not connected")
			}
			return returnName(c, net.UDPAddrFromAddrPort(p.peer))
		}},
		"send":        {"datagram", 2, func(c *script.Call, p *packets) error { return p.sendTo(c, p.peer) }},
		"sendto":      {"datagram, address, port", 4, sendTo},
		"receive":     {"[size]", 2, func(c *script.Call, p *packets) error { return p.receive(c, false) }},
		"receivefrom": {"[size]", 2, func(c *script.Call, p *packets) error { return p.receive(c, true) }},
		"setoption":   {"option[, value]", 3, func(c *script.Call, p *packets) error { c.String(2); return c.Return(1) }},
	})
	return class
}

func bindPackets(c *script.Call, p *packets) error {
	if err := p.listen(endpoint(c, 2)); err != nil {
		return failed(c, err)
	}
	return c.Return(1)
}

// setPeer chooses the only other side that datagrams go to and come from; '*' lets go of
// it.
func setPeer(c *script.Call, p *packets) error {
	if c.Text(2) == "*" {
		p.peer = netip.AddrPort{}
		return c.Return(1)
	}
	to := endpoint(c, 2)
	a, err := script.Outside(c, func(context.Context) (*net.UDPAddr, error) { return net.ResolveUDPAddr("udp", to) })
	if err != nil {
		return failed(c, err)
	}
	p.peer = unmapped(a.AddrPort())
	return c.Return(1)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func sendTo(c *script.Call, p *packets) error {
	a, err := netip.ParseAddr(c.Text(3))
	if err != nil {
		c.ArgError(3, "an IP address expected")
	}
	return p.sendTo(c, netip.AddrPortFrom(a, uint16(c.Int(4, 1, 65535))))
}

// sendTo sends at once: the kernel takes a datagram or drops it.
func (p *packets) sendTo(c *script.Call, to netip.AddrPort) error {
	conn := p.udp()
	switch {
	case conn == nil:
		return c.Return(nil, "closed")
	case !to.IsValid():
		return c.Return(nil, "destination address required")
	}
	if _, err := conn.WriteToUDPAddrPort([]byte(c.String(2)), to); err != nil {
		return failed(c, err)
	}
	return c.Return(1)
}

// receive returns a datagram, and with named who sent it.
func (p *packets) receive(c *script.Call, named bool) error {
	size, conn := c.OptInt(2, 0, 65535, 8192), p.udp()
	if conn == nil {
		return c.Return(nil, "closed")
	}
	type datagram struct {
		data []byte
		from netip.AddrPort
	}
	peer := p.peer
	got, err := outside(c, p.timeouts, conn.SetReadDeadline, func() (*datagram, error) {
		for buf := make([]byte, size); ; {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if from = unmapped(from); err != nil || !peer.IsValid() || from == peer {
				return &datagram{buf[:n], from}, err
			}
		}
	})
	if err != nil {
		return failed(c, err)
	}
	if named {
		return c.Return(string(got.data), got.from.Addr().String(), int(got.from.Port()))
	}
	return c.Return(string(got.data))
}
