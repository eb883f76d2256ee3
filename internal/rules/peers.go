package rules

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"kresd/internal/zonecut"
)

// Peers says how servers at some addresses are spoken to wherever a rule names them, and
// not otherwise (net.tls_client). It is safe for concurrent use; nil and the zero Peers
// say nothing.
type Peers struct {
	changing sync.Mutex
	now      atomic.Pointer[map[netip.AddrPort]zonecut.Peer] // never changed
}

// Of is how a server is spoken to: in plain DNS unless something is said.
func (p *Peers) Of(at netip.AddrPort) zonecut.Peer { return p.All()[at] }

// All are the servers of which something is said. The map must not be changed.
func (p *Peers) All() map[netip.AddrPort]zonecut.Peer {
	if m := p.current(); m != nil {
		return *m
	}
	return nil
}

func (p *Peers) current() *map[netip.AddrPort]zonecut.Peer {
	if p == nil {
		return nil
	}
	return p.now.Load()
}

// Set says how a server is spoken to from now on; in plain DNS, when as is the zero Peer.
// It tells whether something was said before. Tables with rules that are in force have
// to be told (Table.Renew).
func (p *Peers) Set(at netip.AddrPort, as zonecut.Peer) (before bool) {
	p.changing.Lock()
	defer p.changing.Unlock()
	m := maps.Clone(p.All())
	if m == nil {
		m = map[netip.AddrPort]zonecut.Peer{}
	}
	_, before = m[at]
	if m[at] = as; as.Plain() {
		delete(m, at)
	}
	p.now.Store(&m)
	return before
}

// A destination is where a rule sends questions.
type destination struct {
	named *zonecut.Cut // as the rule names the servers
	peers *Peers
	last  atomic.Pointer[spoken]
}

// spoken is a destination as of one state of Peers.
type spoken struct {
	as  *map[netip.AddrPort]zonecut.Peer
	cut *zonecut.Cut
}

// cut is the servers and how they are spoken to. It is the same cut until that changes.
func (d *destination) cut() *zonecut.Cut {
	m := d.peers.current()
	if m == nil {
		return d.named
	}
	last := d.last.Load()
	if last != nil && last.as == m {
		return last.cut
	}
	fresh := &spoken{m, d.spokenTo(*m)}
	if d.last.CompareAndSwap(last, fresh) {
		return fresh.cut
	}
	return d.last.Load().cut
}

func (d *destination) spokenTo(peers map[netip.AddrPort]zonecut.Peer) *zonecut.Cut {
	cut := d.named
	for i := range cut.NS {
		ns := &d.named.NS[i]
		if !ns.Peer.Plain() {
			continue // the rule itself says it
		}
		as := peers[netip.AddrPortFrom(ns.Addrs[0], portOr(ns.Port, zonecut.Do53.Port()))]
		if as.Plain() {
			continue
		}
		if cut == d.named {
			cut = d.named.Clone()
		}
		cut.NS[i].Peer = as
		cut.NS[i].Port = portOr(ns.Port, zonecut.Do53.Port())
	}
	return cut
}
