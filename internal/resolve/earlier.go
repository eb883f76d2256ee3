package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// A server that did not answer is left alone for a while. Whoever asks meanwhile hears what
// was tried and what came of it, for nothing else is known of the failure; and of servers
// that an operator has named, whoever asked then.

// remember notes how an attempt failed, if that was the server's fault, or the network's.
func (d *Driver) remember(e zonecut.Endpoint, err error) {
	if errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnreachable) {
		d.silent.Put(e, earlier{err, time.Now()}, limits.UpstreamSessions)
	}
}

// answers forgets what came of asking a server before, for it has answered.
func (d *Driver) answers(e zonecut.Endpoint) {
	if before, _ := d.silent.Get(e); before.err != nil {
		d.silent.Put(e, earlier{}, limits.UpstreamSessions)
	}
}

// came says of a server what came of asking it: in q, or before, where it was left alone
// because of that. "" where nothing is known.
func (s *solver) came(q *Query, ns *zonecut.NameServer, a netip.Addr) string {
	e := s.cfg.Servers.Endpoint(ns, a)
	where := fmt.Sprintf("%s@%d", e.Addr.Addr(), e.Addr.Port())
	if b := q.run.faults.of(ns, a); b != nil {
		if b.err == nil {
			return ""
		}
		return where + " " + whyNot(b.err)
	}
	before, _ := s.silent.Get(e)
	if before.err == nil || time.Since(before.at) >= limits.DeadAtMost { // none is left alone for longer
		return ""
	}
	return fmt.Sprintf("%s %s %s and is left alone for a moment", where, whyNot(before.err), ago(time.Since(before.at)))
}

// ago words how long something is past.
func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return fmt.Sprintf("%d s ago", d/time.Second)
}

// whyNot is what a server did that did not answer.
func whyNot(err error) string {
	if !errors.Is(err, ErrUnreachable) {
		return "did not answer"
	}
	if did, ok := errors.AsType[*Unusable](err); ok {
		return did.Did
	}
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return "could not be reached (" + no.Error() + ")"
	}
	return "could not be reached"
}

// cameOfAll is what came of asking the servers that q could ask, none of which has answered.
func (s *solver) cameOfAll(q *Query) string {
	var all []string
	for i := range q.Cut.NS {
		ns := &q.Cut.NS[i]
		for _, a := range ns.Addrs {
			if text := s.came(q, ns, a); text != "" && len(all) < limits.ForwardTargets {
				all = append(all, text)
			}
		}
	}
	return strings.Join(all, ", ")
}
