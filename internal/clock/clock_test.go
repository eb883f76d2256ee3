package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func env(path string) func(string) string {
	return func(name string) string {
		if name == OffsetFileVar {
			return path
		}
		return ""
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestOffsetFileShiftsTheWallClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offset")
	put(t, path, "-358153214\n")
	c, err := FromEnv(env(path))
	if err != nil {
		t.Fatal(err)
	}
	near := func(want int64) bool { d := c.Unix() - time.Now().Unix() - want; return d > -5 && d < 5 }
	if !c.Shifted() || !near(-358153214) {
		t.Fatalf("offset -358153214 was not applied: %v", c.Now())
	}
	before := c.Mono()
	put(t, path, "+0\n")
	deadline := time.Now().Add(5 * time.Second)
	for !near(0) {
		if time.Now().After(deadline) {
			t.Fatal("a replaced offset file was not noticed")
		}
		time.Sleep(time.Millisecond)
	}
	if d := c.Mono() - before; d < 0 || d > time.Minute {
		t.Errorf("the monotonic clock moved by %v with the offset", d)
	}
	put(t, path, "garbage")
	time.Sleep(3 * offsetAge)
	if !near(0) {
		t.Error("an unreadable offset did not keep the last value")
	}
}

func TestOffsetFileMustHoldANumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offset")
	if _, err := FromEnv(env(path)); err == nil {
		t.Error("a missing offset file was accepted")
	}
	put(t, path, "soon")
	if _, err := FromEnv(env(path)); err == nil {
		t.Error("an offset file without a number was accepted")
	}
}

func TestUnshiftedWithoutTheVariable(t *testing.T) {
	c, err := FromEnv(func(string) string { return "" })
	if err != nil || c.Shifted() {
		t.Errorf("FromEnv without variables: shifted %v, %v", c.Shifted(), err)
	}
}

func TestTimersFollowAJumpWhenToldTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offset")
	put(t, path, "+0\n")
	c, err := FromEnv(func(name string) string { return map[string]string{OffsetFileVar: path, OffsetTimersVar: "1"}[name] })
	if err != nil || !c.TimersFollow() {
		t.Fatalf("timers follow: %v, %v", c.TimersFollow(), err)
	}
	fired, stopped := make(chan struct{}), make(chan struct{})
	c.AfterFunc(30*24*time.Hour, func() { close(fired) })
	held := c.AfterFunc(30*24*time.Hour, func() { close(stopped) })
	if !held.Stop() || held.Stop() {
		t.Error("Stop does not tell whether the call would have come")
	}
	select {
	case <-fired:
		t.Fatal("fired before the clock jumped")
	case <-time.After(3 * followStep):
	}
	put(t, path, "+2592001\n") // thirty days and a second
	select {
	case <-fired:
	case <-time.After(5 * time.Second):
		t.Fatal("a jump of thirty days did not fire what was due")
	}
	select {
	case <-stopped:
		t.Error("a stopped timer fired")
	default:
	}
}

func TestBootIsTheSameForAllClocks(t *testing.T) {
	a := Real()
	time.Sleep(20 * time.Millisecond) // the clocks differ in age
	b := Real()
	if d := (b.Boot() - a.Boot()).Abs(); d > time.Second {
		t.Errorf("two clocks differ by %v", d)
	}
	if d := b.Mono() - a.Mono(); d > -20*time.Millisecond {
		t.Errorf("Mono counts from %v before the clock was made", d)
	}
	f := NewFake(time.Unix(100, 0))
	before := f.Boot()
	f.Advance(time.Minute)
	if f.Boot() != before+time.Minute {
		t.Error("a fake clock's Boot does not follow")
	}
}
