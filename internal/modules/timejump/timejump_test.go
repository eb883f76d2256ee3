package timejump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/clock"
)

// shifted is a clock whose wall time a test moves while monotonic time flows.
func shifted(t *testing.T) (*clock.Clock, func(seconds string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "offset")
	set := func(seconds string) {
		if err := os.WriteFile(path+".new", []byte(seconds), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	set("+0")
	c, err := clock.FromEnv(func(name string) string {
		if name == clock.OffsetFileVar {
			return path
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(seconds string) {
		before := c.Unix()
		set(seconds)
		for d := c.Unix() - before; d > -5 && d < 5; d = c.Unix() - before {
		}
	}
}

func TestOnlyALongJumpBackClearsTheCache(t *testing.T) {
	c, shift := shifted(t)
	cleared, lines := 0, []string{}
	w := &watch{d: Daemon{Clock: c, Clear: func() error { cleared++; return nil }, Warn: func(l string) { lines = append(lines, l) }}}
	w.checkpoint()
	for _, step := range []struct {
		offset  string
		cleared int
		says    string
	}{
		{"-60", 0, ""},
		{"-31536000", 1, "set back"},
		{"-31536060", 1, ""},
		{"+31536000", 1, "ahead"},
	} {
		lines = nil
		shift(step.offset)
		w.look()
		if cleared != step.cleared {
			t.Errorf("offset %s: cleared %d times, want %d", step.offset, cleared, step.cleared)
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, step.says) || (step.says == "") != (got == "") {
			t.Errorf("offset %s: log %q, want %q in it", step.offset, got, step.says)
		}
	}
}
