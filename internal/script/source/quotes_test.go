package source

import "testing"

// In each command the quote at the end belongs to the call, the argument and the word
// that are told.
func TestTheCallOfAnOpenQuote(t *testing.T) {
	for _, c := range []struct {
		text, function string
		argument       int
		typed          string
	}{
		{"mode('st", "mode", 0, "st"},
		{"option 'NO_", "option", 0, "NO_"},
		{"a.b.c(1, x, 'y", "a.b.c", 2, "y"},
		{"f({ 'a', 'b c", "f", 0, "c"},
		{"f(1, { 'a', g(2), 'b", "f", 1, "b"},
		{"f(t['k", "f", 0, "k"},
		{"x = y 'z", "y", 0, "z"},
		{"a. b 'z", "b", 0, "z"},
		{"a .b 'z", "b", 0, "z"},
		{"f(1) 'z", "", 0, "z"},
		{"x = 'done' .. 'z", "", 0, "z"},
		{"f --[[ c ]] 'z", "", 0, "z"},
		{"f(1", "", 0, ""},
	} {
		function, argument, typed := OpenQuote(c.text)
		if function != c.function || argument != c.argument || typed != c.typed {
			t.Errorf("%s: %q, %d, %q; want %q, %d, %q", c.text, function, argument, typed, c.function, c.argument, c.typed)
		}
	}
}
