package limits

import "sync"

// A Recent remembers what was learnt, or asked for, last: at least half and at most all of
// as many entries as are given with each that is put. To find the oldest takes no lists:
// when one half is full the other is forgotten, and what is asked for there meanwhile is
// put anew. The zero Recent is ready for use, by many goroutines at once.
type Recent[K comparable, V any] struct {
	mu           sync.Mutex
	newer, older map[K]V // older holds those of before newer was begun, which is when it was full
	most         int     // of the last that was put
}

// Get is what was learnt about a key.
func (r *Recent[K, V]) Get(key K) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok = r.newer[key]; ok {
		return v, true
	}
	if v, ok = r.older[key]; ok {
		r.put(key, v)
	}
	return v, ok
}

// Put remembers v, among at most so many.
func (r *Recent[K, V]) Put(key K, v V, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = most
	r.put(key, v)
}

func (r *Recent[K, V]) put(key K, v V) {
	if r.newer == nil || len(r.newer) >= r.most/2 {
		r.older, r.newer = r.newer, make(map[K]V)
	}
	r.newer[key] = v
}
