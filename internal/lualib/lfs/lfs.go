// Package lfs is the library lfs of scripts: attributes of files, directories and locks,
// by LuaFileSystem's manual. The system is asked outside of the machine, so that a file
// system that does not answer holds up nobody.
//
// The working directory is the process's, where its cache and its files are: chdir is
// refused.
package lfs

import (
	_ "embed" // a part of the library is a file
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
	"kresd/internal/script/language"
	"kresd/internal/wording"
)

//go:embed lfs.lua
var text string

// Libraries is the one that require gives as lfs.
func Libraries() []script.Library {
	return []script.Library{{Name: "lfs", Help: "attributes of files, directories and locks", Open: open}}
}

func open(c *script.Call) (any, error) {
	directories, locks := directoryClass(), lockClass()
	core := c.LibraryTable("lfs", []script.Func{
		{Name: "stat", Args: "path", Max: -1, Fn: func(c *script.Call) error { return attributes(c, unix.Stat, false) }},
		{Name: "lstat", Args: "path", Max: -1, Fn: func(c *script.Call) error { return attributes(c, unix.Lstat, true) }},
		{Name: "open", Args: "path", Max: -1, Fn: func(c *script.Call) error { return openDirectory(c, directories) }},
		{Name: "next", Args: "directory", Max: -1, Fn: func(c *script.Call) error { return nextName(c, directories, 1) }},
		{Name: "mkdir", Args: "path", Max: -1, Fn: changing(func(path string) error { return unix.Mkdir(path, 0o775) })},
		{Name: "rmdir", Args: "path", Max: -1, Fn: changing(unix.Rmdir)},
		{Name: "link", Args: "old, new[, symbolic]", Max: -1, Fn: link},
		{Name: "touch", Args: "path[, access[, modification]]", Max: -1, Fn: touch},
		{Name: "currentdir", Max: -1, Fn: currentDirectory},
		{Name: "chdir", Args: "path", Max: -1, Fn: refuseChdir},
		{Name: "lock", Args: "file, mode[, start[, length]]", Max: -1, Fn: lock},
		{Name: "unlock", Args: "file[, start[, length]]", Max: -1, Fn: unlock},
		{Name: "lock_dir", Args: "path[, stale]", Max: -1, Fn: func(c *script.Call) error { return lockDirectory(c, locks) }},
		{Name: "setmode", Args: "file, mode", Max: -1, Fn: func(c *script.Call) error { language.File(c, 1); return c.Return(true, "binary") }},
	}, script.Entry{Key: "_VERSION", Value: "LuaFileSystem 1.8.0"})
	return c.LibraryText("lfs", text, core)
}

// changing makes the function that does something to a path.
func changing(fn func(path string) error) func(c *script.Call) error {
	return func(c *script.Call) error {
		path := c.String(1)
		if c.Withheld("'%s' was not made or removed", path) {
			return done(c, nil)
		}
		_, err := script.Interruptible(c, nil, func() (struct{}, error) { return struct{}{}, fn(path) })
		return done(c, err)
	}
}

// done returns true, or nil, message and number of an error of the system.
func done(c *script.Call, err error) error {
	if err != nil {
		return failed(c, err, "")
	}
	return c.Return(true)
}

func failed(c *script.Call, err error, before string) error {
	var (
		i      *script.Interrupt
		number syscall.Errno
	)
	if errors.As(err, &i) {
		return err
	}
	errors.As(err, &number)
	return c.Return(nil, before+wording.System(err), int(number))
}

func link(c *script.Call) error {
	from, to, symbolic := c.String(1), c.String(2), c.OptBool(3, false)
	if c.Withheld("'%s' was not made", to) {
		return done(c, nil)
	}
	_, err := script.Interruptible(c, nil, func() (struct{}, error) {
		if symbolic {
			return struct{}{}, unix.Symlink(from, to)
		}
		return struct{}{}, unix.Link(from, to)
	})
	return done(c, err)
}

// touch sets the times of a file, in seconds since 1970. The default is the present, and
// the access for the modification.
func touch(c *script.Call) error {
	path, times := c.String(1), [2]unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	for i := range times {
		if !c.IsNil(2 + i) {
			times[i] = unix.NsecToTimespec(int64(c.Number(2+i) * 1e9))
		} else if i == 1 {
			times[1] = times[0]
		}
	}
	if c.Withheld("the times of '%s' were not changed", path) {
		return done(c, nil)
	}
	_, err := script.Interruptible(c, nil, func() (struct{}, error) { return struct{}{}, unix.UtimesNanoAt(unix.AT_FDCWD, path, times[:], 0) })
	return done(c, err)
}

func currentDirectory(c *script.Call) error {
	dir, err := os.Getwd()
	if err != nil {
		return failed(c, err, "")
	}
	return c.Return(dir)
}

func refuseChdir(c *script.Call) error {
	path := c.String(1)
	here, _ := os.Stat(".")
	if there, err := os.Stat(path); err == nil && here != nil && os.SameFile(here, there) {
		return c.Return(true)
	}
	return c.Return(nil, "lfs.chdir is refused: the working directory is the run directory, where the cache and all files of the process are; use whole paths")
}
