package script

import (
	"strings"
	"sync"

	lua "github.com/Shopify/go-lua"
)

// A checker only compiles, on a machine of its own, so that reading input
// never waits for the owner goroutine.
type checker struct {
	mu sync.Mutex
	l  *lua.State
}

func newChecker() *checker { return &checker{l: lua.NewState()} }

// verdict tells what a text is.
type verdict int

const (
	complete verdict = iota // compiles
	wrong                   // does not, whatever follows
	short                   // could compile if more followed
)

func (c *checker) judge(text string) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := wrong
	for _, form := range readings(text) {
		switch err := c.compile(form.text); {
		case err == "":
			return complete
		case strings.HasSuffix(err, "near <eof>"):
			result = short
		}
	}
	return result
}

// compile returns the machine's message, or "".
func (c *checker) compile(text string) (msg string) {
	defer c.l.SetTop(0)
	if err := lua.LoadBuffer(c.l, text, "=?", "t"); err == nil {
		return ""
	}
	if msg, _ = c.l.ToValue(-1).(string); msg == "" {
		msg = "syntax error"
	}
	return msg
}

// Split cuts console input. It returns the shortest prefix of whole lines that
// compiles and what follows it. wait means that nothing can be run before more
// input comes, because the text only ends too early. A text with an error is
// given back so that running it shows the error: its first line if that is
// wrong already, else all of it, since the lines after a wrong one in the
// middle of a function are no commands.
func (vm *VM) Split(text string) (chunk, rest string, wait bool) {
	for end := 0; end < len(text); {
		next := strings.IndexByte(text[end:], '\n')
		last := next < 0
		if last {
			next = len(text) - end - 1
		}
		first := end == 0
		end += next + 1
		switch vm.checker.judge(text[:end]) {
		case complete:
			return strings.TrimSuffix(text[:end], "\n"), text[end:], false
		case wrong:
			if first {
				return strings.TrimSuffix(text[:end], "\n"), text[end:], false
			}
			return strings.TrimSuffix(text, "\n"), "", false
		}
	}
	return "", text, text != ""
}

// Incomplete tells whether text only ends too early to compile.
func (vm *VM) Incomplete(text string) bool { return vm.checker.judge(text) == short }
