package limits

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// line is a queue for so many.
func line(n int) Queue { return Queue{Most: n, Vain: n} }

// path leads to a branch.
func path(words ...string) iter.Seq[string] { return slices.Values(words) }

// A moment with more questions than places made them fail, although places came
// free a moment later.
func TestWhoFindsNoPlaceWaitsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate[string]
		const max, queue = 2, 3
		var places []Place[string]
		for i := range max + 1 {
			p, got := g.Try("a", max, nil)
			if got != (i < max) {
				t.Fatalf("place %d of %d: %v", i+1, max, got)
			}
			if got {
				places = append(places, p)
			}
		}
		b, ok := g.Try("b", max, nil)
		if !ok {
			t.Fatal("another key has places of its own")
		}
		var order []int
		var mu sync.Mutex
		for i := range queue {
			go func() {
				if p, waited, err := g.Enter(t.Context(), "a", max, line(queue), nil); waited && err == nil {
					mu.Lock()
					order = append(order, i)
					places = append(places, p)
					mu.Unlock()
				}
			}()
			synctest.Wait()
		}
		if _, waited, err := g.Enter(t.Context(), "a", max, line(queue), nil); waited || !errors.Is(err, ErrFull) {
			t.Errorf("one too many waits: %v %v", waited, err)
		}
		leave := func() {
			mu.Lock()
			p := places[0]
			places = places[1:]
			mu.Unlock()
			g.Leave(p, true)
			synctest.Wait()
		}
		for i := range queue {
			leave()
			if len(order) != i+1 || order[i] != i {
				t.Fatalf("after %d places: %v", i+1, order)
			}
		}
		for range max {
			leave()
		}
		g.Leave(b, true)
		if g.Keys() != 0 {
			t.Errorf("left: %v", g.keys)
		}
	})
}

// Who gives up while a place is given to it passes it on, whatever branch it is of.
func TestNoPlaceIsLost(t *testing.T) {
	var g Gate[int]
	const max, queue = 3, 20
	var inside, most, refused, gaveUp, shed atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					go cancel()
				}
				p, waited, err := g.Enter(ctx, 1, max, Queue{queue, 2}, path(fmt.Sprint(i%2), fmt.Sprint(i%4)))
				switch {
				case err == nil:
					if n := inside.Add(1); n > max {
						most.Store(n)
					}
					inside.Add(-1)
					g.Leave(p, rand.IntN(4) == 0)
				case waited && errors.Is(err, ErrFull):
					shed.Add(1)
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
	t.Logf("%d refused, %d sent away, %d gave up", refused.Load(), shed.Load(), gaveUp.Load())
	if most.Load() != 0 || g.Keys() != 0 {
		t.Errorf("%d at once, left: %v", most.Load(), g.keys)
	}
}

func BenchmarkGate(b *testing.B) {
	var g Gate[string]
	b.ReportAllocs()
	for b.Loop() {
		p, _ := g.Try("example.com.", 200, nil)
		g.Leave(p, true)
	}
}

// A crowd is a gate whose places are all taken, and who waits for them.
type crowd struct {
	t     *testing.T
	g     Gate[string]
	max   int
	queue Queue
	mu    sync.Mutex
	got   []string // who got a place, in order
	full  []string // who was told that too many wait
	held  map[string][]Place[string]
	ends  map[string]context.CancelFunc
	end   context.CancelFunc // of all
	ctx   context.Context
}

// crowded has as many places as max, which "holder" has.
func crowded(t *testing.T, max int, queue Queue) *crowd {
	c := &crowd{t: t, max: max, queue: queue, held: map[string][]Place[string]{}, ends: map[string]context.CancelFunc{}}
	c.ctx, c.end = context.WithCancel(t.Context())
	for range max {
		c.enter("holder", nil)
	}
	c.got = nil
	return c
}

// enter makes who come for a place.
func (c *crowd) enter(who string, path iter.Seq[string]) {
	ctx, end := context.WithCancel(c.ctx)
	c.ends[who] = end
	go func() {
		p, _, err := c.g.Enter(ctx, "key", c.max, c.queue, path)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err == nil:
			c.got = append(c.got, who)
			c.held[who] = append(c.held[who], p)
		case errors.Is(err, ErrFull):
			c.full = append(c.full, who)
		}
	}()
	synctest.Wait()
}

// leave gives back one place of who.
func (c *crowd) leave(who string, useful bool) {
	c.t.Helper()
	c.mu.Lock()
	if len(c.held[who]) == 0 {
		c.t.Fatalf("%s has no place; %v", who, c.got)
	}
	p := c.held[who][0]
	c.held[who] = c.held[who][1:]
	c.mu.Unlock()
	c.g.Leave(p, useful)
	synctest.Wait()
}

// empty gives all places back and looks that nothing is left.
func (c *crowd) empty() {
	c.t.Helper()
	c.end()
	synctest.Wait()
	for who, all := range c.held {
		for range all {
			c.leave(who, true)
		}
	}
	if c.g.Keys() != 0 {
		c.t.Errorf("left: %v", c.g.keys)
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
				c := crowded(t, 1, line(queue))
				var want []string
				for i := range queue {
					want = append(want, fmt.Sprint(i))
					c.enter(want[i], nil)
				}
				for _, i := range leaving {
					c.ends[fmt.Sprint(i)]()
					synctest.Wait()
					want = slices.DeleteFunc(want, func(who string) bool { return who == fmt.Sprint(i) })
				}
				for i := range leaving { // whose places in the queue are free again
					want = append(want, fmt.Sprint(queue+i))
					c.enter(fmt.Sprint(queue+i), nil)
				}
				if c.enter("one more", nil); !slices.Equal(c.full, []string{"one more"}) {
					t.Errorf("refused: %v", c.full)
				}
				last := "holder"
				for _, who := range want {
					c.leave(last, true)
					last = who
				}
				if !slices.Equal(c.got, want) {
					t.Errorf("places were given to %v, want %v", c.got, want)
				}
				c.empty()
			})
		})
	}
}

// A place that is given at the moment when its caller gives up is passed on.
func TestAPlaceGivenTooLateIsPassedOn(t *testing.T) {
	var g Gate[string]
	first, _ := g.Try("a", 1, nil)
	w := g.keys["a"].join(line(1), nil)
	g.Leave(first, true) // gives the place to w
	if !g.withdraw("a", w) {
		t.Fatal("the place is lost")
	}
	if g.Leave(Place[string]{"a", w.in}, true); g.Keys() != 0 {
		t.Errorf("left: %v", g.keys)
	}
}

func TestTakenPlacesAreCounted(t *testing.T) {
	var g Gate[string]
	p, _ := g.Try("a", 2, nil)
	g.Try("a", 2, nil)
	g.Try("a", 2, nil) // there is none
	g.Try("b", 2, nil)
	if a, b, c := g.Taken("a"), g.Taken("b"), g.Taken("c"); a != 2 || b != 1 || c != 0 {
		t.Errorf("taken: %d, %d, %d", a, b, c)
	}
	if g.Leave(p, true); g.Taken("a") != 1 {
		t.Errorf("after one left: %d", g.Taken("a"))
	}
}

// However many branches somebody makes below his own, and however long he keeps his
// places, the next place is for those who have fewer.
func TestPlacesAreSharedAmongBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const max = 8
		c := crowded(t, max, line(1000))
		for i := range 20 {
			c.enter(fmt.Sprint("evil", i), path("com", "evil", fmt.Sprint("z", i)))
		}
		c.enter("evil itself", path("com", "evil"))
		for i := range 4 {
			c.enter(fmt.Sprint("good", i), path("com", "good"))
		}
		c.enter("net", path("net"))
		for range max {
			c.leave("holder", true)
		}
		// By turns: of the top level, and below com.
		want := []string{"evil itself", "net", "good0", "evil0", "good1", "evil1", "good2", "evil2"}
		if !slices.Equal(c.got, want) {
			t.Errorf("places were given to %v, want %v", c.got, want)
		}
		c.leave("good0", true) // good has fewer now
		c.leave("good1", true)
		if got := c.got[max:]; !slices.Equal(got, []string{"good3", "evil3"}) {
			t.Errorf("then to %v", got)
		}
		c.empty()
	})
}

// Who takes all room for waiting leaves some for who comes later.
func TestRoomIsSharedAmongBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowded(t, 1, Queue{Most: 90, Vain: 90})
		for i := range 100 {
			c.enter("evil", path("com", "evil", fmt.Sprint(i)))
		}
		if waiting := 100 - len(c.full); waiting != 30 {
			t.Errorf("%d of one branch wait, want 30", waiting)
		}
		for range 10 {
			c.enter("good", path("com", "good"))
			c.enter("other", path("net", "other"))
		}
		if len(c.full) != 72 { // 70 of evil's, and two for which their top level had no room left
			t.Errorf("told that too many wait: %v", c.full[70:])
		}
		c.empty()
	})
}

// Where nothing comes of the places, those beyond a few need not wait for more; but who
// is of another branch may.
func TestWhoHasNoHopeIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowded(t, 100, Queue{Most: 3000, Vain: 40})
		for i := range 900 {
			c.enter(fmt.Sprint("evil", i), path("com", "evil", fmt.Sprint(i)))
		}
		if len(c.full) != 0 {
			t.Fatalf("%d sent away before anything is known", len(c.full))
		}
		for range VainPlaces {
			c.leave("holder", true)
		}
		for i := range VainPlaces {
			c.leave(fmt.Sprint("evil", i), false)
		}
		if len(c.full) != 0 {
			t.Fatalf("%d sent away though answers may come late", len(c.full))
		}
		time.Sleep(VainTime)
		c.leave(c.got[VainPlaces], false)
		if left := 900 - len(c.got) - len(c.full); left > 40 || left < 10 {
			t.Errorf("%d wait", left)
		}
		n := len(c.full)
		for range 3 {
			c.enter("evil more", path("com", "evil", "more"))
		}
		c.enter("good", path("com", "good"))
		if got := c.full[n:]; !slices.Equal(got, []string{"evil more", "evil more"}) {
			t.Errorf("told that too many wait: %v", got)
		}
		if c.leave("holder", true); c.got[len(c.got)-1] != "good" {
			t.Errorf("the next place is for %s", c.got[len(c.got)-1])
		}
		c.empty()
	})
}

// One success is hope for all.
func TestOneAnswerIsHope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowded(t, VainPlaces+10, Queue{Most: 100, Vain: 5})
		for i := range 20 {
			c.enter(fmt.Sprint(i), nil)
		}
		for range VainPlaces - 16 {
			c.leave("holder", false)
		}
		c.leave("holder", true)
		time.Sleep(VainTime)
		for range VainPlaces - 1 {
			c.leave("holder", false)
		}
		if len(c.full) != 0 {
			t.Errorf("%d sent away", len(c.full))
		}
		c.empty()
	})
}
