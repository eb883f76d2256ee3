package resolve

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// The answers for clients whom a module treats otherwise are kept apart, those of requests on
// their behalf, too, and are in force as long as the module says.
func TestWhoseAnswersAreKeptApart(t *testing.T) {
	r := &Request{}
	r.join(func() Partitions { return Partitions{Data: 7, Answers: 9} })
	r.KeepApart(0, func() bool { return false })
	if r.Partition.Answers != 9 || !r.InForce() {
		t.Errorf("nothing that differs: %d, in force %t", r.Partition.Answers, r.InForce())
	}
	is := true
	r.KeepApart(5, nil)
	r.KeepApart(6, func() bool { return is })
	if want := Partition(9).With(5).With(6); r.Partition.Answers != want || r.Partition.Data != 7 {
		t.Errorf("%+v, want answers in %d", r.Partition, want)
	}
	other := &Request{}
	other.For(r)
	other.join(func() Partitions { return Partitions{Answers: 9} })
	for _, is = range []bool{true, false} {
		if r.InForce() != is || other.InForce() != is || other.Partition.Answers != r.Partition.Answers {
			t.Errorf("in force %t and %t, want %t; in %d and %d", r.InForce(), other.InForce(), is, r.Partition.Answers, other.Partition.Answers)
		}
	}
}

// What Begin hooks have decided counts for where data are kept, and where failures are.
func TestWhatIsDecidedCountsForPartitions(t *testing.T) {
	of := func(change func(*Request)) *Request {
		r := &Request{Question: Question{Name: www}}
		change(r)
		accept(nil, r)
		return r
	}
	plain := of(func(*Request) {})
	strict := of(func(r *Request) { r.Options.Strict = true })
	forwarded := of(func(r *Request) { r.Options.Forward, r.Cut = true, &zonecut.Cut{Hints: true} })
	if plain.Partition.Data != 0 || strict.Partition.Data == 0 || forwarded.Partition.Data != 0 {
		t.Errorf("data in %d, strict %d, forwarded %d", plain.Partition.Data, strict.Partition.Data, forwarded.Partition.Data)
	}
	if plain.Failures() != 0 || strict.Failures() == 0 || forwarded.Failures() == 0 {
		t.Errorf("failures in %d, strict %d, forwarded %d", plain.Failures(), strict.Failures(), forwarded.Failures())
	}
}

// The last layer that names servers has the last word, and one that says nothing, or names
// none, does not take it.
func TestWhichLayerNamesServers(t *testing.T) {
	one, two := &Route{Cut: &zonecut.Cut{}}, &Route{Cut: &zonecut.Cut{}}
	none := &Route{}
	for _, c := range []struct {
		say  []*Route
		want *Route
	}{
		{[]*Route{nil, nil}, nil}, {[]*Route{one, nil}, one}, {[]*Route{nil, two}, two}, {[]*Route{one, two}, two},
		{[]*Route{one, none}, one}, {[]*Route{none, two}, two}, {[]*Route{none, nil}, none},
	} {
		r := &Request{layers: []*Layer{{}}}
		for _, say := range c.say {
			r.layers = append(r.layers, &Layer{Route: func(*Request, Question) *Route { return say }})
		}
		if got := r.ruled(Question{}); got != c.want {
			t.Errorf("%v: %v", c.say, got)
		}
	}
}

// A layer cannot ask what waits for the answer.
func TestNoInquiryWaitsForItself(t *testing.T) {
	s, q, _ := alone()
	if sub, err := s.r.Inquire(q, q.Question, false); !errors.Is(err, ErrCycle) || sub != nil {
		t.Errorf("%v, %v", sub, err)
	}
}

// The wall clock of a request goes on with the time that it has taken; one without an end
// stands still.
func TestTheWallClockGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limits.RequestDeadline)
		defer cancel()
		for r, want := range map[*Request]int64{{Now: 1000, ctx: ctx}: 1003, {Now: 1000, ctx: context.Background()}: 1000, {Now: 1000}: 1000} {
			if r.Wall() != 1000 {
				t.Errorf("at the beginning it is %d", r.Wall())
			}
			defer func() {
				if r.Wall() != want {
					t.Errorf("it is %d, want %d", r.Wall(), want)
				}
			}()
		}
		time.Sleep(3 * time.Second)
	})
}

// Patience is what ends a request before its time.
func TestWhoIsImpatient(t *testing.T) {
	for patience, want := range map[time.Duration]bool{0: false, 1: true, limits.RequestDeadline - 1: true, limits.RequestDeadline: false, limits.RequestDeadline + 1: false} {
		r := &Request{Patience: patience}
		if r.impatient() != want || (r.patience() == limits.RequestDeadline) == want {
			t.Errorf("%v: impatient %t, %v", patience, r.impatient(), r.patience())
		}
	}
}

// What is noted of a request that is not resolved is nothing.
func TestNothingIsNotedOfARequestThatIsNotResolved(t *testing.T) {
	r := &Request{}
	if r.NoteNoCut(example, www); r.NoCutAt(example, www) {
		t.Error("it is noted")
	}
	r.work = &work{}
	if r.NoteNoCut(example, www); !r.NoCutAt(example, www) || r.NoCutAt(www, example) {
		t.Error("it is not noted, or something else is")
	}
}

// Options have a number by which they are told from others, in all processes alike.
func TestTheNumberOfOptions(t *testing.T) {
	seen := map[uint64]bool{0: true}
	if (Options{}).Digest() != 0 {
		t.Error("none have a number")
	}
	var o Options
	for i := range o.switches() {
		var one Options
		*one.switches()[i] = true
		if seen[one.Digest()] {
			t.Errorf("switch %d has the number of another", i)
		}
		seen[one.Digest()] = true
	}
	for marks := Marks(1); marks != 0; marks <<= 1 {
		if n := (Options{Marks: marks}).Digest(); seen[n] {
			t.Errorf("mark %#x has the number of another", marks)
		} else {
			seen[n] = true
		}
	}
}

// passes is a Reception that counts how often it is passed on.
type passes int

func (*passes) Await(int, time.Duration) (readable, held bool) { return false, false }

func (p *passes) Pass() { *p++ }

// Who waits for a place of a zone passes the reception on, and fails for want of time when
// that is over; who has one at once does neither.
func TestWhoWaitsForAPlace(t *testing.T) {
	s, q, counters := alone()
	var p passes
	s.r.Reception = &p
	place, waited, err := s.queue(q)
	if err != nil || waited || p != 0 {
		t.Errorf("a free place: waited %t, %v, passed on %d times", waited, err, p)
	}
	s.zones.Leave(place, true)
	for range s.mayWait(q.Cut) {
		s.enter(q.Cut)
	}
	ctx, end := context.WithCancel(context.Background())
	end()
	s.r.ctx = ctx
	if _, _, err := s.queue(q); err != ErrDeadline || p != 1 || counters.Get(limits.Deadline) != 1 {
		t.Errorf("no place in time: %v, passed on %d times, counted %d times", err, p, counters.Get(limits.Deadline))
	}
}

// A delegation is filled from the cache once.
func TestTheCacheIsAskedOnceForADelegation(t *testing.T) {
	s, q, _ := alone()
	cuts := &counted{}
	s.cfg.Cuts = cuts
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	q.run.sends = limits.MaxUpstreamPerFetch // so that nothing else happens
	for range 2 {
		if err := s.ask(q); !errors.Is(err, ErrNoAddress) {
			t.Fatal(err)
		}
	}
	if cuts.asked != 1 {
		t.Errorf("it was asked %d times", cuts.asked)
	}
}

// counted is a Cuts that counts questions for addresses.
type counted struct {
	nothing
	asked int
}

func (c *counted) Addrs(in Partition, name dnsname.Name, now int64) ([]netip.Addr, bool, bool) {
	c.asked++
	return c.nothing.Addrs(in, name, now)
}

// A name server in a zone that has failed the request is not looked up, and that is counted;
// one in a top-level domain is, and one of a zone that somebody named.
func TestWhichNameServersAreFutile(t *testing.T) {
	for _, c := range []struct {
		cut    zonecut.Cut
		failed bool
		want   bool
	}{
		{zonecut.Cut{Name: www}, true, true}, {zonecut.Cut{Name: www}, false, false},
		{zonecut.Cut{Name: example}, true, false}, {zonecut.Cut{Name: www, Hints: true}, true, false},
	} {
		s, _, counters := alone()
		s.cfg.Cuts = parents{&c.cut}
		s.r.work.inVain.failed(far, 1, false) // another one
		if c.failed {
			s.r.work.inVain.failed(c.cut.Name, limits.ZoneInVain, false)
		}
		if got := s.futile(near); got != c.want || (counters.Get(limits.UnresolvableNS) == 1) != c.want {
			t.Errorf("%+v: futile %t, counted %d times", c, got, counters.Get(limits.UnresolvableNS))
		}
	}
}

// A query is hopeless where its zone's servers have answered it with errors, or those of
// another zone have been of no use.
func TestWhichLookUpsAreHopeless(t *testing.T) {
	for _, c := range []struct {
		name           string
		depth, useless int
		rcode          int
		bad, want      bool
	}{
		{"nobody has answered", 1, 0, 0, true, false},
		{"a client's question", 0, 1, wire.RcodeServFail, true, false},
		{"answered with an error", 1, 1, wire.RcodeServFail, false, true},
		{"answered without authority", 1, 1, wire.RcodeRefused, false, false},
		{"answered without authority, as others were of no use", 1, 1, wire.RcodeRefused, true, true},
	} {
		s, q, all := inTrouble(1)
		q.Depth, q.run.useless = c.depth, c.useless
		q.run.faults.useless(all[0].Addr, c.rcode)
		if c.bad {
			s.r.work.inVain.failed(far, 1, true)
		}
		if got := s.hopeless(q); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
