package seal

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process seals this process, all of its threads. It fails where the kernel has no
// such filters, or forbids them; then nothing has changed.
func Process() error {
	if auditArch == 0 {
		return fmt.Errorf("no filter for system calls of %s", runtime.GOARCH)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("system calls cannot be filtered: %w", err)
	}
	filter := program()
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// TSYNC puts the filter on all threads or, with the number of one that has another
	// filter, on none.
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	switch {
	case errno != 0:
		return fmt.Errorf("system calls cannot be filtered: %w", errno)
	case thread != 0:
		return errors.New("system calls cannot be filtered: a thread has a filter of its own")
	}
	return nil
}

// Where the kernel has what a filter reads (struct seccomp_data); arguments have eight
// octets, of which the lower four are the first on the machines that there are here.
const (
	callNumber = 0
	callArch   = 4
	firstArg   = 16
)

// program is the filter.
func program() []unix.SockFilter {
	var p []unix.SockFilter
	add := func(code uint16, k uint32, jt, jf uint8) {
		p = append(p, unix.SockFilter{Code: code, K: k, Jt: jt, Jf: jf})
	}
	load := func(at uint32) { add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at, 0, 0) }
	refuse := func() { add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM), 0, 0) }
	// refuseIf steps over the refusal where the test fails.
	refuseIf := func(test uint16, k uint32) { add(unix.BPF_JMP|test|unix.BPF_K, k, 0, 1); refuse() }
	load(callArch)
	add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, auditArch, 1, 0)
	refuse() // the numbers of another machine's calls mean something else
	load(callNumber)
	if foreignCalls != 0 {
		refuseIf(unix.BPF_JGE, foreignCalls)
	}
	for _, nr := range append(refusedCalls(), olderCalls()...) {
		refuseIf(unix.BPF_JEQ, nr)
	}
	for _, o := range opening() {
		add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, o.call, 0, 4)
		load(firstArg + 8*o.flags)
		refuseIf(unix.BPF_JSET, writing)
		load(callNumber)
	}
	add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
	return p
}

// writing are the flags of open with which it may change something.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY

// An opener is a system call that opens files, and which of its arguments has the flags.
type opener struct{ call, flags uint32 }

// refusedCalls are those that make or change files in other ways than by opening them,
// sockets, programs, and what else reaches beyond this process.
func refusedCalls() []uint32 {
	return []uint32{
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_LISTEN, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_IO_URING_SETUP, unix.SYS_BPF,
		unix.SYS_OPENAT2, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
		unix.SYS_TRUNCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_SETUID, unix.SYS_SETRESUID, unix.SYS_SETGID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS,
	}
}
