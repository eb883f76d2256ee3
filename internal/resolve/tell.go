package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What readers of a request are told, in words. Nothing here runs unless
// somebody reads along.

// trace tells a reader of the request one step.
func (r *Request) trace(q *Query, component, format string, args ...any) {
	if r.Tracef != nil {
		r.Tracef(q, component, format, args...)
	}
}

// String is the question as people write it; the class goes without saying.
func (q Question) String() string { return q.Name.String() + " " + wire.TypeText(q.Type) }

// tellDecided tells which module made the result before anything was resolved.
func (r *Request) tellDecided(l *Layer) {
	if r.Tracef != nil {
		r.trace(nil, "plan", "the module %s decides: %s", l.Name, r.sketch())
	}
}

// tellChanged tells which module put another result in the place of the one
// before.
func (r *Request) tellChanged(l *Layer, before string) {
	if r.Tracef == nil {
		return
	}
	if now := r.sketch(); now != before {
		r.trace(nil, "plan", "the module %s changes the answer: %s", l.Name, now)
	}
}

// sketch is what the client will be told, in short; "" when nobody reads.
func (r *Request) sketch() string {
	if r.Tracef == nil {
		return ""
	}
	res := &r.Result
	if res.Drop {
		return "the client is told nothing"
	}
	text := wire.RcodeText(res.Rcode)
	if res.TC {
		text += ", truncated"
	}
	if len(res.Answer) > 0 {
		text += ", " + sets(res.Answer)
	}
	if res.EDE != ede.None {
		text += fmt.Sprintf(", extended error %d", res.EDE)
	}
	return text
}

// tellKnown tells which layer answers without the network; the cache has said so
// itself.
func (s *solver) tellKnown(q *Query, l *Layer) {
	if s.r.Tracef != nil && (!q.Outcome.Cached || l.Name != "cache") {
		s.r.trace(q, "plan", "the module %s answers: %s", l.Name, q.Outcome.String())
	}
}

// tellAsking tells which server is asked what, how, and why this one. It begins a
// group of steps that ends with what the answer means.
func (s *solver) tellAsking(q *Query, c selection.Choice) {
	if s.r.Tracef == nil {
		return
	}
	why, left := s.cfg.Servers.Explain(want(q), c)
	lacks := ""
	if q.Server.NoEDNS {
		lacks += ", without EDNS"
	}
	if q.Server.NoCase {
		lacks += ", letter case as it is"
	}
	waiting := ""
	if !q.Server.TCP { // which takes its own time
		waiting = fmt.Sprintf(", waiting %v", c.Timeout.Round(time.Millisecond))
	}
	s.r.trace(q, "resl", "=> %s%s%s: %s%s", whom(q, c.NS, c.Addr), by(q.Server.TCP), lacks, q.Asked, waiting)
	s.r.trace(q, "nsre", "chosen: %s", why)
	if left != "" {
		s.r.trace(q, "nsre", "left: %s", left)
	}
}

// whom is a server as people know it: those of a rule have no names.
func whom(q *Query, ns dnsname.Name, addr netip.AddrPort) string {
	switch {
	case q.Forwards() && q.Flags&Stub != 0:
		return "stub server " + address(addr)
	case q.Forwards():
		return "forwarder " + address(addr)
	}
	return fmt.Sprintf("%s (%s) of %s", ns, address(addr), q.Cut.Name)
}

// tellReply tells what a server's message looks like.
func (s *solver) tellReply(q *Query, reply *Reply) {
	if s.r.Tracef == nil {
		return
	}
	m := reply.Msg
	s.r.trace(q, "resl", "<= answer from %s%s: %s, %d answer, %d authority, %d additional, %d octets in %v",
		address(q.Server.Addr), by(reply.TCP), wire.RcodeText(m.Rcode), len(m.Answer), len(m.Authority), len(m.Additional), reply.Size, short(reply.RTT))
}

// tellSilence tells that an attempt brought nothing. It ends the group of its
// steps.
func (s *solver) tellSilence(q *Query, c selection.Choice, reply Reply, err error) {
	if s.r.Tracef == nil {
		return
	}
	from := address(c.Addr)
	switch {
	case errors.Is(err, ErrOverdue):
		s.r.trace(q, "resl", "<= nothing from %s%s yet; a late answer will be taken", from, by(reply.TCP))
	case errors.Is(err, ErrTimeout):
		s.r.trace(q, "resl", "<= nothing from %s%s in time", from, by(reply.TCP))
	case errors.Is(err, ErrUnreachable):
		s.r.trace(q, "resl", "<= nothing from %s%s: it cannot be reached", from, by(reply.TCP))
	default:
		s.r.trace(q, "resl", "<= nothing from %s%s: %v", from, by(reply.TCP), err)
	}
}

// tellUseless tells why an answer does not help.
func (s *solver) tellUseless(q *Query) {
	if s.r.Tracef == nil {
		return
	}
	what := "it has no authority for " + q.Cut.Name.String()
	if rcode := q.run.msg.Rcode; rcode != wire.RcodeNoError && rcode != wire.RcodeNXDomain {
		what = wire.RcodeText(rcode)
	}
	s.r.trace(q, "iter", "the answer of %s is of no use: %s", address(q.Server.Addr), what)
}

// tellEnough tells that no further server is asked because so many were of no use
// (limits.UselessInRow): to ask on would let a zone of many useless servers
// multiply each question (HARDENING B5).
func (s *solver) tellEnough(q *Query) {
	s.r.trace(q, "nsre", "%d useless answers in a row are enough: no more servers of %s are asked", limits.UselessInRow, q.Cut.Name)
}

// tellOutcome tells what a query came to.
func (s *solver) tellOutcome(q *Query) {
	if s.r.Tracef == nil || q.Outcome.Cached {
		return
	}
	o := &q.Outcome
	switch o.Kind {
	case Positive:
		s.r.trace(q, "iter", "answer: %s", sets(o.Answer))
	case Alias:
		s.r.trace(q, "iter", "alias: %s", sets(o.Answer))
	case NoData:
		s.r.trace(q, "iter", "no such type%s", says(o.Zone))
	case NXDomain:
		s.r.trace(q, "iter", "no such name%s", says(o.Zone))
	case Pending:
		s.tellPending(q)
	}
}

// String says in short what is known.
func (o *Outcome) String() string {
	text := wire.RcodeText(o.Rcode)
	switch {
	case len(o.Answer) > 0:
		text += ", " + sets(o.Answer)
	case o.Kind == NXDomain:
		text += ", no such name"
	case o.Kind == NoData:
		text += ", no such type"
	}
	if o.Kind == Alias {
		text += fmt.Sprintf(", and on to %s", o.Target)
	}
	return text
}

func says(zone dnsname.Name) string {
	if zone == "" {
		return ""
	}
	return ", says " + zone.String()
}

// tellPending tells what an answer means that is none yet.
func (s *solver) tellPending(q *Query) {
	rcode := wire.RcodeNoError
	if q.run.msg != nil {
		rcode = q.run.msg.Rcode
	}
	switch {
	case q.Iter.Again.IsValid() && q.Iter.Plain == q.Iter.Again:
		s.r.trace(q, "iter", "%s, perhaps because of EDNS: asked again without", wire.RcodeText(rcode))
	case q.Iter.Again.IsValid():
		s.r.trace(q, "iter", "this says nothing about it yet: asked again")
	case q.Asked == q.Question:
		s.r.trace(q, "iter", "this says nothing about it yet")
	case q.Iter.Useless && rcode == wire.RcodeNoError:
		s.r.trace(q, "iter", "no authority, and so of no use for %s: the whole name is asked", q.Asked.Name)
	case q.Iter.Useless:
		s.r.trace(q, "iter", "%s is of no use for %s: the whole name is asked", wire.RcodeText(rcode), q.Asked.Name)
	case rcode == wire.RcodeNXDomain:
		s.r.trace(q, "iter", "no name %s, which servers often get wrong: the whole name is asked", q.Asked.Name)
	default:
		s.r.trace(q, "iter", "no zone cut at %s", q.Asked.Name)
	}
}

// tellReferral tells where a referral leads.
func (s *solver) tellReferral(q *Query, cut *zonecut.Cut) {
	if s.r.Tracef != nil {
		s.r.trace(q, "iter", "referral to %s with %s: %s", cut.Name, howMany(len(cut.NS)), serversOf(q, cut))
	}
}

// tellCut tells whose servers will be asked, and since when that is known.
func (s *solver) tellCut(q *Query) {
	switch {
	case s.r.Tracef == nil:
	case q.Forwards():
		s.r.trace(q, "zcut", "by a rule for %s: %s", s.r.scope(), serversOf(q, q.Cut))
	default:
		s.r.trace(q, "zcut", "found cut: %s, %s: %s", q.Cut.Name, s.source(q), serversOf(q, q.Cut))
	}
}

func (s *solver) source(q *Query) string {
	servers := howMany(len(q.Cut.NS))
	switch {
	case q.Cut.Hints:
		return servers + ", from the hints"
	case q.Cut.Expires > s.r.Now:
		return fmt.Sprintf("%s, from the cache for %d more seconds", servers, q.Cut.Expires-s.r.Now)
	}
	return servers
}

func howMany(servers int) string {
	if servers == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", servers)
}

// serversOf names the first few servers of a cut with some of their addresses.
func serversOf(q *Query, cut *zonecut.Cut) string {
	var list []string
	for i := range cut.NS {
		ns := &cut.NS[i]
		addrs := ns.Addrs
		if len(addrs) == 0 && !cut.Hints {
			list = append(list, ns.Name.String())
			continue
		}
		var shown []string
		for _, a := range addrs {
			shown = append(shown, address(netip.AddrPortFrom(a, cmp.Or(ns.Port, 53))))
		}
		if q.Forwards() {
			list = append(list, shown...)
		} else {
			list = append(list, ns.Name.String()+" ("+few(shown)+")")
		}
	}
	return few(list)
}

// few leaves out what is too much to read.
func few(list []string) string {
	const shown = 4
	if len(list) > shown {
		list = append(list[:shown:shown], fmt.Sprintf("%d more", len(list)-shown))
	}
	return strings.Join(list, ", ")
}

// sets names RRsets with their number of records.
func sets(list []Set) string {
	const shown = 8
	var out []string
	last := dnsname.Name("")
	for i := range list {
		if i == shown {
			out = append(out, fmt.Sprintf("%d more", len(list)-shown))
			break
		}
		s := &list[i]
		text := wire.TypeText(s.Type)
		if s.Owner != last || i == 0 {
			text = s.Owner.String() + " " + text
		}
		last = s.Owner
		if target := wire.Target(first(s.Data)); (s.Type == wire.TypeCNAME || s.Type == wire.TypeDNAME) && target != "" {
			text += " to " + target.String()
		} else if len(s.Data) > 1 {
			text += fmt.Sprintf(" (%d records)", len(s.Data))
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func first(data [][]byte) []byte {
	if len(data) == 0 {
		return nil
	}
	return data[0]
}

func by(tcp bool) string {
	if tcp {
		return " by TCP"
	}
	return " by UDP"
}

// address leaves out the port that everybody uses.
func address(a netip.AddrPort) string {
	if a.Port() == 53 {
		return a.Addr().String()
	}
	return fmt.Sprintf("%s#%d", a.Addr(), a.Port())
}

// short rounds to what matters.
func short(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
