// Package luapattern matches strings against the patterns of Lua 5.1
// (reference manual, section 5.4.1), which the Lua machine lacks.
//
// It agrees with LuaJIT, also in which mistakes of a pattern are noticed:
// those that the match comes across. Octets are compared, and classes are those
// of the C locale. A zero octet ends a pattern, where %z stands for it; in
// subjects and replacements it is like any other.
//
// Work is bounded: backtracking by a number of steps that grows with the
// subject, recursion by a depth that LuaJIT has too; beyond either the pattern
// is "too complex". Nothing is compiled or kept between calls.
package luapattern

import (
	"strings"

	"kresd/internal/limits"
)

// An Error is a mistake in a pattern or a replacement, in Lua's words.
type Error string

func (e Error) Error() string { return string(e) }

const (
	errComplex    = Error("pattern too complex")
	errEscape     = Error("malformed pattern (ends with '%')")
	errBracket    = Error("malformed pattern (missing ']')")
	errFrontier   = Error("missing '[' after '%f' in pattern")
	errBalance    = Error("unbalanced pattern")
	errCaptures   = Error("too many captures")
	errClose      = Error("invalid pattern capture")
	errIndex      = Error("invalid capture index")
	errUnfinished = Error("unfinished capture")
)

const (
	maxCaptures = 32
	maxDepth    = 200

	// stepsPerOctet lets simple patterns run over long subjects.
	stepsPerOctet = 32
)

// Lengths of captures that have no text.
const (
	unfinished = -1
	position   = -2
)

type capture struct{ start, length int }

// A matcher holds one subject and one pattern. A place in either is an index;
// -1 means no match.
type matcher struct {
	s, p  string
	caps  [maxCaptures]capture
	level int // how many of caps are in use
	steps int
	depth int
	err   error
}

func newMatcher(s, p string) *matcher {
	p, _, _ = strings.Cut(p, "\x00")
	return &matcher{s: s, p: p, steps: limits.LuaPatternSteps + stepsPerOctet*len(s)}
}

func (m *matcher) fail(err error) int {
	if m.err == nil {
		m.err = err
	}
	return -1
}

// step counts a piece of work and tells whether there may be more.
func (m *matcher) step() bool {
	m.steps--
	if m.steps < 0 {
		m.fail(errComplex)
	}
	return m.err == nil
}

// start matches the pattern from p on at s, with fresh captures.
func (m *matcher) start(s, p int) int {
	m.level, m.depth = 0, 0
	return m.match(s, p)
}

// match returns the end of a match of the pattern from p on at s.
func (m *matcher) match(s, p int) int {
	m.depth++
	defer func() { m.depth-- }()
	if m.depth > maxDepth {
		return m.fail(errComplex)
	}
	for p < len(m.p) && m.step() {
		done := false
		if s, p, done = m.item(s, p); done || s < 0 {
			return s
		}
	}
	if m.err != nil {
		return -1
	}
	return s
}

// item matches the item at p. It returns where to go on, or done and the
// result of the whole rest.
func (m *matcher) item(s, p int) (nextS, nextP int, done bool) {
	switch m.p[p] {
	case '(':
		if p+1 < len(m.p) && m.p[p+1] == ')' {
			return m.open(s, p+2, position), 0, true
		}
		return m.open(s, p+1, unfinished), 0, true
	case ')':
		return m.close(s, p+1), 0, true
	case '$':
		if p+1 == len(m.p) {
			if s == len(m.s) {
				return s, 0, true
			}
			return -1, 0, true
		}
	case '%':
		if p+1 < len(m.p) {
			switch c := m.p[p+1]; {
			case c == 'b':
				return m.balance(s, p+2), p + 4, false
			case c == 'f':
				return m.frontier(s, p+2)
			case '0' <= c && c <= '9':
				return m.back(s, c), p + 2, false
			}
		}
	}
	return m.single(s, p)
}

// single matches an item of one octet with its repetition.
func (m *matcher) single(s, p int) (nextS, nextP int, done bool) {
	end := m.classEnd(p)
	if m.err != nil {
		return -1, 0, true
	}
	repeat := byte(0)
	if end < len(m.p) {
		repeat = m.p[end]
	}
	switch repeat {
	case '?':
		if m.fits(s, p, end) {
			if r := m.match(s+1, end+1); r >= 0 || m.err != nil {
				return r, 0, true
			}
		}
		return s, end + 1, false
	case '*':
		return m.longest(s, p, end), 0, true
	case '+':
		if !m.fits(s, p, end) {
			return -1, 0, true
		}
		return m.longest(s+1, p, end), 0, true
	case '-':
		return m.shortest(s, p, end), 0, true
	}
	if !m.fits(s, p, end) {
		return -1, 0, true
	}
	return s + 1, end, false
}

func (m *matcher) longest(s, p, end int) int {
	n := 0
	for m.fits(s+n, p, end) && m.step() {
		n++
	}
	for ; n >= 0 && m.err == nil; n-- {
		if r := m.match(s+n, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) shortest(s, p, end int) int {
	for m.step() {
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if m.err != nil || !m.fits(s, p, end) {
			return -1
		}
		s++
	}
	return -1
}

func (m *matcher) open(s, p, length int) int {
	if m.level == maxCaptures {
		return m.fail(errCaptures)
	}
	m.caps[m.level] = capture{s, length}
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	for i := m.level - 1; i >= 0; i-- {
		if m.caps[i].length != unfinished {
			continue
		}
		m.caps[i].length = s - m.caps[i].start
		r := m.match(s, p)
		if r < 0 {
			m.caps[i].length = unfinished
		}
		return r
	}
	return m.fail(errClose)
}

// back matches what a capture holds once more.
func (m *matcher) back(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.caps[i].length == unfinished {
		return m.fail(errIndex)
	}
	c := m.caps[i]
	if c.length == position || len(m.s)-s < c.length {
		return -1
	}
	m.steps -= c.length
	if m.s[c.start:c.start+c.length] != m.s[s:s+c.length] {
		return -1
	}
	return s + c.length
}

// balance matches %bxy, whose x is at p.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.p) {
		return m.fail(errBalance)
	}
	if s >= len(m.s) || m.s[s] != m.p[p] {
		return -1
	}
	begin, end := m.p[p], m.p[p+1]
	depth := 1
	for i := s + 1; i < len(m.s) && m.step(); i++ {
		switch m.s[i] {
		case end:
			if depth--; depth == 0 {
				return i + 1
			}
		case begin:
			depth++
		}
	}
	return -1
}

// frontier matches the place between an octet outside of the set at p and one
// inside; before and after the subject stands a zero octet.
func (m *matcher) frontier(s, p int) (nextS, nextP int, done bool) {
	if p >= len(m.p) || m.p[p] != '[' {
		return m.fail(errFrontier), 0, true
	}
	end := m.classEnd(p)
	if m.err != nil {
		return -1, 0, true
	}
	var before, after byte
	if s > 0 {
		before = m.s[s-1]
	}
	if s < len(m.s) {
		after = m.s[s]
	}
	if m.inSet(before, p, end-1) || !m.inSet(after, p, end-1) {
		return -1, 0, true
	}
	return s, end, false
}
