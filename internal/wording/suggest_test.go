package wording

import "testing"

func TestSuggest(t *testing.T) {
	known := []string{"size", "storage", "max_ttl", "min_ttl", "clear"}
	for word, want := range map[string]string{
		"sise": "size", "siez": "size", "Size": "size", "storge": "storage", "mx_tll": "max_ttl", "xyz": "", "": "", "s": "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
