package resolve

import (
	"slices"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// inVain are the zones whose servers a request, or a look-up beside it, has asked in vain.
type inVain struct {
	mu    sync.Mutex
	zones map[dnsname.Name]vainZone
	bad   int // of these, those that their servers do not serve, or answer for with errors of their own
}

type vainZone struct {
	times   int  // that all its servers were of no use
	bad     bool // it is one of those that inVain counts
	trouble bool // a server of it is silent, and none has answered since
}

// failed notes that all servers of a zone were of no use, so many times; bad tells that
// they have answered.
func (v *inVain) failed(zone dnsname.Name, times int, bad bool) {
	v.change(zone, func(z *vainZone) {
		z.times += times
		if bad && !z.bad {
			z.bad = true
			v.bad++
		}
	})
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

// has tells whether a zone has failed, or is about to. Where the servers of several zones
// answer with errors, each of them gets no second chance.
func (v *inVain) has(zone dnsname.Name) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	z := v.zones[zone]
	return z.trouble || z.times >= limits.ZoneInVain || z.bad && v.bad >= limits.BadNSZones
}

// anyBad tells whether the servers of a zone have answered and were of no use.
func (v *inVain) anyBad() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bad > 0
}

// many tells whether the servers of enough zones have answered and were of no use.
func (v *inVain) many() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bad >= limits.BadNSZonesTried
}

// silences are the servers that a request's look-ups have asked and that have not answered
// them yet. One that serves many zones would be asked about a name of each of them, and
// where each zone has a silent server of its own each would be asked again and again
// (NRDelegationAttack, CVE-2022-3204).
type silences struct {
	mu      sync.Mutex
	servers map[zonecut.Endpoint]silence
	// answers are who has answered one of the request's questions, be it for a look-up or
	// not, and for which zone: another server that is silent, as all of a family that does
	// not work, does not make the zone one that is asked in vain.
	answers []answerer
	room    [1]answerer // where answers begins: few requests need more
}

type answerer struct {
	server zonecut.Endpoint
	zone   dnsname.Name
}

type silence struct {
	asked, left int            // questions since it answered, and of these those that were waited for in vain
	zones       []dnsname.Name // for which the server was asked, as many of them as matter
}

// change notes that so many more questions about a zone were sent to a server, or left by it.
func (l *silences) change(e zonecut.Endpoint, zone dnsname.Name, asked, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.servers[e]
	// A question that failed otherwise may be taken back after the server has answered another.
	if len(s.zones) < limits.SilentZonesTried && !slices.Contains(s.zones, zone) {
		s.zones = append(s.zones, zone)
	}
	if l.servers == nil {
		l.servers = make(map[zonecut.Endpoint]silence)
	}
	l.servers[e] = silence{max(s.asked+asked, 0), s.left + left, s.zones}
}

// over notes that a server has answered for a zone.
func (l *silences) over(e zonecut.Endpoint, zone dnsname.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.servers, e)
	if l.answers == nil {
		l.answers = l.room[:0]
	}
	if a := (answerer{e, zone}); !slices.Contains(l.answers, a) {
		l.answers = append(l.answers, a)
	}
}

// mute tells whether a server is silent and was asked so often that no look-up of the
// request asks it any more; where those of many zones have not answered, once is enough.
func (l *silences) mute(e zonecut.Endpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.servers[e]
	return s.left > 0 && (s.asked >= limits.SilentInLookups || l.zones() >= limits.SilentZonesTried)
}

// silent tells whether a server has left a question.
func (l *silences) silent(e zonecut.Endpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.servers[e].left > 0
}

// in tells whether a server is silent, and those of so many zones have not answered yet.
func (l *silences) in(zones int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.servers {
		if s.left > 0 {
			return l.zones() >= zones
		}
	}
	return false
}

// zones is how many zones have a server that has answered nothing yet, and none that has
// answered for them; the caller has the lock.
func (l *silences) zones() int {
	var seen []dnsname.Name
	for e, s := range l.servers {
		if s.asked == 0 || slices.ContainsFunc(l.answers, func(a answerer) bool { return a.server == e }) {
			continue
		}
		for _, zone := range s.zones {
			if !slices.Contains(seen, zone) && !slices.ContainsFunc(l.answers, func(a answerer) bool { return a.zone == zone }) {
				seen = append(seen, zone)
			}
		}
	}
	return len(seen)
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
