package rules

import (
	"slices"

	"kresd/internal/digest"
	"kresd/internal/resolve"
)

// fingerprint is that of a table. It is carried on when a rule is added. Only
// when a rule leaves or comes back it has to be made anew, and then not while
// nothing is forwarded.
type fingerprint struct {
	sum      uint64 // of all rules in force, in their order
	last     uint64 // sum as of the last rule that forwards
	forwards int    // rules in force that forward
	stale    bool   // sum and last are those of other rules

	mixed int // rules that were looked at: what keeping it costs
}

// add notes that a rule in force stands behind the others.
func (f *fingerprint) add(e *Entry) {
	if e.Rule.forwards() {
		f.forwards++
	}
	if !f.stale {
		f.mix(e)
	}
}

func (f *fingerprint) mix(e *Entry) {
	f.mixed++
	if f.sum = mix(f.sum, e.digest.Load()); e.Rule.forwards() {
		f.last = f.sum
	}
}

// leave notes that a rule is no longer in force, or comes back.
func (f *fingerprint) leave(e *Entry, gone bool) {
	f.stale = true
	switch {
	case !e.Rule.forwards():
	case gone:
		f.forwards--
	default:
		f.forwards++
	}
}

func (f *fingerprint) value(entries []*Entry) uint64 {
	if f.forwards == 0 {
		return 0
	}
	if f.stale {
		f.sum, f.last, f.stale = digest.Of("policy"), 0, false
		for _, e := range entries {
			if !e.Suspended() && !e.deleted.Load() {
				f.mix(e)
			}
		}
	}
	return f.last
}

func (r *Rule) forwards() bool {
	return r.Pick != nil || slices.ContainsFunc(r.actions(), func(a *Action) bool { return a.to != nil })
}

// lets tells whether the search may end with the rule so that the question is resolved.
func (r *Rule) lets() bool {
	return r.Pick != nil || r.Filter.kind == listed || slices.ContainsFunc(r.actions(), func(a *Action) bool { return a.lets })
}

// actions are those that the rule itself may come to.
func (r *Rule) actions() []*Action {
	if r.Slices != nil {
		return r.Slices.Actions
	}
	return []*Action{r.Action}
}

// digest is equal for equal rules in all processes, and different for those that
// send a question to different servers. What a list denies is asked of nobody: a list that
// changes leaves what was kept in force, unless its names are resolved in another way.
func (r *Rule) digest() uint64 {
	if r.Pick != nil {
		return mix(r.Filter.digest, digest.Of("function"))
	}
	h := r.Filter.digest
	if r.Slices != nil {
		h = mix(h, r.Slices.By.Digest())
	}
	for _, a := range r.actions() {
		h = mix(h, digest.Of(a.name))
		if a.to != nil {
			h = mix(h, resolve.Servers(a.to.cut()))
		}
	}
	if list := r.Filter.list; list != nil {
		l := list.Listing()
		if h = mix(h, l.passes); r.Action.lets {
			h = mix(h, l.digest)
		}
	}
	return h
}

// private tells whether the rule is not for everybody who asks the same.
func (r *Rule) private() bool { return len(r.Filter.conditions) > 0 }

// Apart is a number for what the table says about a subject's client and not about everybody,
// as far as it bears upon who is asked: clients with the same number may be told the same. It is
// 0 where there is nothing, and the same in all processes with the same rules. The name that
// the client asks for does not matter, as aliases lead to others, for which rules are tried too.
func (t *Table) Apart(s *Subject) (n uint64) {
	st := t.state.Load()
	if len(st.private) == 0 || t.Fingerprint() == 0 {
		return 0
	}
	for _, place := range st.private {
		e := st.entries[place]
		if e.Suspended() || e.deleted.Load() {
			continue
		}
		if which, may := e.Rule.Filter.of(s); may && which != 0 {
			n = uint64(resolve.Partition(n).With(e.digest.Load()).With(which))
		}
	}
	return n
}

// KeepApart keeps the answer to a request for those clients about whom the table says the same.
func (t *Table) KeepApart(req *resolve.Request, s *Subject) {
	if n := t.Apart(s); n != 0 {
		req.KeepApart(n, func() bool { return t.Apart(SubjectOf(req)) == n })
	}
}
