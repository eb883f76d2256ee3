package resolve

import (
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/zonecut"
)

// Cuts knows delegations and the addresses of name servers: the cache does, with
// the root hints below it.
type Cuts interface {
	// Closest is the closest live delegation at or above name, or nil when not
	// even the root's is known. The Cut may be shared: Clone it before changing it.
	Closest(name dnsname.Name, now int64) *zonecut.Cut
	// Addrs are the addresses of a name server that may be used for asking it,
	// whatever their rank. known tells for each family whether the cache holds an
	// answer (which may be a negative one).
	Addrs(ns dnsname.Name, now int64) (addrs []netip.Addr, known4, known6 bool)
	// Keep stores a delegation that a referral of its parent told.
	Keep(cut *zonecut.Cut, now int64)
}
