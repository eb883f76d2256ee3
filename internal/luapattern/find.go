package luapattern

import (
	"strconv"
	"strings"
)

// A Value is what a capture gives: text, or with IsPosition a place in the
// subject, counting from 1.
type Value struct {
	Text       string
	Position   int
	IsPosition bool
}

// A Match is a found place in a subject. Start and End are its octets
// [Start, End), counting from 0.
type Match struct {
	Start, End int
	m          *matcher
}

// Captures returns the values of all captures, none if the pattern has none.
// It fails when the pattern leaves a capture open.
func (f *Match) Captures() ([]Value, error) {
	list := make([]Value, 0, f.m.level)
	for i := range f.m.level {
		v, err := f.value(i)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// Values is Captures, or the whole match if the pattern has no captures.
func (f *Match) Values() ([]Value, error) {
	if f.m.level == 0 {
		return []Value{{Text: f.Text()}}, nil
	}
	return f.Captures()
}

// Text is the matched text.
func (f *Match) Text() string { return f.m.s[f.Start:f.End] }

// value returns capture i, counting from 0; the first of none is the match.
func (f *Match) value(i int) (Value, error) {
	if i >= f.m.level {
		if i > 0 {
			return Value{}, errIndex
		}
		return Value{Text: f.Text()}, nil
	}
	switch c := f.m.caps[i]; c.length {
	case unfinished:
		return Value{}, errUnfinished
	case position:
		return Value{Position: c.start + 1, IsPosition: true}, nil
	default:
		return Value{Text: f.m.s[c.start : c.start+c.length]}, nil
	}
}

// specials are the octets that make a pattern more than a text.
const specials = "^$*+?.([%-"

// IsPlain tells whether a pattern is a text that stands for itself.
func IsPlain(p string) bool { return !strings.ContainsAny(p, specials) }

// Find returns the first match of p in s that starts at octet init or later,
// counting from 0, or nil. A caret at the start of p binds it to init.
func Find(s, p string, init int) (*Match, error) {
	m := newMatcher(s, p)
	from, anchored := 0, strings.HasPrefix(p, "^")
	if anchored {
		from = 1
	}
	for at := init; at <= len(s); at++ {
		if end := m.start(at, from); end >= 0 {
			return &Match{at, end, m}, nil
		}
		if m.err != nil {
			return nil, m.err
		}
		if anchored || !m.step() {
			break
		}
	}
	return nil, m.err
}

// An Iterator finds the matches of a pattern one after the other, as gmatch
// does: a caret has no meaning, and an empty match moves on by an octet.
type Iterator struct {
	s, p string
	at   int
}

// NewIterator returns an iterator that begins at the start of s.
func NewIterator(s, p string) *Iterator { return &Iterator{s: s, p: p} }

// Next returns the next match, or nil after the last.
func (it *Iterator) Next() (*Match, error) {
	m := newMatcher(it.s, it.p)
	for at := it.at; at <= len(it.s); at++ {
		end := m.start(at, 0)
		if m.err != nil {
			return nil, m.err
		}
		if end < 0 {
			continue
		}
		it.at = end
		if end == at {
			it.at++
		}
		return &Match{at, end, m}, nil
	}
	it.at = len(it.s) + 1
	return nil, nil
}

// String is the value as text.
func (v Value) String() string {
	if v.IsPosition {
		return strconv.Itoa(v.Position)
	}
	return v.Text
}
