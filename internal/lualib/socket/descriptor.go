package socket

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// newDatagrams opens a socket of datagrams that is used like a stream: over UDP, or at a path.
func (lib *Library) newDatagrams(c *script.Call) error {
	return c.Return(lib.handle(&stream{opened: opened{lib: lib, fd: -1, timeouts: forever}, path: c.NArgs() > 0 && c.Bool(1), datagrams: true}))
}

// ofDescriptor makes a stream of a descriptor, and tells whether it is a server. With keep the
// stream has a copy; else the descriptor is the stream's, and its number free. One that the
// resolver has opened is refused, and one that a library has, unless it is copied.
func (lib *Library) ofDescriptor(c *script.Call) error {
	fd, keep := c.Int(1, 0, 1<<30), c.Bool(2)
	switch own, err := lib.watcher.Check(fd); {
	case err != nil:
		return c.Return(nil, err.Error())
	case own && !keep:
		return c.Return(nil, fmt.Sprintf("descriptor %d belongs to another socket, of which dup() makes a copy", fd))
	}
	s, server, err := lib.copied(fd)
	if err != nil {
		return c.Return(nil, fmt.Sprintf("descriptor %d: %v", fd, err))
	}
	if !keep {
		lib.watcher.Disown(fd)
		_ = unix.Close(fd)
	}
	return c.Return(lib.handle(s), server)
}

// copied is a stream, or a server of them, with a copy of a descriptor.
func (lib *Library) copied(fd int) (s *stream, server bool, err error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, false, fmt.Errorf("it is no socket; io.open() reads files, and event.socket() watches pipes")
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, false, err
	}
	f := os.NewFile(uintptr(dup), "descriptor")
	defer f.Close() // package net makes a copy of its own
	listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	var conn any
	if listens != 0 {
		conn, err = net.FileListener(f)
	} else {
		conn, err = net.FileConn(f)
	}
	if err != nil {
		return nil, false, err
	}
	s = &stream{opened: opened{lib: lib, fd: -1, timeouts: forever}, path: family == unix.AF_UNIX, datagrams: kind == unix.SOCK_DGRAM}
	open(s, &s.opened, conn.(closer))
	return s, listens != 0, nil
}
