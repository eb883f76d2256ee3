// Package sidebyside runs scripts in Debian's lua5.1 and luajit, and compares what these
// print with what the machine of package script prints. It is for tests alone.
package sidebyside

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Compare runs each script of a directory as a test of its own: here, which returns what
// the script at a path prints in our machine, and in the others. A line has to be what one of these
// prints: where they differ, either is right. The first line of a script may name the
// machines that can run it: "-- machines: luajit".
func Compare(t *testing.T, dir string, here func(t *testing.T, script string) string) {
	scripts, err := filepath.Glob(filepath.Join(dir, "*.lua"))
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts in ", dir, err)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			var others [][]string
			for _, machine := range machinesOf(string(text)) {
				others = append(others, printedBy(t, machine, script))
			}
			compareLines(t, comparable(here(t, script)), others)
		})
	}
}

func machinesOf(text string) []string {
	first, _, _ := strings.Cut(text, "\n")
	if names, ok := strings.CutPrefix(first, "-- machines: "); ok {
		return strings.Fields(names)
	}
	return []string{"lua5.1", "luajit"}
}

func printedBy(t *testing.T, machine, script string) []string {
	path, err := exec.LookPath(machine)
	if err != nil {
		t.Fatalf("%s is missing, with which scripts are compared: make testdeps", machine)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, script)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", machine, script, err, out)
	}
	return comparable(string(out))
}

// wordings are how messages may differ: ours name the library of a function, and end
// with how it is used.
var wordings = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`; usage: .*?\)`), ""},
	{regexp.MustCompile(`to '[^']*'`), "to a function"},
	{regexp.MustCompile(`\(value expected\)|, got no value\)`), "(no value)"},
}

// comparable are the lines of an output without what may differ.
func comparable(output string) []string {
	for _, w := range wordings {
		output = w.pattern.ReplaceAllString(output, w.plain)
	}
	return strings.Split(strings.TrimRight(output, "\n"), "\n")
}

func compareLines(t *testing.T, got []string, others [][]string) {
	for i, line := range got {
		var want []string
		for _, lines := range others {
			if i < len(lines) {
				want = append(want, lines[i])
			}
		}
		if !slices.Contains(want, line) {
			t.Errorf("line %d\n got %s\nwant %s", i+1, line, strings.Join(want, "\n  or "))
		}
	}
	if len(got) != len(others[0]) {
		t.Errorf("%d lines, want %d", len(got), len(others[0]))
	}
}
