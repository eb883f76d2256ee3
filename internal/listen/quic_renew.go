package listen

import (
	"errors"
	"slices"
	"time"

	"kresd/internal/limits"
)

// What a socket over which QUIC is spoken derives keys of (Options.Key) may change while it
// is open: an operator sets another secret. Who has connected stays with the keys under which
// he came, since what he was given holds by them. So another era begins on the same socket,
// in which those are served who come from then on, and the former one ends as a socket does
// that leaves. Nothing is bound for that, and nothing changes for the kernel or for other
// processes, whoever else may have the socket.

// RenewKeys has the sockets over which QUIC is spoken use the keys that Options.Key derives
// now. Those that have them already stay as they are, and so does one that an error is of.
func (s *Server) RenewKeys() error {
	s.binding.Lock()
	defer s.binding.Unlock()
	key := s.quicKey(quicKeyLabel)
	s.mu.Lock()
	list := slices.Clone(s.endpoints)
	s.mu.Unlock()
	var failed []error
	for _, e := range list {
		if q, ok := e.socket.(*quicSocket); ok && q.latest().key != key {
			if err := q.renew(key); err != nil {
				failed = append(failed, bindError(e.Addr, err))
			}
		}
	}
	return errors.Join(failed...)
}

// renew begins another era, unless the socket is leaving.
func (q *quicSocket) renew(key [32]byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return nil
	}
	former := q.eras[len(q.eras)-1]
	l, err := former.l.Renew(q.s.quicOptions())
	if err != nil {
		return err
	}
	q.begin(l, key)
	q.retiring.Add(1)
	q.s.panics.Go("former keys", func() {
		defer q.retiring.Done()
		q.retire(former, q.s.clock.Mono()+limits.DrainAnswerTime)
	})
	return nil
}

// retire ends an era that is not the latest.
func (q *quicSocket) retire(e *quicEra, by time.Duration) {
	e.hurry()
	e.wait(by)
	e.close()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.eras = slices.DeleteFunc(q.eras, func(other *quicEra) bool { return other == e })
}
