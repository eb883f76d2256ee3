package command

import (
	"sort"
	"strings"
	"sync"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/source"
)

// A checker only compiles, on a machine of its own, so that reading input
// never waits for the owner goroutine.
type checker struct {
	mu sync.Mutex
	l  *lua.State
}

func newChecker() *checker { return &checker{l: lua.NewState()} }

// completeness tells whether a text can be run as it is.
type completeness int

const (
	complete completeness = iota // compiles
	wrong                        // does not, whatever follows
	short                        // could compile if more followed
)

func (c *checker) judge(text string) completeness {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := wrong
	for _, form := range source.Readings(text) {
		switch err := c.compile(form.Text); {
		case err == "":
			return complete
		case strings.HasSuffix(err, "near <eof>"):
			result = short
		}
	}
	return result
}

// isValue tells whether a text is an expression, as a command, or nothing at all.
func (c *checker) isValue(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, form := range source.Readings(text) {
		if c.compile(form.Text) == "" {
			return form.Value || source.Blank(text)
		}
	}
	return false
}

// compiles tells whether a text is a chunk as it stands.
func (c *checker) compiles(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compile(text) == ""
}

// firstWrong is where the first word or mark of a text stands with which it cannot
// compile, whatever follows; -1 when there is none.
func (c *checker) firstWrong(text string) int {
	if c.judge(text) != wrong {
		return -1
	}
	var begins, ends []int
	for at := 0; at < len(text); {
		n, kind := source.WholeToken(text[at:])
		if kind != source.Space {
			begins, ends = append(begins, at), append(ends, at+n)
		}
		at += n
	}
	// Once wrong, a text stays wrong.
	i := sort.Search(len(ends), func(i int) bool { return c.judge(text[:ends[i]]) == wrong })
	if i == len(begins) {
		return -1
	}
	return begins[i]
}

// compile returns the machine's message, or "". A text on which the machine
// panics counts as wrong, and gets a new machine for the next.
func (c *checker) compile(text string) (msg string) {
	defer func() {
		if v := recover(); v != nil {
			c.l, msg = lua.NewState(), "the machine cannot read this"
		}
	}()
	defer c.l.SetTop(0)
	if err := lua.LoadBuffer(c.l, text, "=?", "t"); err == nil {
		return ""
	}
	if msg, _ = c.l.ToValue(-1).(string); msg == "" {
		msg = "syntax error"
	}
	return msg
}
