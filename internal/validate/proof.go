package validate

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A proof is the work on the answer to one query. It is begun anew, with what it has
// found out so far, whenever a question of its own has been answered.
type proof struct {
	v       *validator
	r       *resolve.Request
	q       *resolve.Query
	anchors *trustanchor.Snapshot
	meter   meter
	// asked are the questions of this proof, which have left the plan.
	asked map[resolve.Question]*resolve.Query
	// verified are the sets whose signatures hold. They are few: each costs a check, or
	// the look for one that was made before.
	verified []verified
	// zone is the lowest zone around the query's name that is known to have keys.
	zone dnsname.Name
	// odd is the zone that was found last to be insecure for a reason of its own.
	odd odd
	// past is what is remembered of earlier answers to the query.
	past *past
}

// past is what the proofs of one query have in common.
type past struct {
	now   proof // of the answer at hand, or the one before
	begun bool  // the answer at hand has not been judged yet
	// renewed are the questions for keys and DS sets that no remembered answer will do for:
	// one did not fit, or the answer at hand is no older than the request.
	renewed map[resolve.Question]bool
}

func (p *past) renew(about resolve.Question) {
	if p.renewed == nil {
		p.renewed = map[resolve.Question]bool{}
	}
	p.renewed[about] = true
}

// errWait says that a question was put on the plan, without whose answer the proof
// cannot go on.
var errWait = errors.New("a question is on the plan")

// A refusal is why the answer at hand is not what its zone signed: another server may
// have a better one. A *resolve.Failure that is not wrapped in a refusal says that
// nothing can be proven, whichever server answers.
type refusal struct{ *resolve.Failure }

// proofOf is the proof of q's answer, which may have begun.
func (v *validator) proofOf(r *resolve.Request, q *resolve.Query) *proof {
	p, ok := q.Validate.(*past)
	if !ok {
		p = &past{}
		q.Validate = p
	}
	if !p.begun {
		p.begun = true
		p.now = proof{v: v, r: r, q: q, anchors: v.Anchors(), meter: meter{v.Counts, r, r.Budget.Proof(), &v.done}, past: p}
	}
	return &p.now
}

// judge goes on with the proof and says what is to become of the answer.
func (p *proof) judge() resolve.State {
	began := time.Now()
	err := p.outcome()
	p.v.Counts.took(time.Since(began))
	if err == errWait {
		return resolve.Yield
	}
	p.past.begun = false
	p.v.Counts.verdict(p.q, err)
	if err == nil {
		return resolve.Consume
	}
	if no, ok := errors.AsType[refusal](err); ok {
		return p.q.Refuse(p.about(no.Failure), p.below())
	}
	if f, ok := errors.AsType[*resolve.Failure](err); ok {
		p.about(f)
	}
	return p.r.Fail(err)
}

// proven takes note that there is a zone with keys.
func (p *proof) proven(zone dnsname.Name) {
	if subject(p.q.Name, p.q.Type).IsSubdomainOf(zone) && (p.zone == "" || zone.IsStrictlyBelow(p.zone)) {
		p.zone = zone
	}
}

// below is that zone where it lies below the cut whose servers have answered, so that these
// need not be its own; else "".
func (p *proof) below() dnsname.Name {
	if cut := p.cut(); cut == nil || p.q.Forwards() || !p.zone.IsStrictlyBelow(cut.Name) {
		return ""
	}
	return p.zone
}

// about notes in a failure whose answer it is about, unless that is another question
// on whose answer this proof rests.
func (p *proof) about(f *resolve.Failure) *resolve.Failure {
	if f.About.Name == "" {
		f.About = p.q.Question
	}
	return f
}

// outcome proves what the outcome says.
func (p *proof) outcome() error {
	o := &p.q.Outcome
	if o.Kind == resolve.Referral {
		return p.referral()
	}
	for i := range o.Answer {
		if err := p.answer(i); err != nil {
			return err
		}
	}
	if o.Kind == resolve.NoData || o.Kind == resolve.NXDomain {
		if err := p.denial(); err != nil {
			return err
		}
	}
	p.prune()
	return nil
}

// prune leaves out sets that stood beside the answer and prove nothing. Where the answer
// need not be proven, unproven sets beside it stay, with the answer's rank.
func (p *proof) prune() {
	o := &p.q.Outcome
	needless := slices.ContainsFunc(o.Answer, func(s resolve.Set) bool { return s.Rank == insecure })
	o.Authority = slices.DeleteFunc(o.Authority, func(s resolve.Set) bool {
		return s.Rank == wrongProof || s.Rank == fresh && !needless
	})
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Rank == fresh {
			s.Rank = insecure
		}
	}
}

// ask is what a question of this proof came to. If it was not asked yet it is put on the
// plan, and the error is errWait.
func (p *proof) ask(about resolve.Question) (*resolve.Query, error) {
	if sub := p.asked[about]; sub != nil {
		return sub, sub.Err
	}
	sub, err := p.r.Inquire(p.q, about, p.past.renewed[about])
	if err != nil {
		return nil, err
	}
	if p.asked == nil {
		p.asked = map[resolve.Question]*resolve.Query{}
	}
	p.asked[about] = sub
	return nil, errWait
}

// askFor is ask, where a failure is the failure of the proof: what it was needed for
// is told besides. An answer whose proof would need that proof itself is refused, as
// the alias is that a server without signatures gives for a DS set: another server may
// have an answer that can be proven.
func (p *proof) askFor(name dnsname.Name, rrtype uint16, code ede.Code, what string) (*resolve.Query, error) {
	about := question(name, rrtype)
	if p.asked[about] == nil {
		if f := p.failedBefore(about); f != nil {
			return nil, f
		}
	}
	sub, err := p.ask(about)
	switch {
	case err == nil:
		p.ended(sub, nil, nil)
		return sub, nil
	case err == errWait, errors.Is(err, resolve.ErrBudget):
		return nil, err
	case errors.Is(err, resolve.ErrCycle): // the answer rests on itself, as another's need not
		return nil, refusal{&resolve.Failure{EDE: code, Text: "what was answered about " + what + " is proven by nothing but itself"}}
	}
	f, judged := errors.AsType[*resolve.Failure](err)
	if !judged {
		because, text := resolve.Explain(err)
		f = &resolve.Failure{EDE: because, Text: strings.TrimSuffix(what+" could not be had: "+text, ": "), Err: err}
	}
	p.ended(sub, err, f)
	return nil, f
}

// renew has the keys of a zone asked for once more, because those that were kept do not
// fit. It waits for them.
func (p *proof) renew(zone dnsname.Name) error {
	about := question(zone, wire.TypeDNSKEY)
	p.past.renew(about)
	p.v.keys.forget(p.place(about))
	delete(p.asked, about)
	_, _, err := p.keysOf(zone)
	return err
}

// renewDS has what a parent says about the keys of a zone asked for once more, because
// what was kept does not fit; false when it is no older than the request.
func (p *proof) renewDS(zone dnsname.Name) bool {
	about := question(zone, wire.TypeDS)
	if sub := p.asked[about]; sub == nil || !sub.Outcome.Cached || p.past.renewed[about] || p.justRenewed(about) {
		return false
	}
	p.past.renew(about)
	delete(p.asked, about)
	return true
}

func question(name dnsname.Name, rrtype uint16) resolve.Question {
	return resolve.Question{Name: name, Type: rrtype, Class: wire.ClassIN}
}

// mayRenew tells whether keys of a zone were kept from an earlier request, and were not
// asked for once more in this one, nor by others just now.
func (p *proof) mayRenew(zone dnsname.Name) bool {
	about := question(zone, wire.TypeDNSKEY)
	return !p.past.renewed[about] && p.q.Question != about && !p.justRenewed(about)
}

// refuse is the refusal for a failure of package dnssec. If a proof cost too much, no other
// server is tried; if signatures are wrong, another server's may be right.
func refuse(err error) error {
	f, ok := errors.AsType[*dnssec.Failure](err)
	if !ok {
		return &resolve.Failure{EDE: ede.Bogus, Text: err.Error(), Err: err}
	}
	why := &resolve.Failure{EDE: f.Code(), Text: f.Error(), Err: f}
	if f.Reason == dnssec.TooDear && resolve.LimitOf(f) != limits.FailedChecks {
		return why
	}
	return refusal{why}
}

// tell tells whoever reads a step of the proof. Steps that are frequent are only made where
// somebody reads.
func (p *proof) tell(step resolve.Step) {
	if p.r.Tell != nil {
		p.r.Tell(p.q, step)
	}
}

// tellUnsigned tells why something needs no proof.
func (p *proof) tellUnsigned(name dnsname.Name, why resolve.Insecurity) {
	if p.r.Tell != nil {
		p.tell(resolve.Unsigned{Name: name, Why: why})
	}
}

// algorithms are those that count for the request.
func (p *proof) algorithms() dnssec.Algorithms {
	return dnssec.Algorithms{NoSHA1: p.r.Options.NoSHA1}
}

// cut is the delegation whose servers answered.
func (p *proof) cut() *zonecut.Cut { return p.q.Cut }

// meter bounds and counts the work of one proof.
type meter struct {
	counts *Counts
	r      *resolve.Request
	budget resolve.Proof
	done   *work
}

// Verify is for package dnssec, as is Failed.
func (m *meter) Verify() error {
	m.counts.checks.Add(1)
	m.r.WillWait()
	return m.budget.Check()
}

func (m *meter) Failed() error { return m.budget.Wrong() }

// Hash implements dnssec.Meter. Before hashing more blocks than a listener's thread may, it
// has the reception passed on.
func (m *meter) Hash(blocks int) error {
	if blocks > limits.ListenerHash {
		m.r.WillWait()
	}
	return m.budget.Hash(blocks)
}

// Known and Learn make it a dnssec.Memory.
func (m *meter) Known(check [sha256.Size]byte) bool {
	_, ok := m.done.checks.Get(check)
	return ok
}

// Learn is explained with Known.
func (m *meter) Learn(check [sha256.Size]byte) {
	m.done.checks.Put(check, struct{}{}, limits.ChecksRemembered)
}

// Hashed and LearnHash make it a dnssec.HashMemory.
func (m *meter) Hashed(n dnssec.HashedName) ([sha1.Size]byte, bool) { return m.done.hashes.Get(n) }

// LearnHash is explained with Hashed.
func (m *meter) LearnHash(n dnssec.HashedName, h [sha1.Size]byte) {
	m.done.hashes.Put(n, h, limits.HashesRemembered)
}
