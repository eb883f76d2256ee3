package policy

import (
	"fmt"
	"slices"
	"sync/atomic"

	"kresd/internal/module"
	"kresd/internal/resolve"
)

// A Rule says what is done about which questions.
type Rule struct {
	Filter Filter
	Action *Action
	// Pick, when set, decides instead of Filter and Action: a script's own
	// function. nil: the rule is not for this request.
	Pick func(req *resolve.Request) *Action
}

// An Entry is a rule in force. ID, Rule and Post never change.
type Entry struct {
	ID   int
	Rule *Rule
	Post bool

	policy    *Policy
	special   bool // ours, about a name of special use
	hits      atomic.Uint64
	suspended atomic.Bool
}

// String names the rule for people: by the ID that it has in scripts, and what it
// is for.
func (e *Entry) String() string {
	what := "a function"
	if e.Rule.Pick == nil {
		what = e.Rule.Filter.String()
	}
	switch {
	case e.special:
		return "the rule for names of special use"
	case e.Post:
		return fmt.Sprintf("postrule %d (%s)", e.ID, what)
	}
	return fmt.Sprintf("rule %d (%s)", e.ID, what)
}

// Count is how often the rule chose an action. Questions that a rule lets pass
// or forwards, and that are answered from the cache, are not among them: that
// way runs no rules.
func (e *Entry) Count() uint64 { return e.hits.Load() }

// Suspended tells whether the rule is switched off.
func (e *Entry) Suspended() bool { return e.suspended.Load() }

// Suspend switches the rule off or on.
func (e *Entry) Suspend(on bool) {
	e.suspended.Store(on)
	e.policy.changed()
}

// Policy is the rules of a worker. They outlive the loading and unloading of the
// module. Methods that change them are for one goroutine at a time.
type Policy struct {
	// Log writes what the DEBUG actions collected. It must not be nil.
	Log func(text string)
	// Changed is told of a new fingerprint; it may be nil.
	Changed func(fingerprint uint64)

	next   int
	loaded bool
	snap   atomic.Pointer[snapshot]
}

// snapshot is one state of the rules. It is never changed.
type snapshot struct {
	rules, post, special []*Entry
}

// New makes a Policy with the special names only.
func New(log func(text string), changed func(fingerprint uint64)) *Policy {
	p := &Policy{Log: log, Changed: changed}
	s := &snapshot{}
	for i, r := range specialRules() {
		s.special = append(s.special, &Entry{ID: i, Rule: r, policy: p, special: true})
	}
	p.snap.Store(s)
	return p
}

// Open makes an instance of the module.
func (p *Policy) Open() (*module.Instance, error) {
	p.loaded = true
	p.changed()
	return &module.Instance{
		Layer: &resolve.Layer{Name: "policy", Begin: p.begin, Consume: p.consume, Finalize: p.finalize, Finish: p.finish},
		Fast:  p.fast,
		Close: func() { p.loaded = false; p.changed() },
	}, nil
}

// Add puts a rule behind the others; a postrule is for answers.
func (p *Policy) Add(r *Rule, post bool) *Entry {
	e := &Entry{ID: p.next, Rule: r, Post: post, policy: p}
	p.next++
	p.change(func(s *snapshot) {
		list := &s.rules
		if post {
			list = &s.post
		}
		*list = append(slices.Clone(*list), e)
	})
	return e
}

// Delete takes out the rule with an ID and tells whether there was one.
func (p *Policy) Delete(id int) (found bool) {
	p.change(func(s *snapshot) {
		for _, list := range []*[]*Entry{&s.rules, &s.post} {
			kept := slices.DeleteFunc(slices.Clone(*list), func(e *Entry) bool { return e.ID == id })
			found = found || len(kept) < len(*list)
			*list = kept
		}
	})
	return found
}

// Rules, Postrules and Special are the rules in order.
func (p *Policy) Rules() []*Entry     { return p.snap.Load().rules }
func (p *Policy) Postrules() []*Entry { return p.snap.Load().post }
func (p *Policy) Special() []*Entry   { return p.snap.Load().special }

func (p *Policy) change(fn func(s *snapshot)) {
	s := *p.snap.Load()
	fn(&s)
	p.snap.Store(&s)
	p.changed()
}

func (p *Policy) changed() {
	if p.Changed != nil {
		p.Changed(p.Fingerprint())
	}
}

// Fingerprint differs between rules under which the same question may get a
// different answer from the network: those that forward, with all that stand
// before them. It is 0 when nothing is forwarded, and the same in all workers
// with the same rules.
func (p *Policy) Fingerprint() uint64 {
	if !p.loaded {
		return 0
	}
	h, last := digest("policy"), uint64(0)
	for _, e := range p.snap.Load().rules {
		if e.Suspended() {
			continue
		}
		if h = mix(h, e.Rule.sum()); e.Rule.forwards() {
			last = h
		}
	}
	return last
}

func (r *Rule) forwards() bool { return r.Pick != nil || r.Action.cut != nil }

func (r *Rule) sum() uint64 {
	if r.Pick != nil {
		return digest("function")
	}
	h := mix(r.Filter.sum(), digest(r.Action.name))
	if r.Action.cut != nil {
		for _, ns := range r.Action.cut.NS {
			h = mix(h, digest(string(ns.Name)))
		}
	}
	return h
}
