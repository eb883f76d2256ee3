package stats

import (
	"encoding/binary"
	"sync/atomic"

	"kresd/internal/module"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// A class is what an answer amounts to.
type class uint16

const (
	noError class = iota
	noData
	nxDomain
	servFail
	notImp // refused before anybody looked for an answer
	other
)

// A shape is everything about an answer that is counted, in one number: from below,
// class, flags, EDNS and transport.
type shape uint16

// The flags stand in the order in which a message has them.
const (
	shapeRD shape = 1 << (classBits + iota)
	shapeTC
	shapeAA
	shapeCD
	shapeAD
	shapeEDNS
	shapeDO
)

const (
	classBits      = 3
	transportShift = classBits + 7
	shapeCount     = transport.Count << transportShift
)

func (s shape) class() class { return class(s & (1<<classBits - 1)) }

func (s shape) transport() transport.Transport { return transport.At(int(s >> transportShift)) }

// shapeOf reads the shape off a message and the question that it answers.
func shapeOf(a *module.Answered) shape {
	flags := binary.BigEndian.Uint16(a.Msg[2:])
	s := shape(classOf(flags, binary.BigEndian.Uint16(a.Msg[6:])))
	byModule := a.Decided || a.Request != nil && a.Request.Result.TC
	if s == shape(noError) && byModule && flags&wire.FlagTC != 0 { // nobody looked for data
		s = shape(noData)
	}
	s |= shape(flags/wire.FlagRD%8)*shapeRD | shape(flags/wire.FlagCD%4)*shapeCD
	if a.Question.HasEDNS {
		s |= shapeEDNS
		if a.Question.DO {
			s |= shapeDO
		}
	}
	return s | shape(a.Transport.Index())<<transportShift
}

// classOf judges an answer by its flags and the number of records in its answer
// section. One that was cut off says nothing about data.
func classOf(flags, answers uint16) class {
	switch flags & 0xf {
	case wire.RcodeNoError:
		if answers == 0 && flags&wire.FlagTC == 0 {
			return noData
		}
		return noError
	case wire.RcodeNXDomain:
		return nxDomain
	case wire.RcodeServFail:
		return servFail
	case wire.RcodeNotImp:
		return notImp
	}
	return other
}

// shapes counts answers by their shape.
type shapes [shapeCount]atomic.Uint64

func (s *shapes) addTo(sum *[shapeCount]uint64) {
	for i := range s {
		sum[i] += s[i].Load()
	}
}

// tally is one thread's account. Nobody else writes to it, so that its cache
// lines stay with that thread's processor.
type tally struct {
	shapes
	decided atomic.Uint64 // answers that a module decided about, without a look at the cache
	dropped [transport.Count]atomic.Uint64
	s       *stats
}

// sums are what several tallies count.
type sums struct {
	shapes  [shapeCount]uint64
	decided uint64
	dropped [transport.Count]uint64
}

func (t *tally) addTo(sum *sums) {
	t.shapes.addTo(&sum.shapes)
	sum.decided += t.decided.Load()
	for i := range t.dropped {
		sum.dropped[i] += t.dropped[i].Load()
	}
}

// newTally implements module.Instance.
func (s *stats) newTally() module.Tally {
	t := &tally{s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tallies[t] = struct{}{}
	return t
}

// Answered implements module.Tally.
func (t *tally) Answered(a *module.Answered) {
	if len(a.Msg) < wire.HeaderLen {
		t.dropped[a.Transport.Index()].Add(1)
		return
	}
	t.shapes[shapeOf(a)].Add(1)
	if a.Decided {
		t.decided.Add(1)
	}
}

// Close implements module.Tally.
func (t *tally) Close() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if _, open := t.s.tallies[t]; open {
		delete(t.s.tallies, t)
		t.addTo(&t.s.gone)
	}
}
