package selection

import (
	"time"

	"kresd/internal/limits"
)

// Ability is something that a server cannot do.
type Ability uint8

// Disabilities that are learnt. Each is believed for a while only, so that a
// server that was repaired is used fully again.
const (
	NoEDNS  Ability = 1 << iota // answers FORMERR to questions with an OPT record
	NoCase                      // destroys the letter case of questions
	NeedTCP                     // answers over TCP only
	NoTCP                       // did not answer over TCP lately
	NoTLS                       // did not answer over TLS lately, or is being tried (RFC 9539)

	abilities = iota
)

// life is for how long it is believed that a server lacks the ability.
func (a Ability) life() time.Duration {
	switch a {
	case NoEDNS, NoTCP:
		return limits.NoEDNSLife
	case NoTLS:
		return limits.TLSDamping
	}
	return limits.AbilityLife
}

// signs are observations that prove nothing when they are made once.
type signs struct {
	FormErrUDP, FormErrTCP uint8 // answers to EDNS that a server without it gives
	OnlyTCP                uint8 // answers over TCP after silence over UDP
}

// signsNeeded of a kind are taken for proof.
const signsNeeded = limits.AbilitySigns

// Cannot is what the address is believed not to do at present.
func (h *Host) Cannot(now time.Duration) (lacks Ability) {
	for i, until := range h.cannot {
		if now < until {
			lacks |= 1 << i
		}
	}
	return lacks
}

func (h *Host) lacks(a Ability, now time.Duration) { h.lacksUntil(a, now+a.life()) }

func (h *Host) lacksUntil(a Ability, until time.Duration) {
	for i := range h.cannot {
		if a&(1<<i) != 0 {
			h.cannot[i] = until &^ (tick - 1)
		}
	}
}

func (h *Host) has(a Ability) {
	for i := range h.cannot {
		if a&(1<<i) != 0 {
			h.cannot[i] = 0
		}
	}
}

// unconfirmed tells whether the server has to show over TCP whether it knows EDNS:
// an answer over UDP could be forged, to get rid of DNSSEC (HARDENING A9).
func (h *Host) unconfirmed(now time.Duration) bool {
	return h.signs.FormErrUDP >= signsNeeded && h.Cannot(now)&(NoEDNS|NoTCP) == 0
}

// learn draws conclusions from an answer. It is called before the timeouts are
// forgotten.
func (h *Host) learn(a Answer, now time.Duration) {
	if a.CaseLost {
		h.lacks(NoCase, now)
	}
	switch {
	case a.TLS:
		h.has(NoTLS)
		h.Encrypted = now &^ (tick - 1)
	case a.TCP:
		h.has(NoTCP)
	default:
		h.has(NeedTCP)
		h.signs.OnlyTCP = 0
	}
	if a.Resort {
		if h.signs.OnlyTCP++; h.signs.OnlyTCP >= signsNeeded {
			h.signs.OnlyTCP = 0
			h.lacks(NeedTCP, now)
		}
	}
	h.learnEDNS(a, now)
}

func (h *Host) learnEDNS(a Answer, now time.Duration) {
	switch {
	case a.EDNS == EDNSWorks:
		h.has(NoEDNS)
		h.signs.FormErrUDP, h.signs.FormErrTCP = 0, 0
	case a.EDNS == EDNSRefused && !a.TCP:
		h.signs.FormErrUDP = min(h.signs.FormErrUDP+1, signsNeeded)
	case a.EDNS == EDNSRefused:
		// FormErrUDP stays as it is, so that the server has to confirm over TCP again
		// when NoEDNS is no longer believed.
		if h.signs.FormErrTCP++; h.signs.FormErrTCP >= signsNeeded {
			h.signs.FormErrTCP = 0
			h.lacks(NoEDNS, now)
		}
	}
}
