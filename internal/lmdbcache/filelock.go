package lmdbcache

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A fileLock is the locks on an open file that processes share: two of its octets
// stand for them (fcntl(2), open file description locks). They are the kernel's:
// nothing in a file can damage them, they go with the process that holds them,
// however it ends, and they belong to this very file, whatever its name stands
// for meanwhile.
type fileLock struct{ f *os.File }

const (
	inUseOctet = 0 // shared by all who have the file open
	writeOctet = 1 // of the one who writes
)

func (l fileLock) set(kind int16, octet int64) error {
	how := unix.Flock_t{Type: kind, Start: octet, Len: 1}
	return unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &how)
}

// holder tells whether anybody else holds a lock on an octet, and the number of
// the process, ofdOwner where the lock is of the kind that is used here.
func (l fileLock) holder(octet int64) (pid int32, held bool, err error) {
	how := unix.Flock_t{Type: unix.F_WRLCK, Start: octet, Len: 1}
	err = unix.FcntlFlock(l.f.Fd(), unix.F_OFD_GETLK, &how)
	return how.Pid, err == nil && how.Type != unix.F_UNLCK, err
}

// use says that the file is in use until it is closed.
func (l fileLock) use() error { return l.set(unix.F_RDLCK, inUseOctet) }

// How often a process that waits for the right to write tries again: each turnPoll while
// the holder may be just committing, each frozenPoll after frozenTime, when it must be
// frozen.
const (
	turnPoll   = 100 * time.Microsecond
	frozenPoll = 2 * time.Millisecond
	frozenTime = 10 * time.Millisecond
)

// A process that has much to write leaves the lock to others after each writeTurn, for
// othersTurn, which is longer than they take until they try again.
const (
	writeTurn  = 5 * time.Millisecond
	othersTurn = 300 * time.Microsecond
)

// lock waits for the right to write; ErrBusy when ctx ends before.
func (l fileLock) lock(ctx context.Context) error {
	for began := time.Now(); ; {
		err := l.set(unix.F_WRLCK, writeOctet)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return ErrBusy
		}
		if time.Since(began) < frozenTime {
			time.Sleep(turnPoll)
		} else {
			time.Sleep(frozenPoll)
		}
	}
}

func (l fileLock) unlock() { _ = l.set(unix.F_UNLCK, writeOctet) } // only fails for a file that is none
