// Package zonecut describes where one zone ends and another begins: the child's
// name, the servers that its parent named, and their addresses (RFC 1034,
// section 4.2.1).
//
// A Cut is what a referral told, what the cache or the root hints kept of one, or
// what the operator configured (FORWARD, STUB).
//
// Reading this package:
//
//   - cut.go: the delegation and its name servers
//   - peer.go: how a name server must be spoken to where that is not plain DNS, and
//     what identifies a server by that (Endpoint)
//
// The package sends nothing and stores nothing; whether to believe a referral is
// iterate's business, which server to ask next is selection's, and how a protocol
// is spoken is upstream's.
package zonecut

import (
	"encoding/binary"
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/wire"
)

// A Cut is one delegation.
type Cut struct {
	// Name is the apex of the delegated zone.
	Name dnsname.Name
	// NS are its name servers, none twice.
	NS []NameServer
	// Expires is when the delegation must be learnt anew from the parent, in wall
	// seconds since 1970. Nothing that the child says extends it, or a withdrawn
	// domain would live on (ghost domains, CVE-2012-1033).
	Expires int64
	// DS is the delegation's DS set; nil when the parent said nothing of one, or that
	// there is none. Where that of a zone above is the reason why nothing in the zone need
	// be signed it is that one, as its owner tells.
	DS *wire.RRset
	// Costly is the zone, at or above the parent, whose NSEC3 records have too many
	// iterations, where that is the reason why nothing in the zone need be signed (RFC 9276,
	// section 3.2); "" where it is not.
	Costly dnsname.Name
	// DSRank is how much may be believed of that: Secure with a DS set that was
	// validated, Insecure where it is proven that nothing in the zone need be signed,
	// and else what iterate gave.
	DSRank rank.Rank
	// DSExpires is until when DSRank holds, in wall seconds since 1970.
	DSExpires int64
	// Hints tells that the servers come from the operator (root hints, stub), so
	// that they may have any address.
	Hints bool
}

// A NameServer is one NS record's target.
type NameServer struct {
	Name dnsname.Name
	// Addrs are addresses known from glue, from hints or looked up.
	Addrs []netip.Addr
	// Port is the port of a server that the operator configured; 0 stands for the
	// usual one.
	Port uint16
	// Peer is how a server that the operator configured must be spoken to; the zero
	// Peer stands for plain DNS. It is the same at all addresses.
	Peer Peer
}

// Clone is a copy whose list of servers may be changed.
func (c *Cut) Clone() *Cut {
	d := *c
	d.NS = make([]NameServer, len(c.NS))
	copy(d.NS, c.NS)
	return &d
}

// Signed tells whether the parent has proven, for now, that the zone has keys: DS.
func (c *Cut) Signed(now int64) bool {
	return c.DS != nil && c.DSRank.IsSecure() && now < c.DSExpires
}

// Unsigned tells whether it is proven, for now, that nothing in the zone need be
// signed.
func (c *Cut) Unsigned(now int64) bool {
	return c.DSRank&^rank.Auth == rank.Insecure && now < c.DSExpires
}

// Plain tells whether all servers are spoken to in plain DNS. A cut of which this is
// not true is the operator's and must not be stored without its peers.
func (c *Cut) Plain() bool {
	for i := range c.NS {
		if !c.NS[i].Peer.Plain() {
			return false
		}
	}
	return true
}

// AppendEndpoints appends what tells the servers of one cut from those of another:
// addresses, ports and the kinds of their peers.
func (c *Cut) AppendEndpoints(b []byte) []byte {
	for i := range c.NS {
		ns := &c.NS[i]
		for _, a := range ns.Addrs {
			raw := a.As16()
			b = binary.BigEndian.AppendUint16(append(b, raw[:]...), ns.Port)
			b = binary.BigEndian.AppendUint32(b, ns.Peer.Kind())
		}
	}
	return b
}

// Addresses is how many addresses of name servers are known.
func (c *Cut) Addresses() (n int) {
	for i := range c.NS {
		n += len(c.NS[i].Addrs)
	}
	return n
}

// Find returns the name server called name, or nil.
func (c *Cut) Find(name dnsname.Name) *NameServer {
	for i := range c.NS {
		if c.NS[i].Name == name {
			return &c.NS[i]
		}
	}
	return nil
}

// AddAddr gives the name server called name one more address, once.
func (c *Cut) AddAddr(name dnsname.Name, a netip.Addr) {
	ns := c.Find(name)
	if ns == nil {
		return
	}
	for _, old := range ns.Addrs {
		if old == a {
			return
		}
	}
	ns.Addrs = append(ns.Addrs[:len(ns.Addrs):len(ns.Addrs)], a)
}
