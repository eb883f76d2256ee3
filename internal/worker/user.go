package worker

import "syscall"

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
