package rules

import (
	"slices"
	"sync"
	"sync/atomic"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/reply"
	"kresd/internal/resolve"
)

// A Rule says what is done about which questions.
type Rule struct {
	Filter Filter
	Action *Action
	// Pick, when set, decides instead of Action and of the names in Filter: a script's own
	// function. nil: the rule is not for this request.
	Pick func(req *resolve.Request) *Action
	// Slices, when set, have the actions instead of Action.
	Slices *Slices
	// Words are the rule as the configuration has it, where no filter of policy alone is it.
	Words string

	once  sync.Once
	alone *state // a table of this rule alone, for Choose
}

// An Entry is a rule in force. ID and Rule never change.
type Entry struct {
	ID   int
	Rule *Rule

	table     *Table
	digest    atomic.Uint64
	hits      atomic.Uint64
	suspended atomic.Bool
	deleted   atomic.Bool
}

// String names the rule for people: by the ID that it has in scripts, and what it
// is for.
func (e *Entry) String() string {
	what := "a function"
	if e.Rule.Pick == nil {
		what = e.Rule.Filter.String()
	}
	return e.table.title(e.ID, what)
}

// Count is how often the rule's action was run, or its answer given. Questions
// that a rule lets pass or forwards, and that are answered from the cache, are
// not among them: that way runs no rules.
func (e *Entry) Count() uint64 { return e.hits.Load() }

// Hit counts an answer that Decide foresaw and that was given.
func (e *Entry) Hit() { e.hits.Add(1) }

// Deleted tells whether the rule was taken out of its table.
func (e *Entry) Deleted() bool { return e.deleted.Load() }

// Suspended tells whether the rule is switched off.
func (e *Entry) Suspended() bool { return e.suspended.Load() }

// Suspend switches the rule off or on.
func (e *Entry) Suspend(on bool) {
	if e.suspended.Swap(on) != on && !e.deleted.Load() {
		e.table.sum.leave(e, on)
	}
	e.table.tell()
}

// A Table is rules in the order in which they are tried. Methods that change it
// are for one goroutine at a time; Try and Decide are for any, and see a table
// that does not change under them, but for the switches of its rules.
type Table struct {
	title   func(id int, what string) string
	changed func()
	sum     fingerprint
	deleted int // entries that only wait to be swept out

	state atomic.Pointer[state]
	print atomic.Uint64
}

// state is a table as of one moment. Later ones share what they have in common
// with it.
type state struct {
	entries []*Entry
	wide    []uint32 // places of the rules that the index does not know
	private []uint32 // places of those that are not for everybody and have a say in who is asked
	index   index
}

// NewTable makes a Table without rules. title names one of its rules for people,
// by its ID and what it is for; changed is told of every change and may be nil.
func NewTable(title func(id int, what string) string, changed func()) *Table {
	if changed == nil {
		changed = func() {}
	}
	t := &Table{title: title, changed: changed, sum: fingerprint{sum: digest.Of("policy")}}
	t.state.Store(&state{index: newIndex()})
	return t
}

// Add puts a rule behind the others. It costs as much as the rule has names,
// however many rules there are. IDs ascend.
func (t *Table) Add(id int, r *Rule) *Entry {
	e := &Entry{ID: id, Rule: r, table: t}
	e.digest.Store(r.digest())
	s := *t.state.Load()
	s.add(e)
	t.state.Store(&s)
	t.sum.add(e)
	t.tell()
	return e
}

// tell publishes the fingerprint of the changed table.
func (t *Table) tell() {
	t.print.Store(t.sum.value(t.state.Load().entries))
	t.changed()
}

func (s *state) add(e *Entry) {
	place := len(s.entries)
	s.entries = append(s.entries, e)
	if e.Rule.private() && e.Rule.lets() {
		s.private = append(s.private, uint32(place))
	}
	if e.Rule.Pick != nil || !e.Rule.Filter.named() {
		s.wide = append(s.wide, uint32(place))
		return
	}
	s.index.add(s.entries, place)
}

// Delete takes out the rule with an ID and tells whether there was one.
func (t *Table) Delete(id int) bool {
	entries := t.state.Load().entries
	at, found := slices.BinarySearchFunc(entries, id, func(e *Entry, id int) int { return e.ID - id })
	if !found || entries[at].deleted.Swap(true) {
		return false
	}
	if e := entries[at]; !e.Suspended() {
		t.sum.leave(e, true)
	}
	t.deleted++
	t.sweep()
	t.tell()
	return true
}

// Renew makes the fingerprint anew, after it has changed how servers are spoken to
// (Peers).
func (t *Table) Renew() {
	for _, e := range t.state.Load().entries {
		e.digest.Store(e.Rule.digest())
	}
	t.sum.stale = true
	t.tell()
}

// sweep makes a table without the deleted rules when they are as many as the
// others, so that each deletion costs little.
func (t *Table) sweep() {
	if old := t.state.Load(); 2*t.deleted >= len(old.entries) {
		s := &state{index: newIndex()}
		s.index.handled = old.index.handled
		for _, e := range t.Entries() {
			s.add(e)
		}
		t.deleted = 0
		t.state.Store(s)
	}
}

// Entries are the rules in order.
func (t *Table) Entries() []*Entry {
	var list []*Entry
	for _, e := range t.state.Load().entries {
		if !e.deleted.Load() {
			list = append(list, e)
		}
	}
	return list
}

// Try runs the actions of the rules that are for a request, until one decides.
// post tells that the rules are for answers and the request's Result is one.
func (t *Table) Try(req *resolve.Request, s *Subject, post bool) Decision {
	w := t.state.Load().walk(s)
	for {
		m := w.next()
		e := m.entry
		if e == nil {
			return GoOn
		}
		h := &Hit{Req: req, Subject: s, Zone: req.Name[m.at:], Scope: req.Name[m.at:], Post: post, Private: e.Rule.private()}
		s.shown = true
		a := m.choose(h)
		if a == nil {
			continue
		}
		e.hits.Add(1)
		d := a.run(h)
		if req.Tell != nil {
			req.Tell(nil, resolve.RuleMatched{Rule: e, Action: a, Then: d.then()})
		}
		if d != GoOn {
			return d
		}
	}
}

// choose is what the rule does about a request that it is for. It is nil when a
// script's function finds that it is not.
func (m *match) choose(h *Hit) *Action {
	switch pick := m.entry.Rule.Pick; {
	case pick != nil:
		h.Zone, h.Picked = dnsname.Root, true
		return pick(h.Req)
	case !m.sure: // a name made to exhaust the pattern must not slip through
		return Drop()
	}
	return m.action
}

// Choose is the action of a rule for a request, and nil when the rule is not for
// it, for a script that calls a rule as a function.
func (r *Rule) Choose(req *resolve.Request) *Action {
	s := SubjectOf(req)
	w := r.table().walk(s)
	m := w.next()
	if m.entry == nil {
		return nil
	}
	return m.choose(&Hit{Req: req, Subject: s, Zone: req.Name[m.at:], Scope: req.Name[m.at:]})
}

// table is a table of this rule alone. Most rules never need one.
func (r *Rule) table() *state {
	r.once.Do(func() {
		r.alone = &state{index: newIndex()}
		r.alone.add(&Entry{Rule: r})
	})
	return r.alone
}

// Decided is what Try would come to.
type Decided struct {
	// Sure is false when only Try can tell, or has to: an action changes the request.
	Sure bool
	// Decision is GoOn, Stop or Answered.
	Decision Decision
	// Answer is what the client gets; nil: nothing.
	Answer *reply.Prepared
	// Entry is the rule that answers. The caller that gives the answer calls its Hit.
	Entry *Entry
	// Passed tells that the action of another rule let the question pass to the next
	// rule, which Try would have counted.
	Passed bool
	// Elsewhere tells that the question goes to servers that the rule names.
	Elsewhere bool
}

// Decide says what Try would come to, as far as that can be told without a
// request. It changes nothing and allocates nothing.
func (t *Table) Decide(s *Subject) Decided {
	w := t.state.Load().walk(s)
	w.quick = true
	var d Decided
	for {
		m := w.next()
		if m.entry == nil {
			d.Sure = true
			return d
		}
		if !m.sure || m.action.foresee == nil {
			return Decided{}
		}
		switch d.Decision, d.Answer, d.Sure = m.action.foresee(s, m.at); {
		case !d.Sure:
			return Decided{}
		case d.Decision == GoOn:
			d.Passed = true
		default:
			d.Entry, d.Elsewhere = m.entry, m.action.to != nil
			return d
		}
	}
}

// Route is whose servers the rules say are asked for a question to which a request has
// led: those of the first rule about its name that forwards or lets everything pass.
// Rules that judge what a client asks are not for it, and functions of scripts have
// spoken about the request. nil: no rule says anything.
func (t *Table) Route(req *resolve.Request, q resolve.Question) *resolve.Route {
	if t.Fingerprint() == 0 {
		return nil
	}
	s := &Subject{}
	s.stepOf(req, q)
	w := t.state.Load().walk(s)
	for {
		m := w.next()
		if m.entry == nil {
			return nil
		}
		if m.entry.Rule.Pick != nil || !m.sure {
			continue
		}
		switch a := m.action; {
		case a.to != nil:
			return &resolve.Route{Cut: a.to.cut(), Scope: q.Name[m.at:], Stub: a.stub}
		case a.resolves:
			return &resolve.Route{}
		}
	}
}

// Empty tells whether there are no rules at all.
func (t *Table) Empty() bool { return len(t.state.Load().entries) == 0 }

// Concerns tells whether a rule may be for a subject.
func (t *Table) Concerns(s *Subject) bool {
	w := t.state.Load().walk(s)
	w.quick = true
	return w.next().entry != nil
}

// Fingerprint differs between tables under which the same question may get a
// different answer from the network: the rules that forward, with all that stand
// before them. It is 0 when nothing is forwarded, and the same in all processes
// with the same rules.
func (t *Table) Fingerprint() uint64 { return t.print.Load() }
