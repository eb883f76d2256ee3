package resolve

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Query is one question on the plan of a request.
type Query struct {
	Question
	ID      uint32
	Parent  *Query
	Options Options
	// Partition is where data about the name are looked for and kept.
	Partition Partition
	// Cut is the zone whose servers are asked; nil until it is looked up.
	Cut *zonecut.Cut
	// Scope is the name at and below which the servers of Cut may be believed by others,
	// where the operator chose them.
	Scope dnsname.Name
	// Asked is the question that goes upstream: the query's own, or a minimised one
	// (RFC 9156).
	Asked Question
	// Server is the one that is asked now, and RTT how long the answer that layers
	// look at was under way.
	Server Server
	RTT    time.Duration
	// Begun is when the query's turn came first, and Sent when a question was sent for it
	// last; zero: not yet, or nobody looks (Plan.Remember).
	Begun, Sent time.Time
	// Outcome is what is known so far.
	Outcome Outcome
	// Depth counts the name-server addresses that wait for each other above this
	// query.
	Depth int
	// Steps counts the aliases between the request's question and this one.
	Steps int
	// Solved tells that the query has left the plan with an Outcome that includes
	// what its aliases led to; Err why it left the plan without one.
	Solved bool
	Err    error
	// Anew tells that nothing which is remembered answers the query; what comes is kept.
	Anew bool
	// Literal tells that an alias is an outcome of the query, and is not followed.
	Literal bool
	// Iterate and Validate are those layers' own, which alone know their types.
	Iterate, Validate any

	run progress
}

// Denied is what a negative outcome says does not exist: the end of the chain in the
// answer, or the minimised question that was asked.
func (q *Query) Denied() Question {
	o := &q.Outcome
	if n := len(o.Answer); n > 0 {
		last := &o.Answer[n-1]
		if o.Target != "" {
			return Question{o.Target, q.Type, q.Class}
		}
		if last.Type == wire.TypeCNAME && len(last.Data) > 0 {
			return Question{wire.Target(last.Data[0]), q.Type, q.Class}
		}
	}
	if q.Asked.Name != "" {
		return q.Asked
	}
	return q.Question
}

// IsTarget tells whether the query is for the target of an alias, so that its outcome is
// that of its parent.
func (q *Query) IsTarget() bool { return q.Parent != nil && q.Parent.run.alias == q }

// Replace puts another message in place of the one that the layers behind a Consume hook
// will see.
func (q *Query) Replace(msg *wire.Msg) { q.run.msg = msg }

// Forwards tells whether the query's servers were chosen by the operator, so
// that what they say is final: nothing is iterated from there.
func (q *Query) Forwards() bool {
	return (q.Options.Stub || q.Options.Forward) && q.Cut != nil && q.Cut.Hints
}

// Refusals of Push.
var (
	// ErrCycle: an equal question already waits in the plan.
	ErrCycle = errors.New("the question waits for itself")
	// ErrDepth: too many addresses of name servers wait for each other.
	ErrDepth = errors.New("addresses of name servers depend on each other too deeply")
)

// Plan is a stack of questions. Every limit on how much a request may ask is
// enforced here, where work enters.
type Plan struct {
	// Remember has Solved keep what leaves the plan with an outcome, and queries note when
	// they were begun and sent.
	Remember bool

	stack    []*Query
	solved   []*Query
	work     *work // of the request; made by Push where it is missing
	counters *limits.Counters
}

// Push makes q the next question to solve; the current one waits for it. It
// fails with ErrCycle when an equal question is among q's ancestors, and with
// ErrBudget when the client's query has asked enough.
func (p *Plan) Push(q *Query) error {
	for a := q.Parent; a != nil; a = a.Parent {
		if a.Question == q.Question {
			p.counters.Hit(limits.Cycle)
			return ErrCycle
		}
	}
	if p.work == nil {
		p.work = &work{}
	}
	n := p.work.pushed.Add(1)
	if n > limits.MaxQueriesPerPlan {
		p.counters.Hit(limits.PlanQueries)
		return Over(limits.PlanQueries, ErrBudget)
	}
	q.ID = uint32(n)
	p.stack = append(p.stack, q)
	return nil
}

// Current is the question to solve next, nil when all are solved.
func (p *Plan) Current() *Query {
	if len(p.stack) == 0 {
		return nil
	}
	return p.stack[len(p.stack)-1]
}

// Pending are the questions that are still to be solved, the first one first.
func (p *Plan) Pending() []*Query { return slices.Clone(p.stack) }

// Solved are the questions that were solved, in that order; none where Remember is not set.
func (p *Plan) Solved() []*Query { return slices.Clone(p.solved) }

// Withdraw takes an unsolved question off the plan because of err, with everything above it.
func (p *Plan) Withdraw(q *Query, err error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if p.stack[i] != q {
			continue
		}
		for _, gone := range p.stack[i:] {
			gone.run.quit()
			gone.Err = err
		}
		p.stack = p.stack[:i]
		return
	}
}

// Pop takes q and everything above it off the plan.
func (p *Plan) Pop(q *Query) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if p.stack[i] == q {
			p.stack = p.stack[:i]
			return
		}
	}
}

// abandon ends what unsolved queries still wait for.
func (p *Plan) abandon() {
	for _, q := range p.stack {
		q.run.quit()
	}
}

// Empty tells whether nothing is left to solve.
func (p *Plan) Empty() bool { return len(p.stack) == 0 }

// work counts what a request and the look-ups beside it have done together.
type work struct {
	budget       Budget       // the request's, unless it was given another
	pushed       atomic.Int32 // queries
	iterations   atomic.Int32
	nsFetches    atomic.Int32 // name servers whose addresses were looked up
	unresolvable atomic.Int32 // of these, without success
	beside       atomic.Int32 // look-ups that are under way
	inVain       inVain
	silences     silences
	noCuts       noCuts
	caseless     *caseless    // all requests'; nil: nothing is remembered
	tlsProbes    atomic.Int32 // servers that are asked over TLS to find out whether they can be
}

// retry is what the driver knows of a query's attempts at the servers of one zone
// cut. Layers have a say in it by the verbs below.
type retry struct {
	// timeouts counts timeouts since the servers of this zone cut are asked.
	timeouts int
	// again is a server to be asked once more, and plain one that is asked without
	// EDNS.
	again, plain netip.AddrPort
	// vain counts the servers that were of no use without EDNS either.
	vain int
	// erred is the last server that said it cannot answer, by an RCODE; insisted tells that
	// it was asked once more, for want of another, and bare is its address: it is asked
	// without what a server may stumble over.
	erred    erred
	insisted bool
	bare     netip.AddrPort
	// lower is a server that is asked in lower case, because its denial may hang on the
	// letter case of the name.
	lower netip.AddrPort
	// reserve is an outcome that nobody vouches for; it is taken when no server has a
	// better one.
	reserve *Outcome
	// refused is why the answer at hand is not believed; nil when it is. below is a zone
	// below the cut whose servers may have a better one.
	refused *Failure
	below   dnsname.Name
}

// erred is an address of a name server; none where it is the zero value.
type erred struct {
	ns     dnsname.Name
	server zonecut.Endpoint
}

// RetryWithoutEDNS has the server that answered asked once more, without EDNS. It refuses
// where that was in vain for several others of the zone: then EDNS is not the trouble; nor
// is it where one more zone with the address of a name server answers SERVFAIL.
func (q *Query) RetryWithoutEDNS() bool {
	if q.run.retry.vain >= limits.FailuresInRow || q.run.behindBad && q.run.msg != nil && q.run.msg.Rcode == wire.RcodeServFail {
		return false
	}
	q.run.retry.again, q.run.retry.plain = q.Server.Addr, q.Server.Addr
	return true
}

// denial is what the server that answered says there is not.
func (q *Query) denial() denial { return denial{q.Server.Endpoint, q.Asked} }

// hasLetters tells whether a name has two cases. The lengths of labels are below those of
// letters.
func hasLetters(n dnsname.Name) bool {
	return strings.ContainsFunc(string(n), func(c rune) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' })
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

// Below is a zone in which the name lies, and whose NS set the servers of the cut are to be
// asked for now instead of what they have of that zone; "" for none.
func (q *Query) Below() dnsname.Name { return q.run.below }

// Timeouts is how many timeouts there were since servers of this zone cut are asked.
func (q *Query) Timeouts() int { return q.run.retry.timeouts }

// phase is what a query on top of the plan needs next.
type phase uint8

const (
	phaseProduce phase = iota // can a layer answer without the network?
	phaseCut                  // which zone's servers?
	phaseAsk                  // choose a server and ask it
	phaseConsume              // let the layers see what came
	phaseAlias                // a sub-query for the alias's target was pushed
)

// progress is where the driver is with one query.
type progress struct {
	phase phase
	begun bool // the Reset hooks were called
	// fresh tells that the cut was learnt by this query; reparented that the parent
	// was asked for a newer one; wentBelow that the servers of the cut were asked for below.
	fresh, reparented, wentBelow bool
	lame                         bool // some server of the cut answered, uselessly
	noSocket                     bool // ErrLocal happened once
	clear                        bool // no server of the cut is asked over TLS any more that need not be
	queue                        bool // to wait where many wait for a server
	// beneath tells of a look-up beside a query that a referral which tells the address
	// ends it; byGlue that one did.
	beneath, byGlue bool
	// behindBad tells of a look-up of a name server's address that the request had met a
	// zone whose servers answer and do not help before it.
	behindBad bool

	hook int       // the layer whose hook is called next in this phase
	msg  *wire.Msg // what phaseConsume looks at; nil for a produced outcome
	// sends counts what was sent for the query, whatever the zone cut.
	sends int
	tried selection.Tried
	ns    servers
	alias *Query
	// below is the zone whose name servers are asked for, to go on with them.
	below     dnsname.Name
	useless   int    // how many servers of the cut answered uselessly
	refusals  int    // and how many of these refuse wilfully
	refusedBy int    // how many answered what is not believed
	faults    faults // of servers
	late      late   // attempts that may still be answered
	beside    lookups
	lease     lease
	retry     retry
}

// enter starts a phase with its first hook.
func (q *Query) enter(p phase) { q.run.phase, q.run.hook = p, 0 }

// quit ends all that a query still waits for beside its plan.
func (p *progress) quit() {
	p.late.close()
	p.beside.close()
}

// moveTo starts anew with the servers of a cut.
func (q *Query) moveTo(cut *zonecut.Cut) {
	q.Cut = cut
	if !q.run.reparented { // servers of the old delegation may come back: not again
		q.run.tried.Reset()
	}
	q.run.quit()
	q.run.ns, q.run.queue = servers{}, false
	q.run.lame, q.run.clear = false, false
	q.run.retry.timeouts, q.run.retry.vain, q.run.retry.reserve, q.run.retry.below, q.run.retry.erred = 0, 0, nil, "", erred{}
	q.Outcome = Outcome{}
	q.enter(phaseAsk)
}

// lease is what a query has to do with those who ask the same.
type lease struct {
	asked bool      // it may ask, with a lease or after a wait
	began time.Time // the wait
}

// servers is what a query did to find addresses for its present zone cut.
type servers struct {
	filled   bool // the cache was asked for those without an address
	refilled bool // and for all others
	own      bool // q.Cut is a copy that may be changed
	fetches  int  // names looked up
	extra    int  // addresses gained beyond the first of each family
	looked   []lookup
	gained   []gain         // by look-ups
	glued    []dnsname.Name // had from glue, once
	fetch    *fetch         // the look-up that is under way on the plan
	asked    dnsname.Name   // the name server that q.Server belongs to
}

// lookup is one address type of one name server.
type lookup struct {
	name   dnsname.Name
	family uint16
}

// gain is an address of a name server that a look-up has found.
type gain struct {
	name dnsname.Name
	addr netip.Addr
}

// began tells whether a look-up of name was begun.
func (ns *servers) began(name dnsname.Name) bool {
	return slices.ContainsFunc(ns.looked, func(l lookup) bool { return l.name == name })
}

// fetch is one name server's look-up on the plan: first one family, then, if that gave
// no address, the other.
type fetch struct {
	name  dnsname.Name
	types []uint16 // still to be asked
	sub   *Query
	// pushed tells that a query was made at all.
	pushed bool
	// denied tells that an answer said there is no address, and not merely that
	// none could be had.
	denied bool
}

func isAddress(t uint16) bool { return t == wire.TypeA || t == wire.TypeAAAA }

// byGlue notes that name has been had from glue, and may still be looked up.
func (ns *servers) byGlue(name dnsname.Name) {
	ns.glued = append(ns.glued, name)
	ns.looked = slices.DeleteFunc(ns.looked, func(l lookup) bool { return l.name == name })
}

// lookups are those beside one query. The zero value has none.
type lookups struct {
	open  int            // that got has not heard of
	names []dnsname.Name // that these are for
	got   chan *Query    // those that have ended; Solved, or Err, is set in them
	ctx   context.Context
	end   context.CancelFunc
}

// ended takes out a look-up of name that was heard of.
func (l *lookups) ended(name dnsname.Name) {
	l.open--
	if i := slices.Index(l.names, name); i >= 0 {
		l.names = slices.Delete(l.names, i, i+1)
	}
}

// close ends what is under way; nobody asks what came of it.
func (l *lookups) close() {
	if l.end != nil {
		l.end()
		*l = lookups{}
	}
}

// authority says who named the servers of q.
func (q *Query) authority() Authority {
	switch {
	case !q.Forwards():
		return ByDelegation
	case q.Options.Stub:
		return ByStubRule
	}
	return ByForwardRule
}

// faults are what servers did to be of no use to a query, the last fault of each.
// They outlive a change of the zone cut, as what was tried does: when the parent
// names the same servers again, it is still known why they do not help.
type faults []fault

type fault struct {
	addr netip.AddrPort
	// err is that of an exchange; nil where there was an answer, with rcode.
	err   error
	rcode int
}

func (b *faults) failed(addr netip.AddrPort, err error) { b.note(fault{addr: addr, err: err}) }

func (b *faults) useless(addr netip.AddrPort, rcode int) { b.note(fault{addr: addr, rcode: rcode}) }

func (b *faults) refused(addr netip.AddrPort, why *Failure) { b.note(fault{addr: addr, err: why}) }

func (b *faults) note(one fault) {
	for i := range *b {
		if (*b)[i].addr == one.addr {
			(*b)[i] = one
			return
		}
	}
	*b = append(*b, one)
}

// unbelieved is why answers are not believed, with the servers that gave them; nil
// when that is true of none. That the request has cost too much is said where there is no
// other reason.
func (b faults) unbelieved() *Failure {
	var why *Failure
	var from []string
	for i := range b {
		if f, ok := b[i].err.(*Failure); ok {
			if why == nil || errors.Is(why, ErrProofs) || !errors.Is(f, ErrProofs) {
				why = f
			}
			from = append(from, b[i].addr.String())
		}
	}
	if why == nil {
		return nil
	}
	return &Failure{EDE: why.EDE, About: why.About, Text: why.Text + ", as told by " + strings.Join(from, ", "), Err: why.Err}
}

// of finds what an address of ns did; nil when it was not asked.
func (b faults) of(ns *zonecut.NameServer, a netip.Addr) *fault {
	for i := range b {
		if at := b[i].addr; at.Addr() == a.Unmap() && (ns.Port == 0 || ns.Port == at.Port()) {
			return &b[i]
		}
	}
	return nil
}
