package worker

import (
	"errors"
	"strings"
	"syscall"
)

// switchTo gives up what this process may do beyond that user: supplementary
// groups, then the group, then the user, real, effective and saved. Without the
// privilege to do so it fails before anything has changed, unless the process
// is that user already.
func switchTo(uid, gid int, groups []int) error {
	if syscall.Geteuid() == uid && syscall.Getuid() == uid && (gid < 0 || syscall.Getegid() == gid) {
		return nil
	}
	if gid >= 0 {
		groups = append(groups, gid)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if gid >= 0 {
		if err := syscall.Setresgid(gid, gid, gid); err != nil {
			return err
		}
	}
	return syscall.Setresuid(uid, uid, uid)
}

// capitalised is the system's text of an error as libc writes it, which is what
// the manual shows: "Operation not permitted".
func capitalised(err error) string {
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
