package script

import "strings"

// A tokenKind tells the tokens of Lua source apart.
type tokenKind int

const (
	space tokenKind = iota // and comments
	word
	quoted
	mark
)

// scanToken reads the token at the start of text, which is not empty.
func scanToken(text string) (n int, kind tokenKind) {
	switch c := text[0]; {
	case strings.HasPrefix(text, "--"):
		return commentLength(text), space
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		return 1, space
	case c == '"' || c == '\'':
		return quotedLength(text), quoted
	case c == '[' && longBracket(text) >= 0:
		return longLength(text), quoted
	case strings.HasPrefix(text, "=="), strings.HasPrefix(text, "<="), strings.HasPrefix(text, ">="), strings.HasPrefix(text, "~="):
		return 2, mark
	case isWord(c):
		for n < len(text) && isWord(text[n]) {
			n++
		}
		return n, word
	}
	return 1, mark
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
