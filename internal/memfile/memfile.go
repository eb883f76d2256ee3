// Package memfile makes files that lie in memory alone (memfd_create(2)).
package memfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// New makes an empty file that has no path, ends with its last descriptor, and is closed
// when a program is executed. name, of at most 249 octets, stands for it in /proc. It can
// be sealed, but nobody can execute it: administrators may refuse memory that could be
// (sysctl vm.memfd_noexec).
func New(name string) (*os.File, error) {
	fd, err := create(name, unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 does not know it
		fd, err = create(name, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func create(name string, more int) (fd int, err error) {
	return unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|more)
}
