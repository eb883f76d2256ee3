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

// A Use reads the text of a file, or words why the file could not be opened. After an error
// it may be called again, with another text: it begins anew each time, and nothing is left
// of what it has read in vain.
type Use func(text io.Reader, err error) error

// A Reader has use read what stands in a file, and may have it read, after an error, what
// stood there before. It returns the error of use.
type Reader func(path string, use Use) error

// Disk is the Reader of what stands in regular files now.
func Disk(path string, use Use) error {
	f, err := Open(path)
	if err != nil {
		return use(nil, err)
	}
	defer f.Close()
	return use(f, nil)
}

// Read is what stands in a regular file, of at most that many octets.
func Read(path string, most int) (octets []byte, err error) {
	err = Disk(path, func(f io.Reader, err error) error {
		if err == nil {
			octets, err = All(f, path, most)
		}
		return err
	})
	return octets, err
}

// All is the whole text of the file at path, of at most that many octets.
func All(f io.Reader, path string, most int) ([]byte, error) {
	octets, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(octets) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("longer than %d octets", most)}
	}
	return octets, err
}
