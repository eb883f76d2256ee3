package querylog

import (
	"encoding/binary"
	"sync/atomic"
)

// A ring carries records from one producer to one consumer without a lock. A record
// lies in one piece; its first two octets are its length, a multiple of align, and 0
// where the rest of the buffer is skipped.
type ring struct {
	size       uint64
	buf        []byte        // the producer makes it with its first record
	head, tail atomic.Uint64 // octets taken out, and put in, since the beginning
	next       uint64        // the producer's: tail with the record that it writes
	lost       atomic.Uint64 // records that found no room
	closed     atomic.Bool   // nothing is put in any more
}

const align = 8

// newRing makes a ring of so many octets. They are not taken before something is put in.
func newRing(size int) *ring { return &ring{size: uint64(size / align * align)} }

// room is where the producer may write a record of n octets, nil where there is none:
// that is counted. put has the consumer see it.
func (r *ring) room(n int) []byte {
	if r.buf == nil {
		r.buf = make([]byte, r.size)
	}
	n = (n + align - 1) / align * align
	size, tail := r.size, r.tail.Load()
	at, free := tail%size, size-(tail-r.head.Load())
	var skipped uint64
	if rest := size - at; rest < uint64(n) { // it would not lie in one piece
		skipped = rest
	}
	if free < skipped+uint64(n) {
		r.lost.Add(1)
		return nil
	}
	if skipped > 0 {
		binary.NativeEndian.PutUint16(r.buf[at:], 0)
		at = 0
	}
	r.next = tail + skipped + uint64(n)
	rec := r.buf[at : at+uint64(n)]
	binary.NativeEndian.PutUint16(rec, uint16(n))
	return rec
}

// put hands over the record that room was made for, and tells whether the consumer may
// be asleep: it had taken out everything before.
func (r *ring) put() (wake bool) {
	before := r.tail.Load()
	r.tail.Store(r.next)
	return r.head.Load() == before
}

// take calls use for what was there when it was called, in order, and tells whether that
// was anything. Only where there was nothing does the producer know that it has to wake
// somebody. use must not keep the record.
func (r *ring) take(use func(rec []byte)) (any bool) {
	head, tail := r.head.Load(), r.tail.Load()
	any = head != tail
	for head != tail {
		at := head % r.size
		n := uint64(binary.NativeEndian.Uint16(r.buf[at:]))
		if n == 0 {
			n = r.size - at
		} else {
			use(r.buf[at : at+n])
		}
		head += n
		r.head.Store(head)
	}
	return any
}
