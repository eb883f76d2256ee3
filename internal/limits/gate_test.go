package limits

import (
	"context"
	"math/rand/v2"
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
