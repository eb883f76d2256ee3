package wording

import "testing"

func TestWordsHaveTheirArticles(t *testing.T) {
	for word, want := range map[string]string{"table": "a table", "action": "an action", "userdata": "a userdata", "nil": "nil"} {
		if got := WithArticle(word); got != want {
			t.Errorf("WithArticle(%q) = %q, want %q", word, got, want)
		}
	}
}
