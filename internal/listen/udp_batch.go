package listen

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

const (
	// datagramMax is the longest query that is read whole; of a longer one the
	// session sees the header alone.
	datagramMax = limits.UDPQuery
	// slotSize keeps the beginnings of the datagrams apart in the processor's
	// cache, where addresses a power of two apart compete for the same lines.
	slotSize = datagramMax + 128
	// outSize holds a batch of answers of ordinary size and one of any size.
	outSize = limits.UDPBatch*1024 + maxMessage + 1
	// controlSize holds one pktinfo message of either family.
	controlSize = len(pktinfo{}.buf)
)

// A batch is the memory of one thread: what recvmmsg and sendmmsg read and
// write. It is allocated once. Slot i is what belongs to datagram i.
type batch struct {
	got  int // datagrams received
	next int // the first of them that is not answered
	full int // answers ready to be sent
	used int // octets of out taken by them

	recv    []mmsghdr
	send    []mmsghdr
	names   []sockaddr // whom the datagrams came from (msg_name of recvmsg(2))
	control []byte     // nil unless answers must name their source
	in      []byte
	out     []byte
}

func (b *batch) init(wildcard bool) {
	const n = limits.UDPBatch
	b.recv, b.send = make([]mmsghdr, n), make([]mmsghdr, n)
	b.names = make([]sockaddr, n)
	b.in, b.out = make([]byte, n*slotSize), make([]byte, outSize)
	if wildcard {
		b.control = make([]byte, n*controlSize)
	}
	recvIov, sendIov := make([]unix.Iovec, n), make([]unix.Iovec, n)
	for i := range n {
		recvIov[i].Base = &b.in[i*slotSize]
		recvIov[i].SetLen(datagramMax)
		b.recv[i].hdr.Name = &b.names[i][0]
		b.recv[i].hdr.Iov = &recvIov[i]
		b.recv[i].hdr.SetIovlen(1)
		b.send[i].hdr.Iov = &sendIov[i]
		b.send[i].hdr.SetIovlen(1)
		b.rearm(i)
	}
}

// rearm restores in slot i the lengths that the kernel has overwritten.
func (b *batch) rearm(i int) {
	h := &b.recv[i].hdr
	h.Namelen = uint32(len(b.names[i]))
	if b.control != nil {
		h.Control = &b.control[i*controlSize]
		h.SetControllen(controlSize)
	}
}

// datagram is what was received in slot i, or its header if it was too long.
func (b *batch) datagram(i int) []byte {
	m := &b.recv[i]
	if m.hdr.Flags&unix.MSG_TRUNC != 0 {
		return b.in[i*slotSize : i*slotSize+headerLen]
	}
	return b.in[i*slotSize : i*slotSize+int(m.len)]
}

// controlOf is the control message received in slot i.
func (b *batch) controlOf(i int) []byte {
	if b.control == nil {
		return nil
	}
	return b.control[i*controlSize : i*controlSize+int(b.recv[i].hdr.Controllen)]
}

// serve answers the batch. Called again after a panic, it goes on with the next datagram.
func (t *udpThread) serve() {
	t.proxies = t.u.s.proxies.Load()
	t.session.Begin()
	for ; t.next < t.got; t.next++ {
		t.answerOne(t.next)
	}
	t.session.End()
	t.flush()
	for i := range t.got {
		t.rearm(i)
	}
	t.got = 0
	t.n[nBatches]++
	t.u.stats.publish(&t.n)
}

// answerOne asks the session about the datagram in slot i.
func (t *udpThread) answerOne(i int) {
	msg := t.message(i)
	if !isQuery(msg) || t.names[i].port() < limits.ClientPortLeast {
		t.n[nIgnored]++
		return
	}
	t.n[nQueries]++
	if t.recv[i].hdr.Flags&unix.MSG_TRUNC != 0 {
		t.n[nOversize]++
	}
	if t.used+maxMessage > len(t.out) || t.full == len(t.send) {
		t.flush()
	}
	out := t.out[t.used:]
	reply, handling := t.session.Answer(msg, &t.client, out)
	switch handling {
	case Reply:
		if len(reply) == 0 {
			t.n[nDropped]++
			return
		}
		t.n[nAnswered]++
		t.put(i, reply)
	case Driver:
		t.n[nDriver]++
		t.drive(i, msg)
	default:
		t.n[nDropped]++
	}
}

// message is the client's message in slot i. It also fills in t.client (identify).
func (t *udpThread) message(i int) []byte {
	t.identify(i)
	if t.proxies == nil {
		return t.datagram(i)
	}
	return t.unwrap(t.datagram(i))
}

// identify fills in the client of slot i.
func (t *udpThread) identify(i int) {
	t.client.Addr, t.client.Local = t.names[i].addrPort(), t.u.at.addr
	if t.control != nil {
		addr := local(t.controlOf(i))
		if t.pktinfo = addr.IsValid(); t.pktinfo {
			t.client.Local = netip.AddrPortFrom(addr, t.u.at.addr.Port())
		}
	}
}

// put adds the answer to the query in slot i to those that flush sends. reply lies in
// t.out, behind the octets that are used.
func (t *udpThread) put(i int, reply []byte) {
	t.used = t.end(reply)
	m := &t.send[t.full].hdr
	m.Name, m.Namelen = &t.names[i][0], t.recv[i].hdr.Namelen
	m.Iov.Base = &reply[0]
	m.Iov.SetLen(len(reply))
	if t.control != nil {
		m.Control, m.Controllen = nil, 0
		if c := t.controlOf(i); t.pktinfo && len(c) > 0 {
			m.Control = &c[0]
			m.SetControllen(len(c))
		}
	}
	t.full++
}

// end is the offset in out behind reply, rounded up to whole words.
func (t *udpThread) end(reply []byte) int {
	start := uintptr(unsafe.Pointer(&reply[0])) - uintptr(unsafe.Pointer(&t.out[0]))
	if start > uintptr(len(t.out)-len(reply)) {
		panic("listen: a session's answer lies outside the buffer that it was given")
	}
	return (int(start) + len(reply) + 7) &^ 7
}

// query copies the message in slot i for the driver's way.
func (t *udpThread) query(i int, msg []byte) *Query {
	q := newQuery(msg, &t.client, t.u)
	q.name, q.nameLen = t.names[i], t.recv[i].hdr.Namelen
	if t.pktinfo {
		q.control.len = copy(q.control.buf[:], t.controlOf(i))
	}
	t.u.users.Add(1)
	return q
}

// drive sends the query in slot i the driver's way, or drops it where there is no place for
// it (pending.admit). A query that came alone is carried by this goroutine itself when the
// batch is served (Reception.carry).
func (t *udpThread) drive(i int, msg []byte) {
	q := t.query(i, msg)
	switch {
	case !t.u.s.admit(q):
		q.Drop()
	case t.got == 1 && !t.carrying:
		q.reception, t.alone = t.reception.Load(), q
	default:
		t.u.s.hire(job{query: q})
	}
}

// flush sends the answers. An answer that cannot be sent is counted and left out, so that
// the others are sent all the same.
func (t *udpThread) flush() {
	msgs := t.send[:t.full]
	for len(msgs) > 0 {
		n, e := sendmmsg(t.u.fd, msgs, unix.MSG_DONTWAIT)
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN && t.writable():
		case e != 0 || n <= 0:
			t.n[nSendErrors]++
			msgs = msgs[1:]
		default:
			msgs = msgs[n:]
		}
	}
	t.full, t.used = 0, 0
}

// writable waits, with the scheduler's knowledge and not for long, until a full
// send buffer has room.
func (t *udpThread) writable() bool {
	fd := [1]unix.PollFd{{Fd: int32(t.u.fd), Events: unix.POLLOUT}}
	n, _ := unix.Poll(fd[:], 10)
	return n > 0
}
