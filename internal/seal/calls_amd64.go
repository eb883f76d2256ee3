package seal

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// foreignCalls are the numbers from which on calls are of the x32 kind.
const foreignCalls = 0x40000000

// olderCalls are refused ones that this machine has from before there were better.
func olderCalls() []uint32 {
	return []uint32{
		unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_MKNOD, unix.SYS_LINK, unix.SYS_SYMLINK,
		unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
	}
}

func opening() []opener { return []opener{{unix.SYS_OPENAT, 2}, {unix.SYS_OPEN, 1}} }
