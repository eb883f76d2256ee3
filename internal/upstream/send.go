package upstream

import (
	"context"
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
// error is ErrBudget, ErrNoTransport, the link's, or the system's. ctx ends the wait for
// the turn of the question.
func (e *Exchanger) send(ctx context.Context, b *resolve.Budget, to zonecut.Endpoint, out outlet, msg []byte) error {
	if out.protocol() != to.Peer.Protocol() {
		return fmt.Errorf("%s by %v: %w", to, out.protocol(), ErrNoTransport)
	}
	if err := b.Send(); err != nil {
		return err
	}
	if out.link != nil {
		if err := out.link.write(ctx, msg); err != nil {
			return err
		}
	} else if _, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(out.fd), uintptr(unsafe.Pointer(&msg[0])),
		uintptr(len(msg)), 0, 0, 0); errno != 0 {
		return errno
	}
	e.stats.sent(out.protocol(), out.link != nil, to.Addr.Addr())
	return nil
}

// write implements link. It stands here because it is what send calls. A server that
// takes nothing has no use of the rest; what it may have sent before it ended the
// connection is left to the reader.
func (s *stream) write(_ context.Context, msg []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(limits.TCPSendStall)); err != nil {
		return err
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	_, err := s.conn.Write(msg)
	if isTimeout(err) {
		_ = s.conn.Close()
	}
	return err
}
