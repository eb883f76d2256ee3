package script

import (
	"strings"

	"kresd/internal/limits"
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
func (vm *VM) Split(text string) (chunk, rest string, wait bool) {
	if strings.Contains(strings.TrimSuffix(text, "\n"), "\n") && vm.checker.judge(text) == complete && !vm.expressions(text) {
		return strings.TrimSuffix(text, "\n"), "", false
	}
	return vm.first(text)
}

// first is Split for text that is not one chunk.
func (vm *VM) first(text string) (chunk, rest string, wait bool) {
	read := 0
	for i, end := range boundaries(text) {
		if read += end; read > splitBudget {
			end = len(text)
		}
		switch vm.checker.judge(text[:end]) {
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
func (vm *VM) expressions(text string) bool {
	for n := 0; ; n++ {
		chunk, rest, wait := vm.first(text)
		if wait || goesOn(rest) || !vm.checker.isValue(chunk) {
			return false
		}
		if text = rest; blank(text) {
			return n > 0
		}
	}
}

// lastShown is the reading of a chunk whose last line is an expression, of which the
// value is shown as if it had been typed alone, where it has one.
func (vm *VM) lastShown(text string) (r reading, ok bool) {
	ends := boundaries(text)
	for i := len(ends) - 2; i >= 0; i-- {
		before, last := text[:ends[i]], text[ends[i]:]
		if blank(last) {
			continue
		}
		// With a second value it is no tail call, which tracebacks could not tell of.
		r = reading{text: before + "return " + last + "\n, nil", value: true, quiet: true}
		return r, !goesOn(last) && vm.checker.compiles(before)
	}
	return r, false
}

// Incomplete tells whether text only ends too early to compile.
func (vm *VM) Incomplete(text string) bool { return vm.checker.judge(text) == short }

// boundaries lists the ends of lines at which a command could be complete: the
// first, the last, and those outside of brackets, blocks, texts and comments.
// Compiling at each line instead would take the square of their number.
func boundaries(text string) (ends []int) {
	depth := 0
	for at := 0; at < len(text); {
		n, kind := scanToken(text[at:])
		token := text[at : at+n]
		at += n
		switch {
		case token == "\n":
			if depth <= 0 || len(ends) == 0 {
				ends = append(ends, at)
			}
		case kind == word || kind == mark:
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

// goesOn tells whether text begins with what can follow an expression, but begin no
// statement.
func goesOn(text string) bool {
	for at := 0; at < len(text); {
		n, kind := scanToken(text[at:])
		token := text[at : at+n]
		at += n
		switch kind {
		case space:
		case quoted:
			return true
		case word:
			return token == "and" || token == "or"
		default:
			return token != "#" && token != ";" && !strings.HasPrefix(text[at-n:], "::")
		}
	}
	return false
}
