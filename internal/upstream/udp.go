package upstream

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// askUDP asks once over UDP, from a socket that waits for nothing else, and waits
// until a datagram decides the question or the time is over. The reply is complete
// when the match is answer; with truncated, caseLost, cookieLost and badCookie there
// is no reply, and the question should be asked in another way (settle).
func (e *Exchanger) askUDP(ctx context.Context, x *resolve.Exchange, must requirements) (resolve.Reply, match, error) {
	source := e.source(x.Addr.Addr())
	a := e.poller.take(x.Addr, source)
	if a == nil {
		e.counters.Hit(limits.UpstreamSocket)
		return resolve.Reply{}, ignored, ErrBusy
	}
	kept := false
	defer func() {
		if !kept {
			e.poller.give(a)
		}
	}()
	a.stay = false
	if err := e.open(a, x.Addr, source); err != nil {
		return resolve.Reply{}, ignored, err
	}
	e.compose(a, x, must)
	a.sent = e.clock.Mono()
	if err := e.send(ctx, x.Budget, x.Endpoint, outlet{fd: a.fd}, a.query); err != nil {
		if errno, ok := err.(syscall.Errno); ok && vanished(source, errno) {
			return resolve.Reply{}, ignored, e.noSource(source)
		}
		return resolve.Reply{}, ignored, sendError(err)
	}
	if x.Sent != nil {
		x.Sent()
	}
	limit := waitTime(x.Timeout)
	reply, v, err := e.await(ctx, a, x, a.sent+limit)
	if err == resolve.ErrTimeout || v == flooded {
		e.stats.timeout.Add(1)
	}
	var d *confirmation
	switch {
	case v == flooded && x.Late != nil: // its time is over, and a late answer as good
		reply, err = resolve.Reply{Nonsense: resolve.NonsenseByUDP}, resolve.ErrTimeout
	case v.suspicious():
		d = e.confirm(ctx, a, x, must, reply, v, a.sent+limit)
		reply, v, err = d.run(ctx)
	}
	if err == resolve.ErrTimeout {
		err = e.bySource(x, err)
	}
	if err == resolve.ErrTimeout && e.keep(a, x, must, d, v) {
		kept, err = true, resolve.ErrOverdue
	} else if d != nil {
		d.close()
	}
	return reply, v, err
}

// waitTime is how long an answer over UDP is waited for: what the caller asked for,
// within bounds.
func waitTime(t time.Duration) time.Duration {
	if t <= 0 {
		return limits.UDPFirstTimeout
	}
	return min(t, limits.UDPMaxTimeout)
}

// open gives a, unless it has one, a socket that is connected to the
// server and bound to a random port.
func (e *Exchanger) open(a *udpQuery, to netip.AddrPort, source netip.Addr) error {
	if a.fd >= 0 {
		a.uses++
		return nil
	}
	a.peer.set(to)
	fd, errno := newSocket(&a.peer)
	if errno != 0 {
		return socketError("socket", errno)
	}
	if most := e.files; most > 0 && uint64(fd) >= most { // the lowest free number is given out
		closeSocket(fd)
		return socketError("socket", syscall.EMFILE)
	}
	a.udpSocket = udpSocket{fd: fd, to: to, source: source, opened: e.clock.Mono(), uses: 1}
	switch errno := e.bind(a); {
	case unbound(source, errno):
		return e.noSource(source)
	case errno != 0:
		return fmt.Errorf("bind: %w: %w", errno, resolve.ErrLocal)
	}
	switch errno := connectSocket(fd, &a.peer); {
	case vanished(source, errno):
		return e.noSource(source)
	case errno != 0:
		return socketError("connect", errno)
	}
	return nil
}

// bind binds to a port that nobody could guess. A port in use, or one that the
// system reserves, is drawn again.
func (e *Exchanger) bind(a *udpQuery) (errno syscall.Errno) {
	errno = syscall.EADDRINUSE
	for range limits.UpstreamPortTries {
		port := e.entropy.port()
		if e.avoidPort(port) {
			continue
		}
		a.local.set(netip.AddrPortFrom(a.source, port))
		errno = bindSocket(a.fd, &a.local)
		if errno != syscall.EADDRINUSE && errno != syscall.EACCES {
			return errno
		}
	}
	return errno
}

// compose writes the question and what its answer has to look like.
func (e *Exchanger) compose(a *udpQuery, x *resolve.Exchange, must requirements) {
	a.want.size = limits.UDPPayload
	offer := uint16(0)
	if !x.NoEDNS {
		offer = e.bufsize()
		a.want.size = max(a.want.size, int(offer))
	}
	a.want.before, a.want.again = a.want.id, a.uses > 1
	a.want.id = e.entropy.uint16()
	a.want.anyCase = !must.mixedCase
	a.junk = 0
	var room [cookieRoom]byte
	options := e.appendCookie(room[:0], &a.want, x, must)
	a.query = e.appendQuery(a.query[:0], x, a.want.id, offer, must.mixedCase, options)
	a.want.question = a.query[wire.HeaderLen : wire.HeaderLen+x.Name.Len()+4]
	a.buf = slices.Grow(a.buf[:0], a.want.size)[:a.want.size]
}

// appendQuery appends the message that asks x. DO is always set (RFC 4035,
// section 3.2.1): signatures are kept even while nothing is validated.
func (e *Exchanger) appendQuery(dst []byte, x *resolve.Exchange, id, offer uint16, mixedCase bool, options []byte) []byte {
	var flags uint16
	if x.RD {
		flags |= wire.FlagRD
	}
	if x.CD {
		flags |= wire.FlagCD
	}
	var room [256]byte
	name := append(room[:0], x.Name...)
	if mixedCase {
		name = appendMixed(room[:0], x.Name, &e.entropy)
	}
	return wire.AppendQuery(dst, id, flags, name, x.Type, x.Class, offer, true, options)
}

// await waits until end for a datagram that decides the question of a, which was sent.
func (e *Exchanger) await(ctx context.Context, a *udpQuery, x *resolve.Exchange, end time.Duration) (resolve.Reply, match, error) {
	for {
		if e.closed.Load() {
			return resolve.Reply{}, ignored, ErrClosed
		}
		until := end
		if a.junk > 0 { // what sends it will hardly send the answer
			until = min(end, a.sent+limits.NonsenseTime)
		}
		came, err := e.readable(ctx, a, x.Reception, until)
		switch {
		case err != nil:
			return resolve.Reply{}, ignored, err
		case !came && a.junk > 0: // a flood may have pushed the answer out of the socket's buffer
			return resolve.Reply{}, flooded, nil
		case !came:
			return resolve.Reply{}, ignored, resolve.ErrTimeout
		}
		msg, size, v := e.drain(a)
		if v == ignored {
			continue
		}
		if v == answer || v == truncated || v == badCookie {
			x.Budget.Received(size)
		}
		now := e.clock.Mono()
		a.stay = a.mayStay(v, now)
		return resolve.Reply{Msg: msg, Size: size, RTT: now - a.sent}, v, nil
	}
}

// readable waits until there may be something to read for a; false says that it was in
// vain until the given time. r is what else the caller has to care for; nil: nothing.
func (e *Exchanger) readable(ctx context.Context, a *udpQuery, r resolve.Reception, until time.Duration) (bool, error) {
	left := until - e.clock.Mono()
	if left <= 0 && a.junk > 0 { // there may be more without end
		return false, nil
	}
	if r != nil {
		e.poller.unwatch(a)
		if came, held := r.Await(a.fd, within(ctx, left)); held && (came || e.clock.Mono() >= until) {
			return came, ctx.Err()
		}
		r.Pass() // if it is held, the time of the request is over
		left = until - e.clock.Mono()
	}
	if errno := e.poller.watch(a); errno != 0 {
		return false, fmt.Errorf("epoll: %w: %w", errno, resolve.ErrLocal)
	}
	a.timer.Reset(max(left, 0))
	select {
	case <-a.ready:
		return true, nil
	case <-a.timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// within is what is left of a time, or of that of ctx if it is less: who waits by a
// Reception is not woken when ctx ends.
func within(ctx context.Context, left time.Duration) time.Duration {
	if end, ends := ctx.Deadline(); ends {
		left = min(left, time.Until(end))
	}
	return max(left, 0)
}

// drain reads datagrams until one decides the question or none is left. A flood does
// not hold it: after limits.UDPBatch datagrams whoever waits looks at its timer.
func (e *Exchanger) drain(a *udpQuery) (*wire.Msg, int, match) {
	for range limits.UDPBatch {
		size, errno := receive(a.fd, a.buf, &a.from)
		switch {
		case errno == syscall.EAGAIN:
			return nil, 0, ignored
		case errno != 0:
			// An ICMP error, which anybody can forge: the next one may be the answer.
			e.stats.icmp.Add(1)
			continue
		}
		a.got = size
		msg, v := e.read(a, size)
		if v != ignored {
			return msg, size, v
		}
		if a.from.same(&a.peer) {
			if a.junk++; a.junk == 1 {
				growBuffer(a.fd)
			}
		}
		e.stats.ignored.Add(1)
	}
	a.wake()
	return nil, 0, ignored
}

// read judges the datagram in the buffer of a. The kernel delivers only
// what comes from the peer; but what came between bind and connect it did not
// check, so the sender is compared here.
func (e *Exchanger) read(a *udpQuery, size int) (*wire.Msg, match) {
	if !a.from.same(&a.peer) {
		return nil, ignored
	}
	pkt := a.buf[:min(size, len(a.buf))]
	v := a.want.judge(pkt, size)
	switch v {
	case nearMiss, bareError:
		e.stats.nearMiss.Add(1)
	case caseLost:
		e.stats.caseLost.Add(1)
	case answer:
		msg, err := wire.ParseReply(pkt)
		if err != nil {
			e.counters.Hit(wire.LimitOf(err))
			return nil, ignored
		}
		v = e.cookies.judge(a.to, &a.want, msg)
		if v == cookieLost {
			e.stats.cookieLost.Add(1)
		}
		return msg, v
	}
	return nil, v
}

// socketError says whose fault it is that a socket cannot be had or connected.
func socketError(call string, errno syscall.Errno) error {
	blame := resolve.ErrUnreachable
	switch errno {
	case syscall.ENETUNREACH:
		blame = resolve.ErrNoRoute
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		blame = resolve.ErrLocal
	}
	return fmt.Errorf("%s: %w: %w", call, errno, blame)
}

// sendError does the same for sending: a full queue or a firewall here is ours.
func sendError(err error) error {
	errno, ok := err.(syscall.Errno)
	if !ok {
		return err
	}
	if errno == syscall.EAGAIN || errno == syscall.EPERM {
		return fmt.Errorf("send: %w: %w", errno, resolve.ErrLocal)
	}
	return socketError("send", errno)
}
