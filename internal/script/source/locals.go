package source

import (
	"slices"
	"strings"
)

// Locals are what the words of a chunk tell about its locals.
type Locals struct {
	Declared []string // at the top level, each once
	Words    []string // all, each once
	returns  int      // where the word return ends that ends the chunk; 0: there is none
	values   bool     // that returns something
}

// ScanLocals reads a chunk that compiles.
func ScanLocals(text string) (f Locals) {
	var (
		depth        int
		declaring    bool // in the names behind a local of the top level
		before, last string
	)
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		at += n
		if kind == Space {
			continue
		}
		f.values = f.values || f.returns > 0 && token != ";"
		if kind == Word {
			f.Words = appendNew(f.Words, token)
		}
		switch {
		case depth == 1 && before == "local" && last == "function":
			f.Declared = appendNew(f.Declared, token)
		case depth > 0 || token == "function":
		case token == "return":
			f.returns = at
		case last == "local" || declaring && last == ",":
			declaring = true
			f.Declared = appendNew(f.Declared, token)
		case token != ",":
			declaring = false
		}
		if kind == Word || kind == Mark {
			depth += nesting[token]
		}
		before, last = last, token
	}
	return f
}

func appendNew(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

// WithClosure lets a chunk return a function with its locals as upvalues, before what
// it returns itself.
func (f Locals) WithClosure(text string) string {
	closure := " function() return " + strings.Join(f.Declared, ", ") + " end"
	if f.returns == 0 {
		return text + "\nreturn" + closure
	}
	if f.values {
		closure += ","
	}
	return text[:f.returns] + closure + text[f.returns:]
}

// Within puts a command inside of declarations of names, on one line with its first.
func Within(names []string, body string) string {
	text := "return function(...) " + body + "\nend"
	if len(names) > 0 {
		text = "local " + strings.Join(names, ", ") + " " + text
	}
	return text
}
