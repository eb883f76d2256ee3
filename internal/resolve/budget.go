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
	checked  atomic.Int32 // signatures
	failed   atomic.Int32 // of these, wrong
	hashed   atomic.Int32 // units
	counters *limits.Counters
}

// NewBudget is a full budget; hits are counted in c.
func NewBudget(c *limits.Counters) *Budget { return &Budget{counters: c} }

// Send debits one message that is about to be sent. Each sender calls it, and
// sends nothing when it fails.
func (b *Budget) Send() error {
	if b.octets.Load() > limits.MaxUpstreamBytesPerRequest {
		return b.over(limits.UpstreamBytes)
	}
	if b.sent.Add(1) > limits.MaxUpstreamPerRequest {
		return b.over(limits.UpstreamPerRequest)
	}
	return nil
}

// Connect debits one TCP connection.
func (b *Budget) Connect() error {
	if b.tcp.Add(1) > limits.MaxTCPConnsPerRequest {
		return b.over(limits.TCPConnsRequest)
	}
	return nil
}

// over counts a limit that is hit, and is the error that says so.
func (b *Budget) over(id limits.ID) error {
	b.counters.Hit(id)
	return Over(id, ErrBudget)
}

// Received debits the octets of an answer. The answer that crosses the limit
// still counts.
func (b *Budget) Received(octets int) { b.octets.Add(int32(octets)) }

// Sent is how many messages were sent so far.
func (b *Budget) Sent() int { return int(b.sent.Load()) }

// Proof bounds what the proof of one response may cost, within the budget of its
// request. One goroutine uses it. Whoever proves debits first and does the work
// only without an error, which is ErrProof: that response is not proved, and the
// request may go on with another one.
type Proof struct {
	budget                  *Budget
	checked, failed, hashed int32
}

// Proof begins the proof of a response.
func (b *Budget) Proof() Proof { return Proof{budget: b} }

// Check debits one check of a signature.
func (p *Proof) Check() error {
	p.checked++
	return p.within(limits.SignatureChecks, p.checked <= limits.MaxVerifyPerResponse, p.budget.checked.Add(1) <= limits.MaxVerifyPerRequest)
}

// Wrong notes that a signature which was checked is wrong. It fails when no further
// one may be tried.
func (p *Proof) Wrong() error {
	p.failed++
	return p.within(limits.FailedChecks, p.failed < limits.MaxFailedPerResponse, p.budget.failed.Add(1) < limits.MaxFailedPerRequest)
}

// Hash debits units of hashing.
func (p *Proof) Hash(units int) error {
	if units < 0 || units > limits.MaxHashPerResponse { // more at once than all: no sum can overflow
		units = limits.MaxHashPerResponse + 1
	}
	p.hashed += int32(units)
	return p.within(limits.HashUnits, p.hashed <= limits.MaxHashPerResponse, p.budget.hashed.Add(int32(units)) <= limits.MaxHashPerRequest)
}

func (p *Proof) within(id limits.ID, response, request bool) error {
	if response && request {
		return nil
	}
	p.budget.counters.Hit(id)
	return Over(id, ErrProof)
}
