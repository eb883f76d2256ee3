package limits

import (
	"regexp"
	"testing"
)

// Who adds a limit has to say what it is called and what raises its counter.
func TestEveryLimitHasNameAndMeaning(t *testing.T) {
	var c Counters
	seen, word := map[string]bool{}, regexp.MustCompile(`^[a-z][a-z_]+$`)
	Each(func(id ID) {
		if seen[id.String()] || !word.MatchString(id.String()) || len(id.Means()) < 10 {
			t.Errorf("limit %d is called %q: %q", id, id, id.Means())
		}
		seen[id.String()] = true
		c.Hit(id)
		if c.Get(id) != 1 {
			t.Errorf("%s is not counted", id)
		}
	})
	if len(seen) != int(ids)-1 {
		t.Errorf("%d of %d limits are shown", len(seen), ids-1)
	}
	var none *Counters
	none.Hit(Pending)
	if none.Get(Pending) != 0 {
		t.Error("nil counts")
	}
}
