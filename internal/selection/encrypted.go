package selection

import (
	"net/netip"
	"time"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Questions to servers that nobody demands to be asked over TLS may go that way all the
// same (RFC 9539): whoever listens to the network then learns nothing, though whoever is
// in its way may. What is found out about that belongs to the server's plain endpoint.

// encrypts tells whether the server has answered over TLS lately, and not failed since.
func (h *Host) encrypts(now time.Duration) bool {
	return h.Encrypted > 0 && now-h.Encrypted < limits.TLSPersistence && h.Cannot(now)&NoTLS == 0
}

// Encrypted is where a server is asked over TLS, and that it may be anybody.
func (s *Selector) Encrypted(e zonecut.Endpoint) zonecut.Endpoint {
	return zonecut.Endpoint{Addr: netip.AddrPortFrom(e.Addr.Addr(), s.cfg.TLSPort), Peer: s.anybody}
}

// MayEncrypt tells whether anything is expected to be there: a server on a port of its
// own says nothing about another port.
func (s *Selector) MayEncrypt(e zonecut.Endpoint) bool {
	return e.Peer.Plain() && e.Addr.Port() == s.cfg.Port
}

// TryTLS tells whether it is to be found out now if a server can be asked over TLS, and
// that the caller does it within limits.TLSProbe.
func (s *Selector) TryTLS(e zonecut.Endpoint) bool {
	return s.known().Update(keyOf(e), Event{kind: tlsTried, now: s.now()})
}

// TLSFailed reports that a server could not be asked over TLS: it is not tried again for
// so long.
func (s *Selector) TLSFailed(e zonecut.Endpoint, damping time.Duration) {
	s.known().Update(keyOf(e), Event{kind: tlsFailed, now: s.now(), deadFor: damping})
}
