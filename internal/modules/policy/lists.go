package policy

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"weak"

	"kresd/internal/dnsname"
	"kresd/internal/filewatch"
	"kresd/internal/limits"
	"kresd/internal/rpz"
	"kresd/internal/rules"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Files is how files of lists are read, and what becomes of what is said about them.
type Files struct {
	// Latest reads those that are watched, InForce those that a reload only reads again.
	Latest, InForce textfile.Reader
	Warn, Notice    func(line string)
	// Changed is told, on a goroutine that may wait, that a list is in force in the place of
	// another; Policy.Renew has to be called.
	Changed func()
}

// Lists are the response policy zones that rules go by. Those that no rule goes by any more
// are forgotten.
type Lists struct {
	files Files
	watch filewatch.Watch
	named chan struct{} // another file is watched

	free  func()     // gives memory that is not in use back to the system
	mu    sync.Mutex // for those below; also held while a file is read
	list  []*listFile
	large bool // a large list was read since memory was given back
}

// A listFile is a file that a list was read of.
type listFile struct {
	path    string
	noData  bool
	watched bool
	list    weak.Pointer[rules.List]
	seen    stamp  // the file when it was looked at last, be it in vain
	told    string // what was wrong then
	used    int    // how often another list came into force
}

// A stamp tells a file from what stands there later.
type stamp struct {
	device, inode  uint64
	size           int64
	written, state time.Time
	is             bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	s := stamp{size: info.Size(), written: info.ModTime(), is: true}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode, s.state = sys.Dev, sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return s
}

// NewLists makes Lists without any.
func NewLists(files Files) *Lists {
	l := &Lists{files: files, named: make(chan struct{}, 1), free: debug.FreeOSMemory}
	l.watch = filewatch.Watch{Files: l.watched, Look: l.Look, Named: l.named, Blind: func(err error) {
		files.Warn(fmt.Sprintf("changes of files of policy.rpz are seen after a minute only: %v", err))
	}}
	return l
}

// Watch reads files again that have changed, until ctx ends.
func (l *Lists) Watch(ctx context.Context) { l.watch.Run(ctx) }

// RPZ reads a response policy zone. With watch it is read again when the file changes; with
// noData the names whose CNAME leads to '*.' have no data, as the specification wants it,
// and not what the rule says.
func (l *Lists) RPZ(path string, watch, noData bool) (*rules.List, error) {
	defer l.giveBack()
	l.mu.Lock()
	defer l.mu.Unlock()
	read := l.files.InForce
	if watch {
		read = l.files.Latest
	}
	f := &listFile{path: path, noData: noData, watched: watch, seen: stampOf(path)}
	if full, err := filepath.Abs(path); err == nil { // a script may change the directory
		f.path = full
	}
	now, err := l.read(read, path, noData)
	if err != nil {
		return nil, err
	}
	list := rules.NewList(path, now)
	f.list = weak.Make(list)
	l.list = append(l.inUse(), f)
	if watch {
		select {
		case l.named <- struct{}{}:
		default: // whoever watches is about to look
		}
	}
	return list, nil
}

// inUse are those that rules go by.
func (l *Lists) inUse() []*listFile {
	var kept []*listFile
	for _, f := range l.list {
		if f.list.Value() != nil {
			kept = append(kept, f)
		}
	}
	return kept
}

// watched are the files that are watched.
func (l *Lists) watched() (files []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.inUse() {
		if f.watched {
			files = append(files, f.path)
		}
	}
	return files
}

// Look reads the watched files again that have changed.
func (l *Lists) Look() {
	changed := false
	l.mu.Lock()
	l.list = l.inUse()
	for _, f := range l.list {
		if f.watched && l.lookAt(f) {
			changed = true
		}
	}
	l.mu.Unlock()
	if changed {
		l.files.Changed()
	}
	l.giveBack()
}

// giveBack gives the memory back in which large lists were made, which is several times
// theirs. It takes a while, for which no list has to wait.
func (l *Lists) giveBack() {
	l.mu.Lock()
	large := l.large
	l.large = false
	l.mu.Unlock()
	if large {
		l.free()
	}
}

// lookAt reads a file again if it has changed, and tells whether there is a newer list.
func (l *Lists) lookAt(f *listFile) bool {
	list, now := f.list.Value(), stampOf(f.path)
	if list == nil || now == f.seen {
		return false
	}
	f.seen = now
	fresh, err := l.read(textfile.Disk, f.path, f.noData)
	if err != nil {
		if f.told != err.Error() {
			f.told = err.Error()
			l.files.Warn(err.Error() + "; the list that was read before stays in force")
		}
		return false
	}
	f.use(list, fresh)
	f.told = ""
	l.files.Notice(fmt.Sprintf("policy.rpz: %s: %d names are in force", f.path, fresh.Len()))
	return true
}

// Reread reads all files again, and returns what puts their lists in force. Until that is
// called nothing has changed: files that have are looked at as ever.
func (l *Lists) Reread() (apply func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []func()
	for _, f := range l.inUse() {
		list := f.list.Value()
		if list == nil {
			continue
		}
		before, now, used := f.seen, stampOf(f.path), f.used
		fresh, failed := l.read(textfile.Disk, f.path, f.noData)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		all = append(all, func() {
			if f.used == used { // nobody has put a newer one in force
				f.use(list, fresh)
			}
			if f.seen == before {
				f.seen, f.told = now, ""
			}
		})
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, use := range all {
			use()
		}
	}, err
}

// use puts a list in force.
func (f *listFile) use(list *rules.List, now *rules.Listing) {
	list.Use(now)
	f.used++
}

// read reads a list and warns of what is wrong with single records.
func (l *Lists) read(read textfile.Reader, path string, noData bool) (now *rules.Listing, err error) {
	err = read(path, func(f io.Reader, err error) error {
		var said []string
		if err == nil {
			err = tooLarge(f)
		}
		if err == nil {
			now, said, err = readZone(f, min(stampOf(path).size, limits.ListFile), noData)
		}
		if err != nil {
			return fmt.Errorf("policy.rpz: %s: %w", path, wording.Reason(err))
		}
		for _, text := range said {
			l.files.Warn("policy.rpz: " + path + text)
		}
		return nil
	})
	if now != nil && now.Octets() > limits.ListOnHeap {
		l.large = true
	}
	if info, failed := os.Stat(path); err == nil && failed == nil && info.Mode().Perm()&0o002 != 0 {
		l.files.Warn(fmt.Sprintf("policy.rpz: %s: everybody on this machine may write the file", path))
	}
	return now, err
}

// tooLarge tells, before anything is read or room is made for it, whether a file will be
// refused for its length.
func tooLarge(f io.Reader) error {
	file, is := f.(*os.File)
	if !is {
		return nil
	}
	if info, err := file.Stat(); err == nil && info.Size() > limits.ListFile {
		return rpz.ErrFileSize
	}
	return nil
}

var errNothing = errors.New("there is no record in it that could be used")

// readZone reads a list of about so many octets; said has what is to be told of single
// records, each behind the path. A list without any record is an error, whatever else is
// in the file: a publisher who truly blocks nothing is rarer than a file that came to harm.
func readZone(f io.Reader, size int64, noData bool) (now *rules.Listing, said []string, err error) {
	b, sum, skipped, nothing := rules.NewBuilder(size), fnv.New64a(), 0, errNothing
	reader := rpz.Reader{
		Take:  func(r *rpz.Record) error { return take(b, r, noData) },
		Fatal: func(err error) bool { return errors.Is(err, rules.ErrListFull) },
		Parse: parseBelow,
		Skipped: func(line int, why error) {
			if skipped++; skipped == 1 {
				nothing = fmt.Errorf("%w (line %d: %w)", errNothing, line, why)
			}
			if skipped <= limits.ListWarnings {
				said = append(said, fmt.Sprintf(":%d: %v; the record is skipped", line, why))
			}
		},
	}
	if err := reader.Read(io.TeeReader(f, sum)); err != nil {
		return nil, nil, err
	}
	digest := sum.Sum64()
	if noData {
		digest++
	}
	if now, err = b.Done(digest); err != nil {
		return nil, nil, err
	}
	if more := skipped - limits.ListWarnings; more > 0 {
		said = append(said, fmt.Sprintf(": %d more records are wrong and skipped", more))
	}
	if now.Len() == 0 {
		return nil, nil, nothing
	}
	return now, said, nil
}

// take puts a record into a list.
func take(b *rules.Builder, r *rpz.Record, noData bool) error {
	switch r.Answer {
	case rpz.Data:
		return b.Data(r.Name, r.Below, r.Type, r.TTL, r.RData)
	case rpz.PassThru:
		return b.Put(r.Name, r.Below, rules.ListPass)
	case rpz.Drop:
		return b.Put(r.Name, r.Below, rules.ListDrop)
	case rpz.TCPOnly:
		return b.Put(r.Name, r.Below, rules.ListTruncate)
	case rpz.NoData:
		if noData {
			return b.NoData(r.Name, r.Below)
		}
	}
	return b.Put(r.Name, r.Below, rules.Given)
}

// parseBelow is ParseTyped for data whose names may be relative to an origin, if there is
// one.
func parseBelow(origin dnsname.Name, text string) (t uint16, data []byte, err error) {
	if origin == "" {
		return parseTyped("", text)
	}
	return parseTyped(origin.String(), text)
}
