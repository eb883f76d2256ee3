package command

import (
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/source"
)

// offered are the words that text in quotes at the end of a command may become.
func (in *Interpreter) offered(_ *lua.State, text string) []string {
	function, argument, typed := source.OpenQuote(text)
	e := in.Book().Find(function)
	if e == nil || argument >= len(e.Offers) {
		return nil
	}
	return beginningWith(typed, in.Vocabulary(e.Offers[argument]))
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
