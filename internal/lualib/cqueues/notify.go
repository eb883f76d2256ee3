package cqueues

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/fdwatch"
	"kresd/internal/script"
)

// changes are what happened to a file, as bits.
type changes int

const (
	created changes = 1 << iota
	deleted
	attributes
	modified
	revoked

	anyChange = created | deleted | attributes | modified | revoked
)

// changeNames are the names of the bits, from the lowest.
var changeNames = [...]string{"CREATE", "DELETE", "ATTRIB", "MODIFY", "REVOKE"}

// kernelChanges are what the kernel calls them. A file that is moved into the directory
// is one that was made there, as editors and package managers do it.
var kernelChanges = []struct {
	change changes
	mask   uint32
}{
	{created, unix.IN_CREATE | unix.IN_MOVED_TO},
	{deleted, unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF},
	{attributes, unix.IN_ATTRIB},
	{modified, unix.IN_MODIFY},
	{revoked, unix.IN_UNMOUNT | unix.IN_IGNORED},
}

// A notifier tells of changes in one directory. All of it belongs to the owner goroutine.
type notifier struct {
	lib     *Library
	fd      int                // of inotify; -1 when it is closed
	own     changes            // of the directory itself that are told
	files   map[string]changes // that are told, by name
	pending []fileChange
}

type fileChange struct {
	name string
	what changes
}

// opendir begins to watch a directory.
func (lib *Library) opendir(path string, own changes) (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch directories: %w", err)
	}
	var mask uint32 = unix.IN_ONLYDIR
	for _, k := range kernelChanges {
		mask |= k.mask &^ (unix.IN_UNMOUNT | unix.IN_IGNORED)
	}
	if _, err := unix.InotifyAddWatch(fd, path, mask); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot watch %s: %w", path, err)
	}
	n := &notifier{lib: lib, fd: fd, own: own, files: map[string]changes{}}
	lib.Watcher.Own(fd)
	runtime.AddCleanup(n, func(fd int) {
		lib.VM.Post(func(*script.Call) error { closeOwn(lib.Watcher, fd); return nil })
	}, fd)
	return n, nil
}

func closeOwn(w *fdwatch.Watcher, fd int) {
	w.Disown(fd)
	_ = unix.Close(fd)
}

// watch fires when there is a change to tell.
func (n *notifier) watch(_ *Library, fire func()) (func(), error) {
	if n.read(); len(n.pending) > 0 {
		fire()
		return nil, nil
	}
	watch, err := n.lib.Watcher.Watch(n.fd, fdwatch.Readable, func(fdwatch.Events, error) { fire() })
	if err != nil {
		return nil, err
	}
	return watch.Close, nil
}

// read takes what the kernel has noted.
func (n *notifier) read() {
	var buf [16 << 10]byte
	for {
		size, err := unix.Read(n.fd, buf[:])
		if err != nil || size <= 0 {
			return
		}
		for b := buf[:size]; len(b) >= unix.SizeofInotifyEvent; {
			mask, length := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
			name, rest := b[unix.SizeofInotifyEvent:][:length], b[unix.SizeofInotifyEvent+length:]
			n.note(string(bytes.TrimRight(name, "\x00")), mask)
			b = rest
		}
	}
}

// note keeps a change if somebody wants to know of it. What changes of one file while
// nobody asks is one change, so that no more are kept than files are watched. When the
// kernel has lost changes, each of these may have changed.
func (n *notifier) note(name string, mask uint32) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for name := range n.files {
			n.note(name, unix.IN_MODIFY)
		}
		n.note("", unix.IN_MODIFY)
		return
	}
	wanted := n.files[name]
	if name == "" {
		name, wanted = ".", n.own
	}
	var what changes
	for _, k := range kernelChanges {
		if mask&k.mask != 0 {
			what |= k.change & wanted
		}
	}
	if what == 0 {
		return
	}
	for i := range n.pending {
		if n.pending[i].name == name {
			n.pending[i].what |= what
			return
		}
	}
	n.pending = append(n.pending, fileChange{name, what})
}

// get waits up to a time (-1: without end) for a change and takes it.
func (n *notifier) get(c *script.Call, timeout time.Duration) (fileChange, bool, error) {
	for n.read(); len(n.pending) == 0; n.read() {
		over, err := n.lib.await(c, n, timeout)
		if err != nil {
			return fileChange{}, false, err
		}
		if n.read(); over && len(n.pending) == 0 {
			return fileChange{}, false, nil
		}
	}
	next := n.pending[0]
	n.pending = n.pending[1:]
	return next, true, nil
}

// openNotify makes cqueues.notify.
func (lib *Library) openNotify(c *script.Call) (any, error) {
	class := &script.Class{Name: "file notifier"}
	of := func(c *script.Call) *notifier { return c.Handle(1, class).(*notifier) }
	next := func(c *script.Call, n *notifier, timeout time.Duration) error {
		change, ok, err := n.get(c, timeout)
		if err != nil || !ok {
			return err
		}
		return c.Return(int(change.what), change.name)
	}
	class.Methods = []script.Func{
		{Name: "add", Args: "name[, changes]", Min: 2, Max: 3, Fn: func(c *script.Call) error {
			name := c.Text(2)
			if name == "" || strings.ContainsRune(name, filepath.Separator) {
				c.ArgError(2, "the name of a file in the directory expected")
			}
			of(c).files[name] = changes(c.OptInt(3, 0, int(anyChange), int(anyChange)))
			return c.Return(true)
		}},
		{Name: "get", Args: "[seconds]", Min: 1, Max: 2, Fn: func(c *script.Call) error { return next(c, of(c), seconds(c, 2)) }},
		{Name: "changes", Args: "[seconds]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			n, timeout := of(c), seconds(c, 2)
			return c.Return(c.NewFunction(script.Func{Name: "changes", Max: -1, Fn: func(c *script.Call) error { return next(c, n, timeout) }}))
		}},
		{Name: "pollfd", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(of(c).fd) }},
		{Name: "events", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return("r") }},
		{Name: "timeout", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(nil) }},
	}
	values := []script.Entry{{Key: "ALL", Value: int(anyChange)}, {Key: int(anyChange), Value: "ALL"}}
	for i, name := range changeNames {
		values = append(values, script.Entry{Key: name, Value: 1 << i}, script.Entry{Key: 1 << i, Value: name})
	}
	return c.LibraryTable("notify", []script.Func{
		{Name: "opendir", Args: "path[, changes]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			n, err := lib.opendir(c.Text(1), changes(c.OptInt(2, 0, int(anyChange), int(anyChange))))
			if err != nil {
				return err
			}
			return c.Return(&script.Handle{Class: class, Value: n})
		}},
		{Name: "flags", Args: "changes, ...", Min: 1, Max: -1, Fn: eachFlag},
		{Name: "type", Args: "value", Min: 1, Max: 1, Fn: typeFunc(class, "file notifier")},
	}, values...), nil
}

// eachFlag is an iterator over the bits of its arguments.
func eachFlag(c *script.Call) error {
	var left changes
	for i := 1; i <= c.NArgs(); i++ {
		left |= changes(c.Int(i, 0, int(anyChange)))
	}
	return c.Return(c.NewFunction(script.Func{Name: "flags", Max: -1, Fn: func(c *script.Call) error {
		lowest := left & -left
		if left &^= lowest; lowest == 0 {
			return c.Return(nil)
		}
		return c.Return(int(lowest))
	}}))
}
