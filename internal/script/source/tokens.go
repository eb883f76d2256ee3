package source

import (
	"regexp"
	"strings"
)

// A Kind tells the tokens of Lua source apart.
type Kind int

// The kinds of tokens.
const (
	Space Kind = iota // and comments
	Word
	Quoted
	Mark
)

// Token reads the token at the start of text, which is not empty.
func Token(text string) (n int, kind Kind) {
	switch c := text[0]; {
	case strings.HasPrefix(text, "--"):
		return commentLength(text), Space
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		return 1, Space
	case c == '"' || c == '\'':
		return quotedLength(text), Quoted
	case c == '[' && longBracket(text) >= 0:
		return longLength(text), Quoted
	case strings.HasPrefix(text, "=="), strings.HasPrefix(text, "<="), strings.HasPrefix(text, ">="), strings.HasPrefix(text, "~="):
		return 2, Mark
	case isWord(c):
		for n < len(text) && isWord(text[n]) {
			n++
		}
		return n, Word
	}
	return 1, Mark
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func commentLength(text string) int {
	if longBracket(text[2:]) >= 0 {
		return 2 + longLength(text[2:])
	}
	if n := strings.IndexByte(text, '\n'); n >= 0 {
		return n
	}
	return len(text)
}

func quotedLength(text string) int {
	for n := 1; n < len(text); n++ {
		switch text[n] {
		case '\\':
			n++
		case text[0]:
			return n + 1
		case '\n': // not closed
			return n
		}
	}
	return len(text)
}

func longLength(text string) int {
	end := "]" + strings.Repeat("=", longBracket(text)) + "]"
	if n := strings.Index(text, end); n >= 0 {
		return n + len(end)
	}
	return len(text)
}

// longBracket returns the number of equal signs of a long bracket ("[==[") at
// the start of text, or -1.
func longBracket(text string) int {
	rest, ok := strings.CutPrefix(text, "[")
	if !ok {
		return -1
	}
	inner := strings.TrimLeft(rest, "=")
	if !strings.HasPrefix(inner, "[") {
		return -1
	}
	return len(rest) - len(inner)
}

// numeral begins with a digit; behind an e it may have a sign.
var numeral = regexp.MustCompile(`^\d[\w.]*(?:[eE][+-]?\w*)?`)

// WholeToken is Token for tokens of which a part would be another one: numbers, and
// marks of several dots or colons.
func WholeToken(text string) (n int, kind Kind) {
	if n = len(numeral.FindString(text)); n > 0 {
		return n, Word
	}
	n, kind = Token(text)
	for text[0] == '.' || text[0] == ':' {
		if n == len(text) || text[n] != text[0] {
			break
		}
		n++
	}
	return n, kind
}

// A span is a token, no space, and where it stands.
type span struct {
	text       string
	kind       Kind
	from, line int
}

func (s span) to() int { return s.from + len(s.text) }

// lastLine is the line in which the token ends.
func (s span) lastLine() int { return s.line + strings.Count(s.text, "\n") }

// spans are the tokens of a text.
func spans(text string) (list []span) {
	line := 1
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		if kind != Space {
			list = append(list, span{text[at : at+n], kind, at, line})
		}
		line += strings.Count(text[at:at+n], "\n")
		at += n
	}
	return list
}

// Words are all names in a text, keywords included, in their order.
func Words(text string) (words []string) {
	for _, t := range spans(text) {
		if t.kind == Word {
			words = append(words, t.text)
		}
	}
	return words
}
