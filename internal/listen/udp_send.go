package listen

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A udpSender sends what the driver's way answers on one UDP socket.
//
// When many queries end together, each sending its own answer would be a
// system call, and would wake the client, once for each. So the goroutine that
// has the first answer lets the other goroutines that can run go ahead, and then
// sends for all of them; when there are none, it sends at once.
type udpSender struct {
	mu      sync.Mutex
	waiting answerBatch
	busy    bool // a goroutine is about to send

	// The rest belongs to that goroutine.
	leaving answerBatch
	headers []mmsghdr
	iov     []unix.Iovec
}

// An answerBatch is answers in one piece of memory.
type answerBatch struct {
	to   []*Query
	ends []int // where each ends in text
	text []byte
}

func (l *answerBatch) add(q *Query, msg []byte) {
	l.text = append(l.text, msg...)
	l.to, l.ends = append(l.to, q), append(l.ends, len(l.text))
}

// clear forgets the answers and keeps their memory for the next ones, unless it
// is unusually much.
func (l *answerBatch) clear() {
	clear(l.to)
	l.to, l.ends, l.text = l.to[:0], l.ends[:0], l.text[:0]
	if cap(l.text) > outSize {
		*l = answerBatch{}
	}
}

// send sends msg to q's client now or, where others may have answers too, soon; msg is
// copied. sent is called when the answers of a batch have left, or could not, which is
// how many failed.
func (o *udpSender) send(fd int, q *Query, msg []byte, others bool, sent func(answerBatch, int)) {
	o.hold(q, msg)
	o.release(fd, others, sent)
}

// hold keeps an answer, of which msg is copied, until the next release.
func (o *udpSender) hold(q *Query, msg []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting.add(q, msg)
}

// release is send for what is held.
func (o *udpSender) release(fd int, others bool, sent func(answerBatch, int)) {
	o.mu.Lock()
	first := !o.busy
	o.busy = true
	o.mu.Unlock()
	if !first {
		return
	}
	if others {
		runtime.Gosched()
	}
	for o.take() {
		failed := o.flush(fd)
		sent(o.leaving, failed)
		o.leaving.clear()
	}
}

// take moves what waits to what leaves; with nothing to do the sender is free
// again.
func (o *udpSender) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting.to) == 0 {
		o.busy = false
		return false
	}
	o.waiting, o.leaving = o.leaving, o.waiting
	return true
}

// flush sends what leaves and counts what could not be sent.
func (o *udpSender) flush(fd int) (failed int) {
	if o.headers == nil {
		o.headers, o.iov = make([]mmsghdr, limits.UDPBatch), make([]unix.Iovec, limits.UDPBatch)
	}
	from := 0
	for i := 0; i < len(o.leaving.to); {
		n := min(len(o.leaving.to)-i, len(o.headers))
		for j := range n {
			o.address(j, o.leaving.to[i+j], o.leaving.text[from:o.leaving.ends[i+j]])
			from = o.leaving.ends[i+j]
		}
		failed += sendAll(fd, o.headers[:n])
		i += n
	}
	return failed
}

// address writes header j for an answer to q.
func (o *udpSender) address(j int, q *Query, msg []byte) {
	o.iov[j].Base = &msg[0]
	o.iov[j].SetLen(len(msg))
	h := &o.headers[j].hdr
	*h = unix.Msghdr{Name: &q.name[0], Namelen: q.nameLen, Iov: &o.iov[j]}
	h.SetIovlen(1)
	if q.control.len > 0 {
		h.Control = &q.control.buf[0]
		h.SetControllen(q.control.len)
	}
}

// sendAll sends without waiting and counts the messages that could not be sent;
// one such does not hold up the others.
func sendAll(fd int, msgs []mmsghdr) (failed int) {
	for len(msgs) > 0 {
		n, e := sendmmsg(fd, msgs, unix.MSG_DONTWAIT)
		switch {
		case e == unix.EINTR:
		case e != 0 || n <= 0:
			failed++
			msgs = msgs[1:]
		default:
			msgs = msgs[n:]
		}
	}
	return failed
}
