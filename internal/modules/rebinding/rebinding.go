// Package rebinding is the module rebinding: strangers' names do not lead clients to
// addresses in the operator's own network (DNS rebinding).
//
// An answer that came from the network and holds an address that is private or means this
// host, be it in a hint of an SVCB or HTTPS record (RFC 9460), is refused, with the reason.
// What the operator says, by hints or by rules with answers of their own, is not judged, and
// neither are requests with the flag ALLOW_LOCAL. Name servers that a stranger's delegation
// has at such addresses are not asked either, and where there are no others that is refused.
//
// It judges before an answer is kept as a whole, so that cached answers are judged already and
// cost nothing more: answers that were kept without the module are not used with it (Shape).
// Records stay in the cache as they came.
package rebinding

import (
	"errors"
	"fmt"
	"net/netip"

	"kresd/internal/digest"
	"kresd/internal/ede"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

type rebinding struct {
	host   *module.Host
	seldom logging.Seldom
}

const why = "blocked by DNS rebinding protection"

// begin keeps questions from servers at such addresses.
func (b *rebinding) begin(r *resolve.Request) resolve.State {
	r.Options.PublicOnly = true
	return resolve.Produce
}

// judge refuses an answer with an address that no stranger may name.
func (b *rebinding) judge(r *resolve.Request) {
	if errors.Is(r.Result.Failure, resolve.ErrPrivate) {
		b.refuse(r, "its name servers have addresses of no public hosts")
		return
	}
	set, addr, found := b.local(r)
	if !found {
		return
	}
	if r.Options.AnyAddress {
		r.Result.NoCache = true // it is for those only who are allowed it
		return
	}
	b.refuse(r, fmt.Sprintf("%s at %s is an address of no public host", addr, set.Owner))
}

// refuse makes the Result a refusal.
func (b *rebinding) refuse(r *resolve.Request, reason string) {
	b.seldom.Say("", func(more string) {
		b.host.Warn(fmt.Sprintf("rebinding: %s %s is refused: %s%s", r.Name, wire.TypeText(r.Type), reason, more))
	})
	r.Result = resolve.Result{
		Rcode: wire.RcodeRefused, EDE: ede.Blocked, EDEText: why, NoCache: true,
		Additional: []resolve.Set{rules.Explanation(why)},
	}
}

// local finds the first such address that the operator did not give.
func (b *rebinding) local(r *resolve.Request) (set *resolve.Set, addr netip.Addr, found bool) {
	for i := range r.Result.Answer {
		set = &r.Result.Answer[i]
		if addr, found = localIn(set); !found {
			continue
		}
		if _, own := r.Owned(resolve.Question{Name: set.Owner, Type: set.Type, Class: set.Class}, true); !own {
			return set, addr, true
		}
	}
	return nil, addr, false
}

// localIn finds the first such address in a set.
func localIn(set *resolve.Set) (addr netip.Addr, found bool) {
	for _, data := range set.Data {
		switch set.Type {
		case wire.TypeA, wire.TypeAAAA:
			if a, ok := netip.AddrFromSlice(data); ok && selection.Local(a) {
				return a, true
			}
		case wire.TypeSVCB, wire.TypeHTTPS:
			if a, ok := localHint(data); ok {
				return a, true
			}
		}
	}
	return addr, false
}

// shape keeps answers that were judged apart from others.
func shape() uint64 { return digest.Of("rebinding") }
