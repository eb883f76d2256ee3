package upstream

import (
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// outlet is a socket that a question leaves by: a TCP connection, or else the
// connected UDP socket fd.
type outlet struct {
	conn net.Conn
	fd   int
}

// send is the one place of the program that writes to a server, so that nothing
// leaves without being debited (HARDENING B5); a test reads the source for
// others. The error is ErrBudget, or the system's.
func (e *Exchanger) send(b *resolve.Budget, to netip.Addr, out outlet, pkt []byte) error {
	if err := b.Send(); err != nil {
		return err
	}
	if out.conn != nil {
		if err := out.conn.SetWriteDeadline(time.Now().Add(limits.TCPSendStall)); err != nil {
			return err
		}
		if _, err := out.conn.Write(pkt); err != nil {
			return err
		}
	} else if _, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(out.fd), uintptr(unsafe.Pointer(&pkt[0])),
		uintptr(len(pkt)), 0, 0, 0); errno != 0 {
		return errno
	}
	e.stats.sent(out.conn != nil, to)
	return nil
}
