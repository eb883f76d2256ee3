package iterate

import (
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// chain follows the answer section from the name that was asked. The outcome is
// Positive or Alias, Pending when the section holds nothing for the name, Lame
// when it contradicts itself.
func (a *answer) chain() resolve.Outcome {
	name := a.q.Asked.Name
	o := resolve.Outcome{Zone: a.cut()}
	// One step more than allowed, so that the driver sees that it is too long.
	for range limits.MaxCNAMEChain + 2 {
		if a.data(&o, name) {
			o.Kind = resolve.Positive
			return a.positive(o)
		}
		next, state := a.step(&o, name)
		switch {
		case state == overflows:
			o.Kind, o.Rcode = resolve.Positive, wire.RcodeYXDomain
			return o
		case state == broken:
			return lame
		case state == ends && len(o.Answer) == 0:
			return resolve.Outcome{}
		case state == ends:
			o.Kind, o.Target = resolve.Alias, name
			return a.positive(o)
		}
		if t := a.q.Asked.Type; t == wire.TypeCNAME || t == wire.TypeANY { // a DNAME made what was asked for
			o.Kind = resolve.Positive
			return o
		}
		from := name
		if name = next; !a.mayTell(from, name) || met(o.Answer, name) {
			break
		}
	}
	o.Kind, o.Target = resolve.Alias, name
	return a.positive(o)
}

// mayTell tells whether the message is heard about to, which an alias at from leads to:
// the server knows it, and the operator has not named other servers for it.
func (a *answer) mayTell(from, to dnsname.Name) bool {
	return a.knows(from, to) && a.r.SameRoute(a.q, resolve.Question{Name: to, Type: a.q.Type, Class: a.q.Class})
}

// knows tells whether what the message says about to may be believed, after the
// server has shown authority for from: to is the apex or stands beside from or an
// ancestor of it. Elsewhere a delegation may lie in between, whose parent has
// stale or no data, and AA does not speak for the target (RFC 1035, section
// 4.1.1), so it is asked for on its own. Forwarders have followed the chain. Of names
// outside the zone there is nothing in the message any more (scrub).
func (a *answer) knows(from, to dnsname.Name) bool {
	return a.q.Forwards() || to == a.cut() || from != a.cut() && from.Parent().IsSubdomainOf(to.Parent())
}

// met tells whether the chain has been at name already: it is a loop, which the
// driver notices when it is to be followed.
func met(chain []resolve.Set, name dnsname.Name) bool {
	for i := range chain {
		if chain[i].Type == wire.TypeCNAME && chain[i].Owner == name {
			return true
		}
	}
	return false
}

// data adds what was asked for, if the section has it at name. A CNAME that a DNAME
// stands for is worth no more than that, and comes behind it (redirect).
func (a *answer) data(o *resolve.Outcome, name dnsname.Name) bool {
	found := false
	if t := a.q.Asked.Type; (t == wire.TypeCNAME || t == wire.TypeANY) && a.dname(name) != nil {
		return false
	}
	for i := range a.ans {
		if s := &a.ans[i]; s.Owner == name && (s.Type == a.q.Asked.Type || a.q.Asked.Type == wire.TypeANY) {
			o.Answer = append(o.Answer, authoritative(*s))
			found = true
		}
	}
	return found
}

// What one step along the chain came to.
type stepState int

const (
	goes      stepState = iota // to the next name
	ends                       // nothing at this name
	overflows                  // the DNAME's target is too long
	broken                     // two CNAMEs at one name
)

// step takes the alias at name.
func (a *answer) step(o *resolve.Outcome, name dnsname.Name) (dnsname.Name, stepState) {
	if d := a.dname(name); d != nil {
		return redirect(o, d, name)
	}
	c := find(a.ans, name, wire.TypeCNAME)
	if c == nil {
		return "", ends
	}
	if len(c.Data) != 1 { // RFC 2181, section 10.1
		return "", broken
	}
	o.Answer = append(o.Answer, authoritative(*c))
	return wire.Target(c.Data[0]), goes
}

// dname is the DNAME set that covers name, the closest to it.
func (a *answer) dname(name dnsname.Name) *wire.RRset {
	var best *wire.RRset
	for i := range a.ans {
		s := &a.ans[i]
		if s.Type == wire.TypeDNAME && name.IsStrictlyBelow(s.Owner) && (best == nil || len(s.Owner) > len(best.Owner)) {
			best = s
		}
	}
	return best
}

// redirect adds a DNAME and the CNAME that follows from it. The server's own
// CNAME is not used: ours cannot be wrong (RFC 6672, section 3.1).
func redirect(o *resolve.Outcome, d *wire.RRset, name dnsname.Name) (dnsname.Name, stepState) {
	if len(d.Data) != 1 { // RFC 6672, section 2.4
		return "", broken
	}
	o.Answer = append(o.Answer, authoritative(*d))
	target, err := name.Rebase(d.Owner, wire.Target(d.Data[0]))
	if err != nil {
		return "", overflows
	}
	o.Answer = append(o.Answer, authoritative(d.Synthesized(name, target)))
	return target, goes
}
