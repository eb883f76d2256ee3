package source

import (
	"regexp"
	"strconv"
	"strings"
)

// The machine notices that something is missing when it reads what comes next, which
// may stand lines further down, or be the end of the text: its message then has the
// line of the next token. Here it gets the line that lacks something.

var (
	// missing are messages about what should stand before the token that they name.
	missing = regexp.MustCompile(`^(?:.* expected(?: \(to close .*\))?|syntax error) near '(.*)'$`)
	// jump is the message about a goto, whose place stands at its end.
	jump = regexp.MustCompile(`^(no visible label '.*' for )<(goto)> at line (\d+)$`)
)

// PlaceSyntaxError gives a message about the syntax of text the place of the mistake.
func PlaceSyntaxError(msg, text, chunk string) string {
	prefix := Shown(chunk) + ":"
	rest, ok := strings.CutPrefix(msg, prefix)
	digits, what, found := strings.Cut(rest, ": ")
	line, err := strconv.Atoi(digits)
	if !ok || !found || err != nil {
		return msg
	}
	if m := jump.FindStringSubmatch(what); m != nil {
		return prefix + m[3] + ": " + m[1] + m[2]
	}
	return prefix + strconv.Itoa(mistakeLine(what, text, line)) + ": " + what
}

// mistakeLine is the line to look at for a message that the machine has for line.
func mistakeLine(what, text string, line int) int {
	if strings.HasPrefix(what, "unfinished long ") {
		return min(line, lastLine(text))
	}
	if strings.HasSuffix(what, "near <eof>") {
		last, _, _ := tokenAt(text, strings.Count(text, "\n")+2)
		return min(line, last)
	}
	m := missing.FindStringSubmatch(what)
	if m == nil || strings.HasPrefix(what, "<eof> expected") {
		return line
	}
	before, first, ok := tokenAt(text, line)
	if !ok || first != m[1] && strings.Trim(first, `"'`) != m[1] {
		return line
	}
	return before
}

// lastLine is the line in which the last token begins, or the last comment.
func lastLine(text string) int {
	for at := 0; ; {
		n, _ := Token(text[at:])
		if at += n; at >= len(text) {
			return 1 + strings.Count(text[:at-n], "\n")
		}
	}
}

// tokenAt is the first token that begins at line or below it, and the line in which
// the one before it ends, 1 when there is none.
func tokenAt(text string, line int) (before int, token string, ok bool) {
	before = 1
	for at, now := 0, 1; at < len(text); {
		n, kind := Token(text[at:])
		token = text[at : at+n]
		if kind != Space && now >= line {
			return before, token, true
		}
		at += n
		now += strings.Count(token, "\n")
		if kind != Space {
			before = now
		}
	}
	return before, "", false
}
