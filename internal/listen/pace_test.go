package listen

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// shaped has a client ask questions at some instants and has them answered at others, and
// is when the answers leave. Timers come late by so much as late says.
func shaped(asked, answered []time.Duration, late func(at time.Duration) time.Duration) (left []time.Duration) {
	ps, q := paces{of: map[netip.Addr]*pace{}}, &Query{source: netip.MustParseAddr("192.0.2.1")}
	type event struct {
		at   time.Duration
		what int // 0: asked; 1: answered; 2: the timer
	}
	var events []event
	for i := range asked {
		events = append(events, event{asked[i], 0}, event{answered[i], 1})
	}
	timer := func(now, wait time.Duration) {
		if wait > 0 {
			events = append(events, event{now + wait + late(now+wait), 2})
		}
	}
	leave := func(at time.Duration) {
		ps.left(q.source)
		left = append(left, at)
	}
	for len(events) > 0 {
		first := 0
		for i, e := range events {
			if e.at < events[first].at {
				first = i
			}
		}
		e := events[first]
		events = append(events[:first], events[first+1:]...)
		switch e.what {
		case 0:
			ps.came(q.source, e.at)
		case 1:
			wait, leaves := ps.answered(q, nil, e.at)
			if timer(e.at, wait); leaves {
				leave(e.at)
			}
		case 2:
			_, wait, ok := ps.release(q.source, e.at)
			for ; ok; _, wait, ok = ps.release(q.source, e.at) {
				leave(e.at)
			}
			timer(e.at, wait)
		}
	}
	if len(ps.of) != 0 || len(left) != len(asked) {
		panic("a client is remembered for whom nothing waits, or an answer never left")
	}
	return left
}

// every is n instants from one on, a gap apart.
func every(n int, from, gap time.Duration) (all []time.Duration) {
	for i := range n {
		all = append(all, from+time.Duration(i)*gap)
	}
	return all
}

// peak is how many instants lie in one window, at most.
func peak(all []time.Duration, window time.Duration) (most int) {
	for i := range all {
		n := 0
		for _, at := range all[i:] {
			if at-all[i] < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// What was asked for a while and is answered at once leaves little faster than it was
// asked, in whatever order it is answered, whichever window one looks at, also where the
// machine stands still now and then; what is asked and answered steadily, or asked at once
// and answered soon, leaves at once (DNSBomb).
func TestAnswersKeepThePaceOfTheirQuestions(t *testing.T) {
	const n, ms = 1000, time.Millisecond
	punctual := func(time.Duration) time.Duration { return 0 }
	stalls := func(at time.Duration) time.Duration { return max(0, 8*ms-at%(20*ms)) } // 8 of 20 ms
	for _, c := range []struct {
		what            string
		asked, answered []time.Duration
		late            func(time.Duration) time.Duration
		ratio           float64       // of the fullest window to all that go by from the first question on
		took            time.Duration // from the first answer to the last
	}{
		{"asked within a second, answered together", every(n, 0, ms), every(n, 1001*ms, 0), punctual, 4, 720 * ms},
		{"the same, on a machine that stands still", every(n, 0, ms), every(n, 1001*ms, 0), stalls, 4.5, 900 * ms},
		{"asked within a second, answered later together", every(n, 0, ms), every(n, 1500*ms, 0), punctual, 4, 1010 * ms},
		{"all but a few answered together, then the rest", every(n, 0, ms), append(every(n-50, 1100*ms, 0), every(50, 2000*ms, 0)...), punctual, 5, 965 * ms},
		{"asked together, answered after two seconds", every(n, 0, 0), every(n, 2000*ms, 0), punctual, 4, 1500 * ms},
		{"asked together, answered after eight seconds", every(n, 0, 0), every(n, 8000*ms, 0), punctual, 5, 3500 * ms},
		{"asked together, answered after 50 ms", every(n, 0, 0), every(n, 50*ms, 0), punctual, 1000, 40 * ms},
		{"asked and answered steadily", every(n, 0, ms), every(n, 100*ms, ms), punctual, 2, 1000 * ms},
		{"the same, on a machine that stands still", every(n, 0, ms), every(n, 100*ms, ms), stalls, 2, 1000 * ms},
		{"ever more asked, answered after 150 ms", append(every(200, 0, 5*ms), every(800, 1000*ms, ms/4)...), append(every(200, 150*ms, 5*ms), every(800, 1150*ms, ms/4)...), punctual, 10, 1210 * ms},
		{"few", every(limits.PaceWaiters, 0, ms), every(limits.PaceWaiters, 1000*ms, 0), punctual, 1000, 0},
	} {
		left := shaped(c.asked, c.answered, c.late)
		first, last := left[0], left[len(left)-1]
		for _, window := range []time.Duration{10 * ms, 20 * ms, 50 * ms, 100 * ms} {
			mean := float64(len(left)) * float64(window) / float64(last)
			if ratio := float64(peak(left, window)) / mean; ratio > c.ratio {
				t.Errorf("%s: the peak of %v is %.1f times the mean, want at most %.1f", c.what, window, ratio, c.ratio)
			}
		}
		if took := last - first; took > c.took {
			t.Errorf("%s: took %v, want at most %v", c.what, took, c.took)
		}
	}
}

// A paced answer keeps its place until it leaves, and does so when the server leaves.
func TestAPacedAnswerKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hits := &limits.Counters{}
		p := newPending(clientLimits(limits.DefaultClients()), clock.Real(), hits)
		path := &heardPath{}
		var all []*Query
		for range 200 {
			q := newQuery(ask(1, 'd'), &Client{Addr: netip.MustParseAddrPort("192.0.2.1:5353")}, path)
			if _, ok := p.admit(q); !ok {
				t.Fatal("no place")
			}
			all = append(all, q)
			time.Sleep(5 * time.Millisecond)
		}
		msg := []byte("x")
		for _, q := range all[:150] {
			q.Reply(msg)
		}
		msg[0] = 'y' // is free for reuse
		waiting, _ := p.sizes()
		if waiting+len(path.heard()) != 200 || len(path.heard()) > 20 || hits.Get(limits.Paced) == 0 {
			t.Errorf("%d wait, %d have left, %d paced", waiting, len(path.heard()), hits.Get(limits.Paced))
		}
		before := len(path.heard())
		p.leaving.Store(true)
		for _, q := range all[150:] {
			q.Reply(msg)
		}
		if len(path.heard()) != before+50 {
			t.Errorf("%d left when the server did, want 50", len(path.heard())-before)
		}
		time.Sleep(limits.PaceMost)
		synctest.Wait()
		if waiting, _ := p.sizes(); waiting != 0 || len(path.heard()) != 200 || len(p.paces.of) != 0 {
			t.Errorf("in the end %d wait, %d have left", waiting, len(path.heard()))
		}
		changed := 0
		for _, msg := range path.heard() {
			if msg == "y" {
				changed++
			}
		}
		if changed != 50 {
			t.Errorf("%d messages have changed meanwhile", changed-50)
		}
	})
}

// What has no answer (Handler.Fail) has no pace to keep: nothing stands in line for it,
// which would stop all that is sent with it.
func TestWhatIsNoAnswerIsNotPaced(t *testing.T) {
	p := newPending(clientLimits(limits.DefaultClients()), clock.Real(), &limits.Counters{})
	path := &heardPath{}
	var all []*Query
	for range 2 * limits.PaceWaiters {
		q := newQuery(ask(1, 'd'), &Client{Addr: netip.MustParseAddrPort("192.0.2.1:5353")}, path)
		if _, ok := p.admit(q); !ok {
			t.Fatal("no place")
		}
		all = append(all, q)
	}
	p.paces.of[all[0].source].next = time.Hour
	for _, q := range all {
		q.Reply(nil)
	}
	if waiting, _ := p.sizes(); waiting != 0 || len(path.heard()) != len(all) {
		t.Errorf("%d of %d wait, %d have left", waiting, len(all), len(path.heard()))
	}
}

// A heardPath keeps what is sent on it.
type heardPath struct {
	mu  sync.Mutex
	got []string
}

func (c *heardPath) answer(_ *Query, msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(msg))
}

func (c *heardPath) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// Forwarders that the operator names, and connections, have no pace to keep.
func TestWhoHasNoPace(t *testing.T) {
	set := limits.DefaultClients()
	set.Forwarders = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for addr, want := range map[string]string{
		"192.0.2.7": "invalid IP", "::ffff:192.0.2.7": "invalid IP", "198.51.100.1": "198.51.100.1",
		"127.0.0.1": "127.0.0.1", "::1": "::1", "2001:db8:0:12ff::1": "2001:db8:0:1200::",
	} {
		if got := set.Source(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
}

// A busy client's answers are ready in swarms, a few for each time that the driver gets
// the processor; each waited for a timer of its own.
func TestSwarmsOfASteadyClientNeedNoTimer(t *testing.T) {
	const n, swarm = 4000, 40
	asked, answered := every(n, 0, 50*time.Microsecond), every(n, 10*time.Millisecond, 50*time.Microsecond)
	for i := range answered {
		answered[i] = answered[i-i%swarm] + swarm*50*time.Microsecond
	}
	ps, q, late := paces{of: map[netip.Addr]*pace{}}, &Query{source: netip.MustParseAddr("192.0.2.1")}, 0
	for i, next := 0, 0; i < n; i++ {
		for ; next < n && asked[next] <= answered[i]; next++ {
			ps.came(q.source, asked[next])
		}
		if _, leaves := ps.answered(q, nil, answered[i]); !leaves {
			late++
		}
		ps.left(q.source)
	}
	if late > 0 {
		t.Errorf("%d of %d answers waited", late, n)
	}
}
