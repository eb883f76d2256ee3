package upstream

import (
	"crypto/tls"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// sessions keeps what servers gave to resume TLS with (RFC 8446, section 4.6.1), one
// ticket for each endpoint: a session is resumed where the same proof is demanded that it
// began with. A ticket may be used more than once: who looks on learns by it that two
// connections are of one client, which their addresses tell anyway (appendix C.4 there).
type sessions struct {
	kept limits.Recent[zonecut.Endpoint, *tls.ClientSessionState]
}

// of is the part of the store that belongs to one server, whatever package crypto/tls
// tells servers apart by.
func (s *sessions) of(to zonecut.Endpoint) tls.ClientSessionCache { return sessionOf{s, to} }

type sessionOf struct {
	all *sessions
	to  zonecut.Endpoint
}

// Get implements tls.ClientSessionCache.
func (s sessionOf) Get(string) (session *tls.ClientSessionState, ok bool) {
	session, _ = s.all.kept.Get(s.to)
	return session, session != nil
}

// Put implements tls.ClientSessionCache; nil forgets the session.
func (s sessionOf) Put(_ string, session *tls.ClientSessionState) {
	s.all.kept.Put(s.to, session, limits.UpstreamSessions)
}
