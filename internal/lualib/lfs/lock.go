package lfs

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/script"
	"kresd/internal/script/language"
	"kresd/internal/wording"
)

// lock locks a file, or a part of it, against other processes: "r" shared, "w" alone. It
// does not wait.
func lock(c *script.Call) error {
	f, kind := language.File(c, 1), int16(unix.F_RDLCK)
	switch c.String(2) {
	case "r":
	case "w":
		kind = unix.F_WRLCK
	default:
		return script.Usage("lock: invalid mode")
	}
	return setLock(c, f, kind, 3)
}

func unlock(c *script.Call) error { return setLock(c, language.File(c, 1), unix.F_UNLCK, 2) }

// setLock sets a lock on the part that arguments from i on say: start and length.
func setLock(c *script.Call, f *os.File, kind int16, i int) error {
	part := unix.Flock_t{Type: kind}
	if !c.IsNil(i) {
		part.Start = int64(c.Number(i))
	}
	if !c.IsNil(i + 1) {
		part.Len = int64(c.Number(i + 1))
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return done(c, err)
	}
	var refused error
	if err := conn.Control(func(fd uintptr) { refused = unix.FcntlFlock(fd, unix.F_SETLK, &part) }); err != nil {
		return done(c, err)
	}
	return done(c, refused)
}

// A held is a lock of a directory: the link that stands for it, "" where it was withheld.
type held struct{ path string }

func lockClass() *script.Class {
	class := &script.Class{Name: "directory lock"}
	class.Methods = []script.Func{{Name: "free", Min: 1, Fn: func(c *script.Call) error {
		if h := c.Handle(1, class).(*held); h.path != "" {
			os.Remove(h.path)
		}
		return nil
	}}}
	return class
}

// lockDirectory makes a link in a directory that nobody else can make meanwhile. One that
// is older than the seconds given counts as forgotten.
func lockDirectory(c *script.Call, class *script.Class) error {
	path := filepath.Join(c.String(1), "lockfile.lfs")
	if c.Withheld("'%s' was not made", path) {
		return c.Return(&script.Handle{Class: class, Value: &held{}})
	}
	err := os.Symlink(strconv.Itoa(os.Getpid()), path)
	if err != nil && !c.IsNil(2) {
		stale := time.Duration(c.Number(2) * float64(time.Second))
		if info, failed := os.Lstat(path); failed == nil && clock.Real().Now().Sub(info.ModTime()) > stale {
			os.Remove(path)
			err = os.Symlink(strconv.Itoa(os.Getpid()), path)
		}
	}
	if err != nil {
		return c.Return(nil, wording.System(err))
	}
	return c.Return(&script.Handle{Class: class, Value: &held{path}})
}
