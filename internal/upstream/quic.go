package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// quicLink is a link by QUIC (RFC 9250), on which each question has a stream of its
// own, and the ID 0.
type quicLink struct {
	e      *Exchanger
	c      *doq.Client
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	got    chan []byte
	failed chan error // why nothing more can come
}

// dialDoQ connects by QUIC to a server that proves who it is.
func (p *pool) dialDoQ(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice(), Zone: from.Zone()})
	switch {
	case unboundTCP(from, err):
		return nil, p.e.noSource(from)
	case err != nil:
		return nil, dialError(err)
	}
	ctx, end := context.WithTimeout(ctx, limits.UpstreamHandshake)
	defer end()
	c, err := doq.Dial(ctx, conn, to.Addr, p.e.authenticator.config(to, doq.Protocol), 2*limits.UpstreamTCPIdle)
	if err != nil {
		p.e.handshook(to, false, err)
		return nil, handshakeError(err)
	}
	p.e.handshook(to, c.Resumed(), nil)
	l := &quicLink{e: p.e, c: c, got: make(chan []byte), failed: make(chan error, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

func (l *quicLink) protocol() zonecut.Protocol { return zonecut.DoQ }

// write implements link. It waits for the server to allow another stream.
func (l *quicLink) write(msg []byte) error {
	id := binary.BigEndian.Uint16(msg[2:])
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	binary.BigEndian.PutUint16(msg[2:], 0)
	defer binary.BigEndian.PutUint16(msg[2:], id)
	ctx, end := context.WithTimeout(l.ctx, limits.TCPConnectTimeout)
	defer end()
	st, err := l.c.Ask(ctx, msg, time.Now().Add(limits.TCPConnectTimeout))
	if err != nil {
		return err
	}
	l.e.group.Go("upstream quic", func() { l.await(st, id) })
	return nil
}

// await hands the answer to one question over. A server that ends the stream without
// one, or does not know what an answer is, is not asked any more on this link.
func (l *quicLink) await(st *doq.Stream, id uint16) {
	pkt, err := st.Read(nil, time.Now().Add(limits.TCPAnswerTimeout))
	switch {
	case errors.Is(err, doq.ErrSlow):
		st.Refuse(doq.RequestCancelled)
		return
	case err == nil && (len(pkt) < 2 || pkt[0]|pkt[1] != 0):
		err = doq.ErrProtocol
	}
	if err != nil {
		l.fail(err)
		return
	}
	st.Finish(time.Now().Add(limits.QUICAtOnce))
	binary.BigEndian.PutUint16(pkt, id)
	select {
	case l.got <- pkt:
	case <-l.ctx.Done():
	}
}

// fail ends the link for a reason, the first that there is.
func (l *quicLink) fail(why error) {
	select {
	case l.failed <- why:
	default:
	}
}

// read implements link.
func (l *quicLink) read(wait func() bool) ([]byte, error) {
	timer := time.NewTimer(limits.UpstreamTCPIdle)
	defer timer.Stop()
	for {
		select {
		case pkt := <-l.got:
			return pkt, nil
		case err := <-l.failed:
			return nil, err
		case <-l.c.Ended():
			return l.rest()
		case <-l.ctx.Done():
			return nil, net.ErrClosed
		case <-timer.C:
			if !wait() {
				return nil, errConnEnded
			}
			timer.Reset(limits.UpstreamTCPIdle)
		}
	}
}

// rest is what had come when the connection ended.
func (l *quicLink) rest() ([]byte, error) {
	select {
	case pkt := <-l.got:
		return pkt, nil
	case <-time.After(limits.LeaveQuietTCP):
		return nil, fmt.Errorf("the server ended it: %w", resolve.ErrUnreachable)
	}
}

// close implements link.
func (l *quicLink) close() error {
	l.cancel()
	l.c.Close()
	return nil
}
