package socket

import (
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

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

func (s *opened) descriptor() int { return s.fd }

// A method is one of a kind of sockets, T, which is its argument 1; max counts that, too.
type method[T any] struct {
	args string
	max  int
	fn   func(*script.Call, T) error
}

// addMethods adds methods to a class, and sorts those that it has then.
func addMethods[T any](class *script.Class, methods map[string]method[T]) {
	for name, m := range methods {
		class.Methods = append(class.Methods, script.Func{Name: name, Args: m.args, Min: 1, Max: m.max, Fn: func(c *script.Call) error {
			return m.fn(c, c.Handle(1, class).(T))
		}})
	}
	slices.SortFunc(class.Methods, func(a, b script.Func) int { return strings.Compare(a.Name, b.Name) })
}

// sharedMethods are those of all sockets.
func sharedMethods(class *script.Class, of func(any) *opened) []script.Func {
	shared := func(fn func(*script.Call, *opened) error) func(*script.Call) error {
		return func(c *script.Call) error { return fn(c, of(c.Handle(1, class))) }
	}
	return []script.Func{
		{Name: "close", Min: 1, Max: 1, Fn: shared(func(c *script.Call, s *opened) error { s.close(); return c.Return(1) })},
		{Name: "settimeout", Args: "seconds[, mode]", Min: 1, Max: 3, Fn: shared(func(c *script.Call, s *opened) error { return s.timeouts.set(c) })},
		{Name: "getfd", Min: 1, Max: 1, Fn: shared(func(c *script.Call, s *opened) error { return c.Return(s.fd) })},
		{Name: "pollfd", Min: 1, Max: 1, Fn: shared(func(c *script.Call, s *opened) error { return c.Return(s.fd) })},
		{Name: "events", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return("r") }},
		{Name: "timeout", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(nil) }},
	}
}
