package upstream

import (
	"context"
	"errors"
	"iter"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// outstanding holds the exchanges that are under way. Equal ones are joined to one:
// many outstanding copies of a question would multiply the chances of guessing an
// answer to it (birthday attacks: RFC 5452, section 5; HARDENING A8), besides what
// they cost the server.
type outstanding struct {
	mu        sync.Mutex
	exchanges map[exchangeKey]*sharedExchange
	leaders   sync.WaitGroup
	closed    bool
}

// exchangeKey is all that makes two exchanges equal. The server's peer is a part of
// it: an answer that came in plain DNS is never that to a question which demands TLS.
// Whether a question goes without a cookie (Again, NoCookie) is none: the copies of two
// requests, one of which asks again, would multiply those chances too.
type exchangeKey struct {
	resolve.Server
	resolve.Question
	cd, rd bool
}

func keyOf(x *resolve.Exchange) exchangeKey {
	return exchangeKey{Server: x.Server, Question: x.Question, cd: x.CD, rd: x.RD}
}

// sharedExchange is one exchange that is under way. One caller, the leader, asks the
// server; the others, its followers, wait for what the leader gets. reply, err and
// abandoned are written before done is closed.
type sharedExchange struct {
	x     resolve.Exchange // the leader's
	done  chan struct{}    // made by the first follower, as hardly any exchange has one
	reply resolve.Reply
	err   error
	// abandoned: the leader ended for a reason of its own, which says nothing about
	// the server. The followers ask again (join).
	abandoned bool
}

func newOutstanding() *outstanding {
	return &outstanding{exchanges: map[exchangeKey]*sharedExchange{}}
}

// enter finds the exchange that equals x or starts one, own, which the caller then leads
// and must leave.
func (o *outstanding) enter(k exchangeKey, own *sharedExchange) (f *sharedExchange, leader bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, false, ErrClosed
	}
	if f := o.exchanges[k]; f != nil {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		return f, false, nil
	}
	own.abandoned = true
	o.exchanges[k] = own
	o.leaders.Add(1)
	return own, true, nil
}

// leave ends an exchange and lets its followers go.
func (o *outstanding) leave(k exchangeKey, f *sharedExchange) {
	o.mu.Lock()
	delete(o.exchanges, k)
	o.mu.Unlock() // from here on nobody joins
	if f.done != nil {
		close(f.done)
	}
	o.leaders.Done()
}

// close refuses new exchanges.
func (o *outstanding) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
}

// join leads own or follows the exchange that equals it. A leader that is cancelled, or
// whose request has no budget left, says nothing about the server: its followers
// start again, and the first of them leads.
func (e *Exchanger) join(ctx context.Context, own *sharedExchange) (resolve.Reply, error) {
	x := &own.x
	k := keyOf(x)
	for {
		f, leader, err := e.outstanding.enter(k, own)
		if err != nil {
			return resolve.Reply{}, err
		}
		if leader {
			return e.lead(ctx, k, f)
		}
		e.stats.joined.Add(1)
		if x.Sent != nil {
			x.Sent()
		}
		x.WillWait()
		if x.Tell != nil {
			x.Tell(resolve.ExchangeJoined{})
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return resolve.Reply{}, ctx.Err()
		}
		switch {
		case f.abandoned:
		case errors.Is(f.err, resolve.ErrOverdue): // a late answer goes to the leader alone
			return resolve.Reply{Nonsense: f.reply.Nonsense}, resolve.ErrTimeout
		default:
			return f.reply, f.err
		}
	}
}

// lead runs the exchange for all that joined it. After a panic it is abandoned.
func (e *Exchanger) lead(ctx context.Context, k exchangeKey, f *sharedExchange) (reply resolve.Reply, err error) {
	x := &f.x
	defer e.outstanding.leave(k, f)
	place, err := e.place(ctx, x)
	if err != nil {
		return resolve.Reply{}, err // abandoned: each follower asks for a place itself
	}
	answered := false
	defer func() { e.servers.Leave(place, answered) }()
	reply, err = e.runInTime(ctx, x)
	f.reply, f.err = reply, err
	f.abandoned = err != nil && (ctx.Err() != nil || errors.Is(err, resolve.ErrBudget))
	answered = err == nil
	return reply, err
}

// place takes one of the places that questions to the server may have. They are shared
// fairly between the zones that the server is asked for. All zones below one name count as
// one zone beside that name's siblings, because the name's owner can make as many as he
// likes. So questions for zones that the server does not answer for leave places to the
// others (HARDENING B6).
func (e *Exchanger) place(ctx context.Context, x *resolve.Exchange) (limits.Place[zonecut.Endpoint], error) {
	var most limits.Queue
	if x.Queue {
		most = limits.Queue{Most: limits.QueuedPerServer, Vain: limits.QueuedInVain}
	}
	if place, free := e.servers.Try(x.Endpoint, maxWaiting(x), branches(x.Zone)); free {
		return place, nil
	}
	x.WillWait()
	place, _, err := e.servers.Enter(ctx, x.Endpoint, maxWaiting(x), most, branches(x.Zone))
	if errors.Is(err, limits.ErrFull) {
		e.counters.Hit(limits.OutstandingServer)
		err = resolve.Over(limits.OutstandingServer, resolve.ErrBusy)
	}
	return place, err
}

// branches are the labels of a zone's name, from the top level's on, by which places are
// shared. Zones whose names have the last limits.ZoneBranches labels in common share one
// branch.
func branches(zone dnsname.Name) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range min(zone.Labels(), limits.ZoneBranches) {
			if !yield(zone.Suffix(i + 1).Label()) {
				return
			}
		}
	}
}

// maxWaiting is how many questions may wait for one server.
func maxWaiting(x *resolve.Exchange) int {
	most := x.PerServer
	if most == 0 {
		most = limits.MaxOutstandingPerServer
	}
	if x.Infrastructure {
		most *= limits.OutstandingInfrastructure
	}
	return most
}
