package worker

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"kresd/internal/listen"
)

// isOwn tells whether an address is one of ours, which must not be asked: a
// stranger who names it as a name server would make us ask ourselves.
func (w *Worker) isOwn(a netip.AddrPort) bool {
	wildcard := false
	if w.server.Any(func(e listen.Endpoint) bool {
		wildcard = wildcard || e.Addr.Port() == a.Port() && e.Addr.Addr().IsUnspecified() && e.Addr.Addr().Is4() == a.Addr().Is4()
		return e.Addr == a
	}) {
		return true
	}
	return wildcard && (a.Addr().IsLoopback() || slices.Contains(w.local.addrs(w.clock.Mono()), a.Addr()))
}

// isListening tells whether a port is one that clients ask, so that no question
// leaves from it.
func (w *Worker) isListening(port uint16) bool {
	return w.server.Any(func(e listen.Endpoint) bool { return e.Addr.Port() == port })
}

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
