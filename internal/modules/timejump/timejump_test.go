package timejump

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/module"
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

// forgetful is a cache that counts how often it is cleared.
type forgetful struct {
	module.Cache
	times int
	err   error
}

func (c *forgetful) Clear() (int, error) { c.times++; return 0, c.err }

func TestOnlyALongJumpBackClearsTheCache(t *testing.T) {
	c, shift := shifted(t)
	cleared, lines := &forgetful{}, []string{}
	w := &watch{host: &module.Host{Clock: c, Cache: cleared, Warn: func(l string) { lines = append(lines, l) }}}
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
		if cleared.times != step.cleared {
			t.Errorf("offset %s: cleared %d times, want %d", step.offset, cleared.times, step.cleared)
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, step.says) || (step.says == "") != (got == "") {
			t.Errorf("offset %s: log %q, want %q in it", step.offset, got, step.says)
		}
	}
}

// Where no cache is open there is nothing to clear; any other failure is told.
func TestACacheThatCannotBeClearedIsTold(t *testing.T) {
	for _, tc := range []struct {
		err  error
		says string
	}{
		{cache.ErrClosed, "back by 1h0m0s: the cache is cleared"},
		{errors.New("disk on fire"), "could not be cleared: disk on fire"},
	} {
		c, shift := shifted(t)
		said := ""
		w := &watch{host: &module.Host{Clock: c, Cache: &forgetful{err: tc.err}, Warn: func(l string) { said = l }}}
		w.checkpoint()
		shift("-3600")
		w.look()
		if !strings.HasPrefix(said, "detect_time_jump: ") || !strings.Contains(said, tc.says) {
			t.Errorf("%v: the log says %q, want %q in it", tc.err, said, tc.says)
		}
	}
}
