package listen

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// recordHeader is the length of the header of a record of TLS, which ends with the
// length of the rest (RFC 8446, section 5.1).
const recordHeader = 5

// records lies beneath the TLS of a connection. It reads as much as has come, and passes
// it on one record at a time: so it is known whether a further record has come whole, and
// queries that have come together are answered together. It also tells when it waits for
// the client, so that a handshake gives back its turn to compute meanwhile (shakeHands).
type records struct {
	punctual
	in    []byte // what was read and not passed on
	left  int    // octets of the present record that were not passed on
	small [1024]byte

	// ahead tells to pass on what was read already, and to read nothing.
	ahead bool
	// waits is called before the client is waited for, goesOn after that, whose error is
	// that of what was waited for. Both may be nil.
	waits  func()
	goesOn func() error
}

func newRecords(nc accepted) *records { return &records{punctual: punctual{nc}} }

// Read implements net.Conn.
func (r *records) Read(b []byte) (int, error) {
	for r.left == 0 && len(r.in) < recordHeader || len(r.in) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.left == 0 {
		r.left = recordLen(r.in)
	}
	n := copy(b, r.in[:min(r.left, len(r.in))])
	r.in, r.left = r.in[n:], r.left-n
	return n, nil
}

// await waits until something can be passed on, behind a handshake. What goes wrong the next
// Read meets as well.
func (r *records) await() {
	if len(r.in) == 0 && !r.ahead {
		n, _ := r.accepted.Read(r.small[:])
		r.in = r.small[:n]
	}
}

// fill reads on behind in, which holds less than a header.
func (r *records) fill() (err error) {
	if r.ahead {
		return os.ErrDeadlineExceeded // an error that TLS takes for a passing one
	}
	n := copy(r.small[:], r.in)
	r.in = r.small[:n]
	if r.waits != nil {
		r.waits()
		defer r.goOn(&err)
	}
	m, err := r.accepted.Read(r.small[n:])
	r.in = r.small[:n+m]
	if m > 0 {
		return nil
	}
	return err
}

// Write implements net.Conn. It calls waits only if the system has no room for all of b.
func (r *records) Write(b []byte) (n int, err error) {
	if r.waits != nil {
		if n = r.writeNow(b); n == len(b) {
			return n, nil
		}
		r.waits()
		defer r.goOn(&err)
	}
	m, err := r.punctual.Write(b[n:])
	return n + m, err
}

// goOn calls goesOn behind what may have failed with err.
func (r *records) goOn(err *error) {
	if e := r.goesOn(); e != nil && *err == nil {
		*err = e
	}
}

// writeNow writes what the system takes without waiting. An error is left for the next
// Write to meet and to return.
func (r *records) writeNow(b []byte) (n int) {
	raw, err := r.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Write(func(fd uintptr) bool {
		n, _ = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	return max(n, 0)
}

// recordLen is the length of the record that in begins with, header included.
func recordLen(in []byte) int { return recordHeader + int(binary.BigEndian.Uint16(in[3:])) }

// more tells whether a whole record was read of which nothing was passed on.
func (r *records) more() bool {
	return r.left == 0 && len(r.in) >= recordHeader && len(r.in) >= recordLen(r.in)
}
