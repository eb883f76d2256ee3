package logging

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"kresd/internal/limits"
)

// appendSafe appends one line of a message. What would do something else than being
// read (end the line, move the cursor, hide what stands before) is written by the
// numbers of its octets, \DDD as in names (RFC 1035, section 5.1); what exceeds
// limits.LogLine is cut.
func appendSafe(b []byte, line string) []byte {
	line, more := cutLine(line)
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
	return append(b, more...)
}

// cutLine is the part of a line that is written, and what stands for the rest.
func cutLine(line string) (part, more string) {
	if len(line) <= limits.LogLine {
		return line, ""
	}
	return line[:limits.LogLine], "..."
}

// cutLines is a message each of whose lines is cut as a line of text is.
func cutLines(msg string) string {
	if len(msg) <= limits.LogLine {
		return msg
	}
	lines := strings.Split(msg, "\n")
	for i, line := range lines {
		part, more := cutLine(line)
		lines[i] = part + more
	}
	return strings.Join(lines, "\n")
}

// appendJSONString appends a string as JSON has it (RFC 8259, section 7). What a
// terminal would obey is escaped beyond what JSON asks for, since people read these
// lines, too; octets that are no UTF-8 are U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, "\\u%04x\\u%04x", high, low)
		default:
			b = fmt.Appendf(b, "\\u%04x", r)
		}
	}
	return append(b, '"')
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
