package resolve

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"kresd/internal/dnsname"
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

// tellAsking tells which server is asked what, how, and why this one.
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
	s.r.trace(q, "resl", "=> %s (%s) of %s%s%s: %s, waiting %v", c.NS, address(c.Addr), q.Cut.Name, by(q.Server.TCP), lacks, q.Asked, c.Timeout.Round(time.Millisecond))
	s.r.trace(q, "nsre", "chosen: %s", why)
	if left != "" {
		s.r.trace(q, "nsre", "left: %s", left)
	}
}

// tellReply tells what a server's message looks like.
func (s *solver) tellReply(q *Query, reply *Reply) {
	if s.r.Tracef == nil {
		return
	}
	m := reply.Msg
	s.r.trace(q, "resl", "<= %s%s: %s, %d answer, %d authority, %d additional, %d octets in %v",
		address(q.Server.Addr), by(reply.TCP), wire.RcodeText(m.Rcode), len(m.Answer), len(m.Authority), len(m.Additional), reply.Size, short(reply.RTT))
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
		s.r.trace(q, "iter", "no such type, says %s", o.Zone)
	case NXDomain:
		s.r.trace(q, "iter", "no such name, says %s", o.Zone)
	case Pending:
		if q.Asked != q.Question {
			s.r.trace(q, "iter", "no zone cut at %s", q.Asked.Name)
		} else {
			s.r.trace(q, "iter", "this says nothing about it yet")
		}
	}
}

// tellCut tells whose servers will be asked, and since when that is known.
func (s *solver) tellCut(q *Query) {
	if s.r.Tracef == nil {
		return
	}
	s.r.trace(q, "zcut", "found cut: %s, %s", q.Cut.Name, s.source(q))
}

func (s *solver) source(q *Query) string {
	servers := howMany(len(q.Cut.NS))
	switch {
	case q.Forwards():
		return servers + ", by a rule"
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

// serverNames names the first few servers of a cut.
func serverNames(cut *zonecut.Cut) string {
	const shown = 4
	names := make([]string, 0, shown+1)
	for i := range cut.NS {
		if i == shown {
			names = append(names, "…")
			break
		}
		names = append(names, cut.NS[i].Name.String())
	}
	return strings.Join(names, ", ")
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
