package listen

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

func from(addr string) *Query {
	q := newQuery(ask(1, 'd'), &Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 5353)}, nil)
	return q
}

func TestFullTableGivesWayToTheYoung(t *testing.T) {
	f := clock.NewFake(time.Unix(1, 0))
	hits := &limits.Counters{}
	p := newPending(clientLimits(limits.Clients{Pending: 4, PerClient: limits.WaitersPerClient}), &f.Clock, hits)
	var list []*Query
	add := func(want bool, evicts *Query) {
		t.Helper()
		q := from("127.0.0.1")
		evicted, ok := p.admit(q)
		if ok != want || evicted != evicts {
			t.Fatalf("query %d: admitted %v, evicting %p, want %v and %p", len(list), ok, evicted, want, evicts)
		}
		if ok {
			list = append(list, q)
		}
	}
	for range 4 {
		add(true, nil)
	}
	add(false, nil) // full of young ones
	f.Advance(limits.PendingYoung + 1)
	add(true, list[0]) // four are old, half may be
	add(true, list[1])
	add(false, nil) // two old, two young: the old keep their half
	p.leave(list[2])
	p.leave(list[2])
	add(true, nil)
	f.Advance(limits.PendingYoung + 1)
	add(true, list[3])
	if waiting, running := p.sizes(); waiting != 4 || running != 8 {
		t.Errorf("waiting %d, running %d, want 4 and 8", waiting, running)
	}
	add(false, nil) // twice as many goroutines as places
	p.ended()
	add(true, list[4])
	if got := hits.Get(limits.Pending); got == 0 {
		t.Error("the limit was not counted")
	}
	for range 8 {
		p.ended()
	}
	for _, q := range list {
		p.leave(q)
	}
	if waiting, running := p.sizes(); waiting != 0 || running != 0 || p.oldCount != 0 || p.queue.head != nil || p.young != nil || !p.quiet.Load() {
		t.Errorf("after all left: waiting %d, running %d, old %d", waiting, running, p.oldCount)
	}
}

// Answers to the questions of a client that many may be have their pace; connections have
// their own.
func TestQuestionsOfStreamsHaveNoPace(t *testing.T) {
	p := newPending(clientLimits(limits.DefaultClients()), clock.Real(), &limits.Counters{})
	for kind, paced := range map[transport.Kind]bool{transport.UDP: true, transport.TCP: false, transport.TLS: false, transport.HTTPS: false} {
		q := newQuery(ask(1, 'd'), &Client{Addr: netip.MustParseAddrPort("192.0.2.1:5353"), Kind: kind}, nil)
		if _, ok := p.admit(q); !ok || q.source.IsValid() != paced {
			t.Errorf("%v: admitted %v, its source is %v", kind, ok, q.source)
		}
	}
}

// Questions as long as a message can be would take a multiple of the memory that is there
// for as many as may wait. One client leaves some of their places for the next, and short
// questions have others.
func TestLargeQuestionsHaveFewPlaces(t *testing.T) {
	hits := &limits.Counters{}
	p := newPending(clientLimits(limits.DefaultClients()), clock.Real(), hits)
	admit := func(addr string, octets int) (q *Query, ok bool) {
		q = newQuery(make([]byte, octets), &Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 5353), Kind: transport.TCP}, nil)
		_, ok = p.admit(q)
		return q, ok
	}
	var taken []*Query
	for {
		q, ok := admit("192.0.2.1", limits.UDPQuery+1)
		if !ok {
			break
		}
		taken = append(taken, q)
	}
	if n, want := len(taken), (limits.LargeQuestions+limits.ShareOfFree)/(limits.ShareOfFree+1); n != want || hits.Get(limits.Pending) != 1 {
		t.Errorf("one client has %d, want %d; refusals counted: %d", n, want, hits.Get(limits.Pending))
	}
	if _, ok := admit("192.0.2.2", limits.UDPQuery+1); !ok {
		t.Error("the next client's was refused")
	}
	if _, ok := admit("192.0.2.1", limits.UDPQuery); !ok {
		t.Error("a shorter one was refused")
	}
	for range 2 { // the second time nothing is given back
		p.leave(taken[0])
	}
	if _, ok := admit("192.0.2.1", limits.UDPQuery+1); !ok {
		t.Error("one more was refused although one had left")
	}
	if n := p.large.Taken(); n != len(taken)+1 {
		t.Errorf("%d places are taken, want %d", n, len(taken)+1)
	}
}

func TestWaitersPerClient(t *testing.T) {
	hits := &limits.Counters{}
	p := newPending(clientLimits(limits.DefaultClients()), clock.Real(), hits)
	admitted := func(addr string) (n int) {
		for range limits.WaitersPerClient + 10 {
			if _, ok := p.admit(from(addr)); ok {
				n++
			}
		}
		return n
	}
	if got := admitted("192.0.2.1"); got != limits.WaitersPerClient {
		t.Errorf("one address: %d admitted, want %d", got, limits.WaitersPerClient)
	}
	if got := admitted("2001:db8:0:1::1"); got != limits.WaitersPerClient {
		t.Errorf("one IPv6 address: %d admitted, want %d", got, limits.WaitersPerClient)
	}
	if got := admitted("2001:db8:0:ff::2"); got != 0 {
		t.Errorf("another address of the same /56: %d admitted, want 0", got)
	}
	if got := admitted("::ffff:192.0.2.1"); got != 0 {
		t.Errorf("the first address as a mapped one: %d admitted, want 0", got)
	}
	if got := admitted("127.0.0.1"); got != limits.WaitersPerClient+10 {
		t.Errorf("loopback: %d admitted, want all", got)
	}
	if got := hits.Get(limits.WaitersClient); got != 20+2*(limits.WaitersPerClient+10) {
		t.Errorf("limit counted %d times", got)
	}
}

// clientLimits is what a server has of them.
func clientLimits(c limits.Clients) *atomic.Pointer[limits.Clients] {
	p := &atomic.Pointer[limits.Clients]{}
	p.Store(&c)
	return p
}

// A forwarder with 600 names open heard nothing of half of them: the operator may name
// it, or raise the limits, while questions run.
func TestForwardersAndRaisedLimits(t *testing.T) {
	f := clock.NewFake(time.Unix(1, 0))
	set := limits.Clients{Pending: 1000, PerClient: 100, Late: 10, Conns: 2, ConnsPerClient: 1,
		Forwarders: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}}
	clients := clientLimits(set)
	p := newPending(clients, &f.Clock, &limits.Counters{})
	admitted := func(addr string, n int) (taken int) {
		for range n {
			if _, ok := p.admit(from(addr)); ok {
				taken++
			}
		}
		return taken
	}
	if a, b, c := admitted("::ffff:192.0.2.7", 300), admitted("2001:db8::1", 300), admitted("2001:db8::2", 300); a != 300 || b != 300 || c != 100 {
		t.Errorf("forwarders had %d and %d of 300 taken, their neighbour %d, want 100", a, b, c)
	}
	forwarders, client := from("192.0.2.7"), from("2001:db8::2")
	set.PerClient = 200
	clients.Store(&set)
	if n := admitted("2001:db8::2", 150); n != 100 {
		t.Errorf("with a raised limit, %d more were taken, want 100", n)
	}
	set.Pending, set.PerClient = 2000, 2000
	clients.Store(&set)
	p.admit(forwarders)
	p.admit(client)
	f.Advance(limits.LateUDPReply + time.Second)
	if p.late(forwarders) || !p.late(client) {
		t.Error("what is late for a client is so for a forwarder")
	}
	conns := newRegistry(clients)
	for _, c := range []struct {
		key  string
		want bool
	}{{"192.0.2.1", true}, {"198.51.100.1", true}, {"198.51.100.1", false}} {
		conn := &connection{}
		conn.outstanding.Store(1)
		conn.key = set.Key(netip.MustParseAddr(c.key))
		if _, ok := conns.add(conn); ok != c.want {
			t.Errorf("a connection of %s: taken %t", c.key, ok)
		}
	}
}

func TestLateAnswersAreDroppedForTheImpatientOnly(t *testing.T) {
	f := clock.NewFake(time.Unix(1, 0))
	hits := &limits.Counters{}
	p := newPending(clientLimits(limits.DefaultClients()), &f.Clock, hits)
	few, many := from("192.0.2.1"), from("192.0.2.2")
	p.admit(few)
	p.admit(many)
	for range limits.LateUDPWaiters + 1 {
		p.admit(from("192.0.2.2"))
	}
	f.Advance(limits.LateUDPReply)
	if p.late(few) || p.late(many) {
		t.Error("an answer in time is called late")
	}
	f.Advance(1)
	if p.late(few) || !p.late(many) {
		t.Errorf("late: %v for a client with one waiting, %v for one with %d, want false and true",
			p.late(few), p.late(many), limits.LateUDPWaiters+2)
	}
	if n := hits.Get(limits.LateReply); n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}
