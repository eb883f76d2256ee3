package worker

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/listen"
)

// own knows the addresses at which clients ask this worker.
type own struct {
	clock  *clock.Clock
	server func() *listen.Server
	local  localAddrs
}

// is tells whether an address is one of ours, which must not be asked: a
// stranger who names it as a name server would make us ask ourselves.
func (o *own) is(a netip.AddrPort) bool {
	itself, everywhere := o.server().Receives(a)
	return itself || everywhere && (a.Addr().IsLoopback() || slices.Contains(o.local.addrs(o.clock.Mono()), a.Addr()))
}

// hasPort tells whether clients ask at a port, so that no question leaves from it.
func (o *own) hasPort(port uint16) bool { return o.server().ReceivesAt(port) }

// localAddrs are the addresses of this machine, looked up now and then: a
// wildcard socket listens on all of them.
type localAddrs struct{ list atomic.Pointer[localList] }

type localList struct {
	addrs []netip.Addr
	until time.Duration // monotonic
}

// localAge is how long a list of addresses is good for.
const localAge = 10 * time.Second

func (l *localAddrs) addrs(now time.Duration) []netip.Addr {
	if have := l.list.Load(); have != nil && now < have.until {
		return have.addrs
	}
	next := &localList{until: now + localAge}
	found, _ := net.InterfaceAddrs() // without them only loopback is known
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil {
			next.addrs = append(next.addrs, p.Addr().Unmap())
		}
	}
	l.list.Store(next)
	return next.addrs
}
