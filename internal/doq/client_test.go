package doq

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// isClosed tells whether nobody has a socket open.
func isClosed(c *net.UDPConn) bool { return errors.Is(c.SetDeadline(time.Time{}), net.ErrClosed) }

// Who fails to connect has closed the socket that it was given.
func TestAClientThatFailsToConnectClosesItsSocket(t *testing.T) {
	_, silent := localUDP(t)
	pc, _ := localUDP(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := Dial(ctx, pc, silent, clientConfig(nil), time.Second); err == nil || c != nil || !isClosed(pc) {
		t.Errorf("%v, %v; its socket is closed: %t", c, err, isClosed(pc))
	}
}

// A question that cannot be asked says so: one that is not sent in its time, and one for which
// the server allows no stream in time, or no more.
func TestQuestionsThatCannotBeAsked(t *testing.T) {
	at, l, _ := echoServer(t)
	c := connected(t, at)
	if _, err := c.Ask(t.Context(), framed([]byte("late")), time.Now().Add(-time.Second)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that is not sent in its time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range l.o.Questions() + 1 { // as many as it may have under way find a stream
		st, err := c.Ask(ctx, []byte{0}, time.Now().Add(20*time.Second))
		if err != nil && (st != nil || !errors.Is(err, context.Canceled)) {
			t.Errorf("when it waits no longer: %v, %v", st, err)
		}
	}
	c.Close()
	if st, err := c.Ask(t.Context(), framed([]byte("closed")), time.Now().Add(20*time.Second)); err == nil || st != nil {
		t.Errorf("when it is closed: %v, %v", st, err)
	}
}

// Who closes a connection tells the server, and closes the socket.
func TestTheServerIsToldThatAClientCloses(t *testing.T) {
	pc, server := localUDP(t)
	l, err := Listen(pc, serverOptions(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	for want, end := range map[Code]func(*Client){NoError: (*Client).Close, ProtocolError: func(c *Client) { c.Abort(ProtocolError) }} {
		own, _ := localUDP(t)
		c := dialled(t, own, server)
		conn := accepted(t, l)
		end(c)
		_, err := conn.Next(within(t))
		if code, ok := CodeOf(err); !ok || code != want {
			t.Errorf("%v, want %v", err, want)
		}
		if want == NoError && !isClosed(own) {
			t.Error("the socket is still open")
		}
	}
}
