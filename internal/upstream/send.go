package upstream

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// outlet is what a question leaves by: a link, or else the connected UDP socket fd.
type outlet struct {
	link link
	fd   int
}

func (o *outlet) protocol() zonecut.Protocol {
	if o.link != nil {
		return o.link.protocol()
	}
	return zonecut.Do53
}

// send is the one place of the program from where a question leaves for a server,
// so that none leaves without being debited (HARDENING B5), and none in another
// protocol than the server's peer demands; a test reads the source for others. The
// error is ErrBudget, ErrNoTransport, or the system's.
func (e *Exchanger) send(b *resolve.Budget, to zonecut.Endpoint, out outlet, msg []byte) error {
	if out.protocol() != to.Peer.Protocol() {
		return fmt.Errorf("%s by %v: %w", to, out.protocol(), ErrNoTransport)
	}
	if err := b.Send(); err != nil {
		return err
	}
	if out.link != nil {
		if err := out.link.write(msg); err != nil {
			return err
		}
	} else if _, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(out.fd), uintptr(unsafe.Pointer(&msg[0])),
		uintptr(len(msg)), 0, 0, 0); errno != 0 {
		return errno
	}
	e.stats.sent(out.protocol(), out.link != nil, to.Addr.Addr())
	return nil
}

// write implements link. It stands here because it is what send calls.
func (s *stream) write(msg []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(limits.TCPSendStall)); err != nil {
		return err
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	_, err := s.conn.Write(msg)
	return err
}
