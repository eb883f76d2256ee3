package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"kresd/internal/wording"
)

// Errors of Open and of calls on a Store.
var (
	ErrClosed = errors.New("cache is closed")
	ErrBusy   = errors.New("cache is busy")
	ErrTwice  = errors.New("cache is already open in this process")
	ErrSchema = errors.New("the cache is of another version of kresd")
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
// NOLOCK since LMDB's own locks and its table of readers are memory that any
// process can write to, and on garbage they wait for ever. We have a lock of the
// kernel's for writers (filelock.go), and readers that look whether a writer has
// overtaken them (reader.go). NORDAHEAD since lookups are spread over the whole
// file.
const envFlags = lmdb.NoSync | lmdb.NoMetaSync | lmdb.NoLock | lmdb.NoReadahead

// verifyTime bounds the walk over a file at Open. Pages that it has not reached by then are
// trusted; should one of them kill the process, the next one is told to use Check.
const verifyTime = time.Second

// gateTime is how long Open waits for another process's Open.
const gateTime = 1500 * time.Millisecond

// A Store is one open map. All methods may be called from any goroutine.
type Store struct {
	dir  string
	opts Options
	env  *lmdb.Env // of the writer alone, once the Store is open
	dbi  lmdb.DBI
	lock fileLock    // on data.mdb
	was  os.FileInfo // what data.mdb was when it was opened
	own  *os.File    // lock.mdb (keepOthersOut)

	// view is the mapping that readers use. Growing the map adds a new one;
	// the older ones stay until Close, since readers may hold their bytes.
	view    atomic.Pointer[mapping]
	viewing sync.Mutex
	views   []*mapping // only with viewing held

	readers   readerSet
	spare     spareReaders           // for calls on the Store itself
	collectAt atomic.Pointer[[]byte] // where the last collection stopped
	queue     queue
	stats     counters
	health    health

	closed   atomic.Bool
	lostOnce sync.Once
	stop     chan struct{}   // closed by Close
	patience context.Context // of the writer; ends soon after stop
	giveUp   context.CancelFunc
	told     string        // why the writer cannot write, as the log was told; "": it can
	turn     time.Time     // when the writer last left the lock to others
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
	if openHere(filepath.Join(dir, dataName)) {
		return nil, ErrTwice
	}
	s := &Store{dir: dir, opts: opts}
	if err := s.openFile(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: reason(err)}
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
	if s.othersUse() {
		// They notice within a second that the file was renamed away
		// (OnLost) and follow to the new one.
		s.opts.Warn(fmt.Sprintf("the cache in %s is damaged while others use it", s.dir))
	}
	moved, qerr := quarantine(s.dir, s.opts.Clock.Now())
	if qerr != nil {
		return fmt.Errorf("%w, and it cannot be put aside: %w", err, wording.Reason(qerr))
	}
	s.opts.Warn(fmt.Sprintf("the cache in %s is empty: %v, put aside as %s", s.dir, reason(err), filepath.Base(moved)))
	return s.tryOpen()
}

// reason is err without the names of LMDB's functions.
func reason(err error) error {
	var op *lmdb.OpError
	if errors.As(err, &op) {
		return op.Errno
	}
	return err
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
	defer func() {
		if err != nil {
			s.letGo()
		}
	}()
	if s.own, err = keepOthersOut(s.dir); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, dataName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	s.lock = fileLock{f}
	if s.was, err = f.Stat(); err != nil {
		return err
	}
	size, err := s.examine()
	if err != nil {
		return err
	}
	if err := s.lock.use(); err != nil {
		return fmt.Errorf("locking %s: %w", dataName, err)
	}
	if err := s.openEnv(size); err != nil {
		return err
	}
	if err := s.mapFile(); err != nil {
		return err
	}
	return s.adopt()
}

// openEnv has LMDB open the file for the writer. An empty file becomes one of
// LMDB's by that, so this counts as writing.
func (s *Store) openEnv(size int64) (err error) {
	if s.was.Size() == 0 {
		if err := s.lockSoon(); err != nil {
			return err
		}
		defer s.lock.unlock()
	}
	s.env, err = newEnv(s.dir, size, envFlags)
	return err
}

// newEnv has LMDB open what path stands for, with a map of so many octets.
func newEnv(path string, size int64, flags uint) (*lmdb.Env, error) {
	env, err := lmdb.NewEnv()
	if err != nil {
		return nil, err
	}
	if err = env.SetMapSize(size); err == nil {
		err = env.Open(path, flags, 0o600)
	}
	if err != nil {
		env.Close()
		return nil, err
	}
	return env, nil
}

// lockSoon takes the right to write, unless another process is frozen that has it.
func (s *Store) lockSoon() error {
	ctx, cancel := context.WithTimeout(context.Background(), gateTime)
	defer cancel()
	return s.lock.lock(ctx)
}

// letGo gives back all that opening took, as far as it came.
func (s *Store) letGo() error {
	var err error
	if s.env != nil {
		err = s.env.Close()
	}
	s.unmap()
	for _, f := range []*os.File{s.lock.f, s.own} {
		if f != nil {
			f.Close()
		}
	}
	s.env, s.lock, s.own = nil, fileLock{}, nil
	return err
}

// examine looks at the data file before LMDB does and returns the map size to ask
// for. The first process that opens a file walks all of it; for the others it is
// in use already.
func (s *Store) examine() (size int64, err error) {
	page := int64(os.Getpagesize())
	size = max(s.opts.MaxSize, minPages*page)
	size = (size + page - 1) / page * page
	if err := fitsLimit(size); err != nil {
		return 0, err
	}
	has := s.was.Size()
	if has == 0 {
		return size, nil // LMDB starts an empty file anew
	}
	m, err := readMeta(s.lock.f, has)
	if err != nil {
		return 0, err
	}
	if _, used, err := s.lock.holder(inUseOctet); err == nil && !used {
		if err := verifyFile(s.lock.f, has, m, verifyTime); err != nil {
			return 0, err
		}
	}
	// "Only increased": a file that was made for more keeps it. The size in
	// the meta page is believed only as far as the file goes.
	return max(size, min(int64(m.mapSize), has)/page*page), nil
}

// readMeta reads the newest snapshot of f. Another process may be writing the
// meta page just now, so a bad one is looked at twice.
func readMeta(f io.ReaderAt, size int64) (m meta, err error) {
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

// mapFile makes the file as long as the writer's map and maps it for our readers.
// The length is a promise, not space: the file stays sparse, a full disk is an
// error of the writer, and a file shorter than its map is known to be cut off.
func (s *Store) mapFile() error {
	fd, err := s.env.FD()
	if err != nil {
		return err
	}
	syscall.CloseOnExec(int(fd))
	var theirs, ours syscall.Stat_t
	if err := errors.Join(syscall.Fstat(int(fd), &theirs), syscall.Fstat(int(s.lock.f.Fd()), &ours)); err != nil {
		return err
	}
	if theirs.Ino != ours.Ino || theirs.Dev != ours.Dev {
		return fmt.Errorf("%w: it was replaced meanwhile", errDamaged)
	}
	info, err := s.env.Info()
	stat, err2 := s.env.Stat()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if ours.Size < info.MapSize {
		if err := s.lock.f.Truncate(info.MapSize); err != nil {
			return fmt.Errorf("file cannot grow to %d bytes: %w", info.MapSize, err)
		}
	}
	s.viewing.Lock()
	defer s.viewing.Unlock()
	return s.mapMore(info.MapSize, uint64(stat.PSize))
}

// mapMore maps so many octets of the file for our readers, if they do not have
// them yet. The caller holds viewing.
func (s *Store) mapMore(size int64, page uint64) error {
	if m := s.view.Load(); m != nil && int64(len(m.mem)) >= size {
		return nil
	}
	mem, err := syscall.Mmap(int(s.lock.f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	_ = syscall.Madvise(mem, syscall.MADV_RANDOM) // a hint; lookups work without
	m := newMapping(mem, uint32(page))
	s.views = append(s.views, m)
	s.view.Store(m)
	return nil
}

// follow has our readers see the whole of a map that another process has enlarged
// to size, as its meta page says, which is believed as far as the file goes. It
// never waits.
func (s *Store) follow(size uint64) bool {
	if !s.viewing.TryLock() {
		return false
	}
	defer s.viewing.Unlock()
	st, err := s.lock.f.Stat()
	if err != nil {
		return false
	}
	m := s.view.Load()
	whole := int64(min(size, uint64(st.Size())) / m.psize * m.psize)
	return s.mapMore(whole, m.psize) == nil
}

func (s *Store) unmap() {
	s.viewing.Lock()
	defer s.viewing.Unlock()
	for _, m := range s.views {
		_ = syscall.Munmap(m.mem) // only fails for a range that is none
	}
	s.views = nil
	s.view.Store(nil)
}

// start begins the Store's two goroutines.
func (s *Store) start() {
	s.stop, s.writer, s.watcher = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.patience, s.giveUp = context.WithCancel(context.Background())
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
// reader does not end, the map stays in memory, and Close returns ErrBusy:
// unmapping it would end the process.
func (s *Store) Close() error { return s.closeWithin(closeTime) }

func (s *Store) closeWithin(wait time.Duration) error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	s.stats.closed.Store(1)
	close(s.stop)
	defer time.AfterFunc(drainTime, s.giveUp).Stop()
	defer s.giveUp()
	ended := s.waitEnded(wait)
	if !s.readers.closeAll(wait) || !ended {
		return ErrBusy
	}
	return s.letGo()
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
