package limits

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A moment with more questions than places made them fail, although places came
// free a moment later.
func TestWhoFindsNoPlaceWaitsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate[string]
		const max, queue = 2, 3
		for i := range max + 1 {
			if got := g.Try("a", max); got != (i < max) {
				t.Fatalf("place %d of %d: %v", i+1, max, got)
			}
		}
		if !g.Try("b", max) {
			t.Fatal("another key has places of its own")
		}
		var order []int
		var mu sync.Mutex
		for i := range queue {
			go func() {
				if waited, ok := g.Enter(t.Context(), "a", max, queue); waited && ok {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
				}
			}()
			synctest.Wait()
		}
		if waited, ok := g.Enter(t.Context(), "a", max, queue); waited || ok {
			t.Error("one too many waits")
		}
		for i := range queue {
			g.Leave("a")
			synctest.Wait()
			if len(order) != i+1 || order[i] != i {
				t.Fatalf("after %d places: %v", i+1, order)
			}
		}
		for range max {
			g.Leave("a")
		}
		g.Leave("b")
		if g.Keys() != 0 {
			t.Errorf("left: %v", g.places)
		}
	})
}

// Who gives up while a place is given to it passes it on.
func TestNoPlaceIsLost(t *testing.T) {
	var g Gate[int]
	const max, queue = 3, 8
	var inside, most, refused, gaveUp atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					go cancel()
				}
				waited, ok := g.Enter(ctx, 1, max, queue)
				switch {
				case ok:
					if n := inside.Add(1); n > max {
						most.Store(n)
					}
					inside.Add(-1)
					g.Leave(1)
				case waited:
					gaveUp.Add(1)
				default:
					refused.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	t.Logf("%d refused, %d gave up", refused.Load(), gaveUp.Load())
	if most.Load() != 0 || g.Keys() != 0 {
		t.Errorf("%d at once, left: %v", most.Load(), g.places)
	}
}

func BenchmarkGate(b *testing.B) {
	var g Gate[string]
	b.ReportAllocs()
	for b.Loop() {
		g.Try("example.com.", 200)
		g.Leave("example.com.")
	}
}

// Callers that give up, at the front, in the middle and at the end of the queue, change
// nothing for the others: neither their order nor how many may wait.
func TestTheQueueKeepsItsOrderWhenSomeGiveUp(t *testing.T) {
	for what, leaving := range map[string][]int{
		"the first": {0}, "the middle": {2}, "the last": {4}, "two beside each other": {1, 2},
		"the last two": {4, 3}, "all but one": {0, 1, 3, 4}, "all": {0, 1, 2, 3, 4},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const queue = 5
				var g Gate[string]
				g.Try("a", 1)
				var mu sync.Mutex
				var order []int
				enter := func(i int) context.CancelFunc {
					ctx, cancel := context.WithCancel(t.Context())
					go func() {
						if _, ok := g.Enter(ctx, "a", 1, queue); ok {
							mu.Lock()
							order = append(order, i)
							mu.Unlock()
						}
					}()
					synctest.Wait()
					return cancel
				}
				var cancels []context.CancelFunc
				for i := range queue {
					cancels = append(cancels, enter(i))
				}
				want := []int{0, 1, 2, 3, 4}
				for _, i := range leaving {
					cancels[i]()
					want = slices.DeleteFunc(want, func(j int) bool { return j == i })
					synctest.Wait()
				}
				for i := range leaving { // whose places in the queue are free again
					defer enter(queue + i)()
					want = append(want, queue+i)
				}
				if waited, ok := g.Enter(t.Context(), "a", 1, queue); waited || ok {
					t.Error("more wait than may")
				}
				for range want {
					g.Leave("a")
					synctest.Wait()
				}
				if !slices.Equal(order, want) {
					t.Errorf("places were given to %v, want %v", order, want)
				}
				if g.Leave("a"); g.Keys() != 0 {
					t.Errorf("left: %v", g.places)
				}
				for _, cancel := range cancels {
					cancel()
				}
			})
		})
	}
}

// A place that is given at the moment when its caller gives up is passed on.
func TestAPlaceGivenTooLateIsPassedOn(t *testing.T) {
	var g Gate[string]
	g.Try("a", 1)
	p := g.places["a"]
	w := p.join()
	g.places["a"] = p
	g.Leave("a") // gives the place to w
	g.giveUp("a", w)
	if !g.Try("a", 1) {
		t.Error("the place is lost")
	}
	if g.Leave("a"); g.Keys() != 0 {
		t.Errorf("left: %v", g.places)
	}
}

func TestTakenPlacesAreCounted(t *testing.T) {
	var g Gate[string]
	g.Try("a", 2)
	g.Try("a", 2)
	g.Try("a", 2) // there is none
	g.Try("b", 2)
	if a, b, c := g.Taken("a"), g.Taken("b"), g.Taken("c"); a != 2 || b != 1 || c != 0 {
		t.Errorf("taken: %d, %d, %d", a, b, c)
	}
	if g.Leave("a"); g.Taken("a") != 1 {
		t.Errorf("after one left: %d", g.Taken("a"))
	}
}
