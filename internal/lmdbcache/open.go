package lmdbcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// Errors of Open and of calls on a Store.
var (
	ErrClosed = errors.New("cache is closed")
	ErrBusy   = errors.New("cache is busy")
	ErrTwice  = errors.New("cache is already open in this process")
)

// The flags of the environment, and why.
//
// Without WRITEMAP the map is read-only to us: no stray pointer can damage it,
// and a full disk is an error of a write call instead of SIGBUS.
//
// NOSYNC and NOMETASYNC leave writing to the disk to the kernel. A killed
// process loses nothing by that, since what it wrote is in the page cache that
// all processes share. A machine that loses power may leave a file whose pages
// do not fit together; the first process to open it walks it (verify.go) and
// puts it aside.
//
// NOTLS ties a reader's slot to its transaction instead of to its OS thread, as
// Go needs. NORDAHEAD since lookups are spread over the whole file.
const envFlags = lmdb.NoSync | lmdb.NoMetaSync | lmdb.NoTLS | lmdb.NoReadahead

// verifyTime bounds the walk over a file at Open. What it has not reached by then
// is trusted; should that kill the process, the next one is told to use Check.
const verifyTime = time.Second

// gateTime is how long Open waits for another process's Open.
const gateTime = 1500 * time.Millisecond

// A Store is one open map. All methods may be called from any goroutine.
type Store struct {
	dir  string
	opts Options
	env  *lmdb.Env
	dbi  lmdb.DBI
	file os.FileInfo // what data.mdb was when it was opened

	// view is the mapping that readers use. Growing the map adds a new one;
	// the older ones stay until Close, since readers may hold their bytes.
	view  atomic.Pointer[mapping]
	views []*mapping // guarded by growing

	growing   sync.Mutex // held by a write transaction, and while the map is replaced
	readers   readerSet
	spare     chan *Reader           // for calls on the Store itself
	collectAt atomic.Pointer[[]byte] // where the last collection stopped
	queue     queue
	stats     counters
	health    health

	closed   atomic.Bool
	lostOnce sync.Once
	stop     chan struct{} // closed by Close
	writer   chan struct{} // closed when the writer has ended
	watcher  chan struct{} // closed when the watcher has ended
}

// Open opens the map in dir, making the directory (0700) and the files (0600)
// if need be. A data file that is damaged is put aside and a new one begun. It
// fails when the directory is unsafe or unusable, when this process has the
// map open already, and when the system refuses the map.
func Open(dir string, opts Options) (*Store, error) {
	if !wordsAre64 {
		return nil, errors.New("the cache needs a machine with 64-bit words")
	}
	opts.fill()
	dir = filepath.Clean(dir)
	if err := prepareDir(dir); err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	leave, err := openGate(dir, gateTime)
	if err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	defer leave()
	if openHere(filepath.Join(dir, lockName)) {
		return nil, ErrTwice
	}
	s := &Store{dir: dir, opts: opts}
	if err := s.openFile(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	s.start()
	return s, nil
}

// openFile opens the environment; a file that LMDB or our own checks refuse is
// put aside, once.
func (s *Store) openFile() error {
	err := s.tryOpen()
	if !badFile(err) {
		return err
	}
	if inUse(s.dir) {
		// They notice within a second that the file was renamed away
		// (OnLost) and follow to the new one.
		s.opts.Warn(fmt.Sprintf("cache in %s: damaged while others use it", s.dir))
	}
	moved, qerr := quarantine(s.dir, s.opts.Clock.Now())
	if qerr != nil {
		return fmt.Errorf("%w (and it cannot be put aside: %v)", err, qerr)
	}
	s.opts.Warn(fmt.Sprintf("cache: %v; put aside as %s, starting empty", err, filepath.Base(moved)))
	return s.tryOpen()
}

// badFile tells errors that a new file would cure.
func badFile(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, errDamaged) {
		return true
	}
	var op *lmdb.OpError
	if !errors.As(err, &op) {
		return false
	}
	switch op.Errno {
	case lmdb.Invalid, lmdb.VersionMismatch, lmdb.Corrupted, lmdb.PageNotFound, lmdb.Panic, lmdb.Incompatible:
		return true
	}
	return false
}

func (s *Store) tryOpen() (err error) {
	size, err := s.examine()
	if err != nil {
		return err
	}
	env, err := lmdb.NewEnv()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.unmap()
			env.Close()
		}
	}()
	if err := errors.Join(env.SetMapSize(size), env.SetMaxReaders(s.opts.MaxReaders)); err != nil {
		return err
	}
	if err := env.Open(s.dir, envFlags, 0o600); err != nil {
		return err
	}
	s.env = env
	if err := s.mapFile(); err != nil {
		return err
	}
	return s.adopt()
}

// examine looks at an existing data file before LMDB does and returns the map
// size to ask for. The first process that opens a file walks all of it; for
// the others it is in use already.
func (s *Store) examine() (size int64, err error) {
	page := int64(os.Getpagesize())
	size = max(s.opts.MaxSize, minPages*page)
	size = (size + page - 1) / page * page
	if err := fitsLimit(size); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, dataName), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return size, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return size, err // LMDB starts an empty file anew
	}
	m, err := readMeta(f, st.Size())
	if err != nil {
		return 0, err
	}
	if !inUse(s.dir) {
		if err := verifyFile(f, st.Size(), m, verifyTime); err != nil {
			return 0, err
		}
	}
	// "Only increased": a file that was made for more keeps it. The size in
	// the meta page is believed only as far as the file goes.
	return max(size, min(int64(m.mapSize), st.Size())/page*page), nil
}

// readMeta reads the newest snapshot of f. Another process may be writing the
// meta page just now, so a bad one is looked at twice.
func readMeta(f *os.File, size int64) (m meta, err error) {
	readAt := func(b []byte, off int64) error {
		_, err := f.ReadAt(b, off)
		return err
	}
	for range 3 {
		if m, err = newestMeta(readAt, size); err == nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return m, err
}

// fitsLimit refuses a map that the process's file size limit forbids; writing
// over that limit raises SIGXFSZ, which ends a Go process.
func fitsLimit(size int64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil || uint64(size) <= l.Cur {
		return nil
	}
	return fmt.Errorf("size %d is over the limit for files (ulimit -f, %d bytes)", size, l.Cur)
}

// mapFile makes the file as long as the map and maps it for our readers. The
// length is a promise, not space: the file stays sparse, a full disk is an
// error of the writer, and a file shorter than its map is known to be cut off.
func (s *Store) mapFile() error {
	fd, err := s.env.FD()
	if err != nil {
		return err
	}
	info, err := s.env.Info()
	if err != nil {
		return err
	}
	syscall.CloseOnExec(int(fd)) // LMDB sees to its other files only
	var st syscall.Stat_t
	if err := syscall.Fstat(int(fd), &st); err != nil {
		return err
	}
	if st.Size < info.MapSize {
		if err := syscall.Ftruncate(int(fd), info.MapSize); err != nil {
			return fmt.Errorf("file cannot grow to %d bytes: %w", info.MapSize, err)
		}
	}
	stat, err := s.env.Stat()
	if err != nil {
		return err
	}
	mem, err := syscall.Mmap(int(fd), 0, int(info.MapSize), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %d bytes: %w", info.MapSize, err)
	}
	_ = syscall.Madvise(mem, syscall.MADV_RANDOM) // a hint; lookups work without
	m := newMapping(mem, uint32(stat.PSize))
	s.views = append(s.views, m)
	s.view.Store(m)
	s.file, err = os.Stat(filepath.Join(s.dir, dataName))
	return err
}

// grow follows another process that has enlarged the map. LMDB replaces its own
// mapping, so no transaction may be open in this process meanwhile: the caller
// has ended its own, the other readers are held off for that moment, and the
// writer is not waited for, since it may itself wait for another process.
func (s *Store) grow() error {
	if !s.growing.TryLock() {
		return ErrBusy
	}
	defer s.growing.Unlock()
	return s.growLocked()
}

func (s *Store) growLocked() error {
	if s.closed.Load() {
		return ErrClosed
	}
	release, ok := s.readers.hold(holdTime)
	defer release()
	if !ok {
		return ErrBusy
	}
	if err := s.env.SetMapSize(0); err != nil {
		return err
	}
	return s.mapFile()
}

// holdTime is how long growing waits for readers to end what they read.
const holdTime = 200 * time.Millisecond

func (s *Store) unmap() {
	for _, m := range s.views {
		_ = syscall.Munmap(m.mem) // only fails for a range that is none
	}
	s.views = nil
	s.view.Store(nil)
}

// start begins the Store's two goroutines.
func (s *Store) start() {
	s.spare = make(chan *Reader, 32)
	s.stop, s.writer, s.watcher = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.queue.init(s.opts.QueueEntries, s.opts.QueueBytes)
	s.health.init(s.opts)
	s.stats.opened.Store(1)
	s.opts.Goroutines.Go("cache writer", s.writeLoop)
	s.opts.Goroutines.Go("cache watcher", s.watchLoop)
}

// closeTime bounds each of the two waits of Close.
const closeTime = 2 * time.Second

// Close writes what is queued, waits until every Reader has ended what it reads,
// and closes the map. Later calls fail with ErrClosed or find nothing. When a
// reader does not end or another process is frozen inside a write, the map stays
// in memory, and Close returns ErrBusy: unmapping it would end the process.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	s.stats.closed.Store(1)
	close(s.stop)
	ended := s.waitEnded(closeTime)
	if !s.readers.closeAll(closeTime) || !ended {
		return ErrBusy
	}
	err := s.env.Close()
	s.unmap()
	return err
}

func (s *Store) waitEnded(wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	for _, done := range []chan struct{}{s.writer, s.watcher} {
		select {
		case <-done:
		case <-t.C:
			return false
		}
	}
	return true
}

// Dir is the directory that was opened.
func (s *Store) Dir() string { return s.dir }

// Size is how large the map may become, in bytes.
func (s *Store) Size() int64 {
	if m := s.view.Load(); m != nil {
		return int64(len(m.mem))
	}
	return 0
}
