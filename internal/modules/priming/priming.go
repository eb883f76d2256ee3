// Package priming is the module that learns the root's name servers from the
// root itself (RFC 8109).
//
// Root hints only have to be good enough to find one server. The first question
// that is sent to a server of the hints starts priming in the background; it is
// repeated when the TTL of the root's NS set is over and such a question comes
// again, ten seconds after a failure at the earliest. Nothing is sent while
// nobody asks.
package priming

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// retry is how long a failure holds off the next attempt.
const retry = 10 * time.Second

type priming struct {
	host *module.Host

	mu      sync.Mutex
	running bool
	next    time.Duration // monotonic time before which nothing is started
}

// checkout sees each question that goes out and starts priming behind the first
// that goes to a root server.
func (p *priming) checkout(_ *resolve.Request, q *resolve.Query) resolve.State {
	if q.Cut == nil || !q.Cut.Name.IsRoot() || q.Forwards() || (q.Name.IsRoot() && q.Type == wire.TypeNS) {
		return resolve.Produce
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || p.host.Clock.Mono() < p.next {
		return resolve.Produce
	}
	p.running = true
	p.host.Tasks.Go("priming", p.run)
	return resolve.Produce
}

func (p *priming) run() {
	again := retry
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running, p.next = false, p.host.Clock.Mono()+again
	}()
	ctx, cancel := context.WithTimeout(p.host.Context, 2*limits.RequestDeadline)
	defer cancel()
	hints := p.host.Roots.RootHints()
	cut, ttl := p.prime(ctx, hints)
	if cut == nil {
		p.host.Notice("priming: the root's name servers could not be learnt; the root hints stay in use")
		return
	}
	p.host.Roots.UseLearnt(hints, cut)
	again = time.Duration(ttl) * time.Second
}

// prime asks for the root's NS set and the addresses that the hints lack.
func (p *priming) prime(ctx context.Context, hints *zonecut.Cut) (cut *zonecut.Cut, ttl uint32) {
	res := p.resolve(ctx, resolve.Question{Name: dnsname.Root, Type: wire.TypeNS, Class: wire.ClassIN}, resolve.Options{BypassCache: true})
	for i := range res.Answer {
		set := &res.Answer[i]
		if set.Type != wire.TypeNS || !set.Owner.IsRoot() {
			continue
		}
		cut = &zonecut.Cut{Name: dnsname.Root, Hints: hints.Hints}
		for _, rdata := range set.Data[:min(len(set.Data), limits.MaxNSPerDelegation)] {
			p.add(ctx, cut, hints, wire.Target(rdata))
		}
		ttl = set.TTL
	}
	if cut == nil || len(cut.NS) == 0 {
		return nil, 0
	}
	return cut, ttl
}

// resolve asks a question of the module's own.
func (p *priming) resolve(ctx context.Context, q resolve.Question, options resolve.Options) resolve.Result {
	req := &resolve.Request{Question: q, RD: true, DO: true, Options: options}
	p.host.Resolve(ctx, req)
	// Where a rule forwards the question, others than the root's servers would answer it:
	// nothing is learnt by that. Questions that no rule forwards go to the servers that
	// the hints name in any case.
	if req.Options.Forward || req.Options.Stub {
		return resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.None}
	}
	return req.Result
}

// add takes over one name server. The operator's addresses of a known one are
// kept: they lead where the operator wants.
func (p *priming) add(ctx context.Context, cut, hints *zonecut.Cut, name dnsname.Name) {
	if known := hints.Find(name); known != nil {
		cut.NS = append(cut.NS, *known)
		return
	}
	ns := zonecut.NameServer{Name: name}
	for _, t := range []uint16{wire.TypeA, wire.TypeAAAA} {
		res := p.resolve(ctx, resolve.Question{Name: name, Type: t, Class: wire.ClassIN}, resolve.Options{})
		for i := range res.Answer {
			if set := &res.Answer[i]; set.Type == t {
				ns.Addrs = append(ns.Addrs, addrs(set.Data)...)
			}
		}
	}
	if len(ns.Addrs) > 0 {
		cut.NS = append(cut.NS, ns)
		p.host.Notice(fmt.Sprintf("priming: the root names %s, which the root hints do not know", name))
	}
}

func addrs(data [][]byte) (out []netip.Addr) {
	for _, d := range data {
		if a, ok := netip.AddrFromSlice(d); ok {
			out = append(out, a)
		}
	}
	return out
}
