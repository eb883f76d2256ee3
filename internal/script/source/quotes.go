package source

import (
	"slices"
	"strings"
)

// OpenQuote finds out in what call a command ends within quotes: the function, the
// number of the argument from 0, and what was typed of its last word.
func OpenQuote(text string) (function string, argument int, typed string) {
	var s openCalls
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		if at += n; kind == Quoted && at == len(text) {
			function, argument = s.innermost()
			return function, argument, lastWord(token[1:])
		}
		s.read(token, kind)
	}
	return "", 0, ""
}

// lastWord is what a text ends with that can be part of a word.
func lastWord(text string) string {
	return text[strings.LastIndexFunc(text, func(r rune) bool { return r > 127 || !isWord(byte(r)) })+1:]
}

// openCalls are the calls and other brackets that a command has not closed.
type openCalls struct {
	open []openCall
	path string // that ended just now: a function, if a bracket or a quote follows
	gap  bool   // there was space behind the path
}

type openCall struct {
	function string // "" for what is no call
	commas   int
}

// innermost is the call that a quote belongs to, and the number of its argument.
func (s *openCalls) innermost() (function string, argument int) {
	if s.path != "" { // option 'NO_
		return s.path, 0
	}
	for _, c := range slices.Backward(s.open) {
		if c.function != "" {
			return c.function, c.commas
		}
	}
	return "", 0
}

func (s *openCalls) read(token string, kind Kind) {
	switch {
	case kind == Space && !strings.HasPrefix(token, "--"):
		s.gap = s.gap || s.path != ""
	case s.continues(token, kind):
		s.path += token
	case kind == Word && (s.path == "" || s.gap):
		s.path, s.gap = token, false
	default:
		s.bracket(token, kind)
		s.path, s.gap = "", false
	}
}

// continues tells whether a token is a further part of the path.
func (s *openCalls) continues(token string, kind Kind) bool {
	if kind == Word {
		return strings.HasSuffix(s.path, ".") && !s.gap
	}
	return token == "." && s.path != ""
}

// bracket reads what opens a call, closes one, or begins an argument.
func (s *openCalls) bracket(token string, kind Kind) {
	switch {
	case kind != Mark:
	case token == "(" || token == "{":
		s.open = append(s.open, openCall{function: strings.TrimSuffix(s.path, ".")})
	case token == "[": // a key
		s.open = append(s.open, openCall{})
	case len(s.open) == 0:
	case token == ")" || token == "}" || token == "]":
		s.open = s.open[:len(s.open)-1]
	case token == ",":
		s.open[len(s.open)-1].commas++
	}
}

// InQuotes tells whether text ends within a string or a comment.
func InQuotes(text string) bool {
	const probe = "x"
	text += probe
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		if at += n; at == len(text) {
			return kind != Word
		}
	}
	return false
}
