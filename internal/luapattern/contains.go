package luapattern

import (
	"strings"

	"kresd/internal/limits"
)

// Contains tells whether p matches anywhere in s. It allocates nothing and takes
// few steps, for short subjects on the way of a query.
func Contains(s, p string) (bool, error) {
	p, _, _ = strings.Cut(p, "\x00")
	m := matcher{s: s, p: p, steps: limits.NamePatternSteps}
	from, anchored := 0, strings.HasPrefix(p, "^")
	if anchored {
		from = 1
	}
	for at := 0; at <= len(s); at++ {
		if m.start(at, from) >= 0 {
			return true, nil
		}
		if m.err != nil || anchored || !m.step() {
			break
		}
	}
	return false, m.err
}
