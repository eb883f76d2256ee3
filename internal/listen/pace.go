package listen

import (
	"bytes"
	"net/netip"
	"time"

	"kresd/internal/limits"
)

// paces prevent that answers leave for a client in a pulse which is much stronger than
// its questions were. Otherwise an attacker who forges a victim's address asks for a while
// about zones whose servers are his own, lets these hold the answers back, and has all of
// them sent to the victim at once (DNSBomb, CVE-2024-33655; HARDENING C5).
//
// While many questions of a client wait, its answers leave at limits.PacePercent of the
// rate of its questions at most: of the higher one of the rates over limits.PacePeriod and
// over limits.PendingYoung. A client that asks steadily, or that asks much at once and is
// answered soon, is not slowed down. An answer that may not leave yet waits in a line. The
// time of the next answer is counted from when the one before has left, so that a machine
// that stood still does not make up for it by a pulse. The lock of the table pending is
// held for all calls.
type paces struct {
	of    map[netip.Addr]*pace
	spare *pace // of a client of whom nothing waits any more; nil: there is none
}

// A pace is that of one client. It is forgotten when no question of the client waits.
type pace struct {
	waiting     int           // questions
	lately, now askRate       // over limits.PacePeriod, over limits.PendingYoung
	next        time.Duration // when the next answer is due; it may leave limits.PaceSlack earlier
	line        []delayed     // answers that wait for their time, the first to leave in front
	hadLine     bool          // an answer was delayed since this pace is kept
}

// delayed is an answer that waits for its time.
type delayed struct {
	q   *Query
	msg []byte
	gap time.Duration // from when it leaves to the answer after it, at most
	by  time.Duration // when it leaves at the latest, on the clock's monotonic scale
}

// came notes a question.
func (ps *paces) came(key netip.Addr, now time.Duration) {
	p := ps.of[key]
	if p == nil {
		if p, ps.spare = ps.spare, nil; p == nil {
			p = new(pace)
		}
		*p = pace{lately: askRate{since: now}, now: askRate{since: now}}
		ps.of[key] = p
	}
	p.waiting++
	p.lately.count(now, limits.PacePeriod)
	p.now.count(now, limits.PendingYoung)
}

// left notes that a question of a client does not wait any more.
func (ps *paces) left(key netip.Addr) {
	p := ps.of[key]
	if p.waiting > 1 {
		p.waiting--
		return
	}
	ps.spare = p
	delete(ps.of, key)
}

// answered tells whether the answer to q may leave at once. Otherwise a copy is put into
// the line; if it is the first one there, release has to be called after wait, which is 0
// for all others. While few questions of a client wait its answers leave at once, unless
// earlier ones were delayed.
func (ps *paces) answered(q *Query, msg []byte, now time.Duration) (wait time.Duration, leaves bool) {
	p := ps.of[q.source]
	first := len(p.line) == 0
	if first && !p.hadLine && p.waiting <= limits.PaceWaiters && p.next <= now {
		return 0, true
	}
	gap := p.gap(now)
	if first {
		if wait = p.turn(now, gap); wait == 0 {
			return 0, true
		}
	}
	p.line, p.hadLine = append(p.line, delayed{q, bytes.Clone(msg), gap, now + limits.PaceMost}), true
	return wait, false
}

// release takes the first answer out of the line if its time has come. Otherwise ok is
// false, and the time comes after wait, which is 0 when the line is empty.
func (ps *paces) release(key netip.Addr, now time.Duration) (a delayed, wait time.Duration, ok bool) {
	p := ps.of[key]
	if p == nil || len(p.line) == 0 {
		return delayed{}, 0, false
	}
	a = p.line[0]
	if wait = p.turn(now, min(a.gap, p.gapInTime(now))); wait > 0 {
		return delayed{}, wait, false
	}
	p.line[0] = delayed{}
	if p.line = p.line[1:]; len(p.line) == 0 {
		p.line = nil
	}
	return a, 0, true
}

// turn lets an answer leave, and the next one a gap later; or it tells how long the answer
// has to wait. Answers that are less than limits.PaceSlack too early leave at once: a few
// are ready together even where all is steady, and each of these would need a timer.
func (p *pace) turn(now, gap time.Duration) (wait time.Duration) {
	if ahead := p.next - now; ahead > limits.PaceSlack {
		return ahead - limits.PaceSlack
	}
	p.next = max(p.next, now) + gap
	return 0
}

// gap is the time between two answers that follows from the rate of the questions.
func (p *pace) gap(now time.Duration) time.Duration {
	gap := min(p.lately.interval(now, limits.PacePeriod), p.now.interval(now, limits.PendingYoung)) * 100 / limits.PacePercent
	return min(gap, limits.PaceMost/time.Duration(p.waiting)) // the rate is of no use when the questions came long ago
}

// gapInTime is the longest time between two answers with which the last one in line leaves
// in time.
func (p *pace) gapInTime(now time.Duration) time.Duration {
	n := len(p.line)
	return max(p.line[n-1].by-now, 0) / time.Duration(n)
}

// An askRate tells how fast a client asks, by its questions of the present period and of
// the one before.
type askRate struct {
	asked, before int           // questions of the present period, and of the one before
	since         time.Duration // when the present period began
	preceded      bool          // there was a period before
}

// advance begins the next period when it is time.
func (r *askRate) advance(now, period time.Duration) {
	switch {
	case now-r.since >= 2*period:
		*r = askRate{since: now, preceded: true}
	case now-r.since >= period:
		*r = askRate{before: r.asked, since: r.since + period, preceded: true}
	}
}

// count counts a question.
func (r *askRate) count(now, period time.Duration) {
	r.advance(now, period)
	r.asked++
}

// interval is the time between two questions, on average.
func (r *askRate) interval(now, period time.Duration) time.Duration {
	r.advance(now, period)
	within := now - r.since
	if r.preceded {
		within += period
	}
	return within / time.Duration(max(r.asked+r.before, 1))
}
