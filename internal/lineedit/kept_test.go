package lineedit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestKeptLines(t *testing.T) {
	home := t.TempDir()
	env := func(set map[string]string) func(string) string { return func(name string) string { return set[name] } }
	for _, c := range []struct {
		set  map[string]string
		path string
	}{
		{map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/kresc/history"},
		{map[string]string{"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/kresc/history"},
		{map[string]string{"HOME": "/h"}, "/h/.local/state/kresc/history"},
		{map[string]string{"HOME": "relative"}, ""},
		{nil, ""},
	} {
		if got := OpenKept(env(c.set)).path; got != c.path {
			t.Errorf("%v: %q, want %q", c.set, got, c.path)
		}
	}
	none := OpenKept(env(nil))
	none.Add("x")
	if got := none.Load(); got != nil {
		t.Errorf("without a file: %q", got)
	}
	h := OpenKept(env(map[string]string{"HOME": home}))
	for i := range 2*HistoryLines + 1 {
		h.Add(fmt.Sprint(i))
	}
	h.Add(fmt.Sprint(2 * HistoryLines)) // repeated
	h.Add(" not to be kept")
	if err := os.Chmod(h.path, 0o644); err != nil {
		t.Fatal(err)
	}
	h.Add("last")
	if info, err := os.Stat(h.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	got := h.Load()
	if len(got) != HistoryLines || got[len(got)-1] != "last" || got[len(got)-2] != fmt.Sprint(2*HistoryLines) {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-2:])
	}
	if text, _ := os.ReadFile(h.path); strings.Count(string(text), "\n") != HistoryLines {
		t.Errorf("the file has %d lines after it was cut", strings.Count(string(text), "\n"))
	}
	if info, err := os.Stat(h.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after it was cut: %v, %v; want mode 0600", info.Mode(), err)
	}
}
