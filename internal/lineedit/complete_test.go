package lineedit

import "testing"

func TestHistory(t *testing.T) {
	var h history
	for _, line := range []string{"a", "", "b", "b", " secret", "c"} {
		h.Add(line)
	}
	if h.Len() != 3 || h.At(0) != "c" || h.At(1) != "b" || h.At(2) != "a" {
		t.Errorf("remembered %q", h.lines)
	}
	for range HistoryLines {
		h.Add("x")
		h.Add("y")
	}
	if h.Len() != HistoryLines || h.At(0) != "y" {
		t.Errorf("%d lines are remembered, the latest %q", h.Len(), h.At(0))
	}
}

func TestColumns(t *testing.T) {
	words := []string{"a", "bbbb", "c", "d", "e"}
	for width, want := range map[int]string{
		0: "a\nbbbb\nc\nd\ne\n", 12: "a     d\nbbbb  e\nc\n", 18: "a     c     e\nbbbb  d\n", 80: "a     bbbb  c     d     e\n",
	} {
		if got := columns(words, width); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
}

func TestWordStart(t *testing.T) {
	for text, want := range map[string]int{"": 0, "cache.cl": 0, "print(cache.cl": 6, "x:up": 0, "option('NO_0X": 8, "a b": 2, "ü": 2, "5+": 2} {
		if got := WordStart(text); got != want {
			t.Errorf("%q: the word begins at %d, want %d", text, got, want)
		}
	}
	if got := commonPrefix([]string{"abcd", "abx", "abc"}); got != "ab" {
		t.Errorf("common prefix %q", got)
	}
}
