package resolve

import (
	"context"
	"errors"
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// Why a query fails, besides the failures of an Exchange and of Push.
var (
	// ErrNoServer: every server of the zone was asked in vain.
	ErrNoServer = errors.New("no server of the zone is reachable")
	// ErrLame: the servers that were asked answer, but not for the zone.
	ErrLame = errors.New("the servers of the zone are lame")
	// ErrErring: they answer with errors of their own.
	ErrErring = errors.New("the servers of the zone fail")
	// ErrNoAddress: no server of the zone has an address that may be asked.
	ErrNoAddress = errors.New("no server of the zone has an address")
	// ErrNoFamily: neither IPv4 nor IPv6 may be used.
	ErrNoFamily = errors.New("no family of addresses is in use")
	// ErrNotReady: not even the root is known.
	ErrNotReady = errors.New("no root servers are known")
	// ErrChain: the chain of aliases is too long.
	ErrChain = errors.New("chain of aliases is too long")
	// ErrDeadline: the time of the request is over.
	ErrDeadline = errors.New("request took too long")
	// ErrPatience: the request's Patience is over, which says little about the
	// servers.
	ErrPatience = errors.New("the client has waited long enough")

	errYield  = errors.New("a layer waits for nothing")
	errJoined = errors.New("the joined request did not end")
)

// Extended DNS error codes (RFC 8914, section 4).
const (
	edeOther       = 0
	edeNotReady    = 14
	edeNoReachable = 22
	edeNetwork     = 23
)

// zoneError is a failure of all servers of a zone.
type zoneError struct {
	zone dnsname.Name
	err  error
	text string // for people; "" for what the error says
}

func (e *zoneError) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("zone %s: %v", e.zone, e.err)
}
func (e *zoneError) Unwrap() error { return e.err }

// layerError is a layer that gave up.
type layerError struct{ name string }

func (e *layerError) Error() string { return "the module " + e.name + " ends it" }

// outcome maps a failure to what the client sees: RCODE and extended error. It
// is the only place where an error becomes DNS.
func outcome(err error) (rcode int, ede uint16, text string) {
	rcode = wire.RcodeServFail
	if z, ok := errors.AsType[*zoneError](err); ok && z.text != "" {
		_, ede, _ = outcome(z.err)
		return rcode, ede, z.text
	}
	switch {
	case errors.Is(err, ErrLame):
		return rcode, edeNoReachable, "lame delegation" + of(err)
	case errors.Is(err, ErrErring):
		return rcode, edeNetwork, "the servers" + of(err) + " answer with errors"
	case errors.Is(err, ErrNoAddress):
		return rcode, edeNoReachable, "no address of a server" + of(err) + " was found"
	case errors.Is(err, ErrNoFamily):
		return rcode, edeNotReady, "neither IPv4 nor IPv6 may be used"
	case errors.Is(err, ErrNoServer), errors.Is(err, ErrTimeout):
		return rcode, edeNoReachable, "no server" + of(err) + " answers"
	case errors.Is(err, ErrDeadline), errors.Is(err, ErrPatience):
		return rcode, edeNoReachable, "no answer in time"
	case errors.Is(err, ErrUnreachable):
		return rcode, edeNetwork, "no server" + of(err) + " can be reached"
	case errors.Is(err, ErrBusy):
		return rcode, edeOther, "too many questions wait for the servers" + of(err)
	case errors.Is(err, ErrLocal):
		return rcode, edeNetwork, "the resolver has no socket left"
	case errors.Is(err, ErrNotReady):
		return rcode, edeNotReady, "no root servers are known"
	case errors.Is(err, ErrChain), errors.Is(err, ErrCycle):
		return rcode, edeOther, "endless or too long chain of aliases"
	case errors.Is(err, ErrDepth):
		return rcode, edeOther, "name servers depend on each other too deeply"
	case errors.Is(err, ErrBudget):
		return rcode, edeOther, "the question costs too much"
	}
	return rcode, edeOther, ""
}

// of names the zone of a failure.
func of(err error) string {
	if z, ok := errors.AsType[*zoneError](err); ok {
		return " of " + z.zone.String()
	}
	return ""
}

// Explain is the extended error of a failure and a text that may be empty.
func Explain(err error) (ede uint16, text string) {
	_, ede, text = outcome(err)
	return ede, text
}

// fatal tells whether a failure ends the whole request and not only the query
// that met it.
func fatal(err error) bool {
	return errors.Is(err, ErrBudget) || errors.Is(err, ErrDeadline) || errors.Is(err, ErrPatience) || errors.Is(err, context.Canceled)
}

// fail makes a result of a failure, but for an extended error that a layer has
// already given.
func (res *Result) fail(err error) {
	rcode, ede, text := outcome(err)
	res.Rcode, res.Answer, res.Authority, res.Additional = rcode, nil, nil, nil
	res.NoCache, res.Rank, res.Cached = true, 0, false
	res.Failure = err
	if res.EDE == NoEDE {
		res.EDE, res.EDEText = ede, text
	}
}

// failWith is fail that leaves the client the chain of aliases that was too
// long, so that it can see why.
func (res *Result) failWith(q *Query, err error) {
	res.fail(err)
	if q != nil && (errors.Is(err, ErrChain) || errors.Is(err, ErrCycle)) {
		res.Answer = once(q.Outcome.Answer)
	}
}
