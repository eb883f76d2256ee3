package wording

import (
	"strings"
	"testing"
	"time"
)

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

// What is far longer than any known word costs nothing to compare, whoever typed it.
func TestALongWordIsNotCompared(t *testing.T) {
	known := make([]string, 1000)
	for i := range known {
		known[i] = "storage"
	}
	began := time.Now()
	if got := Suggest(strings.Repeat("x", 1<<24), known); got != "" || time.Since(began) > time.Second {
		t.Errorf("suggested %q after %v", got, time.Since(began))
	}
}
