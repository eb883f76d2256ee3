package upstream

import (
	"context"
	"errors"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Whoever reads along has gone on when the exchange is over: goroutines of it that
// still run tell nothing more.
func TestNothingIsToldAfterTheEnd(t *testing.T) {
	told := 0
	x := resolve.Exchange{Tell: func(resolve.Step) { told++ }}
	end := tellTo(&x)
	x.Tell(resolve.AskedConnected{})
	end()
	x.Tell(resolve.AskedConnected{})
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// What is told of a datagram that may be forged is when it came and what comes of it: TCP is
// asked too, unless that was in vain, and an answer counts at once where TCP is not waited for.
func TestWhatIsToldOfADatagram(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	e := &Exchanger{}
	e.clock = &ck.Clock
	for _, c := range []struct {
		tell func(*confirmation)
		want resolve.AfterDatagram
	}{
		{func(d *confirmation) { d.tellFirst(nearMiss, requirements{}) }, resolve.AsksTCPToo},
		{func(d *confirmation) { d.tellFirst(nearMiss, requirements{udpOnly: true}) }, resolve.WaitsForBetter},
		{func(d *confirmation) { d.tellGood(answer) }, resolve.DatagramTaken},
		{func(d *confirmation) { d.tcp = make(chan tcpReply); d.tellGood(answer) }, resolve.TakenIfTCPFails},
		{func(d *confirmation) { d.tcp = make(chan tcpReply); d.tellGood(truncated) }, resolve.DatagramTaken},
	} {
		var told []resolve.Step
		a := &udpQuery{sent: ck.Mono()}
		d := &confirmation{e: e, a: a, x: &resolve.Exchange{Tell: func(s resolve.Step) { told = append(told, s) }}}
		ck.Advance(7 * time.Millisecond)
		c.tell(d)
		if s, ok := told[0].(resolve.DatagramSeen); len(told) != 1 || !ok || s.Then != c.want || s.After != 7*time.Millisecond {
			t.Errorf("told %+v, want %v after 7 ms", told, c.want)
		}
	}
	d := &confirmation{e: e, a: &udpQuery{}, x: &resolve.Exchange{}}
	d.tellGood(answer) // nobody reads
}

// What a retry does without is told, the reason that came last first.
func TestWhatARetryDoesWithout(t *testing.T) {
	for _, c := range []struct {
		must requirements
		want resolve.RetryChange
	}{
		{requirements{mixedCase: true, cookie: true}, resolve.RetrySame},
		{requirements{cookie: true}, resolve.RetryWithCaseAsItIs},
		{requirements{mixedCase: true}, resolve.RetryWithoutCookie},
		{requirements{mixedCase: true, cookie: true, newCookie: true}, resolve.RetryWithNewCookie},
		{requirements{guessedPorts: 1, newCookie: true}, resolve.RetryOnAnotherPort},
	} {
		if got := c.must.change(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.must, got, c.want)
		}
	}
	seen := map[resolve.Datagram]match{}
	for _, v := range []match{answer, truncated, nearMiss, caseLost, cookieLost, badCookie, bareError, flooded, ignored} {
		if other, ok := seen[v.seen()]; ok {
			t.Errorf("%v and %v are told alike", v, other)
		}
		seen[v.seen()] = v
	}
}

// What a confirmation comes to when nothing more is waited for.
func TestWhatAConfirmationComesTo(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	e := &Exchanger{}
	e.clock = &ck.Clock
	failed := tcpReply{reply: resolve.Reply{TCP: true}, err: resolve.ErrUnreachable}
	for _, c := range []struct {
		name  string
		d     confirmation
		reply resolve.Reply
		v     match
		err   error
		told  bool
	}{
		{"a good answer", confirmation{good: resolve.Reply{Msg: &wire.Msg{}}, whole: true, failed: failed}, resolve.Reply{Msg: &wire.Msg{}}, answer, nil, false},
		{"only TCP has the answer, and it failed", confirmation{whole: true, failed: failed}, failed.reply, ignored, resolve.ErrUnreachable, false},
		{"only TCP has the answer, and it takes too long", confirmation{whole: true, tcp: make(chan tcpReply)}, resolve.Reply{TCP: true}, ignored, resolve.ErrTimeout, true},
		{"only TCP has the answer, and was not asked", confirmation{whole: true}, resolve.Reply{RTT: 5 * time.Millisecond}, truncated, nil, false},
		{"the letters are lost", confirmation{lost: caseLost, failed: failed}, resolve.Reply{}, caseLost, nil, false},
		{"nonsense", confirmation{}, resolve.Reply{Nonsense: resolve.NonsenseByUDP}, ignored, resolve.ErrTimeout, false},
		{"nonsense, TCP takes too long", confirmation{tcp: make(chan tcpReply)}, resolve.Reply{Nonsense: resolve.NonsenseByUDP}, ignored, resolve.ErrTimeout, true},
		{"nonsense by TCP", confirmation{failed: tcpReply{err: ErrMalformed}}, resolve.Reply{Nonsense: resolve.NonsenseByTCP}, ignored, resolve.ErrTimeout, false},
	} {
		told := 0
		c.d.e, c.d.a = e, &udpQuery{sent: ck.Mono() - 5*time.Millisecond}
		c.d.x = &resolve.Exchange{Tell: func(resolve.Step) { told++ }}
		reply, v, err := c.d.over()
		if (reply.Msg == nil) != (c.reply.Msg == nil) || reply.TCP != c.reply.TCP || reply.RTT != c.reply.RTT || reply.Nonsense != c.reply.Nonsense || v != c.v || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v %v %v", c.name, reply, v, err)
		}
		if (told == 1) != c.told {
			t.Errorf("%s: told %d times", c.name, told)
		}
		c.d.x.Tell = nil
		c.d.over() // nobody reads
	}
}

// How long TCP is waited for: twice as long as the answer over UDP, bounded from the time of
// the question, and never shorter than the wait over UDP.
func TestHowLongAConfirmationWaitsForTCP(t *testing.T) {
	for _, c := range []struct {
		name  string
		late  resolve.Late
		ended bool // others were asked meanwhile
		wait  time.Duration
		want  time.Duration
	}{
		{"as usual", nil, false, 50 * time.Millisecond, 100 * time.Millisecond},
		{"nobody else is asked", nil, false, limits.UDPMaxTimeout, min(2*limits.UDPMaxTimeout, limits.NonsenseLate)},
		{"others may be asked", noLate{}, false, limits.UDPMaxTimeout, min(2*limits.UDPMaxTimeout, limits.NonsenseTime)},
		{"of whom nothing is known", noLate{}, false, 0, limits.UDPFirstTimeout * 2},
		{"others were asked", noLate{}, true, limits.UDPMaxTimeout, min(2*limits.UDPMaxTimeout, limits.NonsenseLate)},
	} {
		e := newExchanger(t, Config{Clock: stopped()})
		now := e.clock.Mono()
		d := &confirmation{e: e, a: &udpQuery{sent: now}, late: c.ended, end: now}
		d.x = &resolve.Exchange{Late: c.late, Budget: resolve.NewBudget(nil)}
		d.x.Timeout = c.wait
		d.askTCP(ended(), false) // nobody is asked
		if got := d.until - now; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		d.close()
	}
}

type noLate struct{}

func (noLate) Overdue() (context.Context, time.Duration, func(resolve.Reply, error)) {
	return background, 0, func(resolve.Reply, error) {}
}
