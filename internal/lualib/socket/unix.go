package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// newPath opens a stream of the family AF_UNIX, which has a path in place of host and
// port.
func (lib *Library) newPath(c *script.Call) error {
	return c.Return(lib.handle(&stream{opened: opened{lib: lib, fd: -1, timeouts: forever}, path: true}))
}

// listenPath makes the server of a path, or what datagrams come to there. A socket that stands
// there and behind which nobody listens is removed; any other file stays, and is an error.
// mode is that of the path, 0 the usual one.
func listenPath(network, path string, mode fs.FileMode) (closer, error) {
	if isLeftOver(path) {
		_ = os.Remove(path) // else listening fails, and says why
	}
	l, err := bindPath(network, path)
	if err != nil || mode == 0 {
		return l, err
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func bindPath(network, path string) (closer, error) {
	at := &net.UnixAddr{Name: path, Net: network}
	if network == "unixgram" {
		l, err := net.ListenUnixgram(network, at)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	l, err := net.ListenUnix(network, at)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// isLeftOver tells whether a path is that of a socket whose process has ended. Linux refuses
// to connect to one of either kind then, and says of one of datagrams that lives that it is
// of another kind.
func isLeftOver(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// pair returns two streams, or sockets of datagrams, that are connected to each other.
func (lib *Library) pair(c *script.Call) error {
	datagrams, kind := c.NArgs() > 0 && c.Bool(1), unix.SOCK_STREAM
	if datagrams {
		kind = unix.SOCK_DGRAM
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return failed(c, err)
	}
	var ends [2]*stream
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f) // a copy of the descriptor
		f.Close()
		if err != nil {
			return failed(c, err)
		}
		ends[i] = &stream{opened: opened{lib: lib, fd: -1, timeouts: forever}, path: true, datagrams: datagrams}
		open(ends[i], &ends[i].opened, conn.(*net.UnixConn))
	}
	return c.Return(lib.handle(ends[0]), lib.handle(ends[1]))
}
