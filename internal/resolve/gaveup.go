package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// summary counts the addresses of a zone's servers by what they did.
type summary struct {
	all               int // addresses that may be asked
	off               int // of a family that is switched off
	forbidden         int // that nobody may be sent to
	unasked           int
	lame, wrong       int // answered uselessly; of these, with an error of their own
	silent, cut, busy int // cut: they cannot be reached
	rcodes            [16]int
	over              int       // answered with what costs too much to be read
	limit             limits.ID // that such an answer, or a question that waits, exceeds
	sourceless        int       // could not be asked for want of the outgoing address
	source            *NoSource // why
}

func (s *solver) summary(q *Query) (v summary) {
	seen := make(map[netip.AddrPort]bool)
	for i := range q.Cut.NS {
		ns := &q.Cut.NS[i]
		for _, a := range ns.Addrs {
			if at := netip.AddrPortFrom(a.Unmap(), ns.Port); !seen[at] {
				seen[at] = true
				v.count(q, a.Unmap(), q.run.faults.of(ns, a))
			}
		}
	}
	return v
}

func (v *summary) count(q *Query, a netip.Addr, b *fault) {
	switch {
	case a.Is4() && q.Options.NoIPv4, a.Is6() && q.Options.NoIPv6:
		v.off++
		return
	case !q.Cut.Hints && !q.Options.AnyAddress && selection.Forbidden(a):
		v.forbidden++
		return
	}
	v.all++
	var source *NoSource
	sourceless := false
	if b != nil {
		source, sourceless = noSource(b.err)
	}
	switch {
	case b == nil:
		v.unasked++
	case sourceless:
		v.sourceless, v.source = v.sourceless+1, source
	case b.err == nil:
		v.lame++
		v.rcodes[b.rcode&15]++
		if erring(b.rcode) {
			v.wrong++
		}
	case errors.Is(b.err, ErrBusy):
		v.busy, v.limit = v.busy+1, limitOf(b.err)
	case limitOf(b.err) != limits.None:
		v.over, v.limit = v.over+1, limitOf(b.err)
	case errors.Is(b.err, ErrUnreachable):
		v.cut++
	default:
		v.silent++
	}
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
	v := s.summary(q)
	e := &zoneError{zone: q.Cut.Name}
	whose := noneOf(q)
	switch {
	case v.sourceless > 0: // whatever others did: these may be good
		e.err, e.text = v.source, v.source.Error()
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
	case v.all > 0:
		e.err, e.text = ErrNoServer, whose+" could be asked"
	case v.off > 0:
		e.err, e.text = ErrNoAddress, whose+" has an address of IPv"+family(q)+", and no other may be used"
	case v.forbidden > 0:
		e.err, e.text = ErrNoAddress, whose+" has an address that may be asked"
	default:
		e.err, e.text = ErrNoAddress, "no address of a server of "+q.Cut.Name.String()+" was found"
	}
	switch { // more servers may be left, which a limit spares
	case q.run.sends >= limits.MaxUpstreamPerFetch:
		e.err = Over(limits.UpstreamPerFetch, e.err)
	case q.run.useless >= limits.UselessPerZone, q.run.refusals >= limits.RefusalsPerZone:
		e.err = Over(limits.UselessServers, e.err)
	}
	if detail := v.String(); detail != "" {
		e.text += ": " + detail
	}
	return e
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
	if v.lame == 0 && v.unasked == 0 && (v.silent == 0 || v.cut == 0) {
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
	say(v.silent, "did not answer")
	say(v.cut, "could not be reached")
	say(v.busy, "had too many questions waiting")
	say(v.over, "answered with what is not read")
	say(v.sourceless, "could not be asked from here")
	say(v.unasked, "not asked")
	return strings.Join(out, ", ")
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}
