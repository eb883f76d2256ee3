package limits

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Of what a client gives back he may take as much again, and no more.
func TestAClientTakesAgainWhatHeGivesBack(t *testing.T) {
	s, c := NewShares(100), netip.MustParseAddr("192.0.2.1")
	n := takeAll(s, c)
	for range 3 {
		s.Give(c)
		if got := takeAll(s, c); got != 1 || s.Taken() != n {
			t.Errorf("for one place that he gave back he took %d; %d are taken of %d", got, s.Taken(), n)
		}
	}
}

// Who finds a place has not waited; who got one later has, and so has who gave up.
func TestEnterTellsWhetherTimeHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate[string]
		p, waited, err := g.Enter(t.Context(), "a", 1, line(9), nil)
		if waited || err != nil {
			t.Errorf("a free place: waited %v, %v", waited, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		type result struct {
			waited bool
			err    error
		}
		results := make(chan result, 2)
		enter := func(ctx context.Context) {
			q, waited, err := g.Enter(ctx, "a", 1, line(9), path("branch"))
			if results <- (result{waited, err}); err == nil {
				g.Leave(q, true)
			}
		}
		go enter(ctx)
		synctest.Wait()
		cancel()
		if r := <-results; !r.waited || !errors.Is(r.err, context.Canceled) {
			t.Errorf("given up: %+v", r)
		}
		go enter(t.Context())
		synctest.Wait()
		g.Leave(p, true)
		if r := <-results; !r.waited || r.err != nil {
			t.Errorf("a place that came free: %+v", r)
		}
		synctest.Wait()
		if g.Keys() != 0 {
			t.Errorf("left: %v", g.keys)
		}
	})
}

// A branch that nobody is in, and nobody waits in, takes no room, however it was left.
func TestBranchesThatAreLeftAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const max = 8
		var g Gate[string]
		for range max / uncountedShare { // so that those of others are counted
			g.Try("a", max, nil)
		}
		for i := range 100 {
			p, ok := g.Try("a", max, path("com", fmt.Sprint(i)))
			if !ok || p.of == nil {
				t.Fatalf("branch %d: %v, %+v", i, ok, p)
			}
			g.Leave(p, i%2 == 0)
		}
		for g.Taken("a") < max {
			g.Try("a", max, nil)
		}
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			go g.Enter(ctx, "a", max, line(9), path("com", fmt.Sprint(i)))
			synctest.Wait()
			cancel()
			synctest.Wait()
		}
		if n := len(g.keys["a"].below); n != 0 {
			t.Errorf("%d branches are remembered", n)
		}
	})
}

// While hardly anybody will have to wait it is not looked who takes a place.
func TestTheFirstPlacesAreCountedForNobody(t *testing.T) {
	const max = 8
	var g Gate[string]
	for i := range max {
		p, ok := g.Try("a", max, path("com"))
		if !ok || (p.of != nil) != (i >= max/uncountedShare) {
			t.Errorf("place %d of %d: %v, counted %v", i, max, ok, p.of != nil)
		}
	}
	var h Gate[string]
	for range max {
		if p, _ := h.Try("a", max, nil); p.of != nil {
			t.Error("a place without a branch is counted for one")
		}
	}
}

// That nothing came of one key's places says nothing about the next key's.
func TestHopeIsOfOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate[string]
		queue := Queue{Most: 5, Vain: 0}
		for range VainPlaces {
			p, _ := g.Try("hopeless", 9, nil)
			g.Leave(p, false)
			time.Sleep(VainTime)
		}
		p, ok := g.Try("next", 1, nil)
		if !ok {
			t.Fatal("no place")
		}
		done := make(chan error, 1)
		go func() {
			q, _, err := g.Enter(t.Context(), "next", 1, queue, nil)
			if done <- err; err == nil {
				g.Leave(q, true)
			}
		}()
		synctest.Wait()
		g.Leave(p, false)
		if err := <-done; err != nil {
			t.Errorf("who waits for the next key's place: %v", err)
		}
		synctest.Wait()
	})
}
