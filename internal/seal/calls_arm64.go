package seal

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignCalls would be the number from which on calls are of another kind; there are
// none.
const foreignCalls = 0

// olderCalls are refused ones that this machine has from before there were better.
func olderCalls() []uint32 { return []uint32{unix.SYS_RENAMEAT} }

func opening() []opener { return []opener{{unix.SYS_OPENAT, 2}} }
