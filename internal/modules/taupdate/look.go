package taupdate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// look asks for the zone's keys and does what follows.
func (z *zone) look() {
	z.follower.mu.Lock()
	set := z.Store.Snapshot().Sets[z.owner]
	if z.ended || z.looking || !z.isFrom(set) || z.managed && z.lock == nil {
		z.follower.mu.Unlock()
		return
	}
	if !z.managed && !z.Leads() { // another worker of the group does it, but that one may end
		z.plan(z.Store.Timing().Retry(0, 0))
		z.follower.mu.Unlock()
		return
	}
	z.looking = true
	z.follower.mu.Unlock()
	req, shown := z.ask()
	judged := z.host.Clock.Now()
	now := judged.Unix()
	seen, err := set.Look(shown, now)
	if err != nil && shown == nil {
		err = z.failure(&req.Result)
	}

	z.follower.mu.Lock()
	defer z.follower.mu.Unlock()
	z.looking = false
	if z.ended {
		return
	}
	if seen.Proved {
		z.seen = seen
	}
	timing := z.Store.Timing()
	after := timing.Next(z.seen.TTL, z.seen.Left)
	if err != nil || !seen.Proved {
		after = timing.Retry(z.seen.TTL, z.seen.Left)
	}
	if err != nil {
		z.Log.Warn(fmt.Sprintf("the keys of %s could not be followed: %v", z.owner, err))
	} else if z.managed {
		z.follow(set, seen, now, timing)
	} else {
		z.watch(req, set, seen)
	}
	z.say(fmt.Sprintf("next refresh for %s in %s", z.owner, trustanchor.Span(after)))
	z.plan(after - z.host.Clock.Now().Sub(judged)) // counted from the time of the verdict, though the clock may jump
}

// ask asks for the DNSKEY set as the zone's servers have it now. CD keeps the answer
// from being judged by keys that may be out of date: it is judged here.
func (z *zone) ask() (*resolve.Request, *wire.RRset) {
	ctx, cancel := context.WithTimeout(z.host.Context, 2*limits.RequestDeadline)
	defer cancel()
	req := &resolve.Request{
		Question: resolve.Question{Name: z.owner, Type: wire.TypeDNSKEY, Class: wire.ClassIN},
		RD:       true, DO: true, CD: true, Options: resolve.Options{BypassCache: true},
	}
	z.host.Resolve(ctx, req)
	for i := range req.Result.Answer {
		if set := &req.Result.Answer[i].RRset; set.Type == wire.TypeDNSKEY && set.Owner == z.owner {
			return req, set
		}
	}
	return req, nil
}

// failure is why there is no DNSKEY set.
func (z *zone) failure(r *resolve.Result) error {
	text := "the answer is " + wire.RcodeText(r.Rcode) + " without DNSKEY records"
	if r.EDE != ede.None && r.EDEText != "" {
		text += ": " + r.EDEText
	}
	return errors.New(text)
}

// follow has what was seen take effect.
func (z *zone) follow(set *trustanchor.KeySet, seen trustanchor.Sighting, now int64, timing trustanchor.Timing) {
	next, changes := set.Step(seen, now, timing)
	if !z.Store.Replace(set, next) {
		return // somebody gave other anchors meanwhile
	}
	z.tell(changes)
	for i := range next.Keys {
		z.Log.Debug(fmt.Sprintf("key: %d state: %s", next.Keys[i].Tag, next.Keys[i].State))
	}
	if set.Trusted() > 0 && next.Trusted() == 0 {
		z.Log.Warn(fmt.Sprintf("no key of %s is trusted any more: it has revoked all of them, and is not validated by them (RFC 5011, section 5)", z.owner))
	}
	if err := z.lock.Write(next); err != nil {
		z.Log.Warn(fmt.Sprintf("the trust anchors could not be written, and will be tried to be at the next refresh: %v", err))
		return
	}
	z.stamp = stampOf(z.file)
}

// watch tells when keys that are not kept up to date are not those of the zone.
func (z *zone) watch(req *resolve.Request, set *trustanchor.KeySet, seen trustanchor.Sighting) {
	_, changes := set.Step(seen, z.host.Clock.Unix(), trustanchor.Timing{})
	var unlike []string
	for _, c := range changes {
		unlike = append(unlike, c.String())
	}
	slices.Sort(unlike)
	text := strings.Join(unlike, ", ")
	if text == z.unlike {
		return
	}
	if z.unlike = text; text == "" {
		return
	}
	source := z.file
	if source == "" {
		source = "the configuration"
	}
	z.Log.Warn(fmt.Sprintf("the keys of %s have changed, and the trust anchors in %s are not kept up to date: renew them before validation fails (%s)", z.owner, source, text))
	z.tellScript(req, source)
}

// tellScript calls the function of a script that wants to know.
func (z *zone) tellScript(req *resolve.Request, source string) {
	fn := z.changed.Load()
	if fn == nil {
		return
	}
	z.host.Tasks.Go("ta_update", func() {
		if _, err := fn.call(req, source); err != nil {
			z.Log.Warn(fmt.Sprintf("ta_update.cb_unmanagedkey_change: %v", err))
		}
	})
}
