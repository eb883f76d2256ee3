package lmdbcache

import (
	"bytes"
	"sync"
)

// withReader lends fn a Reader of the Store's own, between Begin and End. It
// returns false without calling fn when the Store cannot be read now.
func (s *Store) withReader(fn func(r *Reader)) bool {
	r := s.borrow()
	if r == nil {
		return false
	}
	defer s.giveBack(r)
	fn(r)
	return true
}

// borrow returns a Reader that has begun, or nil.
func (s *Store) borrow() *Reader {
	r := s.spare.take()
	if r == nil {
		var err error
		if r, err = s.NewReader(); err != nil {
			return nil
		}
	}
	if r.Begin() != nil {
		s.giveBack(r)
		return nil
	}
	return r
}

// giveBack ends a borrowed Reader and keeps it for the next who asks.
func (s *Store) giveBack(r *Reader) {
	r.End()
	if !s.spare.add(r) {
		r.Close()
	}
}

// spareReaders are those that wait for the next who asks, a stack: the one used last knows
// best what is not stored (vacancy).
type spareReaders struct {
	mu  sync.Mutex
	all []*Reader
}

// take is the Reader used last; nil: there is none.
func (s *spareReaders) take() *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.all) - 1
	if last < 0 {
		return nil
	}
	r := s.all[last]
	s.all = s.all[:last]
	return r
}

// add keeps a Reader if there are not enough.
func (s *spareReaders) add(r *Reader) bool {
	const enough = 32
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == enough {
		return false
	}
	s.all = append(s.all, r)
	return true
}

// Get calls fn with the value under key, as this process has queued it or as it
// is stored. The bytes may belong to the map and are valid only until fn
// returns.
func (s *Store) Get(key []byte, fn func(val []byte)) bool {
	// The queue first: what leaves it in between is in the snapshot that is
	// taken afterwards.
	if val, known := s.queue.get(key); known {
		s.stats.pendingHit.Add(1)
		if val != nil {
			fn(val)
		}
		return val != nil
	}
	found := false
	s.withReader(func(r *Reader) {
		var val []byte
		if val, found = r.Get(key); found {
			fn(val)
		}
	})
	return found
}

// Floor is Get for the greatest key that is not above key, among those that start
// with prefix.
func (s *Store) Floor(prefix, key []byte, fn func(key, val []byte)) bool {
	s.queue.mu.Lock()
	r := s.borrow() // a snapshot not older than the queue
	if r == nil {
		s.queue.mu.Unlock()
		return false
	}
	defer s.giveBack(r)
	k, val, found := s.floorOfBoth(r, prefix, key)
	s.queue.mu.Unlock()
	if found {
		fn(k, val)
	}
	return found
}

// floorOfBoth finds the floor among queued and stored entries: the greater of
// both, the queued one where they are equal. Below a queued removal the search
// goes on; after limit of them it is given up.
func (s *Store) floorOfBoth(r *Reader, prefix, key []byte) (k, val []byte, ok bool) {
	const limit = 64
	for range limit {
		o := s.queue.floor(key)
		k, val, ok = r.Floor(prefix, key)
		if o == nil || !bytes.HasPrefix(o.key, prefix) || ok && bytes.Compare(k, o.key) > 0 {
			return k, val, ok
		}
		if o.val != nil {
			return o.key, o.val, true
		}
		if key = justBelow(o.key); key == nil {
			break
		}
	}
	return nil, nil, false
}

// justBelow returns a key that no key of at most maxKey octets lies between and
// k, below k.
func justBelow(k []byte) []byte {
	if len(k) == 0 {
		return nil
	}
	b := bytes.Clone(k)
	last := len(b) - 1
	if b[last] == 0 {
		return b[:last]
	}
	b[last]--
	return append(b, bytes.Repeat([]byte{0xff}, maxKey-len(b)+1)...)
}

// Range calls fn for each entry whose key starts with prefix, in key order, until
// fn returns false. Queued writes are part of it. The bytes are valid only until
// fn returns. Entries that are written meanwhile may be part of it. clears is the
// clear number of what was read (Reader); it is not ok when nothing could be read.
func (s *Store) Range(prefix []byte, fn func(key, val []byte) bool) (clears uint64, ok bool) {
	s.queue.mu.Lock()
	queued := s.queue.within(prefix)
	r := s.borrow()
	s.queue.mu.Unlock()
	if r == nil {
		return 0, false
	}
	defer s.giveBack(r)
	clears = r.ClearNumber()
	r.rangeOver(prefix, queued, fn)
	return clears, true
}

// rangeOver merges what is stored with what is queued. The key to look at next is
// kept, so that a walk that was overtaken goes on there.
func (r *Reader) rangeOver(prefix []byte, queued []op, fn func(key, val []byte) bool) {
	defer r.fault()
	r.n.match++
	r.at = append(r.at[:0], prefix...)
	on := !r.vacant.holds(r, prefix) && r.seek()
	if on {
		r.vacant.note(r, prefix)
	}
	if !on && len(queued) == 0 {
		r.n.matchMiss++
	}
	for again := 0; ; {
		var k, val []byte
		if on {
			k, val, on = r.cur.entry()
			on = on && bytes.HasPrefix(k, prefix)
		}
		if r.overtaken() && again < looks && r.look() {
			again++
			on = r.seek()
			continue
		}
		again = 0
		switch {
		case !on && len(queued) == 0:
			return
		case on && (len(queued) == 0 || bytes.Compare(k, queued[0].key) < 0):
			k = r.pass(k)
			on = r.cur.step(1)
		default:
			if on && bytes.Equal(k, queued[0].key) {
				on = r.cur.step(1)
			}
			k, val = r.pass(queued[0].key), queued[0].val
			queued = queued[1:]
		}
		if val != nil && !isOwn(k) && !fn(k, val) {
			return
		}
	}
}

// seek puts the cursor on the first entry from r.at on.
func (r *Reader) seek() bool {
	r.cur.reset(r.m)
	return r.cur.ceil(r.snap.root, r.at)
}

// pass notes that a walk goes on behind key k, and returns a copy of k that is valid
// until the next.
func (r *Reader) pass(k []byte) []byte {
	r.at = append(append(r.at[:0], k...), 0)
	return r.at[:len(k):len(k)]
}

// Count is the number of stored entries, without the store's own and without
// what is still queued.
func (s *Store) Count() (int, error) {
	s.stats.count.Add(1)
	n := 0
	ok := s.withReader(func(r *Reader) {
		n = int(r.snap.entries)
		if _, own := r.Get([]byte(recordKey)); own {
			n--
		}
	})
	if !ok {
		return 0, ErrClosed
	}
	return n, nil
}

// ClearNumber is Reader.ClearNumber of now; 0 when the Store cannot be read.
func (s *Store) ClearNumber() (n uint64) {
	s.withReader(func(r *Reader) { n = r.ClearNumber() })
	return n
}
