package resolve

import (
	"sync/atomic"

	"kresd/internal/limits"
)

// Budget bounds what one client query may cost. It is shared by all of its
// sub-queries and never reset: not by an alias, a retry, TCP or a restart.
type Budget struct {
	sent     atomic.Int32
	octets   atomic.Int32
	tcp      atomic.Int32
	counters *limits.Counters
}

// NewBudget is a full budget; hits are counted in c.
func NewBudget(c *limits.Counters) *Budget { return &Budget{counters: c} }

// Send debits one message that is about to be sent. Each sender calls it, and
// sends nothing when it fails.
func (b *Budget) Send() error {
	if b.octets.Load() > limits.MaxUpstreamBytesPerRequest {
		b.counters.Hit(limits.UpstreamBytes)
		return ErrBudget
	}
	if b.sent.Add(1) > limits.MaxUpstreamPerRequest {
		b.counters.Hit(limits.UpstreamPerRequest)
		return ErrBudget
	}
	return nil
}

// Connect debits one TCP connection.
func (b *Budget) Connect() error {
	if b.tcp.Add(1) > limits.MaxTCPConnsPerRequest {
		b.counters.Hit(limits.TCPConnsRequest)
		return ErrBudget
	}
	return nil
}

// Received debits the octets of an answer. The answer that crosses the limit
// still counts.
func (b *Budget) Received(octets int) { b.octets.Add(int32(octets)) }

// Sent is how many messages were sent so far.
func (b *Budget) Sent() int { return int(b.sent.Load()) }
