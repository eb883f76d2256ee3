package wording

import "strconv"

// Printable shows octets that are no text by their numbers, and at most 80 of them.
func Printable(text string) string {
	quoted := strconv.QuoteToASCII(text[:min(len(text), 80)])
	return quoted[1 : len(quoted)-1]
}
