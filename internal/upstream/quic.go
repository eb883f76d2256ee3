package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// quicLink is a link by QUIC (RFC 9250).
type quicLink struct {
	*multiplex
	c *doq.Client
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
		return nil, handshakeError(err, "")
	}
	p.e.handshook(to, c.Resumed(), nil)
	l := &quicLink{newMultiplex(p.e), c}
	p.e.group.Go("upstream quic", func() {
		<-c.Ended()
		close(l.ended)
	})
	return l, nil
}

func (l *quicLink) protocol() zonecut.Protocol { return zonecut.DoQ }

// write implements link. A stream opens as soon as the server allows another one.
func (l *quicLink) write(ctx context.Context, msg []byte) error {
	id := binary.BigEndian.Uint16(msg[2:])
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	binary.BigEndian.PutUint16(msg[2:], 0)
	defer binary.BigEndian.PutUint16(msg[2:], id)
	turn, end := context.WithTimeout(ctx, limits.UpstreamStreamWait)
	defer end()
	st, err := l.c.Ask(turn, msg, time.Now().Add(limits.UpstreamStreamWait+limits.TCPSendStall))
	switch {
	case err == nil:
		l.carry("upstream quic", id, func() ([]byte, error) { return l.answer(st) })
	case st != nil:
		err = l.noAnswer(err)
		l.carry("upstream quic", id, func() ([]byte, error) { return nil, err })
	case ctx.Err() != nil:
		return ctx.Err()
	case turn.Err() != nil:
		l.stuck.Store(true)
		return errNoStream
	default:
		return err
	}
	return nil
}

// answer waits for the answer on a stream. The errors are those of carry.
func (l *quicLink) answer(st *doq.Stream) ([]byte, error) {
	pkt, err := st.Read(make([]byte, 0, limits.UDPPayload), time.Now().Add(limits.TCPAnswerTimeout))
	switch {
	case errors.Is(err, doq.ErrSlow):
		st.Refuse(doq.RequestCancelled)
		return nil, errGivenUp
	case err == nil && (len(pkt) < 2 || pkt[0]|pkt[1] != 0):
		err = doq.ErrProtocol
	}
	if err != nil {
		return nil, l.noAnswer(err)
	}
	if !st.Finish(time.Now().Add(limits.QUICAtOnce)) {
		return nil, l.noAnswer(doq.ErrProtocol)
	}
	return pkt, nil
}

// noAnswer says what it means to a question, and to the link, that no answer came. A
// server may end a stream, which is all that it says of a question that it cannot answer
// (RFC 9250, section 4.3.2); one that does not know what an answer is, is told so and
// not spoken to any more (section 4.3.3).
func (l *quicLink) noAnswer(err error) error {
	code, alone := doq.ResetOf(err)
	switch {
	case alone:
		return erring("ended the stream of the question: %v", code)
	case errors.Is(err, doq.ErrProtocol):
		l.violated()
	}
	return errConnEnded
}

// violated tells the server that it broke the protocol, and ends the link.
func (l *quicLink) violated() { l.c.Abort(doq.ProtocolError) }

// close implements link.
func (l *quicLink) close() error {
	l.cancel()
	l.c.Close()
	return nil
}
