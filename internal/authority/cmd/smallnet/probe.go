package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/roothints"
	"kresd/internal/safe"
)

// probe asks each server for the root's name servers, once, and says whether one
// answered in time.
func probe(ctx context.Context, servers []string, wait time.Duration) bool {
	if len(servers) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	answered := make(chan bool, len(servers))
	for _, s := range servers {
		safe.Go("probe", nil, func() { answered <- isRoot(ctx, s) })
	}
	for range servers {
		select {
		case ok := <-answered:
			if ok {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// isRoot reports whether the server answers for the root with authority; a
// middlebox that answers everything does not say so.
func isRoot(ctx context.Context, server string) bool {
	q := new(dns.Msg)
	q.SetQuestion(".", dns.TypeNS)
	q.RecursionDesired = false
	r, err := dns.ExchangeContext(ctx, q, server)
	return err == nil && r.Authoritative && len(r.Answer) > 0
}

// realRoots are the root servers that kresd has built in.
func realRoots() []string {
	var out []string
	for _, server := range roothints.Builtin().NS {
		for _, addr := range server.Addrs {
			out = append(out, netip.AddrPortFrom(addr, 53).String())
		}
	}
	return out
}
