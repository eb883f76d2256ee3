package upstream

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"kresd/internal/resolve"
)

// 5,000 equal questions at once send one (HARDENING A8).
func TestEqualQuestionsShareOneExchange(t *testing.T) {
	const n = 5000
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	leave := fill(t, e, question(t, s.addr, "www.example.")) // so that the first one's time begins when all have come
	var wg sync.WaitGroup
	var mu sync.Mutex
	msgs := map[any]int{}
	sends := 0
	for range n {
		wg.Go(func() {
			x := question(t, s.addr, "www.example.")
			x.Queue = true
			r, err := e.Exchange(background, x)
			if err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			msgs[r.Msg]++
			sends += x.Budget.Sent()
		})
	}
	eventually(t, "the joining of all", func() bool { return e.Stats().Joined == n-1 })
	leave()
	wg.Wait()
	if len(msgs) != 1 || sends != 1 || s.udpQueries.Load() != 1 {
		t.Errorf("%d messages, %d sends debited, %d questions arrived; want one each", len(msgs), sends, s.udpQueries.Load())
	}
}

// A question was not joined to its equal where the one or the other asked again: two IDs and
// ports were open at once, for a forger to guess either (HARDENING A8).
func TestAQuestionThatIsAskedAgainIsJoined(t *testing.T) {
	release := make(chan struct{})
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		<-release
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	all := []func(*resolve.Exchange){
		func(*resolve.Exchange) {}, func(x *resolve.Exchange) { x.Again = true }, func(x *resolve.Exchange) { x.NoCookie = true },
	}
	for _, change := range all {
		wg.Go(func() {
			x := question(t, s.addr, "www.example.")
			change(&x)
			if _, err := e.Exchange(background, x); err != nil {
				t.Errorf("exchange: %v", err)
			}
		})
	}
	eventually(t, "the joining of all", func() bool { return int64(e.Stats().Joined)+s.udpQueries.Load() == int64(len(all)) })
	close(release)
	wg.Wait()
	if n := s.udpQueries.Load(); n != 1 {
		t.Errorf("%d questions were sent", n)
	}
}

func TestDifferentQuestionsAreNotJoined(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	var wg sync.WaitGroup
	changes := []func(*resolve.Exchange){
		func(*resolve.Exchange) {},
		func(x *resolve.Exchange) { x.CD = true },
		func(x *resolve.Exchange) { x.RD = true },
		func(x *resolve.Exchange) { x.Type = 28 },
		func(x *resolve.Exchange) { x.Class = 3 },
		func(x *resolve.Exchange) { x.NoEDNS = true },
		func(x *resolve.Exchange) { x.NoCase = true },
		func(x *resolve.Exchange) { x.Name = name(t, "w.example.") },
	}
	for _, change := range changes {
		wg.Go(func() {
			x := question(t, s.addr, "www.example.")
			change(&x)
			_, _ = e.Exchange(ctx, x)
		})
	}
	eventually(t, "a question for each", func() bool { return s.udpQueries.Load() == int64(len(changes)) })
	cancel()
	wg.Wait()
}

// A leader that is cancelled, or that has no budget, does not take its
// followers along.
func TestLeaderEndsAlone(t *testing.T) {
	first := make(chan struct{}, 1)
	release := make(chan struct{})
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		select {
		case first <- struct{}{}:
			return // the leader's question is never answered
		default:
		}
		<-release
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	var leader, followers sync.WaitGroup
	leader.Go(func() {
		_, err := e.Exchange(ctx, question(t, s.addr, "www.example."))
		if err != context.Canceled {
			t.Errorf("leader: %v, want cancelled", err)
		}
	})
	eventually(t, "the leader's question", func() bool { return s.udpQueries.Load() == 1 })
	for range 100 {
		followers.Go(func() {
			r, err := e.Exchange(background, question(t, s.addr, "www.example."))
			if err != nil || string(r.Msg.Answer[0].RData) != truth {
				t.Errorf("follower: %v", err)
			}
		})
	}
	eventually(t, "the followers", func() bool { return e.Stats().Joined == 100 })
	cancel()
	leader.Wait()
	eventually(t, "a second question", func() bool { return s.udpQueries.Load() == 2 })
	close(release)
	followers.Wait()
}

func TestFollowerEndsAlone(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	leading, stop := context.WithCancel(background)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = e.Exchange(leading, question(t, s.addr, "www.example.")) })
	eventually(t, "the leader's question", func() bool { return s.udpQueries.Load() == 1 })
	ctx, cancel := context.WithCancel(background)
	go func() {
		eventually(t, "the follower", func() bool { return e.Stats().Joined == 1 })
		cancel()
	}()
	_, err := e.Exchange(ctx, question(t, s.addr, "www.example."))
	wantErr(t, err, context.Canceled)
	stop()
	wg.Wait()
}

func TestLeaderWithoutBudgetEndsAlone(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			x := question(t, s.addr, "www.example.")
			poor := i%2 == 0
			for poor && x.Budget.Send() == nil {
			}
			r, err := e.Exchange(background, x)
			if !poor && (err != nil || string(r.Msg.Answer[0].RData) != truth) {
				t.Errorf("exchange with a budget: %v", err)
			}
		})
	}
	wg.Wait()
}

// A panic in a leader reaches nobody else.
func TestLeaderPanics(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	broken := true
	e := newExchanger(t, Config{Bufsize: func() uint16 {
		if broken {
			broken = false
			panic("no size")
		}
		return 1232
	}})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = e.Exchange(background, question(t, s.addr, "www.example."))
	}()
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	address(t, r, err)
}

// A leader whose request has no budget left sends nothing, which is no failure of the
// server: a follower asks instead.
func TestFollowersOfALeaderWithoutBudgetAsk(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	var e *Exchanger
	e = newExchanger(t, Config{AvoidPort: func(uint16) bool { // called before anything is sent
		eventually(t, "the follower", func() bool { return e.Stats().Joined == 1 })
		return false
	}})
	poor := question(t, s.addr, "www.example.")
	for poor.Budget.Send() == nil {
	}
	errs := make(chan error, 1)
	go func() {
		_, err := e.Exchange(background, poor)
		errs <- err
	}()
	eventually(t, "the leader", func() bool {
		e.outstanding.mu.Lock()
		defer e.outstanding.mu.Unlock()
		return len(e.outstanding.exchanges) == 1
	})
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	if got := address(t, r, err); got != truth {
		t.Errorf("got %x", got)
	}
	wantErr(t, <-errs, resolve.ErrBudget)
}
