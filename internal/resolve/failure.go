package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
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
	// ErrPrivate: those that it has are of private networks (Options.PublicOnly). It is a kind
	// of ErrNoAddress.
	ErrPrivate = fmt.Errorf("%w that is not private", ErrNoAddress)
	// ErrNoFamily: neither IPv4 nor IPv6 may be used.
	ErrNoFamily = errors.New("no family of addresses is in use")
	// ErrNotReady: not even the root is known.
	ErrNotReady = errors.New("no root servers are known")
	// ErrChain: the chain of aliases is too long.
	ErrChain = errors.New("chain of aliases is too long")
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

	// ErrScript: a function of a script's has failed, which ends its request.
	ErrScript = errors.New("a function of a script failed")

	errYield  = errors.New("a layer waits for nothing")
	errJoined = errors.New("the joined request did not end")
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

// Erring is the failure of an Exchange with a server that said, in words of the protocol
// below DNS, that it has no answer. It is a kind of ErrErring.
type Erring struct {
	// Did is what the server did, without a subject: "answered with HTTP status 403".
	Did string
}

func (e *Erring) Error() string { return "it " + e.Did }

func (e *Erring) Unwrap() error { return ErrErring }

// outcome maps a failure to what the client sees. It is the only place where an
// error becomes DNS.
func outcome(err error) told {
	if errors.Is(err, ErrNotDesired) {
		return told{rcode: wire.RcodeRefused, ede: ede.NotAuthoritative} // RFC 8914, section 4.21
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return told{wire.RcodeServFail, f.EDE, withLimit(f.Text, err), f.Remembered}
	}
	code, text := reason(err)
	return told{rcode: wire.RcodeServFail, ede: code, text: withLimit(text, err)}
}

// withLimit is a text with the name of the limit that is behind a failure, if one is.
func withLimit(text string, err error) string {
	if id := LimitOf(err); id != limits.None {
		return strings.TrimPrefix(text+", limit "+id.String(), ", ")
	}
	return text
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
	case errors.Is(err, ErrScript):
		return ede.Other, "a function of a script failed"
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
	return errors.Is(err, ErrScript) || errors.Is(err, ErrBudget) || errors.Is(err, ErrDeadline) || errors.Is(err, ErrPatience) || errors.Is(err, context.Canceled)
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

// timeUp is why a request ends whose time is over.
func (d *Driver) timeUp(r *Request) error {
	if r.impatient() {
		return ErrPatience
	}
	d.cfg.Counters.Hit(limits.Deadline)
	return ErrDeadline
}

// summary counts the addresses of a zone's servers by what they did.
type summary struct {
	all               int // addresses that may be asked
	off               int // of a family that is switched off
	forbidden         int // that nobody may be sent to
	private           int // that are of a private network, where none is to be asked
	unasked           int
	lame, wrong       int // answered uselessly; of these, with an error of their own
	silent, cut, busy int // cut: they cannot be reached
	rcodes            [16]int
	erring            []string  // what those did that have no answer, in words of the protocol below DNS
	over              int       // answered with what costs too much to be read
	limit             limits.ID // that such an answer, or a question that waits, exceeds
	sourceless        int       // could not be asked for want of the outgoing address
	source            *NoSource // why
	strangers         int       // are not who they should be
	stranger          *Unauthenticated
}

func (s *solver) summary(q *Query) (v summary) {
	seen := make(map[netip.AddrPort]bool)
	for i := range q.Cut.NS {
		ns := &q.Cut.NS[i]
		for _, a := range ns.Addrs {
			if at := netip.AddrPortFrom(a.Unmap(), ns.Port); !seen[at] {
				seen[at] = true
				v.count(q, a.Unmap(), s.faultOf(q, ns, a))
			}
		}
	}
	return v
}

// faultOf is what a server did in q, or that it is left alone because it did not prove
// before who it is; nil: it was not asked.
func (s *solver) faultOf(q *Query, ns *zonecut.NameServer, a netip.Addr) *fault {
	b := q.run.faults.of(ns, a)
	if b != nil || ns.Peer.Plain() {
		return b
	}
	e := s.cfg.Servers.Endpoint(ns, a)
	if stranger, _ := s.strangers.Get(e); stranger != nil {
		return &fault{addr: e.Addr, err: stranger}
	}
	return nil
}

func (v *summary) count(q *Query, a netip.Addr, b *fault) {
	switch {
	case a.Is4() && q.Options.NoIPv4, a.Is6() && q.Options.NoIPv6:
		v.off++
		return
	case !q.Cut.Hints && !q.Options.AnyAddress && selection.Forbidden(a):
		v.forbidden++
		return
	case !q.Cut.Hints && !q.Options.AnyAddress && q.Options.PublicOnly && selection.Local(a):
		v.private++
		return
	}
	v.all++
	var source *NoSource
	var sourceless bool
	if b != nil {
		source, sourceless = noSource(b.err)
	}
	switch {
	case b == nil:
		v.unasked++
	case sourceless:
		v.sourceless, v.source = v.sourceless+1, source
	case v.isStranger(b.err):
		v.strangers++
	case b.err == nil:
		v.lame++
		v.rcodes[b.rcode&15]++
		if erring(b.rcode) {
			v.wrong++
		}
	case errors.Is(b.err, ErrErring):
		v.lame, v.wrong = v.lame+1, v.wrong+1
		if e, ok := errors.AsType[*Erring](b.err); ok {
			v.erring = append(v.erring, e.Did)
		}
	case errors.Is(b.err, ErrBusy):
		v.busy, v.limit = v.busy+1, LimitOf(b.err)
	case LimitOf(b.err) != limits.None:
		v.over, v.limit = v.over+1, LimitOf(b.err)
	case errors.Is(b.err, ErrUnreachable):
		v.cut++
	default:
		v.silent++
	}
}

// isStranger tells whether a server did not prove to be the one that was meant, and
// keeps how the first one did not.
func (v *summary) isStranger(err error) bool {
	e, ok := errors.AsType[*Unauthenticated](err)
	if ok && v.stranger == nil {
		v.stranger = e
	}
	return ok
}

// erring tells whether an RCODE speaks of trouble at the server. Others that do
// not help say that it does not know the zone, or does not want to.
func erring(rcode int) bool {
	const notAuth = 9 // RFC 8945, section 5.3.2; some say it of zones that they do not serve
	return rcode != wire.RcodeNoError && rcode != wire.RcodeNXDomain && rcode != wire.RcodeRefused && rcode != notAuth
}

// gaveUp is the failure of a query for which no server of its cut is left, or for
// which more are not asked.
func (s *solver) gaveUp(q *Query) error {
	if why := q.run.faults.unbelieved(); why != nil {
		return why
	}
	v := s.summary(q)
	e := &zoneError{zone: q.Cut.Name}
	whose := noneOf(q)
	switch {
	case v.sourceless > 0: // whatever others did: these may be good
		e.err, e.text = v.source, v.source.Error()
	case v.strangers > 0: // clients are not to believe that it is a matter of waiting
		e.err, e.text = v.stranger, v.stranger.Error()
	case v.over > 0 && v.limit == limits.TCPConnsRequest:
		e.err, e.text = Over(v.limit, ErrNoServer), "the servers of "+q.Cut.Name.String()+" would take more connections than a question may have"
	case v.over > 0:
		e.err, e.text = Over(v.limit, ErrTooDear), "an answer of a server of "+q.Cut.Name.String()+" costs too much to be read"
	case v.lame > v.wrong && q.Forwards():
		e.err, e.text = ErrLame, whose+" gives an answer"
	case v.lame > v.wrong:
		e.err, e.text = ErrLame, "lame delegation of "+q.Cut.Name.String()
	case v.lame > 0:
		e.err, e.text = ErrErring, whose+" answers without an error"
	case v.silent > 0:
		e.err, e.text = ErrNoServer, whose+" answers"
	case v.cut > 0:
		e.err, e.text = ErrUnreachable, whose+" can be reached"
	case v.busy > 0:
		e.err, e.text = Over(v.limit, ErrBusy), "too many questions wait for the servers of "+q.Cut.Name.String()
	case q.Options.NoIPv4 && q.Options.NoIPv6:
		e.err, e.text = ErrNoFamily, "neither IPv4 nor IPv6 may be used"
	case v.all > 0 && s.cameOfAll(q) != "":
		e.err, e.text = ErrNoServer, whose+" answers"
	case v.all > 0:
		e.err, e.text = ErrNoServer, whose+" may be asked now"
	case v.off > 0:
		e.err, e.text = ErrNoAddress, whose+" has an address of IPv"+family(q)+", and no other may be used"
	case v.private > 0:
		e.err, e.text = ErrPrivate, whose+" has an address that is not private"
	case v.forbidden > 0:
		e.err, e.text = ErrNoAddress, whose+" has an address that may be asked"
	default:
		e.err, e.text = ErrNoAddress, "no address of a server of "+q.Cut.Name.String()+" was found"
	}
	switch { // more servers may be left, which a limit spares
	case q.run.sends >= limits.MaxUpstreamPerFetch:
		e.err = Over(limits.UpstreamPerFetch, e.err)
	case q.run.useless >= limits.UselessAnswers(len(q.Cut.NS)), q.run.refusals >= limits.RefusalsPerZone:
		e.err = Over(limits.UselessServers, e.err)
	}
	if detail := s.detail(q, &v); detail != "" {
		e.text += ": " + detail
	}
	s.inVain(q.Cut.Name, e.err)
	return e
}

// detail says what the servers did, where the failure does not say it of all of them. Of
// few that an operator has named, or that are left alone, each is named.
func (s *solver) detail(q *Query, v *summary) string {
	mute := v.silent+v.cut+v.unasked == v.all
	if mute && (q.Forwards() || v.unasked == v.all) {
		if text := s.cameOfAll(q); text != "" {
			return text
		}
	}
	return v.String()
}

// inVain notes why all servers of a zone were of no use. Those that have answered with
// errors of their own may do better for another name, once.
func (s *solver) inVain(zone dnsname.Name, err error) {
	v := &s.r.work.inVain
	switch {
	case errors.Is(err, ErrErring):
		v.failed(zone, 1, true)
	case errors.Is(err, ErrLame):
		v.failed(zone, limits.ZoneInVain, true)
	case errors.Is(err, ErrNoServer), errors.Is(err, ErrUnreachable):
		v.failed(zone, limits.ZoneInVain, false)
	}
}

// inTime names the servers that let the time of a request run out.
func (s *solver) inTime(q *Query, err error) error {
	if !errors.Is(err, ErrDeadline) && !errors.Is(err, ErrPatience) || q.Cut == nil {
		return err
	}
	if v := s.summary(q); v.silent == 0 || v.lame > 0 {
		return err
	}
	return &zoneError{zone: q.Cut.Name, err: err, text: noneOf(q) + " answered in time"}
}

// family is the one that may be used.
func family(q *Query) string {
	if q.Options.NoIPv4 {
		return "6"
	}
	return "4"
}

// noneOf begins a sentence about all servers that q could ask.
func noneOf(q *Query) string {
	switch {
	case q.Forwards() && q.Options.Stub:
		return "no server of the stub rule"
	case q.Forwards():
		return "no forwarder"
	}
	return "no server of " + q.Cut.Name.String()
}

// String says what each did where they did not all do the one thing that the
// failure names.
func (v *summary) String() string {
	if v.lame == 0 && v.unasked == 0 && (v.silent == 0 || v.cut == 0) && (v.strangers == 0 || v.silent+v.cut == 0) {
		return ""
	}
	var out []string
	say := func(n int, what string) {
		switch {
		case n == 0:
		case len(out) == 0:
			out = append(out, fmt.Sprintf("%d of %s %s", n, addresses(v.all), what))
		default:
			out = append(out, fmt.Sprintf("%d %s", n, what))
		}
	}
	for rcode, n := range v.rcodes {
		switch rcode {
		case wire.RcodeNoError, wire.RcodeNXDomain:
			say(n, "answered without authority")
		default:
			say(n, "answered "+wire.RcodeText(rcode))
		}
	}
	slices.Sort(v.erring)
	for i, did := range v.erring {
		if next := i + 1; next == len(v.erring) || v.erring[next] != did {
			say(next-slices.Index(v.erring, did), did)
		}
	}
	say(v.silent, "did not answer")
	say(v.cut, "could not be reached")
	say(v.busy, "had too many questions waiting")
	say(v.over, "answered with what is not read")
	say(v.sourceless, "could not be asked from here")
	say(v.strangers, "did not prove to be the server that was meant")
	if v.unasked == v.all {
		say(v.unasked, "left alone for earlier failures") // that another process of the group has seen
	} else {
		say(v.unasked, "not asked")
	}
	return strings.Join(out, ", ")
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}
