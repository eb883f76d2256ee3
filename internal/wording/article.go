package wording

import "strings"

// WithArticle puts "a" or "an" before a word, as it is spoken.
func WithArticle(word string) string {
	if word != "" && strings.ContainsRune("aeioAEIO", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
