// Package timeskew is the module detect_time_skew: it says when the clock must be
// wrong, because the root's own signatures are not valid at the time that it shows.
//
// A machine without a battery starts with a clock that is years off. Nothing can be
// validated then: clients get SERVFAIL with the extended error 7 or 8. The operator is
// told once what the clock shows and when the root's signatures are valid. When the
// clock is right all works again by itself, and what the cache learnt meanwhile is
// forgotten.
package timeskew

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

const (
	first = 10 * time.Second // the time from the start to the first look
	again = time.Minute      // and between two looks, of which there are more only when something failed
)

type skew struct {
	Config
	host *module.Host

	mu      sync.Mutex
	timer   *clock.Timer
	ended   bool
	looking bool
	next    time.Duration // monotonic time before which no failure leads to a look
	told    bool          // the operator knows that the clock is wrong
}

// plan has the module look after a time.
func (s *skew) plan(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.timer.Stop()
		s.timer = s.host.Clock.AfterFunc(after, s.start)
	}
}

func (s *skew) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.timer.Stop()
}

// finalize looks when a signature that has ended, or not begun, made a request fail,
// and when something was proven again after that.
func (s *skew) finalize(r *resolve.Request) {
	res := &r.Result
	failed := untimely(res)
	if !failed && !res.Rank.IsSecure() {
		return
	}
	s.mu.Lock()
	due := failed && !s.told && s.host.Clock.Mono() >= s.next || !failed && s.told && !res.Cached
	s.mu.Unlock()
	if due {
		s.start()
	}
}

// untimely tells whether a request failed by the time of a signature.
func untimely(res *resolve.Result) bool {
	return res.Failure != nil && (res.EDE == ede.SignatureExpired || res.EDE == ede.SignatureNotYetValid)
}

// start looks in the background, unless that is being done or another worker's.
func (s *skew) start() {
	if !s.Leads() || s.Anchors().Sets[dnsname.Root] == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.looking {
		return
	}
	s.looking = true
	s.host.Tasks.Go("detect_time_skew", s.look)
}

// look asks for what the root has signed and judges the clock by what comes of it.
func (s *skew) look() {
	ctx, cancel := context.WithTimeout(s.host.Context, 2*limits.RequestDeadline)
	defer cancel()
	s.mu.Lock()
	anew := s.told // what is remembered is of a wrong clock then
	s.mu.Unlock()
	req := s.ask(ctx, wire.TypeNS, resolve.Options{BypassCache: anew}, false)
	wrong, right := untimely(&req.Result), req.Result.Rank.IsSecure()
	s.mu.Lock()
	tell := wrong && !s.told || right && s.told
	s.told = wrong || s.told && !right
	told := s.told
	s.looking, s.next = false, s.host.Clock.Mono()+again
	s.mu.Unlock()
	switch {
	case tell && wrong:
		s.host.Warn("detect_time_skew: " + s.warning(ctx))
	case tell:
		s.recovered()
	}
	if told {
		s.plan(again)
	}
}

// ask asks for a set of the root's. With cd it is what the servers have, whether it
// can be believed or not.
func (s *skew) ask(ctx context.Context, rrtype uint16, options resolve.Options, cd bool) *resolve.Request {
	req := &resolve.Request{
		Question: resolve.Question{Name: dnsname.Root, Type: rrtype, Class: wire.ClassIN},
		RD:       true, DO: true, CD: cd, Options: options,
	}
	s.host.Resolve(ctx, req)
	return req
}

// warning is what the operator is told of a clock that must be wrong.
func (s *skew) warning(ctx context.Context) string {
	now := s.host.Clock.Unix()
	text := "the clock of this machine seems to be wrong: it shows " + instant(now)
	for _, rrtype := range []uint16{wire.TypeDNSKEY, wire.TypeNS} {
		if since, until, ok := window(s.ask(ctx, rrtype, resolve.Options{BypassCache: true}, true), now); ok && (now < since || now > until) {
			text += fmt.Sprintf(", and the root's signatures are valid from %s to %s", instant(since), instant(until))
			break
		}
	}
	return text + "; until it is set right nothing can be validated, and clients get SERVFAIL; no restart is needed then"
}

// window is when the signatures of the set that was asked for are valid, in wall
// seconds around now: from the first that begins to the last that ends.
func window(req *resolve.Request, now int64) (since, until int64, ok bool) {
	for i := range req.Result.Answer {
		set := &req.Result.Answer[i]
		if set.Type != req.Type {
			continue
		}
		for _, rdata := range set.Sigs {
			sig, is := dnssec.ParseSignature(rdata)
			if !is || !sig.Signer.IsRoot() {
				continue
			}
			begin, end := sig.Begins(now), sig.Ends(now)
			if !ok {
				since, until, ok = begin, end, true
			}
			since, until = min(since, begin), max(until, end)
		}
	}
	return since, until, ok
}

func instant(sec int64) string { return time.Unix(sec, 0).UTC().Format("2006-01-02 15:04:05 UTC") }

// recovered forgets what was learnt while the clock was wrong.
func (s *skew) recovered() {
	line := fmt.Sprintf("the root's signatures are valid at the time that the clock shows, %s: validation works again", instant(s.host.Clock.Unix()))
	if _, err := s.host.Cache.Clear(); err != nil && !errors.Is(err, cache.ErrClosed) {
		line += fmt.Sprintf("; the cache could not be cleared: %v", err)
	}
	s.host.Notice("detect_time_skew: " + line)
}
