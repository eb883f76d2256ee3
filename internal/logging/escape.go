package logging

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"kresd/internal/limits"
)

// appendSafe appends one line of a message. What would do something else than being
// read (end the line, move the cursor, hide what stands before) is written by the
// numbers of its octets, \DDD as in names (RFC 1035, section 5.1); what exceeds
// limits.LogLine is cut.
func appendSafe(b []byte, line string) []byte {
	cut := len(line) > limits.LogLine
	if cut {
		line = line[:limits.LogLine]
	}
	for len(line) > 0 {
		r, n := utf8.DecodeRuneInString(line)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) && r != '\t' {
			for i := range n {
				b = fmt.Appendf(b, "\\%03d", line[i])
			}
		} else {
			b = append(b, line[:n]...)
		}
		line = line[n:]
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}

// A Stack is what a panic leaves behind. It is the one value that is written in full:
// it comes from nobody outside.
type Stack string

// String is the text.
func (s Stack) String() string { return string(s) }

// shortened is the text of a value, of at most limits.LogValue octets.
func shortened(v any) string {
	text := textOf(v)
	if _, whole := v.(Stack); whole || len(text) <= limits.LogValue {
		return text
	}
	return text[:limits.LogValue] + "..."
}
