package lmdbcache

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// What a Reader is doing. Its owner changes it between idle and reading; closing the Reader
// or its Store changes it from idle to closed.
const (
	readerIdle int32 = iota
	readerReading
	readerClosed
)

// A Reader looks entries up in one snapshot after the other. It belongs to one
// goroutine: Begin, any number of Get and Floor, End. None of them allocates,
// waits, takes a lock or calls LMDB, whether something is found or not.
//
// Readers are in no table that writers would look at. The pages of a snapshot are intact
// until the second transaction after it; a Reader whose snapshot was overwritten during a
// look-up repeats that in the newest one. So no process keeps a page from being used again,
// not even one that is frozen or killed during a look-up.
//
// Bytes that it returns belong to the map. They must not be written to, and may
// change at once, or be bytes of a damaged file: copy, then check the copy.
// Should the file be cut off while they are read, the runtime panics with an
// error that has an Addr method; between Begin and End that panic can be
// recovered (debug.SetPanicOnFault), and then End is to be called.
type Reader struct {
	state atomic.Int32
	s     *Store

	m    *mapping // nil outside of Begin and End
	snap snapshot
	cur  cursor
	at   []byte // where a walk that was overtaken goes on

	vacant vacancy // what a walk found last not to be stored

	clears    uint64 // the clear number in snapshot clearsTxn
	clearsTxn uint64
	faults    bool // what SetPanicOnFault was before Begin

	n         readCounts // this goroutine's own
	published readCounters
}

// looks is how often something is looked for by a Reader that is overtaken again
// and again. That takes two transactions within each look, so the thread must have
// been off its processor meanwhile.
const looks = 4

// NewReader returns a Reader for the calling goroutine. It fails when the Store
// is closed.
func (s *Store) NewReader() (*Reader, error) {
	r := &Reader{s: s}
	if s.closed.Load() || !s.readers.add(r) {
		return nil, ErrClosed
	}
	return r, nil
}

// Begin starts reading from the newest snapshot. After an error, Get finds
// nothing: ErrClosed when the Store was closed, ErrBusy when the map cannot be
// read, or not at this moment.
func (r *Reader) Begin() error {
	if r.s.readers.closing.Load() || !r.state.CompareAndSwap(readerIdle, readerReading) {
		return ErrClosed
	}
	r.faults = debug.SetPanicOnFault(true)
	if !r.look() {
		r.end()
		return ErrBusy
	}
	return nil
}

// look takes the newest snapshot. When there is none, r goes on with what it has.
func (r *Reader) look() (ok bool) {
	m := r.s.view.Load()
	defer func() {
		if v := recover(); v != nil {
			r.s.fault(m, v)
			r.n.damaged++
			ok = false
		}
	}()
	snap, ok := m.newest()
	if ok && !m.covers(&snap) {
		if !r.s.follow(snap.mapSize) {
			return false
		}
		m = r.s.view.Load()
		snap, ok = m.newest()
	}
	if !ok || !m.covers(&snap) {
		return false
	}
	r.m, r.snap = m, snap
	return true
}

// overtaken tells whether what was read since the last look may be of no snapshot.
func (r *Reader) overtaken() bool { return r.m.overtaken(&r.snap) }

// End gives up the snapshot.
func (r *Reader) End() {
	if r.m != nil {
		r.end()
	}
}

func (r *Reader) end() {
	debug.SetPanicOnFault(r.faults)
	r.m = nil
	r.published.publish(&r.n)
	r.state.Store(readerIdle)
}

// Close gives the Reader up. It must not be between Begin and End.
func (r *Reader) Close() {
	r.End()
	r.s.readers.remove(r)
	r.state.CompareAndSwap(readerIdle, readerClosed)
}

// Get returns the value under key.
func (r *Reader) Get(key []byte) (val []byte, ok bool) {
	if r.m == nil || len(key) == 0 || len(key) > maxKey {
		return nil, false
	}
	defer r.fault()
	r.n.read++
	val, ok, intact := r.get(key)
	if !ok {
		r.n.readMiss++
		if !intact {
			r.n.damaged++
		}
	}
	return val, ok
}

func (r *Reader) get(key []byte) (val []byte, ok, intact bool) {
	if r.vacant.holds(r, key) {
		return nil, false, true
	}
	for range looks {
		val, ok, intact = r.m.get(r.snap.root, key)
		if !r.overtaken() {
			return val, ok, intact
		}
		if !r.look() {
			break
		}
	}
	return nil, false, true
}

// Floor returns the entry with the greatest key that is not above key, among those
// whose keys start with prefix. The store's own entries do not count.
func (r *Reader) Floor(prefix, key []byte) (k, val []byte, ok bool) {
	if r.m == nil || len(key) == 0 {
		return nil, nil, false
	}
	defer r.fault()
	r.n.floor++
	if k, val, ok = r.floor(key); ok && !isOwn(k) && bytes.HasPrefix(k, prefix) {
		return k, val, true
	}
	r.n.floorMiss++
	if r.cur.damaged {
		r.n.damaged++
	}
	return nil, nil, false
}

func (r *Reader) floor(key []byte) (k, val []byte, ok bool) {
	for range looks {
		r.cur.reset(r.m)
		if ok = r.cur.floor(r.snap.root, key); ok {
			k, val, ok = r.cur.entry()
		}
		if !r.overtaken() {
			return k, val, ok
		}
		if !r.look() {
			break
		}
	}
	r.cur.reset(r.m)
	return nil, nil, false
}

// ClearNumber counts the clears, whole or partial, of all processes. It is that
// of the snapshot, and changes in the same transaction as the entries.
func (r *Reader) ClearNumber() uint64 {
	if r.m == nil {
		return 0
	}
	if r.clearsTxn != r.snap.txn || r.snap.txn == 0 {
		r.readClears()
	}
	return r.clears
}

// readClears reads the clear number. Nothing in the record shows that it was
// overtaken, so what was read must be complete before that is asked, which an
// exchange sees to on any processor.
func (r *Reader) readClears() {
	defer r.fault()
	for range looks {
		b, _, _ := r.m.get(r.snap.root, []byte(recordKey))
		rec, _ := parseRecord(b)
		r.state.Swap(readerReading)
		if !r.overtaken() {
			r.clears, r.clearsTxn = rec.clears, r.snap.txn
			return
		}
		if !r.look() {
			return
		}
	}
}

// fault turns a fault in the map into a miss: the file was cut off under us.
// Any other panic goes on.
func (r *Reader) fault() {
	if v := recover(); v != nil {
		r.s.fault(r.m, v)
		r.n.damaged++
	}
}

// fault takes note of a panic that is a fault in a mapping. Any other goes on.
func (s *Store) fault(m *mapping, v any) {
	f, ok := v.(interface{ Addr() uintptr })
	if !ok || m == nil || !m.holds(f.Addr()) {
		panic(v)
	}
	s.lost("the data file is shorter than its map")
}

func isOwn(key []byte) bool { return len(key) >= 2 && key[0] == 0 && key[1] == 0 }

// A readerSet knows all Readers of a Store, so that it can be closed.
type readerSet struct {
	// closing is set when no Reader may begin any more.
	closing atomic.Bool

	mu     sync.Mutex
	all    []*Reader
	closed bool
	gone   readCounts // of readers that were closed
}

func (rs *readerSet) add(r *Reader) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return false
	}
	rs.all = append(rs.all, r)
	return true
}

func (rs *readerSet) remove(r *Reader) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for i, o := range rs.all {
		if o == r {
			rs.all = append(rs.all[:i], rs.all[i+1:]...)
			rs.gone.add(&r.published)
			return
		}
	}
}

// closeAll ends all readers for good; false when one did not end in time.
func (rs *readerSet) closeAll(wait time.Duration) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.closed = true
	rs.closing.Store(true)
	deadline := time.Now().Add(wait)
	ok := true
	for _, r := range rs.all {
		ok = r.close(deadline) && ok
	}
	return ok
}

// close waits for a reader to become idle and has it do nothing more.
func (r *Reader) close(deadline time.Time) bool {
	for n := 0; !r.state.CompareAndSwap(readerIdle, readerClosed); n++ {
		if r.state.Load() == readerClosed {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		if n < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(50 * time.Microsecond)
		}
	}
	return true
}
