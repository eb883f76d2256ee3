package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
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
	// ErrProof: to prove an answer costs too much.
	ErrProof = errors.New("the proof costs too much")
	// ErrTooDear: to read an answer costs too much.
	ErrTooDear = errors.New("an answer costs too much to be read")
	// ErrNotDesired: servers would have to be asked, and the client does not want that
	// (RD=0).
	ErrNotDesired = errors.New("recursion is not desired")
	// ErrDeadline: the time of the request is over.
	ErrDeadline = errors.New("request took too long")
	// ErrPatience: the request's Patience is over, which says little about the
	// servers.
	ErrPatience = errors.New("the client has waited long enough")

	errYield  = errors.New("a layer waits for nothing")
	errJoined = errors.New("the joined request did not end")
)

// A Failure is an error that says by itself what the client is told of it. Layers
// fail with one where none of the errors above fits.
type Failure struct {
	// EDE and Text are the extended error.
	EDE  ede.Code
	Text string
	// Remembered tells that it is a failure of a moment ago that is told again.
	Remembered bool
}

func (e *Failure) Error() string { return ede.Text(e.EDE, e.Text) }

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

// Over is err because of a limit, which the client is told the name of: what this
// resolver will not do is nobody else's fault.
func Over(id limits.ID, err error) error { return &overLimit{id, err} }

type overLimit struct {
	limit limits.ID
	err   error
}

func (e *overLimit) Error() string { return e.err.Error() }

func (e *overLimit) Unwrap() error { return e.err }

// limitOf is the limit that is behind a failure; limits.None for another reason.
func limitOf(err error) limits.ID {
	if e, ok := errors.AsType[*overLimit](err); ok {
		return e.limit
	}
	return wire.LimitOf(err)
}

// layerError is a layer that gave up, and why if it said so.
type layerError struct {
	name string
	err  error
}

func (e *layerError) Error() string { return "the module " + e.name + " ends it" }

func (e *layerError) Unwrap() error { return e.err }

// Fail is what a hook returns that cannot go on: err says why, and what the client
// is told if nothing else answers the request. The failure of a sub-query is told
// to nobody but the query that waits for it.
func (r *Request) Fail(err error) State {
	r.failure = err
	return Fail
}

// Failed is why a hook has returned Fail; nil when it did not say.
func (r *Request) Failed() error { return r.failure }

// failedIn is the failure of a layer's hook.
func (r *Request) failedIn(l *Layer) error {
	e := &layerError{l.Name, r.failure}
	r.failure = nil
	return e
}

// told is what a client sees of a failure.
type told struct {
	rcode      int
	ede        ede.Code
	text       string
	remembered bool
}

// outcome maps a failure to what the client sees. It is the only place where an
// error becomes DNS.
func outcome(err error) told {
	if errors.Is(err, ErrNotDesired) {
		return told{rcode: wire.RcodeRefused, ede: ede.NotAuthoritative} // RFC 8914, section 4.21
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return told{wire.RcodeServFail, f.EDE, f.Text, f.Remembered}
	}
	code, text := reason(err)
	if id := limitOf(err); id != limits.None {
		text = strings.TrimPrefix(text+", limit "+id.String(), ", ")
	}
	return told{rcode: wire.RcodeServFail, ede: code, text: text}
}

// reason is the extended error of a failure that does not bring one, and a text
// that may be empty.
func reason(err error) (code ede.Code, text string) {
	if z, ok := errors.AsType[*zoneError](err); ok && z.text != "" {
		code, _ = reason(z.err)
		return code, z.text
	}
	if source, ok := noSource(err); ok {
		return ede.NetworkError, source.Error()
	}
	switch {
	case errors.Is(err, ErrLame):
		return ede.NoReachableAuthority, "lame delegation" + of(err)
	case errors.Is(err, ErrErring):
		return ede.NetworkError, "the servers" + of(err) + " answer with errors"
	case errors.Is(err, ErrNoAddress):
		return ede.NoReachableAuthority, "no address of a server" + of(err) + " was found"
	case errors.Is(err, ErrNoFamily):
		return ede.NotReady, "neither IPv4 nor IPv6 may be used"
	case errors.Is(err, ErrNoServer), errors.Is(err, ErrTimeout):
		return ede.NoReachableAuthority, "no server" + of(err) + " answers"
	case errors.Is(err, ErrDeadline), errors.Is(err, ErrPatience):
		return ede.NoReachableAuthority, "no answer in time"
	case errors.Is(err, ErrUnreachable):
		return ede.NetworkError, "no server" + of(err) + " can be reached"
	case errors.Is(err, ErrBusy):
		return ede.Other, "too many questions wait for the servers" + of(err)
	case errors.Is(err, ErrLocal):
		return ede.NetworkError, "the resolver has no socket left"
	case errors.Is(err, ErrNotReady):
		return ede.NotReady, "no root servers are known"
	case errors.Is(err, ErrChain), errors.Is(err, ErrCycle):
		return ede.Other, "endless or too long chain of aliases"
	case errors.Is(err, ErrDepth):
		return ede.Other, "name servers depend on each other too deeply"
	case errors.Is(err, ErrProof):
		return ede.Indeterminate, "the proof" + of(err) + " costs too much"
	case errors.Is(err, ErrTooDear):
		return ede.Other, "an answer of a server" + of(err) + " costs too much to be read"
	case errors.Is(err, ErrBudget):
		return ede.Other, "the question costs too much"
	}
	return ede.Other, ""
}

// of names the zone of a failure.
func of(err error) string {
	if z, ok := errors.AsType[*zoneError](err); ok {
		return " of " + z.zone.String()
	}
	return ""
}

// Explain is the extended error of a failure and a text that may be empty.
func Explain(err error) (code ede.Code, text string) {
	t := outcome(err)
	return t.ede, t.text
}

// fatal tells whether a failure ends the whole request and not only the query
// that met it.
func fatal(err error) bool {
	return errors.Is(err, ErrBudget) || errors.Is(err, ErrDeadline) || errors.Is(err, ErrPatience) || errors.Is(err, context.Canceled)
}

// Fail makes a result of a failure. An extended error that a script has given for
// the client's eyes stays.
func (res *Result) Fail(err error) {
	t := outcome(err)
	res.Rcode, res.Answer, res.Authority, res.Additional = t.rcode, nil, nil, nil
	res.NoCache, res.Rank, res.Cached = true, 0, false
	res.Failure = err
	if res.EDE == ede.None {
		res.EDE, res.EDEText, res.Remembered = t.ede, t.text, t.remembered
	}
}

// failWith is Fail that leaves the client the chain of aliases that was too
// long, so that it can see why.
func (res *Result) failWith(q *Query, err error) {
	res.Fail(err)
	if q != nil && (errors.Is(err, ErrChain) || errors.Is(err, ErrCycle)) {
		res.Answer = once(q.Outcome.Answer)
	}
}
