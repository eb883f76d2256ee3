package authority

import "github.com/miekg/dns"

// Ask is what the host says to q, rules included, without any socket: for tests
// of what stands above the transport.
func (h *Host) Ask(q *dns.Msg, tcp bool) *Exchange { return h.exchange(q, tcp) }
