package selection

import (
	"sync/atomic"
	"time"
)

// firstAnswers is how long servers take to answer that never answered before: what
// may be expected of the next one of which nothing is known. It is this worker's own.
type firstAnswers struct{ rtt atomic.Uint64 } // SRTT and RTTVar, as in a Record; 0: nothing is known

// measured takes one first round trip. Of two at once, one may be forgotten.
func (u *firstAnswers) measured(rtt time.Duration) {
	h := u.host()
	h.measured(rtt, 0)
	u.rtt.Store(short(h.SRTT)<<32 | short(h.RTTVar))
}

// timeout is by when nearly all answer; 0 when nothing is known.
func (u *firstAnswers) timeout() time.Duration {
	h := u.host()
	return h.SRTT + 4*h.RTTVar
}

func (u *firstAnswers) host() Host {
	v := u.rtt.Load()
	return Host{SRTT: time.Duration(v >> 32), RTTVar: time.Duration(uint32(v))}
}

func (u *firstAnswers) forget() { u.rtt.Store(0) }
