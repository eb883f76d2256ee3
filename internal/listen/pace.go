package listen

import (
	"bytes"
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
// limits.PacePercent of what it has asked in such a time, lately or just now: who asks
// steadily, or much at once and is answered soon, does not meet that. An answer that may
// not leave stands in a line, and it is when it leaves that the next one's time is counted
// from: a machine that stood still does not make up for it by a pulse. The lock of the
// table is held for all calls.
type paces map[netip.Addr]*pace

// A pace is that of one client, kept while a question of it waits.
type pace struct {
	waiting     int
	lately, now meter
	next        time.Duration // when the next answer is due; it may leave limits.PaceSlack earlier
	line        []paced       // answers that wait for their time
	kept        bool          // an answer has waited
}

// paced is an answer that waits for its time.
type paced struct {
	q   *Query
	msg []byte
	gap time.Duration // behind it
	by  time.Duration // at the latest it leaves then
}

// came notes a question.
func (ps paces) came(key netip.Addr, now time.Duration) {
	p := ps[key]
	if p == nil {
		p = &pace{lately: meter{since: now}, now: meter{since: now}}
		ps[key] = p
	}
	p.waiting++
	p.lately.count(now, limits.PacePeriod)
	p.now.count(now, limits.PendingYoung)
}

// left notes that a question does not wait any more.
func (ps paces) left(key netip.Addr) {
	if p := ps[key]; p.waiting > 1 {
		p.waiting--
		return
	}
	delete(ps, key)
}

// answered tells whether the answer to q may leave at once. Else a copy stands in line; where
// it is the first there, release has to be called after wait. A few answers leave always,
// unless they are what is left of many.
func (ps paces) answered(q *Query, msg []byte, now time.Duration) (wait time.Duration, leaves bool) {
	p := ps[q.source]
	first := len(p.line) == 0
	if first && !p.kept && p.waiting <= limits.PaceWaiters && p.next <= now {
		return 0, true
	}
	gap := p.gap(now)
	if first {
		if wait = p.turn(now, gap); wait == 0 {
			return 0, true
		}
	}
	p.line, p.kept = append(p.line, paced{q, bytes.Clone(msg), gap, now + limits.PaceMost}), true
	return wait, false
}

// release takes the answer out of the line whose time has come. ok is false when there is
// none: the next one's comes after wait, which is 0 when the line is empty.
func (ps paces) release(key netip.Addr, now time.Duration) (a paced, wait time.Duration, ok bool) {
	p := ps[key]
	if p == nil || len(p.line) == 0 {
		return paced{}, 0, false
	}
	a = p.line[0]
	if wait = p.turn(now, min(a.gap, p.hurry(now))); wait > 0 {
		return paced{}, wait, false
	}
	p.line[0] = paced{}
	if p.line = p.line[1:]; len(p.line) == 0 {
		p.line = nil
	}
	return a, 0, true
}

// turn has an answer leave, the next one a gap behind it; or tells how long it has to wait.
// Answers are ready in small swarms, also where all is steady: that is no pulse, and no
// reason for a timer each.
func (p *pace) turn(now, gap time.Duration) (wait time.Duration) {
	if ahead := p.next - now; ahead > limits.PaceSlack {
		return ahead - limits.PaceSlack
	}
	p.next = max(p.next, now) + gap
	return 0
}

// gap is the time between two answers that goes with the pace of the questions.
func (p *pace) gap(now time.Duration) time.Duration {
	gap := min(p.lately.gap(now, limits.PacePeriod), p.now.gap(now, limits.PendingYoung)) * 100 / limits.PacePercent
	return min(gap, limits.PaceMost/time.Duration(p.waiting)) // where the questions are long ago
}

// hurry is the time between two answers with which the last one in line leaves in time.
func (p *pace) hurry(now time.Duration) time.Duration {
	n := len(p.line)
	return max(p.line[n-1].by-now, 0) / time.Duration(n)
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
