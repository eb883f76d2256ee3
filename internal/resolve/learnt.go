package resolve

import (
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// inVain are the zones whose servers a request, or a look-up beside it, has asked in vain.
type inVain struct {
	mu    sync.Mutex
	zones map[dnsname.Name]vainZone
	lame  int // of these, those that their servers do not serve
}

type vainZone struct {
	times   int  // that all its servers were of no use
	trouble bool // a server of it is silent, and none has answered since
}

// failed notes that all servers of a zone were of no use, so many times.
func (v *inVain) failed(zone dnsname.Name, times int, lame bool) {
	v.change(zone, func(z *vainZone) { z.times += times })
	if lame {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.lame++
	}
}

// troubled notes that a server of a zone is silent.
func (v *inVain) troubled(zone dnsname.Name) {
	v.change(zone, func(z *vainZone) { z.trouble = true })
}

func (v *inVain) change(zone dnsname.Name, by func(*vainZone)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.zones == nil {
		v.zones = make(map[dnsname.Name]vainZone)
	}
	z := v.zones[zone]
	by(&z)
	v.zones[zone] = z
}

// answered notes that a server of a zone has answered.
func (v *inVain) answered(zone dnsname.Name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if z, ok := v.zones[zone]; ok {
		z.trouble = false
		v.zones[zone] = z
	}
}

// any tells whether there is a zone at all.
func (v *inVain) any() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.zones) > 0
}

// has tells whether a zone has failed, or is about to.
func (v *inVain) has(zone dnsname.Name) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	z := v.zones[zone]
	return z.trouble || z.times >= limits.ZoneInVain
}

// manyLame tells whether enough zones have proved to be served by nobody.
func (v *inVain) manyLame() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lame >= limits.LameNSPerRequest
}

// silences are the servers that a request's look-ups have asked and that have answered none
// of them yet. One that serves many zones would be asked about a name of each of them
// (NRDelegationAttack, CVE-2022-3204).
type silences struct {
	mu      sync.Mutex
	servers map[zonecut.Endpoint]silence
}

type silence struct {
	asked, left int // questions, and of these those that were waited for in vain
}

// change notes that so many more questions were sent to a server, or left by it.
func (l *silences) change(e zonecut.Endpoint, asked, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.servers == nil {
		l.servers = make(map[zonecut.Endpoint]silence)
	}
	s := l.servers[e]
	l.servers[e] = silence{s.asked + asked, s.left + left}
}

// over notes that a server has answered.
func (l *silences) over(e zonecut.Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.servers, e)
}

// mute tells whether a server is silent and was asked so often that no look-up of the
// request asks it any more.
func (l *silences) mute(e zonecut.Endpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.servers[e]
	return s.left > 0 && s.asked >= limits.SilentInLookups
}

// noCuts are names of which the servers of a zone have told a request, or a look-up beside
// it, that no other zone begins there.
type noCuts struct {
	mu    sync.Mutex
	names map[noCut]struct{}
}

type noCut struct{ zone, name dnsname.Name }

func (n *noCuts) note(zone, name dnsname.Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		n.names = make(map[noCut]struct{})
	}
	n.names[noCut{zone, name}] = struct{}{}
}

func (n *noCuts) has(zone, name dnsname.Name) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.names[noCut{zone, name}]
	return ok
}
