package limits

import "net/netip"

// Clients are the limits that an operator may set, on clients and on what they have under
// way to servers, as one value that is never changed.
type Clients struct {
	// Pending is how many questions may be on the driver's way.
	Pending int
	// PerClient is how many of them may be one client's. The late answers of a client
	// with more than Late of them are not sent.
	PerClient, Late int
	// Conns is how many connections may be open, ConnsPerClient how many of them may be
	// one client's.
	Conns, ConnsPerClient int
	// PerServer is how many questions may be under way to one server, PerZone how many for
	// the servers of one zone; OutstandingInfrastructure times as many where everybody's are.
	PerServer, PerZone int
	// Forwarders are resolvers that ask for many clients: what counts for a client does
	// not count for them, as it does not for loopback.
	Forwarders []netip.Prefix
}

// DefaultClients are the limits as long as nobody sets others.
func DefaultClients() Clients {
	return Clients{
		Pending: PendingPerWorker, PerClient: WaitersPerClient, Late: LateUDPWaiters,
		Conns: TCPConnsPerWorker, ConnsPerClient: TCPConnsPerClient,
		PerServer: MaxOutstandingPerServer, PerZone: MaxOutstandingPerZone,
	}
}

// OfHTTP is how many connections by HTTP may be open: HTTPConns, and the same part of Conns
// where that is more.
func (c *Clients) OfHTTP() int { return max(HTTPConns, c.Conns*HTTPConns/TCPConnsPerWorker) }

// Key is what questions and connections of a client are counted by: its Source, or nothing
// (the zero Addr) for loopback, which is not counted.
func (c *Clients) Key(a netip.Addr) netip.Addr {
	if a.Unmap().IsLoopback() {
		return netip.Addr{}
	}
	return c.Source(a)
}

// Source is what is one client: an IPv4 address or an IPv6 /56; the zero Addr for
// forwarders, which ask for many.
func (c *Clients) Source(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	for _, p := range c.Forwarders {
		if p.Contains(a) {
			return netip.Addr{}
		}
	}
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(56); err == nil {
			return p.Addr()
		}
	}
	return a
}
