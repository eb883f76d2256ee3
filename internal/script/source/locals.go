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
func ScanLocals(text string) Locals {
	var s localScan
	for _, t := range spans(text) {
		s.read(t)
	}
	return s.Locals
}

// A localScan reads the tokens of a chunk one by one.
type localScan struct {
	Locals
	depth        int
	declaring    bool   // in the names behind a local of the top level
	before, last string // the two tokens before
}

func (s *localScan) read(t span) {
	s.values = s.values || s.returns > 0 && t.text != ";"
	if t.kind == Word {
		s.Words = appendNew(s.Words, t.text)
	}
	switch {
	case s.declares(t.text):
		s.Declared = appendNew(s.Declared, t.text)
	case s.depth > 0 || t.text == "function":
	case t.text == "return":
		s.returns = t.to()
	}
	if t.kind == Word || t.kind == Mark {
		s.depth += nesting[t.text]
	}
	s.before, s.last = s.last, t.text
}

// declares tells whether a token is the name of a local of the top level where it is
// declared.
func (s *localScan) declares(token string) bool {
	if s.depth > 0 || token == "function" || token == "return" {
		return s.depth == 1 && s.before == "local" && s.last == "function"
	}
	s.declaring = s.last == "local" || s.declaring && (s.last == "," || token == ",")
	return s.declaring && token != ","
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
