package script

import (
	"slices"
	"strings"

	"kresd/internal/reference"
	"kresd/internal/script/source"
)

// SetWords gives the words of a vocabulary, of those that entries of package reference
// offer for text in quotes. For the owner goroutine, which also calls list.
func (vm *VM) SetWords(vocabulary string, list func() []string) { vm.words[vocabulary] = list }

// offered are the words that text in quotes at the end of a command may become.
func (vm *VM) offered(_ *Call, text string) []string {
	function, argument, typed := source.OpenQuote(text)
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

// beginningWith are the words that begin as typed, in order; where none does, those
// that do so in other letters.
func beginningWith(typed string, words []string) (list []string) {
	var loosely []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			list = append(list, w)
		} else if len(w) >= len(typed) && strings.EqualFold(w[:len(typed)], typed) {
			loosely = append(loosely, w)
		}
	}
	if len(list) == 0 {
		list = loosely
	}
	slices.Sort(list)
	return slices.Compact(list)
}
