package main

import (
	"context"
	"time"

	"github.com/miekg/dns"

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

// realRoots are some of the root servers (a, k and m, by IANA's root hints): any
// one that answers means that there is an Internet.
func realRoots() []string {
	return []string{
		"198.41.0.4:53", "193.0.14.129:53", "202.12.27.33:53",
		"[2001:503:ba3e::2:30]:53", "[2001:7fd::1]:53",
	}
}
