package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Server is one address of a name server and how to speak to it.
type Server struct {
	zonecut.Endpoint
	TCP bool
	// NoEDNS and NoCase are set for servers that cannot EDNS or destroy the letter
	// case of questions.
	NoEDNS, NoCase bool
	// Encrypted is set where a question goes over TLS though it need not (RFC 9539). The
	// Endpoint is then the plain one, by which the server is known; an Exchanger gets the
	// one that is asked.
	Encrypted bool
}

// An Exchanger asks one server one question and waits for the answer that
// belongs to it. TCP after truncation, letter case, ports and the joining of
// equal questions in resolution hide behind it.
type Exchanger interface {
	Exchange(ctx context.Context, x Exchange) (Reply, error)
}

// Exchange is one question to one server.
type Exchange struct {
	Server
	Question
	// CD asks a forwarder not to validate. DO is always set.
	CD bool
	// RD is set towards forwarders only.
	RD bool
	// Timeout is how long one UDP attempt may take. Where TCP is needed it may take twice
	// as long in addition, because it needs two round trips.
	Timeout time.Duration
	// Hurry tells that Timeout is for all that is done, with TCP: many others may have to
	// be asked. It matters only with Late.
	Hurry bool
	// Again tells that the server has left this question unanswered, which may be for what
	// a question can do without.
	Again bool
	// NoCookie asks a server that has shown no cookies without one: it has answered with an
	// error, perhaps to the cookie.
	NoCookie bool
	// Queue tells to wait for a place where as many questions wait for the server
	// as may; else that is ErrBusy at once.
	Queue bool
	// PerServer is how many questions may be under way to the server; 0 stands for the
	// usual number.
	PerServer int
	// Infrastructure tells that everybody's questions pass the server, so that
	// more than otherwise may wait for it.
	Infrastructure bool
	// Zone is for which of its zones the server is asked: they share its places.
	Zone dnsname.Name
	// Budget is debited for every message that is sent.
	Budget *Budget
	// Tell, where somebody reads along, is told what happens within the exchange: by
	// one goroutine at a time, and never after Exchange has returned. nil: nobody
	// reads.
	Tell func(Step)
	// Reception is the request's, where the question may be waited for by it; nil elsewhere.
	Reception Reception
	// Sent, where somebody waits for that, is called when the question has left by UDP for
	// the first time, or need not leave because an equal one has. It may be nil.
	Sent func()
	// Late takes the answer if it comes later, be it by UDP or by TCP. It may be nil; what
	// asks by TCP then takes the time that connections may take.
	Late Late
}

// A Reception is clients' questions to be received, which the goroutine that carries a
// request may have to care for besides.
type Reception interface {
	// Await waits until a descriptor is readable, which nobody else waits for, at most
	// for d, and receives meanwhile. held is false, at once or later, where another
	// goroutine receives, so that the caller has to wait in another way.
	Await(fd int, d time.Duration) (readable, held bool)
	// Pass has another goroutine receive from now on, if that is not so already.
	Pass()
}

// WillWait is Request.WillWait for an Exchanger.
func (x *Exchange) WillWait() {
	if x.Reception != nil {
		x.Reception.Pass()
	}
}

// Late waits for answers that come after their time. A server that has become
// slow answers all the same, often before another try is answered.
type Late interface {
	// Overdue is called when the time is over, before Exchange returns. The
	// Exchanger goes on waiting until ctx ends and no longer than d, and then calls
	// done, once, from a goroutine of its own: with a Reply that is as good as if it
	// had come in time, or with an error.
	Overdue() (ctx context.Context, d time.Duration, done func(Reply, error))
}

// Reply is the answer and what it took. Equal exchanges in resolution share one
// Msg: it must not be changed.
type Reply struct {
	Msg *wire.Msg
	// RTT is the time from sending the question to its answer; opening a
	// connection is not part of it.
	RTT time.Duration
	// TCP tells that the answer came over a connection; after a failure, that it was
	// TCP that failed, or that is waited for (ErrOverdue), and UDP may do.
	TCP bool
	// Nonsense tells of a failure that datagrams came from the server's address, and none
	// was the answer: the server's own nonsense, or a forger's.
	Nonsense Nonsense
	// CaseLost tells that the server does not echo the letter case of questions:
	// ask it with NoCase from now on.
	CaseLost bool
	// Size is the length of the message in octets.
	Size int
}

// A Step is one thing that happened to a request, as data: somebody who reads
// along (Request.Tell) is handed one for each. Package explain makes words of
// steps; nobody else does.
//
// A step may point to what the request is still working with. It is valid until
// Tell returns.
type Step interface{ step() }

// Nonsense is what came instead of an answer.
type Nonsense uint8

const (
	// NoNonsense: nothing came.
	NoNonsense Nonsense = iota
	// NonsenseByUDP may be forged.
	NonsenseByUDP
	// NonsenseByTCP is the server's.
	NonsenseByTCP
)

// Failures of an Exchange.
var (
	// ErrTimeout: no matching answer in time.
	ErrTimeout = errors.New("timeout")
	// ErrOverdue: no matching answer in time, but it is waited for (Late).
	ErrOverdue = fmt.Errorf("no answer yet: %w", ErrTimeout)
	// ErrUnreachable: the system could not send, or the peer refused TCP.
	ErrUnreachable = errors.New("unreachable")
	// ErrNoRoute: this machine has no route to the address, which says nothing about
	// the server. It is a kind of ErrUnreachable.
	ErrNoRoute = fmt.Errorf("no route: %w", ErrUnreachable)
	// ErrLocal: our own lack of sockets or ports, which is not the server's fault.
	ErrLocal = errors.New("no socket")
	// ErrBusy: as many questions wait for the server, or its zone, as may. It is a
	// kind of ErrLocal: nothing was sent.
	ErrBusy = fmt.Errorf("too many questions wait: %w", ErrLocal)
	// ErrBudget: the request has cost enough.
	ErrBudget = errors.New("request budget exhausted")
)

// NoSource is the failure of an Exchange that no socket can be bound for, because the
// machine does not have the address that questions are to leave from
// (net.outgoing_v4 and _v6). It is a kind of ErrLocal: nothing was sent.
type NoSource struct{ Addr netip.Addr }

func (e *NoSource) Error() string {
	return fmt.Sprintf("no socket can be bound to %s, the outgoing address", e.Addr)
}

func (e *NoSource) Unwrap() error { return ErrLocal }

// Unauthenticated is the failure of an Exchange with a server that did not prove to be
// the one that was meant (zonecut.PeerConfig). It is a kind of ErrUnreachable: nothing
// was asked.
type Unauthenticated struct {
	Server zonecut.Endpoint
	// Why is a sentence about what the server showed, without its beginning.
	Why string
}

func (e *Unauthenticated) Error() string {
	return fmt.Sprintf("%s@%d is not the server that was meant: %s", e.Server.Addr.Addr(), e.Server.Addr.Port(), e.Why)
}

func (e *Unauthenticated) Unwrap() error { return ErrUnreachable }

// Unusable is the failure of an Exchange with a server that was reached, but does not serve
// as one. It is a kind of ErrUnreachable.
type Unusable struct{ Did string } // the verb and the rest of a sentence about the server

func (e *Unusable) Error() string { return "of no use" }

func (e *Unusable) Unwrap() error { return ErrUnreachable }

// notServing tells whether a server was reached and does not serve.
func notServing(err error) bool {
	_, ok := errors.AsType[*Unusable](err)
	return ok
}

// noSource is the NoSource that is behind a failure, if one is.
func noSource(err error) (*NoSource, bool) { return errors.AsType[*NoSource](err) }

// Over is err because of a limit, which the client is told the name of: what this
// resolver will not do is nobody else's fault.
func Over(id limits.ID, err error) error { return &overLimit{id, err} }

type overLimit struct {
	limit limits.ID
	err   error
}

func (e *overLimit) Error() string { return e.err.Error() }

func (e *overLimit) Unwrap() error { return e.err }

// LimitOf is the limit that is behind a failure; limits.None for another reason.
func LimitOf(err error) limits.ID {
	if e, ok := errors.AsType[*overLimit](err); ok {
		return e.limit
	}
	return wire.LimitOf(err)
}

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

// mayConnect tells whether a connection may be opened that is not needed: others may be.
func (b *Budget) mayConnect() bool { return b.tcp.Load() < limits.MaxTCPConnsPerRequest/2 }

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

// ErrProof: to prove an answer costs too much.
var ErrProof = errors.New("the proof costs too much")

// ErrProofs: the proofs of one request cost too much together, be it for the doing of
// other zones than that of the last one. It is a kind of ErrProof.
var ErrProofs = fmt.Errorf("of all proofs of a question: %w", ErrProof)

// Proof bounds what the proof of one response may cost, within the budget of its
// request. One goroutine uses it. Each piece of work is debited before it is done, and not
// done if that fails, which is ErrProof: that response is not proved, and the request may
// go on with another one.
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
	err := ErrProof
	switch {
	case response && request:
		return nil
	case response:
		err = ErrProofs
	}
	p.budget.counters.Hit(id)
	return Over(id, err)
}

// attempt is what the driver remembers of an Exchange: whom it asked what, and why that
// server.
type attempt struct {
	server Server
	asked  Question
	choice selection.Choice
}

// late is what a query still waits for of attempts whose time is over, while it
// makes others. The zero value waits for nothing.
type late struct {
	now  attempt         // the one under way
	all  context.Context // of the request
	ctx  context.Context // of those that are waited for
	end  context.CancelFunc
	open int // attempts that got has not heard of

	mu  sync.Mutex
	got chan lateReply
	// interrupt ends the exchange under way, because an earlier one was answered
	// that asked the same.
	interrupt context.CancelFunc
	asking    Question
}

// lateReply is how an attempt ended after its time.
type lateReply struct {
	attempt
	reply Reply
	err   error
}

// begin starts an attempt. The context it returns ends when an earlier attempt
// that asks the same is answered.
func (l *late) begin(ctx context.Context, a attempt) context.Context {
	l.now, l.all = a, ctx
	if l.open == 0 {
		return ctx
	}
	ctx, stop := context.WithCancel(ctx)
	l.mu.Lock()
	l.interrupt, l.asking = stop, a.asked
	l.mu.Unlock()
	return ctx
}

// finish ends what begin started.
func (l *late) finish() {
	if l.open == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.interrupt != nil {
		l.interrupt()
	}
}

// Overdue implements Late.
func (l *late) Overdue() (context.Context, time.Duration, func(Reply, error)) {
	if l.end == nil {
		l.ctx, l.end = context.WithCancel(l.all)
		l.mu.Lock()
		l.got = make(chan lateReply, limits.MaxUpstreamPerFetch)
		l.mu.Unlock()
	}
	l.open++
	a, got := l.now, l.got
	return l.ctx, limits.LateAnswer, func(reply Reply, err error) {
		l.tell(got, lateReply{a, reply, err})
	}
}

// tell hands over how an attempt ended, and ends the exchange under way if that
// asks the same. Both at once: an exchange that begins after the answer was taken
// is not meant.
func (l *late) tell(got chan lateReply, r lateReply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got <- r // a query has no more attempts than there is room
	if r.err == nil && l.interrupt != nil && l.got == got && l.asking == r.asked {
		l.interrupt()
	}
}

// poll returns an attempt that has ended, if there is one.
func (l *late) poll() (r lateReply, ok bool) {
	select {
	case r = <-l.got: // which is nil where nothing is waited for
		l.open--
		return r, true
	default:
		return r, false
	}
}

// wait returns the next attempt that ends; none does when ok is false.
func (l *late) wait(ctx context.Context) (r lateReply, ok bool) {
	if l.open == 0 {
		return r, false
	}
	select {
	case r = <-l.got:
		l.open--
		return r, true
	case <-ctx.Done():
		return r, false
	}
}

// close waits for nothing more. What the attempts that it ends come to is heard by nobody:
// at the next cut it would be taken for the answer of a server there.
func (l *late) close() {
	if l.end == nil {
		return
	}
	l.end()
	l.end, l.open = nil, 0
	l.mu.Lock()
	l.got = nil
	l.mu.Unlock()
}
