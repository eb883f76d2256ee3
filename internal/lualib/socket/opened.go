package socket

import (
	"net"
	"runtime"
	"strconv"
	"syscall"

	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// opened is what all sockets have in common.
type opened struct {
	lib      *Library
	conn     closer // nil: not opened, or closed
	fd       int    // its descriptor, for event.socket and select; -1: none
	timeouts timeouts
	local    string // host and port to bind to, or a path; "" for any
	closed   bool
}

// closer is a connection or a server.
type closer interface {
	Close() error
	SyscallConn() (syscall.RawConn, error)
}

// open takes a connection in. It is closed, some time later, when scripts have forgotten
// the socket, which owner is.
func open[T any](owner *T, s *opened, conn closer) {
	s.conn = conn
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { s.fd = int(fd) })
		s.lib.watcher.Own(s.fd)
	}
	lib, fd := s.lib, s.fd
	runtime.AddCleanup(owner, func(conn closer) {
		lib.vm.Post(func(*script.Call) error { release(lib, conn, fd); return nil })
	}, conn)
}

// release closes a connection, unless that was done.
func release(lib *Library, conn closer, fd int) {
	if raw, err := conn.SyscallConn(); err != nil || raw.Control(func(uintptr) {}) != nil {
		return // it is closed, and its number may be another's
	}
	lib.watcher.Disown(fd)
	_ = conn.Close()
}

func (s *opened) close() {
	s.closed = true
	if s.conn != nil {
		release(s.lib, s.conn, s.fd)
		s.conn, s.fd = nil, -1
	}
}

// endpoint is the host and port in arguments i and i+1.
func endpoint(c *script.Call, i int) string {
	host := c.Text(i)
	if host == "*" {
		host = ""
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Int(i+1, 0, 65535)))
}

// returnName returns the parts of an address: host, port, family.
func returnName(c *script.Call, a net.Addr) error {
	if path, ok := a.(*net.UnixAddr); ok {
		return c.Return(path.Name, nil, "unix")
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return failed(c, err)
	}
	n, _ := strconv.Atoi(port)
	family := "inet"
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		family = "inet6"
	}
	return c.Return(host, n, family)
}

// buffered is a socket that may have read more than was asked for.
type buffered interface {
	waiting() bool
	descriptor() int
}

func (s *opened) descriptor() int { return s.fd }

// A selection is one wait for several sockets.
type selection struct {
	lib     *Library
	wake    func()
	watches []*fdwatch.Watch
	told    chan [2]int // side and place of what is ready; what finds no room is left out
}

// ready waits until one of the sockets in two lists can be read or written, and returns
// the places of those.
func (lib *Library) ready(c *script.Call) error {
	lists := [2]*luavalue.Table{c.Table(1), c.Table(2)}
	limit := -1.0
	if !c.IsNil(3) {
		limit = c.Number(3)
	}
	var failure error
	w := &selection{lib: lib, told: make(chan [2]int, limits.ScriptRequests)}
	err := c.Pause(func(wake func()) func() {
		w.wake = wake
		if failure = firstOf(w.add(0, lists[0]), w.add(1, lists[1])); failure != nil {
			wake()
		}
		if limit < 0 {
			return w.end
		}
		alarm := lib.alarms.After(max(script.Seconds(limit), atOnce), wake)
		return func() { alarm.Stop(); w.end() }
	})
	if err != nil || failure != nil {
		return firstOf(err, failure)
	}
	result := [2][]any{}
	for len(w.told) > 0 {
		t := <-w.told
		result[t[0]] = append(result[t[0]], t[1])
	}
	return c.Return(result[0], result[1])
}

// add watches the sockets of a list: for reading on side 0, for writing on side 1.
func (w *selection) add(side int, list *luavalue.Table) error {
	for _, p := range list.Pairs {
		place, isPlace := p.Key.(float64)
		h, isHandle := p.Value.(*script.Handle)
		if !isPlace || !isHandle {
			continue
		}
		s, ok := h.Value.(buffered)
		if !ok || s.descriptor() < 0 {
			continue
		}
		tell := func(fdwatch.Events, error) {
			select {
			case w.told <- [2]int{side, int(place)}:
			default:
			}
			w.wake()
		}
		if side == 0 && s.waiting() {
			tell(0, nil)
			continue
		}
		watch, err := w.lib.watcher.Watch(s.descriptor(), fdwatch.Events(side+1), tell)
		if err != nil {
			return err
		}
		w.watches = append(w.watches, watch)
	}
	return nil
}

func (w *selection) end() {
	for _, watch := range w.watches {
		watch.Close()
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
