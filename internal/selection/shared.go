package selection

import (
	"math"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/servertable"
)

// shared is a Memory in a table that other processes use too. A record may be of any
// origin, so nothing is believed that a worker could not have learnt by now.
type shared struct {
	table *servertable.Table
	clock *clock.Clock
	// local keeps addresses with a zone, which the table has no room for.
	local Memory
}

// NewShared is a Memory that all processes share which have this table open.
func NewShared(table *servertable.Table, ck *clock.Clock) Memory {
	return &shared{table, ck, NewMemory()}
}

func (s *shared) Load(key servertable.Key) Host {
	if key.Addr.Addr().Zone() != "" {
		return s.local.Load(key)
	}
	r, ok := s.table.Load(key)
	if !ok {
		return Host{}
	}
	return fromRecord(r, s.clock.Boot())
}

func (s *shared) Update(key servertable.Key, e Event) (ok bool) {
	if key.Addr.Addr().Zone() != "" {
		return s.local.Update(key, e)
	}
	stored := s.table.Update(key, func(r servertable.Record) servertable.Record {
		var h Host
		h, ok = e.Apply(fromRecord(r, e.now))
		return toRecord(h)
	})
	return stored && ok
}

func (s *shared) Each(fn func(servertable.Key, Host) bool) {
	now, more := s.clock.Boot(), true
	s.table.Each(func(key servertable.Key, r servertable.Record) bool {
		more = fn(key, fromRecord(r, now))
		return more
	})
	if more {
		s.local.Each(fn)
	}
}

func (s *shared) Clear() {
	s.table.Clear()
	s.local.Clear()
}

// answeredPriority is by how much longer the record of a server that answered is kept
// than that of one that never did: strangers can name many addresses that never will.
const answeredPriority = 10 * time.Minute

func toRecord(h Host) (r servertable.Record) {
	priority := max(h.Seen, h.Counted)
	if h.Known() {
		priority += answeredPriority
	}
	r.Priority = uint64(priority)
	r.Data = [len(r.Data)]uint64{
		short(h.SRTT)<<32 | short(h.RTTVar),
		uint64(h.Seen), uint64(h.Counted), uint64(h.DeadUntil), uint64(h.Probe),
		uint64(h.Timeouts) | uint64(h.signs.FormErrUDP)<<8 | uint64(h.signs.FormErrTCP)<<16 | uint64(h.signs.OnlyTCP)<<24 |
			ticks(h.Silent)<<32,
		ticks(h.cannot[0])<<32 | ticks(h.cannot[1]), ticks(h.cannot[2])<<32 | ticks(h.cannot[3]),
		ticks(h.cannot[4])<<32 | ticks(h.Encrypted),
		uint64(h.unheard),
	}
	return r
}

// ticks is a time as 32 bits keep it: its last nine years.
func ticks(d time.Duration) uint64 { return uint64(d/tick) & math.MaxUint32 }

// ofTicks is the last time up to the latest possible that has these ticks; 0 for none,
// and where there is no such time.
func ofTicks(n uint64, latest time.Duration) time.Duration {
	n &= math.MaxUint32
	end := uint64(max(latest, 0) / tick)
	at := end&^math.MaxUint32 | n
	switch {
	case n == 0, at > end && at <= math.MaxUint32:
		return 0
	case at > end:
		at -= 1 << 32
	}
	return time.Duration(at) * tick
}

// short is a duration of up to four seconds in nanoseconds.
func short(d time.Duration) uint64 { return uint64(min(max(d, 0), math.MaxUint32)) }

// skew is how much the clocks of two processes may differ.
const skew = time.Second

func fromRecord(r servertable.Record, now time.Duration) (h Host) {
	d := &r.Data
	h.SRTT, h.RTTVar = time.Duration(d[0]>>32), time.Duration(d[0]&math.MaxUint32)
	h.Seen, h.Counted = instant(d[1], now+skew), instant(d[2], now+skew)
	h.DeadUntil = instant(d[3], now+limits.DeadAtMost)
	h.Probe = instant(d[4], now+probeInterval+skew)
	h.Timeouts = uint8(d[5])
	h.Silent = ofTicks(d[5]>>32, now+skew)
	h.signs = signs{sign(d[5] >> 8), sign(d[5] >> 16), sign(d[5] >> 24)}
	for i := range h.cannot {
		n := d[6+i/2] >> 32
		if i%2 == 1 {
			n = d[6+i/2]
		}
		h.cannot[i] = ofTicks(n, now+Ability(1<<i).life()+skew)
	}
	h.Encrypted = ofTicks(d[8], now+skew)
	h.unheard = Sort(d[9]) & allSorts
	return h
}

// instant is one that may not lie behind the latest possible; else it is none.
func instant(v uint64, latest time.Duration) time.Duration {
	if v > uint64(max(latest, 0)) {
		return 0
	}
	return time.Duration(v)
}

func sign(v uint64) uint8 { return min(uint8(v), signsNeeded) }
