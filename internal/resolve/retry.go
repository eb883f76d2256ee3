package resolve

import "net/netip"

// retry is what the driver knows of a query's attempts at the servers of one zone
// cut. Layers have a say in it by the verbs below.
type retry struct {
	// timeouts counts timeouts since a server was last of help.
	timeouts int
	// again is a server to be asked once more, and plain one that is asked without
	// EDNS.
	again, plain netip.AddrPort
	// reserve is an outcome that nobody vouches for; it is taken when no server has a
	// better one.
	reserve *Outcome
}

// RetryWithoutEDNS has the server that answered asked once more, without EDNS.
func (q *Query) RetryWithoutEDNS() {
	q.run.retry.again, q.run.retry.plain = q.Server.Addr, q.Server.Addr
}

// HoldBack keeps an outcome of the server that answered in reserve: it is taken when
// no other server of the zone has a better one. The first one that is held back
// counts.
func (q *Query) HoldBack(o Outcome) {
	if q.run.retry.reserve == nil {
		q.run.retry.reserve = &o
	}
}

// HoldsBack tells whether an outcome is held back.
func (q *Query) HoldsBack() bool { return q.run.retry.reserve != nil }

// Timeouts is how many timeouts there were since a server was last of help.
func (q *Query) Timeouts() int { return q.run.retry.timeouts }

// Helped tells that the server that answered was of help.
func (q *Query) Helped() { q.run.retry.timeouts = 0 }
