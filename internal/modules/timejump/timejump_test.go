package timejump

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/limits"
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

// A jump of the system's own clock was never seen: both readings were monotonic ones.
func TestWhatTheClockShowsIsCompared(t *testing.T) {
	w := &watch{host: &module.Host{Clock: clock.Real()}}
	if w.checkpoint(); w.wall != w.wall.Round(0) {
		t.Errorf("%v has a monotonic reading, by which it is compared", w.wall)
	}
}

// moved is a watch whose clock was moved since the checkpoint, and what it did and said.
func moved(t *testing.T, by time.Duration) (w *watch, cleared *forgetful, said *[]string) {
	t.Helper()
	said, cleared = &[]string{}, &forgetful{}
	w = &watch{host: &module.Host{Clock: clock.Real(), Cache: cleared, Warn: func(l string) { *said = append(*said, l) }}}
	w.checkpoint()
	w.wall = w.wall.Add(-by)
	return w, cleared, said
}

// Up to its limit a difference is left to NTP; beyond it, it is told once.
func TestHowFarIsAJump(t *testing.T) {
	for _, c := range []struct {
		by     time.Duration
		clears int
		says   string
	}{
		{limits.ClockJump, 0, ""}, {-limits.ClockJump, 0, ""},
		{limits.ClockJump + time.Nanosecond, 0, "ahead by 10m0s"}, {-limits.ClockJump - time.Nanosecond, 1, "back by 10m0s: the cache is cleared"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, cleared, said := moved(t, c.by)
			time.Sleep(3 * time.Hour) // which both clocks show
			w.look()
			w.look()
			if text := strings.Join(*said, ""); cleared.times != c.clears || !strings.HasSuffix(text, c.says) || (text == "") != (c.says == "") {
				t.Errorf("%v: cleared %d times, said %q", c.by, cleared.times, text)
			}
		})
	}
}

// The module looks each minute, until its end.
func TestTheModuleLooksEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, cleared, _ := moved(t, -time.Hour)
		times := func(pass time.Duration) int {
			time.Sleep(pass)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return cleared.times
		}
		w.arm()
		for minute := range 3 {
			if n := times(interval - time.Nanosecond); n != minute {
				t.Errorf("before the end of minute %d: cleared %d times", minute+1, n)
			}
			if n := times(time.Nanosecond); n != minute+1 {
				t.Errorf("after minute %d: cleared %d times", minute+1, n)
			}
			w.mu.Lock()
			w.wall = w.wall.Add(time.Hour)
			w.mu.Unlock()
		}
		w.close()
		if n := times(time.Hour); n != 3 {
			t.Errorf("after its end: cleared %d times", n)
		}
		if w.arm(); w.timer.Stop() {
			t.Error("it looks again after its end")
		}
	})
}

// A module that was just opened finds no jump, and looks by itself.
func TestAModuleThatWasOpenedWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		inst, err := Module().Open(&module.Host{Clock: clock.Real(), Cache: &forgetful{}, Warn: func(string) { looked++ }})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * interval)
		if synctest.Wait(); looked != 0 {
			t.Errorf("%d jumps", looked)
		}
		inst.Close()
	})
}
