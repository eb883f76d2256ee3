package script

import "strings"

// blank tells whether a text is only space and whole comments. (As an
// expression it would compile and print nil.)
func blank(text string) bool {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		comment, ok := strings.CutPrefix(text, "--")
		if !ok {
			return text == ""
		}
		if level := longBracket(comment); level >= 0 {
			_, after, closed := strings.Cut(comment, "]"+strings.Repeat("=", level)+"]")
			if !closed {
				return false
			}
			text = after
			continue
		}
		_, text, _ = strings.Cut(comment, "\n")
	}
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
