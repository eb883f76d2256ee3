package listen

import (
	"errors"
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
