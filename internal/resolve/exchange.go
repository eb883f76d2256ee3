package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

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
	// Timeout is how long one UDP attempt may take.
	Timeout time.Duration
	// Queue tells to wait for a place where as many questions wait for the server
	// as may; else that is ErrBusy at once.
	Queue bool
	// Infrastructure tells that everybody's questions pass the server, so that
	// more than otherwise may wait for it.
	Infrastructure bool
	// Budget is debited for every message that is sent.
	Budget *Budget
	// Tell, where somebody reads along, is told what happens within the exchange: by
	// one goroutine at a time, and never after Exchange has returned. nil: nobody
	// reads.
	Tell func(Step)
	// Late takes the answer if it comes after Timeout. It may be nil.
	Late Late
}

// Late waits for answers that come after their Timeout. A server that has become
// slow answers all the same, often before another try is answered.
type Late interface {
	// Overdue is called when a Timeout is over, before Exchange returns. The
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
	// TCP that failed, and UDP may do.
	TCP bool
	// CaseLost tells that the server does not echo the letter case of questions:
	// ask it with NoCase from now on.
	CaseLost bool
	// Size is the length of the message in octets.
	Size int
}

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

// noSource is the NoSource that is behind a failure, if one is.
func noSource(err error) (*NoSource, bool) { return errors.AsType[*NoSource](err) }
