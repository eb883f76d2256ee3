package lmdbcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"kresd/internal/limits"

	"github.com/PowerDNS/lmdb-go/lmdb"
	"golang.org/x/sys/unix"
)

// Put queues an entry for the writer. A cache may forget: Put cannot fail, and
// returns at once. Keys over 511 bytes, empty ones and the store's own are not
// stored.
func (s *Store) Put(key, val []byte) { s.PutIf(key, val, nil) }

// A Replace tells whether val may take the place of the value old that is stored under
// key. It runs on the writer's goroutine inside the transaction (and before, against what
// is queued), so nothing comes between its look and the write. The old value may be
// damaged. A Replace must keep none of the three, not block, and not call the Store. What
// it judges by stands best in val: one that knows of nothing else costs no memory.
type Replace func(key, old, val []byte) bool

// PutIf is Put, but an entry that is stored already gives way only if replace
// agrees.
func (s *Store) PutIf(key, val []byte, replace Replace) {
	s.put(&op{key: bytes.Clone(key), val: bytes.Clone(val), replace: replace, seen: s.ClearNumber()})
}

// PutSince is PutIf for what was learned while the clear number was seen: when a
// clear that concerns the key came since, it is not stored. A nil replace
// always agrees. Key and val belong to the Store from then on.
func (s *Store) PutSince(seen uint64, key, val []byte, replace Replace) {
	s.put(&op{key: key, val: val, replace: replace, seen: seen})
}

// PutUnlessCleared is PutSince for what tells of more than lies under its key: a
// clear of any range since then concerns it.
func (s *Store) PutUnlessCleared(seen uint64, key, val []byte, replace Replace) {
	s.put(&op{key: key, val: val, replace: replace, seen: seen, wide: true})
}

// Delete queues the removal of an entry.
func (s *Store) Delete(key []byte) { s.DeleteIf(key, nil) }

// DeleteIf is Delete, but the entry goes only if remove agrees to that, as for PutIf: the
// entry that the caller has seen may have been replaced since.
func (s *Store) DeleteIf(key []byte, remove func(old []byte) bool) {
	o := &op{key: bytes.Clone(key), seen: s.ClearNumber()}
	if remove != nil {
		o.replace = func(_, old, _ []byte) bool { return remove(old) }
	}
	s.put(o)
}

func (s *Store) put(o *op) {
	if len(o.key) == 0 || len(o.key) > maxKey || isOwn(o.key) || s.closed.Load() {
		return
	}
	if o.val != nil && s.health.paused() {
		s.stats.pauseDrops.Add(1)
		return
	}
	switch accepted, outranked := s.queue.add(o, s.batchSize()); {
	case outranked:
		s.stats.rankDrops.Add(1)
	case !accepted:
		s.stats.queueDrops.Add(1)
	}
}

// mayReplace asks the caller's function; one that cannot cope with the bytes of
// a damaged entry agrees to replace it.
func (o *op) mayReplace(old []byte) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true
		}
	}()
	return o.replace(o.key, old, o.val)
}

// batchSize is how many writes one transaction may hold: few in a small map,
// where the copies of the touched pages must find room beside the originals.
func (s *Store) batchSize() int {
	m := s.view.Load()
	if m == nil {
		return 1
	}
	return int(min(max(m.pages/64, 4), limits.WriteBatchEntries))
}

// gather is how long the first write in line waits for company: a transaction
// costs the same pages and system calls whether it holds one entry or many of
// their neighbours. Nobody waits for it, and this process sees the entry at once;
// the others see it later, and a worker that is killed takes it along. Measured at
// 3000 misses a second, 10 ms cost 8 % more CPU for each than 50.
const gather = 50 * time.Millisecond

// writeLoop is the writer. LMDB's write transactions belong to an OS thread.
func (s *Store) writeLoop() {
	defer close(s.writer)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := time.NewTimer(gather)
	defer wait.Stop()
	for {
		select {
		case <-s.stop:
			s.drain()
			return
		case <-s.queue.wake:
		}
		wait.Reset(gather)
		select {
		case <-s.stop:
		case <-s.queue.hurry:
		case <-wait.C:
		}
		for !s.queue.empty() && !s.closed.Load() {
			s.writeNext()
			s.leaveTurn()
		}
	}
}

// leaveTurn lets others write who may wait for it, once each writeTurn.
func (s *Store) leaveTurn() {
	if time.Since(s.turn) > writeTurn {
		time.Sleep(othersTurn)
		s.turn = time.Now()
	}
}

// drainTime is how long what is queued is still written when the Store is closed.
const drainTime = time.Second

func (s *Store) drain() {
	for !s.queue.empty() && s.patience.Err() == nil {
		s.writeNext()
	}
	s.queue.end()
	for {
		batch, j := s.queue.take(nil, limits.WriteBatchEntries)
		if j == nil && len(batch) == 0 {
			return
		}
		if j != nil {
			j.finish(ErrClosed)
		}
	}
}

// writeNext runs the job that is first in line or writes one batch.
func (s *Store) writeNext() {
	batch, j := s.queue.take(nil, s.batchSize())
	if j != nil {
		s.runJob(j)
		return
	}
	var b tally
	err := s.update(func(txn *lmdb.Txn) error {
		b = tally{}
		return s.writeBatch(txn, batch, &b)
	})
	if lmdb.IsMapFull(err) {
		err = s.writeSmall(batch, &b)
		b.tried = len(batch)
	}
	if err != nil {
		b = tally{tried: len(batch)} // given up, all of it
		s.failed(err)
	}
	s.stats.write.Add(b.written)
	s.stats.remove.Add(b.removed)
	s.stats.removeMiss.Add(b.missing)
	s.queue.done(batch[:b.tried], batch[b.tried:])
}

// writeSmall tries a batch again without the entries that need pages in a row:
// those may be missing in a map with single free pages enough.
func (s *Store) writeSmall(batch []*op, b *tally) error {
	small := make([]*op, 0, len(batch))
	for _, o := range batch {
		if o.size() < int(s.view.Load().psize)/2 {
			small = append(small, o)
		}
	}
	s.stats.fullDrops.Add(uint64(len(batch) - len(small)))
	return s.update(func(txn *lmdb.Txn) error {
		*b = tally{}
		return s.writeBatch(txn, small, b)
	})
}

// A tally is what a transaction did; it counts when it is committed.
type tally struct {
	tried                     int
	written, removed, missing uint64
}

// writeBatch applies writes until limits.WriteBatchTime is over. Others wait for
// the lock meanwhile.
func (s *Store) writeBatch(txn *lmdb.Txn, batch []*op, b *tally) error {
	rec, err := s.readRecord(txn)
	if err != nil {
		return err
	}
	rec.prefix = bytes.Clone(rec.prefix) // the page may change under it
	room := s.room()
	began := time.Now()
	for i, o := range batch {
		if i&7 == 7 && time.Since(began) > limits.WriteBatchTime {
			return nil
		}
		if err := s.apply(txn, o, rec, room, b); err != nil {
			return err
		}
		room -= int64(len(o.key) + len(o.val))
		b.tried++
	}
	return nil
}

func (s *Store) apply(txn *lmdb.Txn, o *op, rec record, room int64, b *tally) error {
	switch {
	case rec.drops(o):
		s.stats.staleDrops.Add(1)
		return nil
	case o.val == nil:
		return s.remove(txn, o, b)
	case int64(len(o.key)+len(o.val)) > room:
		s.stats.fullDrops.Add(1)
		return nil
	}
	b.written++
	if o.replace == nil {
		return txn.Put(s.dbi, o.key, o.val, 0)
	}
	return s.applyIf(txn, o, b)
}

// applyIf writes an entry that gives way to a better one. Most are new, so that is
// tried first.
func (s *Store) applyIf(txn *lmdb.Txn, o *op, b *tally) error {
	err := txn.Put(s.dbi, o.key, o.val, lmdb.NoOverwrite)
	if !lmdb.IsErrno(err, lmdb.KeyExist) {
		return err
	}
	if old, err := txn.Get(s.dbi, o.key); err == nil && !o.mayReplace(old) {
		s.stats.rankDrops.Add(1)
		b.written--
		return nil
	}
	return txn.Put(s.dbi, o.key, o.val, 0)
}

func (s *Store) remove(txn *lmdb.Txn, o *op, b *tally) error {
	if o.replace != nil {
		old, err := txn.Get(s.dbi, o.key)
		if err == nil && !o.mayReplace(old) {
			s.stats.rankDrops.Add(1)
			return nil
		}
	}
	err := txn.Del(s.dbi, o.key, nil)
	if lmdb.IsNotFound(err) {
		b.missing++
		return nil
	}
	b.removed++
	return err
}

// update runs fn in a write transaction on the writer's thread. What fn reads are bytes of
// the map, valid until it writes.
func (s *Store) update(fn lmdb.TxnOp) error {
	if err := s.lock.lock(s.patience); err != nil {
		return err
	}
	defer s.lock.unlock()
	if err := s.stillGood(); err != nil {
		s.lost(err.Error())
		return err
	}
	uncopied := func(txn *lmdb.Txn) error {
		txn.RawRead = true
		return fn(txn)
	}
	err := s.env.UpdateLocked(uncopied)
	for try := 0; lmdb.IsMapResized(err) && try < 3; try++ {
		if err = s.grow(); err == nil {
			err = s.env.UpdateLocked(uncopied)
		}
	}
	if err == nil {
		s.stats.commit.Add(1)
		s.wrote()
	}
	return err
}

// stillGood looks at what LMDB, which has no other way than to believe its file,
// is about to believe: that it is all there, and its two meta pages.
func (s *Store) stillGood() error {
	st, err := s.lock.f.Stat()
	if err != nil {
		return err
	}
	if st.Size() < s.Size() {
		return errCutOff
	}
	_, err = readMeta(s.lock.f, st.Size())
	return err
}

// grow follows another process that has enlarged the map.
func (s *Store) grow() error {
	if err := s.env.SetMapSize(0); err != nil {
		return err
	}
	return s.mapFile()
}

// freshWait is how long writing rests when the free pages were freed just now: they
// can be used in the second transaction after that one, and somebody's next comes
// soon.
const freshWait = 50 * time.Millisecond

// failed takes note of a transaction that failed. The entries in it are lost,
// which a cache may do; asking for the answer again is what brings them back.
func (s *Store) failed(err error) {
	s.stats.writeErrors.Add(1)
	if errors.Is(err, ErrBusy) || errors.Is(err, errDamaged) {
		return // closing, or to be opened again
	}
	var op *lmdb.OpError
	if errors.As(err, &op) {
		switch op.Errno {
		case lmdb.Panic, lmdb.Corrupted, lmdb.PageNotFound, lmdb.Invalid:
			s.lost(err.Error())
		case lmdb.MapFull:
			s.health.askCollector()
			if s.Usage() < limits.CollectHardPercent {
				// There are free pages, but they were freed just now.
				s.health.rest(freshWait)
				return
			}
		}
	}
	if !s.health.failure() {
		return
	}
	err = half(reason(err), s.dir)
	if why := err.Error(); why != s.told { // once for as long as it lasts
		s.told = why
		s.opts.Warn(fmt.Sprintf("the cache in %s cannot be written to: %v%s; what is in it is used meanwhile, and writing is tried every %v", s.dir, why, Remedy(err, s.dir), limits.WriteFailurePause))
	}
}

// half is err, or ENOSPC where LMDB calls it EIO that only the first part of what it
// wrote found room.
func half(err error, dir string) error {
	var st unix.Statfs_t
	if errors.Is(err, unix.EIO) && unix.Statfs(dir, &st) == nil && st.Bavail*uint64(st.Frsize) < minPages*uint64(os.Getpagesize()) {
		return unix.ENOSPC
	}
	return err
}

// wrote says that writing works again, if it was said that it does not.
func (s *Store) wrote() {
	if s.told != "" {
		s.told = ""
		s.opts.Info(fmt.Sprintf("the cache in %s can be written to again", s.dir))
	}
}

// Remedy says what helps where err is that of a file system which takes nothing; ""
// for other errors.
func Remedy(err error, dir string) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Sprintf(" (its file system is full: make room there, 'df -h %s' shows it, or put the cache elsewhere by cache.storage)", dir)
	case errors.Is(err, unix.EDQUOT):
		return fmt.Sprintf(" (the quota of user %d is used up there)", os.Geteuid())
	case errors.Is(err, unix.EROFS):
		return fmt.Sprintf(" (its file system is mounted read-only, perhaps by the system after an error of the disk, see dmesg: 'mount -o remount,rw' it, or put the cache elsewhere by cache.storage; of a service, ReadWritePaths=%s)", dir)
	case errors.Is(err, unix.EIO):
		return " (the disk has failed, see dmesg)"
	}
	return ""
}

// A job is work for the writer that somebody waits for. It runs behind all
// writes that were queued before it, in one transaction after the other as long as
// more agrees.
type job struct {
	step  lmdb.TxnOp  // nil: there is nothing to do but to wait
	more  func() bool // nil: one transaction is enough
	ended chan error
	state atomic.Int32 // jobWaiting, then whoever is first: jobRunning or jobLeft
}

const (
	jobWaiting int32 = iota
	jobRunning
	jobLeft // the caller gave up before it began
)

func (j *job) finish(err error) { j.ended <- err }

func (s *Store) runJob(j *job) {
	if !j.state.CompareAndSwap(jobWaiting, jobRunning) {
		return
	}
	if j.step == nil {
		j.finish(nil)
		return
	}
	err := s.update(j.step)
	for err == nil && j.more != nil && j.more() {
		s.leaveTurn()
		err = s.update(j.step)
	}
	j.finish(err)
}

// do has the writer run a job of one transaction and waits until it has ended.
func (s *Store) do(ctx context.Context, step lmdb.TxnOp) error {
	return s.await(ctx, &job{step: step, ended: make(chan error, 1)})
}

// await has the writer run a job and waits until it has ended. A job that has begun
// is waited for; the wait before that ends with ctx.
func (s *Store) await(ctx context.Context, j *job) error {
	if s.closed.Load() || !s.queue.addJob(j) {
		return ErrClosed
	}
	select {
	case err := <-j.ended:
		return err
	case <-ctx.Done():
	}
	if j.state.CompareAndSwap(jobWaiting, jobLeft) {
		return ErrBusy
	}
	select { // it may itself wait for another process that is frozen
	case err := <-j.ended:
		return err
	case <-time.After(closeTime):
		return ErrBusy
	}
}

// Flush waits until what was queued before is committed (or was given up).
func (s *Store) Flush(ctx context.Context) error { return s.do(ctx, nil) }
