package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Alarms are calls that are still to come, tens of thousands if need be, behind one
// timer. The calls come one after the other, so they must be short.
type Alarms struct {
	clock *Clock
	mu    sync.Mutex
	heap  alarmHeap
	timer *Timer
	at    time.Duration // when the timer comes; only while there is one
	made  uint64
}

// An Alarm is one of them. A nil *Alarm has come already.
type Alarm struct {
	of    *Alarms
	fn    func()
	at    time.Duration // by Alarms.now
	order uint64        // those of one instant come in the order in which they were made
	place int           // in the heap, -1 when it is not there any more
}

// NewAlarms makes a set without any call. It counts time as AfterFunc does.
func NewAlarms(c *Clock) *Alarms { return &Alarms{clock: c} }

// After calls fn after d, which is taken as 0 when it is less. fn must not panic, and
// may make or stop alarms.
func (a *Alarms) After(d time.Duration, fn func()) *Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	alarm := &Alarm{of: a, fn: fn, at: a.now() + max(d, 0), order: a.made}
	heap.Push(&a.heap, alarm)
	a.wind()
	return alarm
}

// Stop keeps a call from coming and tells whether it still would have.
func (m *Alarm) Stop() bool {
	if m == nil {
		return false
	}
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	if m.place < 0 {
		return false
	}
	heap.Remove(&m.of.heap, m.place)
	return true
}

// Len is how many calls are still to come.
func (a *Alarms) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.heap)
}

// now is the time by which alarms are due: monotonic, or the shifted wall time where
// timers follow that.
func (a *Alarms) now() time.Duration {
	if a.clock.timers {
		return time.Duration(a.clock.Now().UnixNano())
	}
	return a.clock.Mono()
}

// wind lets the timer come when the first alarm is due. A timer that comes too early,
// since that alarm was stopped, costs less than winding at each stop.
func (a *Alarms) wind() {
	if len(a.heap) == 0 || a.timer != nil && a.at <= a.heap[0].at {
		return
	}
	a.timer.Stop()
	a.at = a.heap[0].at
	var mine *Timer
	ready := make(chan struct{})
	mine = a.clock.AfterFunc(a.at-a.now(), func() { <-ready; a.ring(mine) })
	a.timer = mine
	close(ready)
}

// ring calls what is due.
func (a *Alarms) ring(mine *Timer) {
	for {
		fn := a.next(mine)
		if fn == nil {
			return
		}
		fn()
	}
}

// next takes the first alarm that is due; when there is none, it winds the timer again.
// A timer that was replaced while it came leaves the calls to the other.
func (a *Alarms) next(mine *Timer) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != mine {
		return nil
	}
	if len(a.heap) > 0 && a.heap[0].at <= a.now() {
		return heap.Pop(&a.heap).(*Alarm).fn
	}
	a.timer = nil
	a.wind()
	return nil
}

// alarmHeap has the alarm that is due first at its head.
type alarmHeap []*Alarm

func (h alarmHeap) Len() int { return len(h) }

func (h alarmHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *alarmHeap) Push(x any) {
	m := x.(*Alarm)
	m.place = len(*h)
	*h = append(*h, m)
}

func (h *alarmHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	m.place = -1
	if len(*h) == 0 {
		*h = nil // what ten thousands took is given back
	}
	return m
}
