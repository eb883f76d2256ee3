package stats

import (
	"net/netip"
	"sync"
	"time"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
)

// upstreams are the latest round trips to other servers.
type upstreams struct {
	mu   sync.Mutex
	ring [limits.UpstreamTrips]trip
	n    int // trips ever
}

type trip struct {
	to  netip.Addr
	rtt time.Duration
}

func (u *upstreams) add(to netip.Addr, rtt time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ring[u.n%len(u.ring)] = trip{to, rtt}
	u.n++
}

// table gives for each address its round trips in milliseconds, the latest first.
func (u *upstreams) table() *luavalue.Table {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := &luavalue.Table{}
	lists := map[netip.Addr]*luavalue.Table{}
	for i := u.n - 1; i >= max(0, u.n-len(u.ring)); i-- {
		t := u.ring[i%len(u.ring)]
		l := lists[t.to]
		if l == nil {
			l = &luavalue.Table{}
			lists[t.to] = l
			all.Add(t.to.String(), l)
		}
		ms := float64(t.rtt.Round(time.Microsecond)) / float64(time.Millisecond)
		l.Add(float64(len(l.Pairs)+1), ms)
	}
	return all
}
