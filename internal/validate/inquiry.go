package validate

import (
	"errors"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// inquiries is what is remembered of the questions that proofs ask about a zone, for
// its keys and its DS set: that they came to nothing (RFC 9520, section 3.2), so that a
// zone whose keys cannot be believed does not cost these questions for each of its names;
// and that they were asked anew, so that a zone whose signatures do not fit its keys does
// not cost that.
type inquiries struct {
	mu sync.Mutex
	m  map[inquiry]lastTime
}

// inquiry is a question for the keys or the DS set of a zone.
type inquiry struct {
	place
	rrtype uint16
}

// lastTime is when a question was asked last, in wall seconds, and what it came to.
type lastTime struct {
	at      int64
	failure *resolve.Failure // nil: it was answered
	life    int64            // of the failure, in seconds from at
}

// current tells whether something that happened at a time holds for some seconds until
// now. A clock that goes back does not make it hold longer.
func current(at, life, now int64) bool { return at <= now && now < at+life }

// failure is why a question failed a moment ago, with its age and for how long it is not
// asked; nil when it may be asked.
func (i *inquiries) failure(of inquiry, now int64) (f *resolve.Failure, age, left int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p, ok := i.m[of]
	if !ok || p.failure == nil || !current(p.at, p.life, now) {
		return nil, 0, 0
	}
	again := *p.failure
	again.Remembered = true
	return &again, now - p.at, p.at + p.life - now
}

// failed notes that a question has come to nothing: for a few seconds, and, where that is
// not the doing of another one that failed before, twice as long each time that it fails
// again soon after.
func (i *inquiries) failed(of inquiry, why resolve.Failure, now int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	life := int64(limits.ServfailTTL)
	if old, ok := i.m[of]; ok && old.failure != nil {
		if current(old.at, old.life, now) {
			return // another request asked at the same time
		}
		if current(old.at, old.life+limits.BogusTTL, now) && !why.Remembered {
			life = min(2*old.life, limits.BogusTTL)
		}
	}
	i.note(of, lastTime{at: now, failure: &why, life: life})
}

// answered notes that a question was answered: it has not failed.
func (i *inquiries) answered(of inquiry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.m[of].failure != nil {
		delete(i.m, of)
	}
}

// renewed notes that servers were asked a question anew, though an answer was remembered.
// Where that came to nothing what was remembered is as good as before.
func (i *inquiries) renewed(of inquiry, now int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.note(of, lastTime{at: now})
}

// justRenewed tells whether a question was asked anew so lately that doing so once more
// would be in vain.
func (i *inquiries) justRenewed(of inquiry, now int64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	p, ok := i.m[of]
	return ok && current(p.at, limits.InquiryRenewal, now)
}

// note keeps what became of a question. Where there is no room some are forgotten that
// Go's maps draw at random. The caller has the lock.
func (i *inquiries) note(of inquiry, p lastTime) {
	if i.m == nil {
		i.m = make(map[inquiry]lastTime)
	}
	for old := range i.m {
		if len(i.m) < limits.InquiriesKept {
			break
		}
		delete(i.m, old)
	}
	i.m[of] = p
}

// inquiry is what is remembered under a question of a proof.
func (p *proof) inquiry(about resolve.Question) inquiry { return inquiry{p.place(about), about.Type} }

// remembers tells whether what other requests learnt counts for the proof, and what it
// learns for others.
func (p *proof) remembers() bool { return !p.r.Options.BypassCache && !p.q.Options.BypassCache }

// failedBefore is why a question of the proof failed a moment ago; nil when it may be
// asked.
func (p *proof) failedBefore(about resolve.Question) *resolve.Failure {
	if !p.remembers() {
		return nil
	}
	f, age, left := p.v.inquiries.failure(p.inquiry(about), p.r.Wall())
	if f != nil {
		p.tell(resolve.FailureRemembered{Question: about, Age: age, Left: left, Reason: f.Text})
	}
	return f
}

// justRenewed tells whether a question was asked anew by another request just now.
func (p *proof) justRenewed(about resolve.Question) bool {
	return p.remembers() && p.v.inquiries.justRenewed(p.inquiry(about), p.r.Wall())
}

// ended notes for other requests what a question of the proof has come to: an answer, where
// err is nil, or why there is none. Not noted are failures that say nothing about the zone:
// a budget of this request is used up, this resolver lacks something, or servers are
// silent, which is remembered of the servers.
func (p *proof) ended(sub *resolve.Query, err error, why *resolve.Failure) {
	if sub == nil || sub.Outcome.Cached || !p.remembers() || !p.r.InForce() {
		return
	}
	of, now := p.inquiry(sub.Question), p.r.Wall()
	_, judged := errors.AsType[*resolve.Failure](err)
	switch {
	case sub.Anew:
		p.v.inquiries.renewed(of, now)
	case err == nil:
		p.v.inquiries.answered(of)
	case judged && !errors.Is(err, resolve.ErrProofs), errors.Is(err, resolve.ErrLame), errors.Is(err, resolve.ErrErring):
		p.v.inquiries.failed(of, *why, now)
	}
}
