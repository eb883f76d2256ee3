package rules

// A walk meets the rules that are for a subject, in their order.
type walk struct {
	t    *state
	s    *Subject
	from int // the first place in the table that has not been met
	wide int // how many of state.wide have been met
	// quick tells that cached answers wait: what takes longer to find out is not sure.
	quick bool
}

// cursor stands at the next rule with one of the names that the subject lies at
// or below.
type cursor struct {
	node uint32 // 1 + its place in the index; 0: there is none
	at   uint8  // how many octets of the subject's name stand before that name
}

// walk starts at the first rule. Only one walk of a subject may be under way.
func (t *state) walk(s *Subject) walk {
	if s.cursors = s.cursors[:0]; cap(s.cursors) == 0 {
		s.cursors = s.few[:0]
	}
	if len(t.index.nodes) > 0 {
		t.look(s)
	}
	return walk{t: t, s: s}
}

// look finds the names of rules that the subject's name is or lies below, the
// longest first.
func (t *state) look(s *Subject) {
	name, left := s.Name(), s.labels
	if t.index.has(domains, left) {
		t.lookFor(s, name, domains, 0)
	}
	for at := 0; ; at += int(name[at]) + 1 {
		if t.index.has(suffix, left) {
			t.lookFor(s, name[at:], suffix, at)
		}
		if at > 0 && t.index.has(below, left) {
			t.lookFor(s, name[at:], below, at)
		}
		if left == 0 {
			return
		}
		left--
	}
}

func (t *state) lookFor(s *Subject, name []byte, k kind, at int) {
	if _, first := t.index.find(t.entries, name, t.index.key(name, k), k); first != 0 {
		s.cursors = append(s.cursors, cursor{first, uint8(at)})
	}
}

// A match is a rule that is for the subject.
type match struct {
	entry *Entry // nil: there is none
	// action is what it does; nil where its Pick has to be asked.
	action *Action
	at     int // how many octets of the subject's name stand before the part that the rule means
	// sure is false when the rule itself has to be asked, or its filter or, on the way of
	// cached answers, its slicer could not find out.
	sure bool
}

// next is the next rule that is for the subject.
func (w *walk) next() match {
	for {
		place, at := w.place()
		if place >= len(w.t.entries) {
			return match{sure: true}
		}
		w.from = place + 1
		e := w.t.entries[place]
		if e.suspended.Load() || e.deleted.Load() {
			continue
		}
		if e.Rule.Pick != nil {
			if yes, _ := e.Rule.Filter.isFor(w.s); yes {
				return match{entry: e}
			}
			continue
		}
		a, known := e.Rule.Action, true
		switch {
		case e.Rule.Filter.kind == listed:
			if a, at = e.Rule.listed(w.s); a == nil {
				continue
			}
		case e.Rule.Slices != nil:
			a, at, known = e.Rule.Slices.of(w.s, w.quick)
		}
		if yes, sure := e.Rule.Filter.holds(w.s); yes {
			return match{e, a, at, sure && known}
		}
	}
}

// place is where the next rule stands that may be for the subject.
func (w *walk) place() (place, at int) {
	place = len(w.t.entries)
	for w.wide < len(w.t.wide) && int(w.t.wide[w.wide]) < w.from {
		w.wide++
	}
	if w.wide < len(w.t.wide) {
		if place = int(w.t.wide[w.wide]); w.t.entries[place].Rule.Filter.kind == all {
			at = w.s.len - 1
		}
	}
	for i := range w.s.cursors {
		c := &w.s.cursors[i]
		for c.node != 0 && int(w.t.index.nodes[c.node-1].rule) < w.from {
			c.node = w.t.index.after(c.node)
		}
		if c.node == 0 {
			continue
		}
		if rule := int(w.t.index.nodes[c.node-1].rule); rule < place { // of equals the first is the longest
			place, at = rule, int(c.at)
		}
	}
	return place, at
}
