package wording

import "strings"

// WithArticle puts "a" or "an" before a word, as it is spoken; nil has none.
func WithArticle(word string) string {
	if word == "nil" {
		return word
	}
	if word != "" && strings.ContainsRune("aeioAEIO", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
