package test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// An example is a block of code of the seed's manual, which lies outside of this tree:
// how its lines are found, and how they are tried.
type example struct {
	first  string // its first line, or how that begins
	lines  int
	digest string // of all its lines
	try    func(t *testing.T, m *seedManual, text string)
	// needs is an expression that is not nil where what the example uses is there.
	needs string
	not   string // why it is not tried, or not all of it
}

// examplesIn finds the blocks in the text, in order, and what stands between them.
func examplesIn(t *testing.T, text string, list []example) (blocks []string, between string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	var rest []string
	at := 0
	for i, e := range list {
		begin := at
		for begin < len(lines) && !strings.HasPrefix(lines[begin], e.first) {
			begin++
		}
		if begin+e.lines > len(lines) {
			t.Fatalf("example %d, which begins with %q, is not in the manual", i+1, e.first)
		}
		block := strings.Join(lines[begin:begin+e.lines], "\n")
		if got := digest(block); got != e.digest {
			t.Errorf("example %d is another one now: its digest is %s, not %s:\n%s", i+1, got, e.digest, block)
		}
		rest = append(rest, lines[at:begin]...)
		blocks = append(blocks, block)
		at = begin + e.lines
	}
	return blocks, strings.Join(append(rest, lines[at:]...), "\n")
}

// digest is short, and long enough to notice a change.
func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:8] }

// A line of a dialogue, and what the manual prints below it.
type said struct{ command, answer string }

// dialogue splits a block into commands and answers. Commands stand behind a prompt, or
// else are told by command. Lines that only comment are left out.
func dialogue(text string, command *regexp.Regexp) (list []said) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		typed, prompted := strings.CutPrefix(line, "> ")
		switch {
		case strings.HasPrefix(line, "--") || line == "":
		case prompted || command != nil && command.MatchString(line):
			list = append(list, said{command: typed})
		case len(list) > 0:
			list[len(list)-1].answer += line + "\n"
		}
	}
	return list
}

// seedText is the manual.
func seedText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(proctest.Shared(t, "reference/seed-kresd-manual.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
