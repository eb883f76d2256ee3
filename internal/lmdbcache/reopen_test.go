package lmdbcache

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReopeningUnderLoad closes and opens the map while listeners read and the
// driver reads and writes. Whoever comes too late misses; nobody faults.
func TestReopeningUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var current atomic.Pointer[Store]
	current.Store(open(t, dir, Options{MaxSize: 2 << 20}))
	stop := make(chan struct{})
	var running sync.WaitGroup
	run := func(fn func(i int)) {
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					fn(i)
				}
			}
		})
	}
	for range 2 { // listeners
		var r *Reader
		var of *Store
		run(func(i int) {
			if s := current.Load(); s != of {
				r, of = nil, nil
				if n, err := s.NewReader(); err == nil {
					r, of = n, s
				}
			}
			if r == nil {
				return
			}
			if err := r.Begin(); err != nil {
				if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrBusy) {
					t.Errorf("Begin: %v", err)
				}
				return
			}
			for k := range 20 {
				key := fmt.Sprintf("k%03d", (i+k)%500)
				v, ok := r.Get([]byte(key))
				if !ok {
					continue
				}
				// Two transactions later, the page may be another one's.
				if got := string(v[:4]); got != key && !r.overtaken() {
					t.Errorf("%s holds %q", key, got)
				}
			}
			r.ClearNumber()
			r.End()
		})
	}
	run(func(i int) {
		s := current.Load()
		key := fmt.Appendf(nil, "k%03d", i%500)
		s.Put(key, append(key, make([]byte, i%3000)...))
		s.Get(key, func(v []byte) {
			if string(v[:4]) != string(key) {
				t.Errorf("%s holds %q", key, v[:4])
			}
		})
		s.Floor(nil, key, func(k, v []byte) {})
		if i%100 == 0 {
			s.Range([]byte("k1"), func(k, v []byte) bool { return string(v[:4]) == string(k) })
			s.Stats()
			s.Count()
		}
		if i%1000 == 999 {
			s.RemoveRange([]byte("k2"), 10, nil)
		}
	})
	for i := range 20 {
		s := current.Load()
		flush(t, s)
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		current.Store(open(t, dir, Options{MaxSize: int64(2+i%3) << 20}))
	}
	close(stop)
	running.Wait()
	wantSound(t, current.Load())
}
