package cache

import (
	"encoding/binary"
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// The body of a delegation:
//
//	1  number of name servers, then for each
//	   name in wire form
//	2  port, 0 for the usual one
//	1  number of addresses
//	   each address after its length (4 or 16) in 1 octet
//	1  rank of DS
//	8  until when that holds, in wall seconds since 1970
//	1  labels of the zone whose denials cost too much, and one more; 0: of none
//	   a list of sets (sets.go) of at most one, DS; nothing at all without one
//
// What an operator configures for a server (Cut.Hints, NameServer.Peer) has no place in
// it: such delegations are not kept (Cache.Keep).
func encodeCut(h header, cut *zonecut.Cut) []byte {
	h.kind = kindCut
	servers := cut.NS[:min(len(cut.NS), 255)]
	b := append(newEntry(h, 64*len(servers)), byte(len(servers)))
	for i := range servers {
		b = appendServer(b, &servers[i])
	}
	b = binary.BigEndian.AppendUint64(append(b, byte(cut.DSRank)), uint64(cut.DSExpires))
	costly := 0
	if cut.Costly != "" {
		costly = 1 + cut.Costly.Labels()
	}
	b = append(b, byte(costly))
	if cut.DS != nil {
		b = appendSets(b, []resolve.Set{{RRset: *cut.DS, Rank: cut.DSRank}})
	}
	return b
}

func appendServer(b []byte, ns *zonecut.NameServer) []byte {
	addrs := ns.Addrs[:min(len(ns.Addrs), 255)]
	b = append(b, ns.Name...)
	b = binary.BigEndian.AppendUint16(b, ns.Port)
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		raw := a.Unmap().AsSlice()
		b = append(append(b, byte(len(raw))), raw...)
	}
	return b
}

// decodeCut reads the body of an entry that was made age seconds ago as the delegation
// of name; ok is false when it is none.
func decodeCut(name dnsname.Name, b []byte, age uint32) (cut *zonecut.Cut, ok bool) {
	c := cursor{b: b}
	cut = &zonecut.Cut{Name: name}
	n := c.u8()
	if n == 0 || len(c.b)/4 < n {
		return nil, false
	}
	cut.NS = make([]zonecut.NameServer, n)
	for i := range cut.NS {
		cut.NS[i] = c.server()
	}
	cut.DSRank, cut.DSExpires = rank.Rank(c.u8()), int64(c.u64())
	if costly := c.u8(); costly > name.Labels() { // it lies above
		c.bad = true
	} else if costly > 0 {
		cut.Costly = name.Suffix(costly - 1)
	}
	if !c.bad && len(c.b) > 0 {
		if sets := c.sets(age); len(sets) == 1 {
			cut.DS = &sets[0].RRset
		} else {
			c.bad = true
		}
	}
	return cut, c.end()
}

// server reads one name server.
func (c *cursor) server() zonecut.NameServer {
	ns := zonecut.NameServer{Name: c.name(), Port: c.u16()}
	n := c.u8()
	if n == 0 || len(c.b)/5 < n {
		c.bad = c.bad || n > 0
		return ns
	}
	ns.Addrs = make([]netip.Addr, n)
	for i := range ns.Addrs {
		a, ok := netip.AddrFromSlice(c.bytes(c.u8()))
		c.bad = c.bad || !ok
		ns.Addrs[i] = a
	}
	return ns
}
