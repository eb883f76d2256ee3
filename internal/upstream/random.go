package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// entropy hands out octets of crypto/rand, read in blocks so that a question
// does not cost a system call. Octets are wiped when they are handed out, so
// that a later look at memory tells nothing about questions already asked.
type entropy struct {
	mu  sync.Mutex
	buf [1024]byte
	at  int // buf[at:] is unused
	has bool
}

// read fills b. crypto/rand never fails (it ends the process instead).
func (e *entropy) read(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(b) > 0 {
		if !e.has || e.at == len(e.buf) {
			_, _ = rand.Read(e.buf[:])
			e.at, e.has = 0, true
		}
		n := copy(b, e.buf[e.at:])
		clear(e.buf[e.at : e.at+n])
		e.at += n
		b = b[n:]
	}
}

func (e *entropy) uint16() uint16 {
	var b [2]byte
	e.read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// lowestPort is the first port that is drawn; those below belong to services.
const lowestPort = 1024

// port draws a source port, each from lowestPort to 65535 equally likely.
func (e *entropy) port() uint16 {
	for {
		if p := e.uint16(); p >= lowestPort {
			return p
		}
	}
}
