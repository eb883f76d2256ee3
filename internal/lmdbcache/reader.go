package lmdbcache

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// What a Reader is doing. Its owner moves between idle and reading; whoever
// replaces the map or closes the Store moves it from idle to held or closed.
const (
	readerIdle int32 = iota
	readerReading
	readerHeld
	readerClosed
)

// A Reader looks entries up in one snapshot after the other. It belongs to one
// goroutine: Begin, any number of Get and Floor, End. None of them allocates,
// waits or takes a lock, whether something is found or not.
//
// Bytes that it returns belong to the map. They are valid until End, must not
// be written to, and may be bytes of a damaged file: copy, then check the copy.
// Should the file be cut off while they are read, the runtime panics with an
// error that has an Addr method; between Begin and End that panic can be
// recovered (debug.SetPanicOnFault). Whoever recovers it calls End.
type Reader struct {
	state atomic.Int32
	s     *Store
	txn   *lmdb.Txn

	m    *mapping // nil outside of Begin and End
	snap snapshot
	cur  cursor

	clears    uint64 // the clear number in snapshot clearsTxn
	clearsTxn uint64
	faults    bool // what SetPanicOnFault was before Begin

	n         readCounts // this goroutine's own
	published readCounters
}

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
// nothing: ErrClosed when the Store was closed, ErrBusy when the map is just
// being replaced.
func (r *Reader) Begin() error {
	if r.s.readers.wanted.Load() || !r.state.CompareAndSwap(readerIdle, readerReading) {
		return r.refused()
	}
	if r.txn == nil || r.txn.Renew() != nil {
		if err := r.restart(); err != nil {
			return err
		}
	}
	m := r.s.view.Load()
	r.snap = m.newest()
	if !m.covers(&r.snap) {
		return r.beginGrown()
	}
	r.m = m
	r.faults = debug.SetPanicOnFault(true)
	return nil
}

func (r *Reader) refused() error {
	if r.s.closed.Load() || r.state.Load() == readerClosed {
		return ErrClosed
	}
	return ErrBusy
}

// restart begins a new transaction: the first of this reader, or after LMDB
// refused to renew the old one because the map was enlarged by another process
// or the slot in the reader table was lost.
func (r *Reader) restart() error {
	for try := 0; ; try++ {
		r.drop()
		txn, err := r.s.env.BeginTxn(nil, lmdb.Readonly)
		if err == nil {
			txn.RawRead, txn.Pooled = true, true
			r.txn = txn
			return nil
		}
		if try == 2 {
			r.state.Store(readerIdle)
			return err
		}
		switch {
		case lmdb.IsMapResized(err):
			r.state.Store(readerIdle)
			err = r.s.grow()
			if !r.state.CompareAndSwap(readerIdle, readerReading) {
				return r.refused()
			}
		case lmdb.IsErrno(err, lmdb.ReadersFull):
			_, err = r.s.env.ReaderCheck()
		}
		if err != nil && err != ErrBusy {
			r.state.Store(readerIdle)
			return err
		}
	}
}

// beginGrown is the rare case that the map was enlarged after the transaction
// had begun.
func (r *Reader) beginGrown() error {
	r.txn.Reset()
	r.state.Store(readerIdle)
	if err := r.s.grow(); err != nil {
		return err
	}
	return r.Begin()
}

func (r *Reader) drop() {
	if r.txn != nil {
		r.txn.Abort()
		r.txn = nil
	}
}

// End gives up the snapshot, so that writers may reuse its pages.
func (r *Reader) End() {
	if r.m == nil {
		return
	}
	debug.SetPanicOnFault(r.faults)
	r.m = nil
	r.txn.Reset()
	r.published.publish(&r.n)
	r.state.Store(readerIdle)
}

// Close gives the Reader up. It must not be between Begin and End.
func (r *Reader) Close() {
	r.End()
	r.s.readers.remove(r)
	if r.state.CompareAndSwap(readerIdle, readerClosed) {
		r.drop()
	}
}

// Get returns the value under key.
func (r *Reader) Get(key []byte) (val []byte, ok bool) {
	if r.m == nil || len(key) == 0 || len(key) > maxKey {
		return nil, false
	}
	defer r.fault()
	val, ok, intact := r.m.get(r.snap.root, key)
	r.n.read++
	if !ok {
		r.n.readMiss++
		if !intact {
			r.n.damaged++
		}
	}
	return val, ok
}

// Floor returns the entry with the greatest key that is not above key, among those
// whose keys start with prefix. The store's own entries do not count.
func (r *Reader) Floor(prefix, key []byte) (k, val []byte, ok bool) {
	if r.m == nil || len(key) == 0 {
		return nil, nil, false
	}
	defer r.fault()
	r.n.floor++
	r.cur.reset(r.m)
	if r.cur.floor(r.snap.root, key) {
		if k, val, ok = r.cur.entry(); ok && !isOwn(k) && bytes.HasPrefix(k, prefix) {
			return k, val, true
		}
	}
	r.n.floorMiss++
	if r.cur.damaged {
		r.n.damaged++
	}
	return nil, nil, false
}

// ClearNumber counts the clears, whole or partial, of all processes. It is that
// of the snapshot, and changes in the same transaction as the entries.
func (r *Reader) ClearNumber() uint64 {
	if r.m == nil {
		return 0
	}
	if r.clearsTxn != r.snap.txn || r.snap.txn == 0 {
		defer r.fault()
		b, _, _ := r.m.get(r.snap.root, []byte(recordKey))
		rec, _ := parseRecord(b)
		r.clears, r.clearsTxn = rec.clears, r.snap.txn
	}
	return r.clears
}

// fault turns a fault in the map into a miss: the file was cut off under us.
// Any other panic goes on.
func (r *Reader) fault() {
	v := recover()
	if v == nil {
		return
	}
	f, ok := v.(interface{ Addr() uintptr })
	if !ok || r.m == nil || !r.m.holds(f.Addr()) {
		panic(v)
	}
	r.n.damaged++
	r.s.lost("the data file is shorter than its map")
}

func isOwn(key []byte) bool { return len(key) >= 2 && key[0] == 0 && key[1] == 0 }

// A readerSet knows all Readers of a Store, so that they can be held off.
type readerSet struct {
	// wanted is set while somebody waits for readers to become idle: without
	// it, one that reads all the time would hardly be met between End and
	// Begin.
	wanted atomic.Bool

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

// hold keeps all readers from beginning until release is called. It is not ok
// when one did not end in time. New readers wait as well.
func (rs *readerSet) hold(wait time.Duration) (release func(), ok bool) {
	rs.mu.Lock()
	rs.wanted.Store(true)
	ok = true
	deadline := time.Now().Add(wait)
	var held []*Reader
	for _, r := range rs.all {
		if ok = r.take(readerHeld, deadline); !ok {
			break
		}
		held = append(held, r)
	}
	return func() {
		for _, r := range held {
			r.state.CompareAndSwap(readerHeld, readerIdle)
		}
		rs.wanted.Store(false)
		rs.mu.Unlock()
	}, ok
}

// closeAll ends all readers for good; false when one did not end in time.
func (rs *readerSet) closeAll(wait time.Duration) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.closed = true
	rs.wanted.Store(true)
	deadline := time.Now().Add(wait)
	ok := true
	for _, r := range rs.all {
		if r.take(readerClosed, deadline) {
			r.drop()
		} else {
			ok = false
		}
	}
	return ok
}

// take moves an idle reader to another state, waiting for it to become idle.
func (r *Reader) take(state int32, deadline time.Time) bool {
	for n := 0; !r.state.CompareAndSwap(readerIdle, state); n++ {
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
