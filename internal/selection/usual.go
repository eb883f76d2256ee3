package selection

import (
	"sync/atomic"
	"time"
)

// usual is how long servers take that were never asked before: what to expect of
// the next one. It is this worker's own.
type usual struct{ rtt atomic.Uint64 } // SRTT and RTTVar, as in a Record; 0: nothing is known

// measured takes one first round trip. Of two at once, one may be forgotten.
func (u *usual) measured(rtt time.Duration) {
	h := u.host()
	h.measured(rtt, 0)
	u.rtt.Store(short(h.SRTT)<<32 | short(h.RTTVar))
}

// timeout is by when nearly all answer; 0 when nothing is known.
func (u *usual) timeout() time.Duration {
	h := u.host()
	return h.SRTT + 4*h.RTTVar
}

func (u *usual) host() Host {
	v := u.rtt.Load()
	return Host{SRTT: time.Duration(v >> 32), RTTVar: time.Duration(uint32(v))}
}

func (u *usual) forget() { u.rtt.Store(0) }
