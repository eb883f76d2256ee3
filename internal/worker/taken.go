package worker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"kresd/internal/cli"
	"kresd/internal/listen"
)

// advice is what helps against the commonest reasons why an address cannot be bound; ""
// for others.
func (o *Options) advice(err error) string {
	var b *listen.BindError
	switch {
	case !errors.As(err, &b) || b.Path != "":
		return ""
	case errors.Is(err, syscall.EACCES) && b.Addr.Port() < firstFreePort:
		return o.unprivileged()
	case errors.Is(err, syscall.EADDRINUSE):
		return taken(b.Addr)
	}
	return ""
}

// helped is err with the advice behind it.
func (o *Options) helped(err error) error {
	if text := o.advice(err); text != "" {
		return fmt.Errorf("%w%s", err, text)
	}
	return err
}

// helpedOnce joins errors into one that stays on one line; what helps is said once.
func (o *Options) helpedOnce(list []error) error {
	err := oneLine(list)
	for _, e := range list {
		if text := o.advice(e); text != "" {
			return fmt.Errorf("%w%s", err, text)
		}
	}
	return err
}

// taken says who has an address and what to do about that.
func taken(addr netip.AddrPort) string {
	who, stop := "another program", "stop that program ('ss -lnp' names it to root)"
	if h, ok := listen.HolderOf(addr); ok {
		who, stop = holderText(h)
	}
	return fmt.Sprintf(" by %s: %s, or listen elsewhere (-a %s@%d), or, where it is systemd-resolved, put DNSStubListener=no into /etc/systemd/resolved.conf and restart it",
		who, stop, addr.Addr(), freePort(addr.Addr()))
}

// holderText names a process, and how to stop it.
func holderText(h listen.Holder) (who, stop string) {
	switch {
	case h.PID == 0:
		owner := "user " + strconv.Itoa(h.UID)
		if u, err := user.LookupId(strconv.Itoa(h.UID)); err == nil {
			owner = u.Username
		}
		return "a program of " + owner, "stop that program ('ss -lnp' names it to root)"
	case h.Unit != "":
		stop = "stop it (systemctl disable --now " + h.Unit + ")"
	default:
		stop = fmt.Sprintf("stop it (kill %d)", h.PID)
	}
	return fmt.Sprintf("%s (process %d)", h.Name, h.PID), stop
}

// unprivileged is the command that works for an ordinary user instead of the one that
// was given.
func (o *Options) unprivileged() string {
	addrs := slices.Clone(o.CLI.Addrs)
	if len(addrs) == 0 {
		addrs = []cli.Addr{{AddrPort: netip.MustParseAddrPort("127.0.0.1:53")}}
	}
	for i, a := range addrs {
		if a.Port() < firstFreePort {
			addrs[i].AddrPort = netip.AddrPortFrom(a.Addr(), freePort(a.Addr()))
		}
	}
	return fmt.Sprintf("; ports below %d need privileges. As this user run: %s; and ask it by: dig @%s -p %d nic.cz",
		firstFreePort, cli.Command("kresd", o.Args, addrs), addrs[0].Addr(), addrs[0].Port())
}

// otherPorts are offered where port 53 cannot be had. The first one is often that of
// multicast DNS.
var otherPorts = [...]uint16{5353, 5300, 5380, 10053, 15353}

// freePort is the first of these that is free at an address.
func freePort(addr netip.Addr) uint16 {
	for _, port := range otherPorts {
		at := netip.AddrPortFrom(addr, port).String()
		tcp, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		tcp.Close()
		udp, err := net.ListenPacket("udp", at)
		if err == nil {
			udp.Close()
			return port
		}
	}
	return otherPorts[0]
}
