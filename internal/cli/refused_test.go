package cli

import (
	"strings"
	"testing"
)

// What cannot be meant is refused in words, none of them Go's.
func TestWrongCommandLinesAreRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--log-format="}, "'text', 'json' or 'logfmt' is required"},
		{[]string{"--quiet=5"}, "option '--quiet' takes no argument"},
		{[]string{"--noninter=no"}, "option '--noninteractive' takes no argument"},
	} {
		_, err := Parse(c.args)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
