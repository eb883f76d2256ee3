package luapattern

// classEnd returns where the single-octet item at p ends: an octet, an escape
// or a set.
func (m *matcher) classEnd(p int) int {
	c := m.p[p]
	p++
	switch c {
	case '%':
		if p == len(m.p) {
			return m.fail(errEscape)
		}
		return p + 1
	case '[':
		return m.setEnd(p)
	}
	return p
}

// setEnd returns the place after the bracket that closes a set whose inside
// begins at p. A closing bracket at its very start is a member.
func (m *matcher) setEnd(p int) int {
	if p < len(m.p) && m.p[p] == '^' {
		p++
	}
	for first := true; first || p >= len(m.p) || m.p[p] != ']'; first = false {
		if p >= len(m.p) {
			return m.fail(errBracket)
		}
		c := m.p[p]
		p++
		if c == '%' && p < len(m.p) {
			p++
		}
	}
	return p + 1
}

// fits tells whether the octet at s matches the item between p and end.
func (m *matcher) fits(s, p, end int) bool {
	if s >= len(m.s) {
		return false
	}
	c := m.s[s]
	switch m.p[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.p[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	}
	return m.p[p] == c
}

// inSet tells whether c is in the set whose brackets are at p and last.
func (m *matcher) inSet(c byte, p, last int) bool {
	m.steps -= (last - p) / 8
	member := true
	p++
	if m.p[p] == '^' {
		member = false
		p++
	}
	for ; p < last; p++ {
		switch {
		case m.p[p] == '%':
			p++
			if inClass(c, m.p[p]) {
				return member
			}
		case m.p[p+1] == '-' && p+2 < last:
			if m.p[p] <= c && c <= m.p[p+2] {
				return member
			}
			p += 2
		case m.p[p] == c:
			return member
		}
	}
	return !member
}

// inClass tells whether c belongs to the class of a letter after %; an upper
// case letter means all but those; every other octet stands for itself.
func inClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isLetter(c)
	case 'c':
		in = c < 0x20 || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'g':
		in = c > 0x20 && c < 0x7f
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > 0x20 && c < 0x7f && !isLetter(c) && !isDigit(c)
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isLetter(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isLetter(class) {
		return class == c
	}
	return in == (class >= 'a')
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
