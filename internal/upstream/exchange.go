package upstream

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/zonecut"
)

// Failures beyond those of package resolve, each a kind of one there.
var (
	// ErrBusy: as many questions have a socket or a connection as may.
	ErrBusy = fmt.Errorf("too many questions in flight: %w", resolve.ErrLocal)
	// ErrClosed: the Exchanger was closed.
	ErrClosed = fmt.Errorf("closed: %w", resolve.ErrLocal)
	// ErrMalformed: the server answered over TCP with what is no message.
	ErrMalformed = fmt.Errorf("malformed answer: %w", &resolve.Unusable{Did: "sent what is no answer"})
)

// Config is what an Exchanger needs to know. Every field may be left out. The
// functions are called for each question, by many goroutines at once, so that a
// changed setting holds from the next question on.
type Config struct {
	// Outgoing are the addresses that questions leave from (net.outgoing_v4 and
	// _v6); an invalid one leaves the choice to the system.
	Outgoing func() (v4, v6 netip.Addr)
	// Warn is told, now and then, what an operator has to mend: that no socket can be
	// bound to an outgoing address (limits.OutgoingSaid), that a server did not prove to
	// be the one that was meant (limits.StrangerSaid).
	Warn func(line string)
	// Authorities are the certificates in files that peers name (zonecut.PeerConfig);
	// without it there are none.
	Authorities func(files []string) *x509.CertPool
	// Bufsize is the UDP size offered by EDNS in octets; limits.UDPPayload
	// without it.
	Bufsize func() uint16
	// AvoidPort tells which source ports not to use.
	AvoidPort func(port uint16) bool
	// Clock measures round-trip times.
	Clock *clock.Clock
	// Counters count the limits that were hit.
	Counters *limits.Counters
	// OnPanic is told of a panic in one of the package's own goroutines.
	OnPanic func(*safe.Panic)
}

// Exchanger asks servers. It is safe for concurrent use.
type Exchanger struct {
	outgoing  func() (v4, v6 netip.Addr)
	bufsize   func() uint16
	avoidPort func(uint16) bool
	warn      func(line string)
	clock     *clock.Clock
	counters  *limits.Counters

	group         safe.Group
	entropy       entropy
	poller        *poller
	pool          *pool
	outstanding   *outstanding
	late          *lateAnswers
	cookies       *cookieStore
	authenticator authenticator
	servers       limits.Gate[zonecut.Endpoint] // questions that wait for each
	stats         counters
	missing       missingSource
	strangers     limits.Recent[zonecut.Endpoint, time.Duration] // until when the log does not name them again
	closed        atomic.Bool
	files         uint64 // descriptors that may be open when a question takes one; 0: any number
}

// New starts an Exchanger. It fails when the system gives it no epoll set.
func New(c Config) (*Exchanger, error) {
	e := &Exchanger{
		outgoing: c.Outgoing, bufsize: c.Bufsize, avoidPort: c.AvoidPort,
		clock: c.Clock, counters: c.Counters, warn: c.Warn, outstanding: newOutstanding(), late: newLateAnswers(),
		files: mostDescriptors(),
	}
	e.defaults()
	e.cookies = newCookieStore(e.clock)
	if c.Authorities == nil {
		c.Authorities = func([]string) *x509.CertPool { return x509.NewCertPool() }
	}
	e.authenticator = authenticator{e.clock, &sessions{}, c.Authorities}
	p, err := newPoller(e.clock)
	if err != nil {
		return nil, err
	}
	e.poller = p
	e.group.OnPanic = c.OnPanic
	e.pool = newPool(e)
	e.group.Go("upstream poller", func() { p.run(&e.group) })
	return e, nil
}

func (e *Exchanger) defaults() {
	if e.outgoing == nil {
		e.outgoing = func() (v4, v6 netip.Addr) { return }
	}
	if size := e.bufsize; size == nil {
		e.bufsize = func() uint16 { return limits.UDPPayload }
	} else {
		e.bufsize = func() uint16 { return max(size(), limits.MinBufsize) }
	}
	if e.warn == nil {
		e.warn = func(string) {}
	}
	if e.avoidPort == nil {
		e.avoidPort = func(uint16) bool { return false }
	}
	if e.clock == nil {
		e.clock = clock.Real()
	}
}

// Exchange asks one server one question and waits for its answer. Equal
// exchanges that are under way share one answer; only the one that sends is debited.
//
// Errors are those of package resolve, wrapped, and the context's own. An
// answer over TCP may still be marked truncated: there is no further way to ask.
func (e *Exchanger) Exchange(ctx context.Context, asked resolve.Exchange) (resolve.Reply, error) {
	if err := ctx.Err(); err != nil {
		return resolve.Reply{}, err
	}
	own := &sharedExchange{x: asked}
	x := &own.x
	if !x.Addr.IsValid() || x.Name == "" {
		return resolve.Reply{}, fmt.Errorf("no address or no name: %w", resolve.ErrUnreachable)
	}
	x.Addr = netip.AddrPortFrom(x.Addr.Addr().Unmap(), x.Addr.Port())
	if err := e.speaks(x.Endpoint); err != nil {
		return resolve.Reply{}, err
	}
	if x.Budget == nil {
		x.Budget = resolve.NewBudget(e.counters)
	}
	if x.Tell != nil {
		defer tellTo(x)()
	}
	return e.join(ctx, own)
}

// run asks in the ways that are left: UDP first, then TCP where UDP was not
// enough or not to be trusted. A server whose peer demands a protocol is asked in
// that one only.
func (e *Exchanger) run(ctx context.Context, x *resolve.Exchange) (resolve.Reply, error) {
	if x.TCP || !x.Peer.Plain() {
		return e.askConnectedInTime(ctx, x, 0)
	}
	must := strict(x)
	reply, v, err := e.askUDP(ctx, x, must)
	return e.settle(ctx, x, must, reply, v, err)
}

// Distrust is told that a file of authorities has other certificates than before: servers
// that it vouches for have to prove anew who they are.
func (e *Exchanger) Distrust(file string) { e.pool.distrust(file) }

// Close ends all exchanges with ErrClosed and waits until every socket is
// closed and every goroutine gone.
func (e *Exchanger) Close() {
	e.outstanding.close()
	if e.closed.Swap(true) {
		e.group.Wait()
		return
	}
	e.poller.wakeAll()
	e.pool.close()
	e.outstanding.leaders.Wait()
	e.poller.close()
	e.group.Wait()
}
