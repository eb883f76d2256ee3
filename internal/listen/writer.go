package listen

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A connWriter gathers what is to be sent on one connection and sends it. A goroutine that
// adds something while no other one writes becomes the writer, and also sends what others
// add meanwhile; so no connection needs a second goroutine, and answers that are ready
// together leave together.
type connWriter struct {
	s    *Server
	conn *connection
	to   io.Writer // fails if the client does not take what is written in time
	nc   io.Closer // what lies beneath

	mu      sync.Mutex
	change  sync.Cond // room in out, an answer gone, or an end
	out     *[]byte   // what is not yet written; nil: nothing
	writing bool
	dead    bool
}

func (w *connWriter) init(s *Server, conn *connection, to io.Writer, nc io.Closer) {
	w.s, w.conn, w.to, w.nc = s, conn, to, nc
	w.change.L = &w.mu
}

// bufferLocked is where to append what is to be sent by the next flush; nil: nothing is sent
// any more.
func (w *connWriter) bufferLocked() *[]byte {
	if w.dead {
		return nil
	}
	if w.out == nil {
		w.out = w.s.buffers.Get().(*[]byte)
	}
	return w.out
}

// buffered is how much waits to be written.
func (w *connWriter) buffered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bufferedLocked()
}

func (w *connWriter) bufferedLocked() int {
	if w.out == nil {
		return 0
	}
	return len(*w.out)
}

// roomLocked waits while more than the bound is buffered and somebody writes, as when the
// client does not read. Where nobody writes, the caller is to flush.
func (w *connWriter) roomLocked() {
	for w.writing && !w.dead && w.bufferedLocked() >= limits.TCPSendBuffer {
		w.change.Wait()
	}
}

// flush writes what has been added. If another goroutine is writing it leaves
// that to it, and waits only while more than the bound is buffered.
func (w *connWriter) flush() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roomLocked()
	w.flushLocked()
	return !w.dead
}

func (w *connWriter) flushLocked() {
	if w.writing || w.dead {
		return
	}
	w.writing = true
	for w.out != nil && !w.dead {
		out := w.out
		w.out = nil
		w.change.Broadcast()
		w.mu.Unlock()
		ok := w.write(*out)
		w.s.recycle(out)
		w.mu.Lock()
		if !ok {
			w.dead = true
		}
	}
	w.writing = false
	if w.dead {
		w.out = nil
	}
	w.change.Broadcast()
}

// write sends b. A client that does not take a chunk within
// limits.TCPSendStall is not waited for and loses its connection.
func (w *connWriter) write(b []byte) bool {
	for len(b) > 0 {
		n, err := w.to.Write(b[:min(len(b), limits.TCPWriteChunk)])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) { // and has not only gone
				w.s.tcp.stalled.Add(1)
				w.s.limits.Hit(limits.TCPTime)
				w.s.offended(w.conn, 1)
			}
			w.nc.Close()
			return false
		}
		b = b[n:]
	}
	return true
}

// waitUntil waits for what changes with the connection; it does not wait for one that is
// dead.
func (w *connWriter) waitUntil(cond func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.dead && !cond() {
		w.change.Wait()
	}
}

// waitForAnswers waits until nothing is on the driver's way and all is written.
func (w *connWriter) waitForAnswers() {
	w.waitUntil(func() bool { return w.conn.outstanding.Load() == 0 && !w.writing && w.out == nil })
}

// abort makes everybody who waits for the connection give up.
func (w *connWriter) abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead, w.out = true, nil
	w.change.Broadcast()
}

// recycle keeps a buffer of ordinary size for the next answers.
func (s *Server) recycle(out *[]byte) {
	if cap(*out) <= limits.TCPSendBuffer {
		*out = (*out)[:0]
		s.buffers.Put(out)
	}
}
