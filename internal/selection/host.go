package selection

import (
	"time"

	"kresd/internal/limits"
)

// Host is what is known of one address. It has a fixed size and no pointers.
// Instants are those of clock.Boot, so that processes can share them.
type Host struct {
	SRTT, RTTVar time.Duration // 0: never answered, or long ago
	// Seen is when the last answer came.
	Seen time.Duration
	// Timeouts in a row.
	Timeouts uint8
	// Counted is when the last timeout was counted, Silent when the first of those
	// in a row was.
	Counted, Silent time.Duration
	// DeadUntil is when the address may be asked again; Probe when one question
	// may be spent on finding out more.
	DeadUntil, Probe time.Duration
	// unheard are the sorts of questions that timed out since the last answer; none where
	// that is not known.
	unheard Sort
	// Encrypted is when the last answer by TLS came to a question that need not have gone
	// that way (RFC 9539); 0: never.
	Encrypted time.Duration
	// cannot is until when it is believed that the address lacks each ability;
	// signs are what speaks for it so far.
	cannot [abilities]time.Duration
	signs  signs
}

// Known tells whether the address ever answered.
func (h *Host) Known() bool { return h.SRTT > 0 }

// Timeout is how long an answer is waited for until the question is asked again.
// At first this comes from the round-trip time; after one timeout, be it of this
// query or of another, it is as long as if nothing were known, and twice as long
// after each further one. So one lost datagram of a fast server costs little, and a
// server that has become slow does not get ever more questions. own is how often the
// server timed out in this query. What the server answers late is taken all the same.
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

// firstTimeout is Timeout as if the host had not been silent, but no less than for one of
// which nothing is known.
func (h *Host) firstTimeout() time.Duration {
	lively := *h
	lively.Timeouts = 0
	return max(lively.Timeout(0), limits.UDPFirstTimeout)
}

// spent is how long a query has waited for a host that timed out so often in it. The
// host's score is worse by that time, so that a good server is asked again after one
// loss, before others of which nothing is known, and these come after two losses.
func (h *Host) spent(timeouts int) (sum time.Duration) {
	fresh := *h
	fresh.Timeouts = 0
	for i := range timeouts {
		sum += fresh.Timeout(i)
	}
	return sum
}

// measured takes one round trip (RFC 6298, section 2).
func (h *Host) measured(rtt, now time.Duration) {
	rtt = max(rtt, 1)
	if !h.Known() {
		h.SRTT, h.RTTVar = rtt, rtt/2
	} else {
		h.RTTVar += ((h.SRTT - rtt).Abs() - h.RTTVar) / 4
		h.SRTT = max(h.SRTT+(rtt-h.SRTT)/8, 1)
	}
	h.Seen, h.Timeouts, h.Silent, h.DeadUntil, h.unheard = now, 0, 0, 0, 0
}

// timedOut counts one timeout; questions that were lost together count as one. A
// server that never answered is left alone after as many timeouts in a row as one
// query may cause, if limits.SilentTime has passed since the first of them, so that
// a slow server is not taken for dead before it could answer. A server that did
// answer before is given one timeout more: it may merely ignore some questions, and
// whoever asks those must not silence it for all others.
func (h *Host) timedOut(now, deadFor time.Duration, sort Sort) {
	if h.unheard != 0 || now >= h.DeadUntil { // else it was dead for all
		h.unheard |= sort
	}
	if h.Timeouts > 0 && now-h.Counted < lostTogether {
		return
	}
	h.Counted = now
	if h.Timeouts == 0 {
		h.Silent = now &^ (tick - 1)
	}
	h.Timeouts = min(h.Timeouts, 254) + 1
	patience := limits.RetriesPerServer
	if h.Known() {
		patience++
	}
	if int(h.Timeouts) > patience && now-h.Silent >= limits.SilentTime {
		h.dead(now, deadFor)
	}
}

// tick is how precisely those times are kept that are minutes and more.
const tick = 1 << 26 * time.Nanosecond

// lostTogether is within which time several timeouts are one event.
const lostTogether = limits.LostTogether

// silentTo tells whether the host is dead for questions of a sort.
func (h *Host) silentTo(sort Sort, now time.Duration) bool {
	return now < h.DeadUntil && (h.unheard == 0 || h.unheard&sort != 0)
}

func (h *Host) dead(now, deadFor time.Duration) {
	h.DeadUntil, h.Probe = now+deadFor, now+probeInterval
}

// probeInterval is how often an address may cost one question that only finds out
// about it: when all servers of a zone are dead, so that their return is noticed,
// and beside a good server.
const probeInterval = limits.DeadProbe

// score orders hosts: the expected time to an answer. A server that has not been
// asked for long seems faster and faster, so that it gets another try: what made
// it slow may be over.
func (h *Host) score(now time.Duration) time.Duration {
	if !h.Known() {
		return limits.UDPFirstTimeout << min(h.Timeouts, 6)
	}
	return h.SRTT << min(h.Timeouts, 6) >> min((now-h.Seen)/limits.RTTHalf, 6)
}

// faded is the host without what is too old to count.
func (h Host) faded(now time.Duration) Host {
	if h.Known() && now-h.Seen > limits.RTTLife {
		h.SRTT, h.RTTVar = 0, 0
	}
	if h.Timeouts > 0 && now-h.Counted > limits.TimeoutsLife {
		h.Timeouts, h.Silent, h.unheard = 0, 0, 0
	}
	return h
}
