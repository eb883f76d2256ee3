package listen

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// littleEndian is the machine's byte order.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// mmsghdr is struct mmsghdr of recvmmsg(2). Go pads it to the alignment of its
// pointers, as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// recvmmsg receives up to len(msgs) datagrams. It is a raw system call: the
// scheduler is not told, so it returns at once.
func recvmmsg(fd int, msgs []mmsghdr) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])),
		uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// awaitDatagram waits until a datagram is there, at most for the socket's receive
// timeout, and leaves it where it is. The scheduler is not told.
func awaitDatagram(fd int) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_PEEK, 0, 0)
	return e
}

// pollTick waits until one of the descriptors is readable, at most for d, and tells how many
// are; negative: it was interrupted. The scheduler is not told. It is a call of its own for
// the same reason as awaitTick.
//
//go:noinline
func pollTick(fds []unix.PollFd, d time.Duration) int {
	for i := range fds {
		fds[i].Events, fds[i].Revents = unix.POLLIN, 0
	}
	ts := unix.NsecToTimespec(int64(d))
	n, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if e != 0 {
		return -1
	}
	return int(n)
}

// sendmmsg sends datagrams until one cannot be sent. An error means that the
// first could not.
func sendmmsg(fd int, msgs []mmsghdr, flags int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])),
		uintptr(len(msgs)), uintptr(flags), 0, 0)
	return int(n), e
}

// pollIn waits until one of the descriptors is readable, with the scheduler's
// knowledge. ms is the longest wait, negative for ever.
func pollIn(fds []unix.PollFd, ms int) (int, error) {
	for i := range fds {
		fds[i].Events, fds[i].Revents = unix.POLLIN, 0
	}
	return unix.Poll(fds, ms)
}
