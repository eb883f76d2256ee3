package listen

import (
	"net/netip"
	"time"

	"kresd/internal/limits"
)

// paces make that answers do not leave for a client in a pulse that is much stronger than
// its questions were. Else somebody who has another's address and servers of his own asks
// for a while in the other's name, keeps the answers back, and lets all of them go at once
// (DNSBomb, CVE-2024-33655; HARDENING C5).
//
// While many questions of a client wait, no more answers leave for it in a time than
// limits.PaceFactor times as many as it has asked in such a time, lately or just now: who
// asks steadily, or much at once and is answered soon, does not meet that. The lock of the
// table is held for all calls.
type paces map[netip.Addr]pace

// A pace is that of one client, kept while a question of it waits.
type pace struct {
	waiting     int
	lately, now meter
	next        time.Duration // when the next answer may leave
}

// came notes a question.
func (ps paces) came(key netip.Addr, now time.Duration) {
	p := ps[key]
	if p.waiting++; p.waiting == 1 {
		p.lately, p.now = meter{since: now}, meter{since: now}
	}
	p.lately.count(now, limits.PacePeriod)
	p.now.count(now, limits.PendingYoung)
	ps[key] = p
}

// left notes that a question does not wait any more.
func (ps paces) left(key netip.Addr) {
	p := ps[key]
	if p.waiting--; p.waiting <= 0 {
		delete(ps, key)
		return
	}
	ps[key] = p
}

// delay is how long an answer has to wait. Answers are ready in small swarms, also where
// all is steady: that is no pulse, and no reason for a timer each.
func (ps paces) delay(key netip.Addr, now time.Duration) time.Duration {
	p := ps[key]
	behind := max(p.next-now, 0)
	if behind == 0 && p.waiting <= limits.PaceWaiters {
		return 0
	}
	gap := min(p.lately.gap(now, limits.PacePeriod), p.now.gap(now, limits.PendingYoung)) / limits.PaceFactor
	gap = min(gap, limits.PaceMost/time.Duration(p.waiting)) // where the questions are long ago
	p.next = now + behind + gap
	ps[key] = p
	return min(max(behind-limits.PaceSlack, 0), limits.PaceMost)
}

// A meter tells how fast questions come, by those of the present period and of the one
// before.
type meter struct {
	asked, before int
	since         time.Duration // when the present period began
	preceded      bool          // by another one
}

// advance begins the next period when it is time.
func (m *meter) advance(now, period time.Duration) {
	switch {
	case now-m.since >= 2*period:
		*m = meter{since: now, preceded: true}
	case now-m.since >= period:
		*m = meter{before: m.asked, since: m.since + period, preceded: true}
	}
}

// count counts a question.
func (m *meter) count(now, period time.Duration) {
	m.advance(now, period)
	m.asked++
}

// gap is the time between two questions, on average.
func (m *meter) gap(now, period time.Duration) time.Duration {
	m.advance(now, period)
	within := now - m.since
	if m.preceded {
		within += period
	}
	return within / time.Duration(max(m.asked+m.before, 1))
}
