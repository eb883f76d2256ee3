// Package fdwatch tells scripts when descriptors can be read or written: pipes, sockets,
// terminals, and whatever else the kernel can poll.
//
// All watches of a worker share one goroutine and one epoll set. What is watched is a
// duplicate, so that a number which is closed and used again elsewhere means no other
// descriptor to a watch. The daemon's own descriptors are refused: they are those that
// an exec would close, which is how this program opens all of its own; what libraries of
// scripts open is told apart by Own.
//
// It reads from no descriptor.
package fdwatch

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/safe"
)

// Events are what a descriptor is ready for, as bits.
type Events uint8

// The bits.
const (
	Readable Events = 1
	Writable Events = 2
	HungUp   Events = 4 // the other end is gone and nothing is left to read: it stays ready
)

// A Watcher has all watches of a worker. The zero value is of no use.
type Watcher struct {
	goroutines *safe.Group

	mu      sync.Mutex
	file    *os.File       // the epoll set; nil before the first watch
	ep      int            // its descriptor
	watches map[int]*Watch // by the duplicate
	own     map[int]bool
	closed  bool
}

// New makes a watcher, which has no goroutine before something is watched.
func New(g *safe.Group) *Watcher {
	return &Watcher{goroutines: g, watches: map[int]*Watch{}, own: map[int]bool{}}
}

// A Watch tells once, and after each Again once more.
type Watch struct {
	of     *Watcher
	fd     int // as the script calls it
	dup    int // -1: there is never any activity
	events Events
	fn     func(Events, error)
	ended  bool
}

// Own says that a library of scripts has opened a descriptor, which may be watched.
func (w *Watcher) Own(fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own[fd] = true
}

// Disown is called before a library closes a descriptor: its watches end, and are told
// that it is closed.
func (w *Watcher) Disown(fd int) {
	w.mu.Lock()
	delete(w.own, fd)
	var told []func(Events, error)
	for _, watch := range w.watches {
		if watch.fd == fd {
			told = append(told, watch.fn)
			watch.end()
		}
	}
	w.mu.Unlock()
	for _, fn := range told {
		fn(0, unix.EBADF)
	}
}

// Watch calls fn once, on a goroutine that fn must not hold up, when fd is ready for one
// of the events or its other end is gone; with an error when fd was closed by the library
// that had opened it, and then the watch has ended.
func (w *Watcher) Watch(fd int, events Events, fn func(Events, error)) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.check(fd); err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d cannot be watched: %w", fd, err)
	}
	watch := &Watch{of: w, fd: fd, dup: dup, events: events, fn: fn}
	switch err := watch.control(unix.EPOLL_CTL_ADD); {
	case errors.Is(err, unix.EPERM): // a device such as /dev/null
		_ = unix.Close(dup)
		watch.dup = -1
		return watch, nil
	case err != nil:
		_ = unix.Close(dup)
		return nil, fmt.Errorf("descriptor %d cannot be watched: %w", fd, err)
	}
	w.watches[dup] = watch
	return watch, nil
}

// Check tells why scripts may not use a descriptor, and whether one of their libraries has
// opened it.
func (w *Watcher) Check(fd int) (own bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own[fd], w.check(fd)
}

// check refuses what is closed, what belongs to the daemon, and files.
func (w *Watcher) check(fd int) error {
	if w.closed {
		return os.ErrClosed
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return fmt.Errorf("descriptor %d is not open", fd)
	}
	if flags&unix.FD_CLOEXEC != 0 && !w.own[fd] {
		return fmt.Errorf("descriptor %d belongs to the resolver itself", fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return fmt.Errorf("descriptor %d is a file, which is always ready; pipes, sockets and terminals can be watched", fd)
	}
	return nil
}

// start makes the epoll set and its goroutine.
func (w *Watcher) start() error {
	if w.file != nil {
		return nil
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("descriptors cannot be watched: %w", err)
	}
	_ = unix.SetNonblock(ep, true) // or the file would block a thread in Read
	file := os.NewFile(uintptr(ep), "descriptors of scripts")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return fmt.Errorf("descriptors cannot be watched: %w", err)
	}
	w.file, w.ep = file, ep
	w.goroutines.Go("descriptors of scripts", func() {
		for w.wait(raw.Read) {
		}
	})
	return nil
}

// wait tells of the descriptors that are ready next. It returns false when the watcher is
// closed.
func (w *Watcher) wait(read func(func(uintptr) bool) error) bool {
	var ready [64]unix.EpollEvent
	n := 0
	err := read(func(ep uintptr) bool {
		n, _ = unix.EpollWait(int(ep), ready[:], 0)
		return n > 0
	})
	if err != nil {
		return false
	}
	for _, e := range ready[:max(n, 0)] {
		w.tell(int(e.Fd), e.Events)
	}
	return true
}

func (w *Watcher) tell(dup int, bits uint32) {
	w.mu.Lock()
	watch := w.watches[dup]
	w.mu.Unlock()
	if watch == nil {
		return
	}
	var events Events
	if bits&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		events |= Readable
	}
	if bits&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		events |= Writable
	}
	events &= watch.events
	if bits&unix.EPOLLIN == 0 && bits&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		events |= HungUp
	}
	watch.fn(events, nil)
}

// control adds the watch to the epoll set or changes it there. It tells once.
func (watch *Watch) control(op int) error {
	e := unix.EpollEvent{Fd: int32(watch.dup), Events: unix.EPOLLONESHOT}
	if watch.events&Readable != 0 {
		e.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if watch.events&Writable != 0 {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(watch.of.ep, op, watch.dup, &e)
}

// Again lets a watch that has told tell once more.
func (watch *Watch) Again() {
	w := watch.of
	w.mu.Lock()
	defer w.mu.Unlock()
	if !watch.ended && watch.dup >= 0 && !w.closed {
		_ = watch.control(unix.EPOLL_CTL_MOD) // what cannot be armed again is gone
	}
}

// Close ends a watch; it may be called more than once. A call that has begun goes on.
func (watch *Watch) Close() {
	watch.of.mu.Lock()
	defer watch.of.mu.Unlock()
	watch.end()
}

func (watch *Watch) end() {
	if watch.ended {
		return
	}
	watch.ended = true
	if watch.dup >= 0 {
		delete(watch.of.watches, watch.dup)
		_ = unix.EpollCtl(watch.of.ep, unix.EPOLL_CTL_DEL, watch.dup, nil)
		_ = unix.Close(watch.dup)
	}
}

// Close ends all watches and the goroutine.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	for _, watch := range w.watches {
		watch.end()
	}
	if w.file != nil {
		w.file.Close()
	}
}
