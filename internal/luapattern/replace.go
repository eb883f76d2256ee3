package luapattern

import (
	"strings"

	"kresd/internal/limits"
)

// ErrTooLarge is the error for a result that is larger than the Lua machine
// allows a string to be.
const ErrTooLarge = Error("resulting string too large")

// Replace replaces up to limit matches of p in s, all of them if limit is
// negative, by what with returns for each, and counts them. When with returns
// false, the match stays.
func Replace(s, p string, limit int, with func(*Match) (string, bool, error)) (out string, n int, err error) {
	m := newMatcher(s, p)
	from, anchored := 0, strings.HasPrefix(p, "^")
	if anchored {
		from = 1
	}
	var b strings.Builder
	at := 0
	for limit < 0 || n < limit {
		end := m.start(at, from)
		if m.err != nil {
			return "", 0, m.err
		}
		if end >= 0 {
			n++
			if err := add(&b, &Match{at, end, m}, with); err != nil {
				return "", 0, err
			}
		}
		switch {
		case end > at:
			at = end
		case at < len(s):
			b.WriteByte(s[at])
			at++
		default:
			return b.String(), n, nil
		}
		if anchored {
			limit = n // a caret fits only once
		}
	}
	b.WriteString(s[at:])
	return b.String(), n, nil
}

func add(b *strings.Builder, f *Match, with func(*Match) (string, bool, error)) error {
	text, ok, err := with(f)
	if err != nil {
		return err
	}
	if !ok {
		text = f.Text()
	}
	if b.Len()+len(text) > limits.LuaString {
		return ErrTooLarge
	}
	b.WriteString(text)
	return nil
}

// Expand fills a replacement text: %0 is the match, %1 to %9 a capture, and %
// before any other octet that octet.
func (f *Match) Expand(template string) (string, error) {
	if strings.IndexByte(template, '%') < 0 {
		return template, nil
	}
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		i++
		text, err := f.expandOne(template, i)
		if err != nil {
			return "", err
		}
		if b.Len()+len(text) > limits.LuaString {
			return "", ErrTooLarge
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// expandOne is what % and the octet at i stand for. At the end of the text
// that octet is a zero, as in C.
func (f *Match) expandOne(template string, i int) (string, error) {
	if i == len(template) {
		return "\x00", nil
	}
	switch c := template[i]; {
	case c == '0':
		return f.Text(), nil
	case isDigit(c):
		v, err := f.value(int(c - '1'))
		return v.String(), err
	}
	return template[i : i+1], nil
}
