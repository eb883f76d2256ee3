package resolve_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// fewLeases are leases as several workers share them.
type fewLeases struct {
	mu    sync.Mutex
	taken map[string]int
}

func (l *fewLeases) Take(key []byte, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[string(key)] >= most {
		return false
	}
	l.taken[string(key)]++
	return true
}

func (l *fewLeases) Return(key []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[string(key)]--
}

// Ten workers that are asked the same at once ask servers four times, and get an
// answer all the same: here without a common cache, each after its wait.
func TestWorkersLeaveQuestionsToEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases := &fewLeases{taken: map[string]int{}}
		first := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		first.net.Host("192.0.2.1").Play(authority.Delay(100 * time.Millisecond))
		var all sync.WaitGroup
		early, late := 0, 0
		var mu sync.Mutex
		for range 10 {
			w := newWorldOf(first)
			w.driver.Share(leases)
			all.Go(func() {
				start := time.Now()
				if got := w.ask("www.example.com.", "A"); !strings.Contains(got, "192.0.2.10") {
					t.Errorf("got %s", got)
				}
				mu.Lock()
				defer mu.Unlock()
				if took := time.Since(start); took < limits.LeaseLife {
					early++
				} else if late++; took > limits.LeaseLife+time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
		all.Wait()
		if early != limits.AskAtOnce || late != 10-limits.AskAtOnce {
			t.Errorf("%d asked at once, %d later", early, late)
		}
		for key, n := range leases.taken {
			if n != 0 {
				t.Errorf("%d leases of %q were not returned", n, key)
			}
		}
	})
}
