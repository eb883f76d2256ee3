package script

import (
	"slices"
	"strings"

	"kresd/internal/reference"
)

// SetWords gives the words of a vocabulary, of those that entries of package reference
// offer for text in quotes. For the owner goroutine, which also calls list.
func (vm *VM) SetWords(vocabulary string, list func() []string) { vm.words[vocabulary] = list }

// offered are the words that text in quotes at the end of a command may become.
func (vm *VM) offered(_ *Call, text string) []string {
	function, argument, typed := openQuote(text)
	e := vm.book.Find(function)
	if e == nil || argument >= len(e.Offers) {
		return nil
	}
	vocabulary := e.Offers[argument]
	words := reference.Vocabularies()[vocabulary]
	if list := vm.words[vocabulary]; list != nil {
		words = list()
	}
	return beginningWith(typed, words)
}

// openQuote finds out in what call a command ends within quotes: the function, the
// number of the argument from 0, and what was typed of its last word.
func openQuote(text string) (function string, argument int, typed string) {
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
		n, kind := scanToken(text[at:])
		token := text[at : at+n]
		at += n
		switch {
		case kind == quoted && at == len(text):
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
		case kind == word && separated:
			path, separated = token, false
			continue
		case kind == word && strings.HasSuffix(path, "."):
			path += token
			continue
		case token == "." && path != "":
			path += token
			continue
		case strings.ContainsAny(token, "({[") && kind == mark:
			calls = append(calls, call{function: strings.TrimSuffix(path, ".")})
			if token == "[" { // a key
				calls[len(calls)-1].function = ""
			}
		case strings.ContainsAny(token, ")}]") && kind == mark && len(calls) > 0:
			calls = calls[:len(calls)-1]
		case token == "," && len(calls) > 0:
			calls[len(calls)-1].commas++
		case kind == space:
			separated = separated || path != ""
			if !strings.HasPrefix(token, "--") {
				continue
			}
		}
		path, separated = "", true
	}
	return "", 0, ""
}
