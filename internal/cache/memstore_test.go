package cache

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"sync"

	"kresd/internal/lmdbcache"
)

// memStore is a Store on a map, with the same promises.
type memStore struct {
	mu     sync.Mutex
	m      map[string][]byte
	clears uint64
	ranges []string // range of each clear
	writes int
	open   int // readers
}

func newMemStore() *memStore { return &memStore{m: map[string][]byte{}} }

func (s *memStore) keys() []string {
	keys := make([]string, 0, len(s.m))
	for k := range s.m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (s *memStore) Get(key []byte, fn func([]byte)) bool {
	s.mu.Lock()
	v, ok := s.m[string(key)]
	s.mu.Unlock()
	if ok {
		fn(v)
	}
	return ok
}

func (s *memStore) Floor(prefix, key []byte, fn func(k, v []byte)) bool {
	k, v, ok := s.floor(prefix, key)
	if ok {
		fn(k, v)
	}
	return ok
}

func (s *memStore) floor(prefix, key []byte) (k, v []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys()
	i := sort.SearchStrings(keys, string(key)+"\x00") - 1
	if i < 0 || !bytes.HasPrefix([]byte(keys[i]), prefix) {
		return nil, nil, false
	}
	return []byte(keys[i]), s.m[keys[i]], true
}

func (s *memStore) Range(prefix []byte, fn func(k, v []byte) bool) (clears uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys() {
		if bytes.HasPrefix([]byte(k), prefix) && !fn([]byte(k), s.m[k]) {
			break
		}
	}
	return s.clears, true
}

func (s *memStore) PutSince(seen uint64, key, val []byte, replace lmdbcache.Replace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, prefix := range s.ranges[min(seen, s.clears):] {
		if bytes.HasPrefix(key, []byte(prefix)) {
			return
		}
	}
	if old, ok := s.m[string(key)]; ok && replace != nil && !replace(key, old, val) {
		return
	}
	s.writes++
	s.m[string(key)] = slices.Clone(val)
}

func (s *memStore) PutUnlessCleared(seen uint64, key, val []byte, replace lmdbcache.Replace) {
	if seen >= s.ClearNumber() {
		s.PutSince(seen, key, val, replace)
	}
}

func (s *memStore) Delete(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, string(key))
}

func (s *memStore) DeleteIf(key []byte, remove func([]byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.m[string(key)]; ok && remove(old) {
		delete(s.m, string(key))
	}
}

func (s *memStore) RemoveRange(prefix []byte, limit int, match func([]byte) bool) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys() {
		if n < limit && bytes.HasPrefix([]byte(k), prefix) && (match == nil || match([]byte(k))) {
			delete(s.m, k)
			n++
		}
	}
	s.clears++
	s.ranges = append(s.ranges, string(prefix))
	return n, nil
}

func (s *memStore) Prune(_ context.Context, judge func(k, v []byte) lmdbcache.Worth) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys() {
		if judge([]byte(k), s.m[k]) != 0 {
			continue
		}
		if judge([]byte(k), s.m[k]) == 0 { // again, as lmdbcache does before it removes
			delete(s.m, k)
			n++
		}
	}
	return n, nil
}

func (s *memStore) Clear() (int, error) {
	n, _ := s.Count()
	_, err := s.RemoveRange(nil, n, nil)
	return n, err
}

func (s *memStore) Count() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m), nil
}

func (s *memStore) ClearNumber() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clears
}

func (s *memStore) NewReader() (Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	return &memReader{s: s}, nil
}

type memReader struct {
	s      *memStore
	closed bool
}

func (r *memReader) Begin() error {
	if r.closed {
		panic("Begin of a closed reader")
	}
	return nil
}

func (r *memReader) Get(key []byte) ([]byte, bool) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	v, ok := r.s.m[string(key)]
	return v, ok
}

func (r *memReader) Floor(prefix, key []byte) (k, v []byte, ok bool) { return r.s.floor(prefix, key) }

func (r *memReader) ClearNumber() uint64 { return r.s.ClearNumber() }
func (r *memReader) End()                {}

func (r *memReader) Close() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.closed = true
	r.s.open--
}
