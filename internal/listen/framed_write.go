package listen

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A frameWriter gathers the answers of one connection and sends them. Whoever adds
// an answer while nobody writes becomes the writer, and takes along what others
// add meanwhile; so no connection needs a second goroutine, and answers that are
// ready together leave together.
type frameWriter struct {
	conn *framedConn

	mu      sync.Mutex
	change  sync.Cond // room in out, an answer gone, or an end
	out     *[]byte   // frames that are not yet written; nil: none
	writing bool
	dead    bool
}

func (w *frameWriter) init(c *framedConn) {
	w.conn = c
	w.change.L = &w.mu
}

// put adds a frame, to be sent by the next flush.
func (w *frameWriter) put(msg []byte) {
	w.mu.Lock()
	w.putLocked(msg)
	w.mu.Unlock()
}

func (w *frameWriter) putLocked(msg []byte) {
	if w.dead {
		return
	}
	if w.out == nil {
		w.out = w.conn.s.buffers.Get().(*[]byte)
	}
	*w.out = appendFrame(*w.out, msg)
}

// buffered is how much waits to be written.
func (w *frameWriter) buffered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bufferedLocked()
}

func (w *frameWriter) bufferedLocked() int {
	if w.out == nil {
		return 0
	}
	return len(*w.out)
}

// flush writes what has been added. If another goroutine is writing it leaves
// that to it, and waits only while more than the bound is buffered.
func (w *frameWriter) flush() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing && !w.dead && w.bufferedLocked() >= limits.TCPSendBuffer {
		w.change.Wait()
	}
	w.flushLocked()
	return !w.dead
}

func (w *frameWriter) flushLocked() {
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
		w.conn.s.recycle(out)
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
func (w *frameWriter) write(b []byte) bool {
	c := w.conn
	for len(b) > 0 {
		n, err := c.stream.Write(b[:min(len(b), limits.TCPWriteChunk)])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) { // and has not only gone
				c.s.tcp.stalled.Add(1)
				c.s.limits.Hit(limits.TCPTime)
			}
			c.nc.Close()
			return false
		}
		b = b[n:]
	}
	return true
}

// answer sends the answer to a query that took the driver's way. It waits while
// the client does not read.
func (c *framedConn) answer(_ *Query, msg []byte) {
	w := &c.frameWriter
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.dead && w.bufferedLocked() >= limits.TCPSendBuffer {
		w.change.Wait()
	}
	if len(msg) > 0 {
		w.putLocked(msg)
	}
	c.outstanding.Add(-1)
	w.change.Broadcast()
	w.flushLocked()
}

// waitForRoom returns at once while the pipeline has room; once full, it waits
// until less than half of it is taken.
func (c *framedConn) waitForRoom() {
	if !c.pipelineFull() {
		return
	}
	c.s.limits.Hit(limits.TCPPipeline)
	c.waitFor(func() bool { return c.outstanding.Load() <= c.s.pipeline.Load()/2 })
}

// waitForAnswers waits until nothing is on the driver's way and all is written.
func (c *framedConn) waitForAnswers() {
	c.waitFor(func() bool { return c.outstanding.Load() == 0 && !c.writing && c.out == nil })
}

func (c *framedConn) waitFor(cond func() bool) {
	w := &c.frameWriter
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.dead && !cond() {
		w.change.Wait()
	}
}

// abort makes everybody who waits for the connection give up.
func (w *frameWriter) abort() {
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
