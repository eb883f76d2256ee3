package selection

import (
	"time"

	"kresd/internal/limits"
)

// EDNS is what an answer shows about the server's EDNS (RFC 6891).
type EDNS uint8

// What an answer may show.
const (
	EDNSUnknown EDNS = iota // nothing
	EDNSWorks               // it has an OPT record
	EDNSRefused             // FORMERR without one, to a question with one (section 7)
)

// Answer is what an answer tells about its server, whatever it says.
type Answer struct {
	RTT time.Duration
	// First tells that the server had never answered before, as far as is known.
	First bool
	// TCP tells that it came over TCP; Resort that this was tried because UDP
	// brought nothing.
	TCP, Resort bool
	// TLS tells that it came over TLS though it need not have (RFC 9539).
	TLS bool
	// CaseLost tells that letter case was destroyed.
	CaseLost bool
	EDNS     EDNS
}

// An Event is what happened with one address and changes what is known of it.
// It is a value and no function, so that a Memory in shared memory can apply it
// as often as it needs to.
type Event struct {
	kind    eventKind
	now     time.Duration
	deadFor time.Duration
	answer  Answer
	ability Ability
	sort    Sort // of the question that was not answered
}

type eventKind uint8

const (
	answered eventKind = iota
	timedOut
	unreachable
	tcpFailed
	learnt
	probed
	tlsTried
	tlsFailed
)

// Apply is the host after the event; ok is false where a probe was not granted.
func (e Event) Apply(h Host) (_ Host, ok bool) {
	h = h.faded(e.now)
	switch e.kind {
	case answered:
		h.learn(e.answer, e.now)
		h.measured(e.answer.RTT, e.now)
	case timedOut:
		h.timedOut(e.now, e.deadFor, e.sort)
	case unreachable:
		h.unheard = 0
		h.dead(e.now, e.deadFor)
	case tcpFailed:
		h.has(NeedTCP)
		h.signs.OnlyTCP = 0
		h.lacks(NoTCP, e.now)
	case learnt:
		h.lacks(e.ability, e.now)
	case probed:
		if e.now < h.Probe {
			return h, false
		}
		h.Probe = e.now + probeInterval
	case tlsTried:
		if h.encrypts(e.now) || h.Cannot(e.now)&NoTLS != 0 {
			return h, false
		}
		h.lacksUntil(NoTLS, e.now+limits.TLSProbe+tick)
	case tlsFailed:
		h.lacksUntil(NoTLS, e.now+e.deadFor)
	}
	return h, true
}
