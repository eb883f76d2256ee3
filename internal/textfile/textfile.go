// Package textfile opens files that an operator names and that have a beginning and an
// end: lists of hosts, keys, hints, certificates. What a device or a FIFO would tell is
// never waited for.
package textfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that a path leads to a directory, a device, a FIFO or a socket.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file to be read. Errors are *fs.PathError.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // waits for no writer of a FIFO
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read is what stands in a regular file, of at most that many octets.
func Read(path string, most int) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	octets, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(octets) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("longer than %d octets", most)}
	}
	return octets, err
}
