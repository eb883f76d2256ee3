package listen

import (
	"kresd/internal/safe"
)

// A tcpSession is a session and room for the answer to one query.
type tcpSession struct {
	Session
	out []byte
}

// sessions are the few that all TCP connections share: each is needed only
// while queries that have arrived are looked at, which never waits.
type sessions struct {
	handler Handler
	panics  *safe.Group
	free    chan *tcpSession
	places  chan struct{} // sessions that may still be made
}

func newSessions(h Handler, panics *safe.Group, max int) *sessions {
	s := &sessions{handler: h, panics: panics, free: make(chan *tcpSession, max), places: make(chan struct{}, max)}
	for range max {
		s.places <- struct{}{}
	}
	return s
}

// take waits for a session, or makes one.
func (s *sessions) take() (*tcpSession, error) {
	select {
	case t := <-s.free:
		return t, nil
	default:
	}
	select {
	case t := <-s.free:
		return t, nil
	case <-s.places:
		made, err := s.handler.NewSession()
		if err != nil {
			s.places <- struct{}{}
			return nil, err
		}
		return &tcpSession{Session: made, out: make([]byte, maxMessage)}, nil
	}
}

// put gives a session back; one that panicked is thrown away.
func (s *sessions) put(t *tcpSession, broken bool) {
	if !broken {
		s.free <- t
		return
	}
	s.panics.Run("session end", t.Close)
	s.places <- struct{}{}
}

// close closes the sessions that are free. Those in use end with the process.
func (s *sessions) close() {
	for {
		select {
		case t := <-s.free:
			s.panics.Run("session end", t.Close)
			s.places <- struct{}{}
		default:
			return
		}
	}
}
