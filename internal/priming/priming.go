// Package priming asks the root's servers who they are (RFC 8109), at the start
// and again before what they said expires.
//
// The answer reaches the cache as the root's delegation by the ordinary way of
// every answer; this package only asks in time. Until it has an answer, and
// whenever it has none, the hints serve.
package priming

import (
	"context"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Resolver is the driver's door.
type Resolver interface {
	Resolve(ctx context.Context, r *resolve.Request)
}

// Primer keeps the root's delegation fresh.
type Primer struct {
	Resolver Resolver
	Clock    *clock.Clock
	// Told is called after each question; ok tells whether the root answered. It
	// may be nil.
	Told func(ok bool, next time.Duration)
}

// How long to wait until the root is asked again.
const (
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
	least      = time.Minute
)

// Once asks the root and returns for how long its answer holds; ok is false when
// there is none.
func (p *Primer) Once(ctx context.Context) (ttl time.Duration, ok bool) {
	r := &resolve.Request{
		Question: resolve.Question{Name: dnsname.Root, Type: wire.TypeNS, Class: wire.ClassIN},
		RD:       true, Now: p.Clock.Unix(), Flags: resolve.NoCache, Alone: true,
	}
	p.Resolver.Resolve(ctx, r)
	if r.Result.Rcode != wire.RcodeNoError || len(r.Result.Answer) == 0 {
		return 0, false
	}
	return time.Duration(r.Result.Answer[0].TTL) * time.Second, true
}

// Run asks at once and then in time, until ctx ends.
func (p *Primer) Run(ctx context.Context) {
	retry := firstRetry
	for {
		ttl, ok := p.Once(ctx)
		wait := max(ttl/10*9, least)
		if ok {
			retry = firstRetry
		} else {
			wait, retry = retry, min(2*retry, lastRetry)
		}
		if p.Told != nil && ctx.Err() == nil {
			p.Told(ok, wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
