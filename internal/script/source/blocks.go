package source

import "strings"

// Boundaries lists the ends of lines at which a command could be complete: the
// first, the last, and those outside of brackets, blocks, texts and comments.
// Compiling at each line instead would take the square of their number.
func Boundaries(text string) (ends []int) {
	depth := 0
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		at += n
		switch {
		case token == "\n":
			if depth <= 0 || len(ends) == 0 {
				ends = append(ends, at)
			}
		case kind == Word || kind == Mark:
			depth += nesting[token]
		}
	}
	if n := len(text); n > 0 && (len(ends) == 0 || ends[len(ends)-1] != n) {
		ends = append(ends, n)
	}
	return ends
}

// nesting is what words and marks add to the depth of blocks and brackets.
// (while and for are counted by their do.)
var nesting = map[string]int{
	"function": 1, "do": 1, "if": 1, "repeat": 1, "(": 1, "[": 1, "{": 1,
	"end": -1, "until": -1, ")": -1, "]": -1, "}": -1,
}

// GoesOn tells whether text begins with what can follow an expression, but begin no
// statement.
func GoesOn(text string) bool {
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		at += n
		switch kind {
		case Space:
		case Quoted:
			return true
		case Word:
			return token == "and" || token == "or"
		default:
			return token != "#" && token != ";" && !strings.HasPrefix(text[at-n:], "::")
		}
	}
	return false
}
