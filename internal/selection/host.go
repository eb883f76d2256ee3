package selection

import (
	"time"

	"kresd/internal/limits"
)

// Ability is something that a server cannot do.
type Ability uint8

// Disabilities that are learnt.
const (
	NoEDNS  Ability = 1 << iota // answers FORMERR or NOTIMP to questions with an OPT record
	NoCase                      // destroys the letter case of questions
	NeedTCP                     // answers over TCP only
)

// Host is what is known of one address. It has a fixed size and no pointers.
// Durations and instants are monotonic.
type Host struct {
	SRTT, RTTVar time.Duration // 0: never answered
	// Timeouts in a row.
	Timeouts uint8
	Cannot   Ability
	// DeadUntil is when the address may be asked again; Probe when one question
	// may be spent on finding out earlier.
	DeadUntil, Probe time.Duration
	// Counted is when the last timeout was counted.
	Counted time.Duration
}

// Known tells whether the address ever answered.
func (h *Host) Known() bool { return h.SRTT > 0 }

// Timeout is how long an answer is waited for: from the round-trip time at
// first, after a timeout (be it this query's own or another's) as if nothing
// were known, and twice as long after each further one. So one lost datagram of
// a fast server costs little, and a fast server that has become slow is still
// reached.
func (h *Host) Timeout(own int) time.Duration {
	lost := max(int(h.Timeouts), own)
	if !h.Known() {
		return min(limits.UDPFirstTimeout<<min(lost, 6), limits.UDPMaxTimeout)
	}
	t := max(h.SRTT+4*h.RTTVar, limits.UDPMinTimeout)
	if lost > 0 {
		t = max(t<<min(lost, 6), limits.UDPFirstTimeout<<min(lost-1, 6))
	}
	return min(t, limits.UDPMaxTimeout)
}

// answered takes one measured round trip (RFC 6298, section 2).
func (h *Host) answered(rtt time.Duration) {
	rtt = max(rtt, 1)
	if !h.Known() {
		h.SRTT, h.RTTVar = rtt, rtt/2
	} else {
		h.RTTVar += ((h.SRTT - rtt).Abs() - h.RTTVar) / 4
		h.SRTT = max(h.SRTT+(rtt-h.SRTT)/8, 1)
	}
	h.Timeouts, h.DeadUntil = 0, 0
}

// timedOut counts one timeout, and many questions that were lost together as
// one. As many in a row as one query may cause put an address aside that never
// answered. One that did gets more: a server that merely ignores some
// questions must not be silenced for all others by whoever asks those.
func (h *Host) timedOut(now, deadFor time.Duration) {
	if h.Timeouts > 0 && now-h.Counted < lostTogether {
		return
	}
	h.Counted = now
	h.Timeouts = min(h.Timeouts, 254) + 1
	patience := limits.RetriesPerServer
	if h.Known() {
		patience++
	}
	if int(h.Timeouts) > patience {
		h.dead(now, deadFor)
	}
}

// lostTogether is within which time several timeouts are one event.
const lostTogether = 200 * time.Millisecond

func (h *Host) dead(now, deadFor time.Duration) {
	h.DeadUntil, h.Probe = now+deadFor, now+probeInterval
}

// probeInterval is how often a dead address may cost one question when all
// servers of a zone are dead, so that their return is noticed.
const probeInterval = time.Second

// score orders hosts: the expected time to an answer.
func (h *Host) score() time.Duration {
	if !h.Known() {
		return limits.UDPFirstTimeout << min(h.Timeouts, 6)
	}
	return h.SRTT << min(h.Timeouts, 6)
}
