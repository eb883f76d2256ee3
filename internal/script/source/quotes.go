package source

import (
	"slices"
	"strings"
)

// OpenQuote finds out in what call a command ends within quotes: the function, the
// number of the argument from 0, and what was typed of its last word.
func OpenQuote(text string) (function string, argument int, typed string) {
	type call struct {
		function string
		commas   int
	}
	var (
		calls     []call
		path      string
		separated = true // the next word begins a path
	)
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		at += n
		switch {
		case kind == Quoted && at == len(text):
			typed = token[1:]
			typed = typed[strings.LastIndexFunc(typed, func(r rune) bool { return r > 127 || !isWord(byte(r)) })+1:]
			if path != "" { // option 'NO_
				return path, 0, typed
			}
			for _, c := range slices.Backward(calls) {
				if c.function != "" {
					return c.function, c.commas, typed
				}
			}
			return "", 0, typed
		case kind == Word && separated:
			path, separated = token, false
			continue
		case kind == Word && strings.HasSuffix(path, "."):
			path += token
			continue
		case token == "." && path != "":
			path += token
			continue
		case strings.ContainsAny(token, "({[") && kind == Mark:
			calls = append(calls, call{function: strings.TrimSuffix(path, ".")})
			if token == "[" { // a key
				calls[len(calls)-1].function = ""
			}
		case strings.ContainsAny(token, ")}]") && kind == Mark && len(calls) > 0:
			calls = calls[:len(calls)-1]
		case token == "," && len(calls) > 0:
			calls[len(calls)-1].commas++
		case kind == Space:
			separated = separated || path != ""
			if !strings.HasPrefix(token, "--") {
				continue
			}
		}
		path, separated = "", true
	}
	return "", 0, ""
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
