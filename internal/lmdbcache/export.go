package lmdbcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/PowerDNS/lmdb-go/lmdb"
	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// ErrCleared is why a copy was not made: what was cleared meanwhile would be in it.
var ErrCleared = errors.New("the cache was cleared meanwhile")

// Export writes all entries to a new data file, which can be put in a directory as its
// data.mdb and be opened there, and returns how many there are. It holds up nobody:
// the map is read as for a lookup, so that what is stored meanwhile may be in the copy
// or not, but every entry in it is whole, and none was cleared before the end. The file
// appears under its name when it is complete, in the place of one that was there. It
// fails with ErrCleared when something was cleared meanwhile.
func (s *Store) Export(ctx context.Context, path string) (entries int, err error) {
	if err := s.mayExport(path); err != nil {
		return 0, err
	}
	if err := s.Flush(ctx); err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part") // nobody else's, and no link
	if err != nil {
		return 0, wording.Reason(err)
	}
	temp := f.Name()
	f.Close()
	defer os.Remove(temp)
	before := s.ClearNumber()
	if entries, err = s.copyTo(ctx, temp); err != nil {
		return 0, reason(wording.Reason(err))
	}
	if s.ClearNumber() != before {
		return 0, ErrCleared
	}
	return entries, wording.Reason(os.Rename(temp, path))
}

// mayExport refuses a file that is in use as a cache's.
func (s *Store) mayExport(path string) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return wording.Reason(err)
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return wording.Reason(err)
	}
	defer f.Close()
	if _, held, err := (fileLock{f}).holder(inUseOctet); err == nil && held {
		return errors.New("it is the file of a cache that is in use")
	}
	return nil
}

// copyTo copies all entries to a data file that is empty.
func (s *Store) copyTo(ctx context.Context, path string) (entries int, err error) {
	env, err := newEnv(path, s.Size(), lmdb.NoSubdir|lmdb.NoLock|lmdb.NoSync|lmdb.NoMetaSync)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	walk := &exporter{s: s}
	for !walk.ended && err == nil {
		if err = walk.batch(ctx); err == nil {
			err = env.Update(walk.write)
		}
		entries += walk.entries
	}
	if err != nil {
		return 0, err
	}
	return entries, env.Sync(true)
}

// An exporter walks over the map by batches of entries.
type exporter struct {
	s       *Store
	at      []byte // the next key
	keys    [][]byte
	vals    [][]byte
	entries int // of the batch that are not the store's own
	vain    int // batches in a row that brought nothing
	ended   bool
}

// batch takes the next batch, unless the map cannot be read.
func (x *exporter) batch(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !x.s.withReader(x.next):
		return ErrClosed
	case x.vain > limits.ExportVain:
		return fmt.Errorf("%w: it cannot be read through", errDamaged)
	}
	return nil
}

// next takes the next batch out of the map. It ends early where a writer has overtaken
// the snapshot; the next batch goes on in a newer one.
func (x *exporter) next(r *Reader) {
	defer r.fault()
	x.keys, x.vals, x.entries = x.keys[:0], x.vals[:0], 0
	x.vain++
	octets := 0
	r.at = append(r.at[:0], x.at...)
	on := r.seek()
	for ; on && len(x.keys) < limits.ExportEntries && octets < limits.ExportBytes; on = r.cur.step(1) {
		k, val, ok := r.cur.entry()
		if r.overtaken() || !ok {
			return
		}
		k, val = bytes.Clone(k), bytes.Clone(val)
		if r.overtaken() {
			return
		}
		x.keys, x.vals, x.at = append(x.keys, k), append(x.vals, val), append(k[:len(k):len(k)], 0)
		octets += len(k) + len(val)
		x.vain = 0
		if !isOwn(k) {
			x.entries++
		}
	}
	x.ended = !on && !r.cur.damaged && !r.overtaken()
}

// write adds the batch to the copy. Keys come in their order, so that pages are filled.
func (x *exporter) write(txn *lmdb.Txn) error {
	dbi, err := txn.OpenRoot(0)
	if err != nil {
		return err
	}
	for i, k := range x.keys {
		if err := txn.Put(dbi, k, x.vals[i], lmdb.Append); err != nil {
			return err
		}
	}
	return nil
}

// FileSystem is how many octets the file system has that dir, or the nearest directory
// above it that exists, is on.
func FileSystem(dir string) (octets uint64, err error) {
	var st unix.Statfs_t
	for {
		err = unix.Statfs(dir, &st)
		if !errors.Is(err, unix.ENOENT) || filepath.Dir(dir) == dir {
			return st.Blocks * uint64(st.Frsize), err
		}
		dir = filepath.Dir(dir)
	}
}
