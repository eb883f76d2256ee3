package command

import (
	"strings"

	"kresd/internal/limits"
	"kresd/internal/script/source"
)

// splitBudget bounds the octets that one Split compiles. Beyond it the text is
// taken as a whole.
const splitBudget = 64 * limits.ConsoleLine

// Split cuts console input. Text that compiles as one chunk is one, whatever its lines
// could mean alone; but where each of them is an expression, they are commands of which
// each shows its value. Of other text it returns the shortest prefix of whole lines that
// compiles, and what follows it. wait means that nothing can be run before more
// input comes, because the text only ends too early. A text with an error is
// given back so that running it shows the error: its first line if that is
// wrong already, else all of it, since the lines after a wrong one in the
// middle of a function are no commands.
func (in *Interpreter) Split(text string) (chunk, rest string, wait bool) {
	if strings.Contains(strings.TrimSuffix(text, "\n"), "\n") && in.checker.judge(text) == complete && !in.expressions(text) {
		return strings.TrimSuffix(text, "\n"), "", false
	}
	return in.first(text)
}

// Split is Interpreter.Split for what arrives: text that was not one chunk is not looked at as a
// whole again, so that each line of it is compiled a few times at most.
func (s *Session) Split(text string) (chunk, rest string, wait bool) {
	if text != s.rest {
		chunk, rest, wait = s.in.Split(text)
	} else {
		chunk, rest, wait = s.in.first(text)
	}
	s.rest = rest
	return chunk, rest, wait
}

// first is Split for text that is not one chunk.
func (in *Interpreter) first(text string) (chunk, rest string, wait bool) {
	read := 0
	for i, end := range source.Boundaries(text) {
		if read += end; read > splitBudget {
			end = len(text)
		}
		switch in.checker.judge(text[:end]) {
		case complete:
			return strings.TrimSuffix(text[:end], "\n"), text[end:], false
		case wrong:
			if i > 0 {
				end = len(text)
			}
			return strings.TrimSuffix(text[:end], "\n"), text[end:], false
		}
		if end == len(text) {
			break
		}
	}
	return "", text, text != ""
}

// expressions tells whether a chunk is several commands, each of them an expression,
// and none goes on with the one before.
func (in *Interpreter) expressions(text string) bool {
	for n := 0; ; n++ {
		chunk, rest, wait := in.first(text)
		if wait || source.GoesOn(rest) || !in.checker.isValue(chunk) {
			return false
		}
		if text = rest; source.Blank(text) {
			return n > 0
		}
	}
}

// lastShown is the reading of a chunk whose last line is an expression, of which the
// value is shown as if it had been typed alone, where it has one.
func (in *Interpreter) lastShown(text string) (r source.Reading, ok bool) {
	ends := source.Boundaries(text)
	for i := len(ends) - 2; i >= 0; i-- {
		before, last := text[:ends[i]], text[ends[i]:]
		if source.Blank(last) {
			continue
		}
		// With a second value it is no tail call, which tracebacks could not tell of.
		r = source.Reading{Text: before + "return " + last + "\n, nil", Value: true, Quiet: true}
		return r, !source.GoesOn(last) && in.checker.compiles(before)
	}
	return r, false
}

// Incomplete tells whether text only ends too early to compile.
func (in *Interpreter) Incomplete(text string) bool { return in.checker.judge(text) == short }
