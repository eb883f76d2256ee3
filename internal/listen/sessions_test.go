package listen

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// sessionless is a handler that has no session to give, for some time.
type sessionless struct {
	*echo
	fails int
}

func (h *sessionless) NewSession() (Session, error) {
	if h.fails--; h.fails >= 0 {
		return nil, errors.New("no session")
	}
	return h.echo.NewSession()
}

// unready is a handler whose sessions panic before they see a question.
type unready struct{ *echo }

func (h *unready) NewSession() (Session, error) { return &unreadySession{}, nil }

type unreadySession struct{ Session }

func (*unreadySession) Begin() { panic("session") }
func (*unreadySession) Close() {}

// A session that cannot begin costs a connection by TCP its life, and others nothing.
func TestASessionThatCannotBegin(t *testing.T) {
	s := serve(t, &unready{newEcho()}, "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	for n := range uint64(3) {
		c := tcpClient(t, at)
		sendFrames(t, c, ask(1, 'f'))
		if msg, err := nextMessage(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q, %v", msg, err)
		}
		if got := s.Stats().Panics; got != n+1 {
			t.Errorf("%d panics are counted, want %d", got, n+1)
		}
	}
	eventually(t, "the connections are forgotten", func() bool { return s.Stats().Conns == 0 })
}

// An address that cannot be served for want of a session is not bound any more.
func TestASocketWithoutASessionIsClosed(t *testing.T) {
	h := &sessionless{echo: newEcho()}
	s := serve(t, h)
	files := openFiles(t)
	h.fails = 1
	err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udpOnly)
	if err == nil || !strings.Contains(err.Error(), "no session") || len(s.Endpoints()) != 0 {
		t.Errorf("%v; endpoints %+v", err, s.Endpoints())
	}
	eventually(t, "the socket is closed", func() bool { return openFiles(t) <= files })
}

// A session that could not be made, and one that panicked, leave their place to another one.
func TestPlacesOfSessionsAreNotLost(t *testing.T) {
	h := &sessionless{newEcho(), 3}
	s := newSessions(h, quietPanics(), 1)
	for range 3 {
		if got, err := s.take(); err == nil || got != nil {
			t.Fatalf("%v, %v", got, err)
		}
	}
	for _, broken := range []bool{true, false, false} {
		got, err := s.take()
		if err != nil || len(got.out) != maxMessage {
			t.Fatalf("%v, %v", got, err)
		}
		s.put(got, broken)
	}
	if h.sessions != 1 || len(s.free) != 1 || len(s.places) != 0 {
		t.Errorf("%d sessions are open, %d free, and %d may be made", h.sessions, len(s.free), len(s.places))
	}
	if s.close(); h.sessions != 0 || len(s.free) != 0 || len(s.places) != 1 {
		t.Errorf("after the end %d sessions are open, %d free, and %d may be made", h.sessions, len(s.free), len(s.places))
	}
}
