package cqueues

import (
	"syscall"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// openErrno makes cqueues.errno: errno.EAGAIN and its like, errno[11] for the name of
// a number, and errno.strerror(number).
func openErrno(c *script.Call) (any, error) {
	var values []script.Entry
	for n := syscall.Errno(1); n < maxErrno; n++ {
		if name := unix.ErrnoName(n); name != "" {
			values = append(values, script.Entry{Key: name, Value: int(n)}, script.Entry{Key: int(n), Value: name})
		}
	}
	values = append(values, script.Entry{Key: "EWOULDBLOCK", Value: int(unix.EWOULDBLOCK)})
	return c.LibraryTable("errno", []script.Func{
		{Name: "strerror", Args: "number", Min: 1, Max: 1, Help: "what an error's number means", Fn: func(c *script.Call) error {
			return c.Return(syscall.Errno(c.Int(1, 0, 1<<20)).Error())
		}},
	}, values...), nil
}

// maxErrno is above all numbers that Linux gives to errors.
const maxErrno = 134
