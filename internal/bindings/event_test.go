package bindings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/script"
)

// quiet checks that no event ran after the machine had the time for it.
func (w *world) quiet(what, want string) {
	w.t.Helper()
	time.Sleep(30 * time.Millisecond) // for what must not happen there is no event to wait for
	w.do(nothing)
	if got := w.out.String(); got != want {
		w.t.Errorf("%s: printed %q, want %q", what, got, want)
	}
}

func TestAfterRunsOnceWithItsID(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"id = event.after(1, function(...) print(select('#', ...), ... == id) end)", ""})
	w.eventually("the event", func() bool { return w.out.String() == "1\ttrue\n" })
	w.expect(step{"event.cancel(id)", "false\n"}, step{"event.reschedule(id, 5)", "false\n"})
	w.quiet("after its end", "1\ttrue\n")
	w.out.take()
	w.expectFile("event.after(0, function() print('next turn') end)\nprint('file')", "")
	w.eventually("the event of a file", func() bool { return w.out.String() == "file\nnext turn\n" })
}

// An operator had to wait for a minute until a callback that loops was ended, and could not
// cancel its event meanwhile.
func TestAnEventThatLoopsIsCancelled(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"n = 0 id = event.recurrent(1, function() while true do pcall(function() n = n + 1 end) end end)", ""})
	w.eventually("the loop", func() bool { return w.eval("return tostring(n > 0)") == "true" })
	w.expect(step{"event.cancel(id)", "true\n"}, step{"m = n event.cancel(id)", ""}, step{"return tostring(n == m)", "true"})
	if got := w.err.String(); !strings.Contains(got, "error: ended: its event was cancelled\nstack traceback:") {
		t.Errorf("printed %q", got)
	}
}

// A callback that cancels its own event, or whose event is cancelled while it sleeps, runs to
// its end.
func TestACancelledEventsCallbackRunsOn(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"own = event.recurrent(1, function(id) event.cancel(id) for i = 1, 1e4 do end print('own') end)", ""})
	w.eventually("the end of its own", func() bool { return strings.Contains(w.out.String(), "own\n") })
	w.expect(step{"other = event.recurrent(1, function(id) asleep = true worker.sleep(0.05) print('slept') end)", ""})
	w.eventually("the sleep", func() bool { return w.eval("return tostring(asleep)") == "true" })
	w.expect(step{"event.cancel(other)", "true\n"})
	w.eventually("the end of the sleep", func() bool { return strings.Contains(w.out.String(), "slept\n") })
}

// An event whose callback waits is not called again before that has returned, and then for
// what came meanwhile.
func TestACallbackThatWaitsIsNotCalledAgain(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"inside, most, n = 0, 0, 0 id = event.recurrent(1, function() inside = inside + 1 most = math.max(most, inside) n = n + 1 worker.sleep(0.03) inside = inside - 1 end)", ""})
	w.eventually("some calls", func() bool { return w.eval("return tostring(n >= 4)") == "true" })
	w.expect(step{"event.cancel(id)", "true\n"}, step{"return tostring(most)", "1"})
	w.eventually("the last call ends", func() bool { return w.eval("return tostring(inside)") == "0" })
	w.expect(step{"m = 0 once = event.after(1, function(e) m = m + 1 if m == 1 then event.reschedule(e, 1) worker.sleep(0.05) end end)", ""})
	w.eventually("both calls", func() bool { return w.eval("return tostring(m)") == "2" })
	w.eventually("the end", func() bool { return w.eval("event.cancel(once)") == "false\n" })
	w.expect(step{"gone = event.recurrent(1, function(e) k = (k or 0) + 1 worker.sleep(0.03) event.cancel(e) end)", ""})
	w.expect(step{"worker.sleep(0.2) return tostring(k)", "1"}, step{"event.cancel(gone)", "false\n"})
}

func TestRecurrentRunsAtOnceAndAgain(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"id = event.recurrent(1 * hour, function(e) print('Hi', e == id) end)", ""})
	w.eventually("the first run", func() bool { return w.out.String() == "Hi\ttrue\n" })
	w.expect(step{"event.cancel(id)", "true\n"}, step{"event.cancel(id)", "false\n"})
	w.out.take()
	w.expect(step{"n = 0 event.recurrent(1, function(e) n = n + 1 if n == 5 then print(n, event.cancel(e), event.cancel(e)) end end)", ""})
	w.eventually("five runs", func() bool { return w.out.String() == "5\ttrue\tfalse\n" })
	w.quiet("after cancelling itself", "5\ttrue\tfalse\n")
	w.out.take()
	w.expect(step{"id = event.recurrent(0, function() print('once') end)", ""})
	w.eventually("the only run", func() bool { return w.out.String() == "once\n" })
	w.expect(step{"event.cancel(id)", "false\n"})
}

// Ten thousands of timers that were due at once, or armed themselves again without
// pause, kept the console from answering for nine seconds.
func TestACommandGetsItsTurnBetweenTimers(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"n = 0 for i = 1, 30000 do event.after(0, function() if not hurry then for j = 1, 2000 do end end n = n + 1 end) end", ""})
	start := time.Now()
	w.expect(step{"return tostring(n < 30000)", "true"})
	if took := time.Since(start); took > time.Second {
		t.Errorf("a command waited %v", took)
	}
	w.expect(step{"hurry = true", ""})
	w.eventually("the end of all timers", func() bool { return w.eval("n") == "30000\n" })
	w.expect(step{"again = true function arm() if again then event.after(0, arm) end end for i = 1, 1000 do arm() end", ""})
	start = time.Now()
	w.expect(step{"again = false", ""})
	if took := time.Since(start); took > time.Second {
		t.Errorf("a command waited %v for timers that arm themselves", took)
	}
}

func TestReschedule(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"id = event.after(1 * hour, function() print('soon') end)", ""},
		step{"event.reschedule(id, 1)", "true\n"},
	)
	w.eventually("the event that was moved", func() bool { return w.out.take() == "soon\n" })
	w.expect(step{"event.cancel(id)", "false\n"})
	// What came due while the file ran, and was moved by it, waits again.
	w.expectFile("id = event.after(0, function() print('late') end) worker.sleep(0.03) assert(event.reschedule(id, 1 * hour))", "")
	w.quiet("a moved event", "")
	w.expect(step{"event.cancel(id)", "true\n"})
	// Inside of its callback it keeps the event alive.
	w.expect(step{"left = 3 id = event.after(1, function(e) left = left - 1 print(left) if left > 0 then event.reschedule(e, left) end end)", ""})
	w.eventually("three runs", func() bool { return w.out.String() == "2\n1\n0\n" })
	w.expect(step{"event.reschedule(id, 1)", "false\n"})
	w.out.take()
	// A recurrent event is none any more.
	w.expect(step{"runs = 0 id = event.recurrent(1, function(e) runs = runs + 1 if runs == 1 then event.reschedule(e, 1) else print(runs) end end)", ""})
	w.eventually("the last run", func() bool { return w.out.String() == "2\n" })
	w.quiet("after the last run", "2\n")
	w.expect(step{"event.cancel(id)", "false\n"})
}

func TestIDsAreReused(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"a = event.after(1 * hour, print) b = event.after(1 * hour, print) return tostring(a ~= b)", "true"},
		step{"event.cancel(a)", "true\n"},
		step{"event.after(1 * hour, print) == a", "true\n"},
		// The old firing of a reused id must not run the new event.
		step{"c = event.after(0, function() print('old') end) event.cancel(c) d = event.after(1 * hour, function() print('new') end) return tostring(c == d)", "true"},
	)
	w.quiet("a cancelled firing", "")
	w.expect(step{"event.after(1, function(e) event.cancel(e) print(event.after(1 * hour, print) == e) end) and nil", "nil\n"})
	w.eventually("the event", func() bool { return w.out.String() == "true\n" })
}

// An error ends neither the worker nor the event. The log gets it with place and
// traceback, and not at each time.
func TestAnErrorEndsNoEvent(t *testing.T) {
	w := newWorld(t)
	w.expectFile("n = 0\nlocal function inner() error('broken') end\nid = event.recurrent(1, function()\n n = n + 1 inner() end)", "")
	w.eventually("five runs", func() bool { return w.eval("return tostring(n >= 5)") == "true" })
	w.expect(step{"event.cancel(id)", "true\n"})
	got := w.err.String()
	if !strings.HasPrefix(got, "error: config:2: broken\nstack traceback:\n") || !strings.Contains(got, "config:4: in ") {
		t.Errorf("the log has %q", got)
	}
	if n := strings.Count(got, "broken"); n != 1 {
		t.Errorf("the log has it %d times within a minute", n)
	}
	w.err.take()
	w.expect(step{"id = event.after(0, function() error({}) end)", ""})
	w.eventually("the report of an error of another event", func() bool { return strings.HasPrefix(w.err.String(), "error: (error object is a table value)\nstack") })
	w.expect(step{"event.cancel(id)", "false\n"})
	// A callback that reschedules its event before it fails has it run again.
	w.expect(step{"n = 0 id = event.after(0, function(e) n = n + 1 if n < 3 then event.reschedule(e, 0) end error('x', 0) end)", ""})
	w.eventually("three runs", func() bool { return w.eval("return n") == "3" })
	w.expect(step{"event.cancel(id)", "false\n"})
}

func TestEventsAreBounded(t *testing.T) {
	w := newWorld(t, func(d *Daemon) { d.Counters = &limits.Counters{} })
	w.expectFile("all = {} pcall(function() for i = 1, 1e6 do all[i] = event.after(day, print) end end)", "")
	w.expect(
		step{"return #all", fmt.Sprint(limits.LuaEvents)},
		step{"event.after(0, print)", fmt.Sprintf("ERROR error: there are %d events already", limits.LuaEvents)},
	)
	if n := w.d.Counters.Get(limits.Events); n != 2 {
		t.Errorf("the counter shows %d", n)
	}
	w.expectFile("for _, id in ipairs(all) do event.cancel(id) end event.after(day, print)", "")
	if n := w.d.Alarms.Len(); n != 1 {
		t.Errorf("%d alarms are left of cancelled events", n)
	}
}

// inherited is a pipe of which a script may know the reading end.
func inherited(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func TestADescriptorCallsWhenItCanBeRead(t *testing.T) {
	w := newWorld(t)
	r, wr := inherited(t)
	read := func() {
		var b [8]byte
		_, _ = unix.Read(r, b[:])
	}
	w.expect(step{fmt.Sprintf("id = event.socket(%d, function(...) print(...) end) return tostring(event.reschedule(id, 5))", r), "false"})
	w.quiet("nothing to read", "")
	w.do(func(*script.Call) error { _, _ = unix.Write(wr, []byte("x")); return nil })
	w.eventually("activity", func() bool { return strings.HasPrefix(w.out.String(), "1\t0\t1\n") })
	w.do(func(*script.Call) error { read(); return nil })
	w.eventually("the end of the calls that were under way", func() bool { return w.out.take() == "" })
	w.quiet("all is read", "")
	w.expect(step{"event.cancel(id)", "true\n"}, step{"event.cancel(id)", "false\n"})
	_, _ = unix.Write(wr, []byte("x"))
	w.quiet("the event is cancelled", "")
	read()
	// What fails goes on, too.
	w.expect(step{fmt.Sprintf("n = 0 id = event.socket(%d, function() n = n + 1 error('broken', 0) end)", r), ""})
	_, _ = unix.Write(wr, []byte("x"))
	w.eventually("the second call after an error", func() bool { return w.eval("return tostring(n > 1)") == "true" })
	w.expect(step{"event.cancel(id)", "true\n"})
}

// A descriptor whose other end is gone is ready for good. It is told in peace.
func TestADescriptorThatIsHungUpIsToldNowAndThen(t *testing.T) {
	w := newWorld(t)
	r, wr := inherited(t)
	unix.Close(wr)
	w.expect(step{fmt.Sprintf("n = 0 event.socket(%d, function(id, status, events) n = n + 1 last = status .. events end)", r), ""})
	w.eventually("two calls", func() bool { return w.eval("return tostring(n >= 2)") == "true" })
	w.expect(step{"return last", "01"}, step{"return tostring(n < 1000)", "true"})
}

func TestDescriptorsThatCannotBeWatched(t *testing.T) {
	w := newWorld(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(plain)
	w.expect(
		step{fmt.Sprintf("event.socket(%d, print)", plain), fmt.Sprintf("ERROR error: descriptor %d is a file, which is always ready; pipes, sockets and terminals can be watched", plain)},
		step{fmt.Sprintf("event.socket(%d, print)", file.Fd()), fmt.Sprintf("ERROR error: descriptor %d belongs to the resolver itself", file.Fd())},
		step{"event.socket(1e6, print)", "ERROR error: descriptor 1000000 is not open"},
		step{"event.socket(-1, print)", "ERROR error: bad argument #1 to 'event.socket'…"},
		step{"event.socket(0)", "ERROR error: wrong number of arguments to 'event.socket'…"},
		step{"event.socket(0, 'x')", "ERROR error: bad argument #2 to 'event.socket' (function expected, got string)…"},
		step{"event.socket('x', print)", "ERROR error: bad argument #1 to 'event.socket' (number expected, got string)…"},
	)
	w.expect(step{"event.cancel(1)", "false\n"}) // of what failed, no event is left
}

// A command that sleeps lets others have the machine; a callback only what is urgent.
func TestSleepStepsAsideInACommand(t *testing.T) {
	w := newWorld(t)
	done := make(chan string)
	go func() { done <- w.eval("slept = true worker.sleep(60) return 'woken'") }()
	w.eventually("the command that sleeps", func() bool { return w.eval("return tostring(slept)") == "true" })
	w.expect(step{"1 + 1", "2\n"}, step{"event.after(0, function() print('timer') end) and nil", "nil\n"})
	w.eventually("a timer beside it", func() bool { return w.out.String() == "timer\n" })
	w.vm.Close()
	if got := <-done; got != "ERROR the Lua machine is closed" {
		t.Errorf("a machine that ends says %q", got)
	}
}

func TestEventArguments(t *testing.T) {
	w := newWorld(t)
	const afterUsage = "; usage: event.after(ms, function)"
	w.expect(
		step{"event.after(5)", "ERROR error: wrong number of arguments to 'event.after'" + afterUsage},
		step{"event.after('x', print)", "ERROR error: bad argument #1 to 'event.after' (number expected, got string)" + afterUsage},
		step{"event.after(5, 'x')", "ERROR error: bad argument #2 to 'event.after' (function expected, got string)" + afterUsage},
		step{"event.after(-1, print)", "ERROR error: bad argument #1…"},
		step{"event.after(0/0, print)", "ERROR error: bad argument #1…"},
		step{"event.after(1/0, print)", "ERROR error: bad argument #1…"},
		step{"event.after(1e15, print)", "ERROR error: bad argument #1…"},
		step{"event.recurrent(5)", "ERROR error: wrong number of arguments to 'event.recurrent'…"},
		step{"event.recurrent(-5, print)", "ERROR error: bad argument #1…"},
		step{"event.cancel()", "ERROR error: wrong number of arguments to 'event.cancel'…"},
		step{"event.cancel('x')", "ERROR error: bad argument #1 to 'event.cancel' (number expected, got string)…"},
		step{"event.cancel(99)", "false\n"},
		step{"event.cancel(0/0)", "ERROR error: bad argument #1 to 'event.cancel' (the whole number of an event expected, got nan)…"},
		step{"event.cancel(-1)", "false\n"},
		step{"event.cancel(1.5)", "ERROR error: bad argument #1 to 'event.cancel' (the whole number of an event expected, got 1.5)…"},
		step{"event.cancel(1e300)", "false\n"},
		step{"event.reschedule(99)", "ERROR error: wrong number of arguments to 'event.reschedule'…"},
		step{"event.reschedule(99, 'x')", "ERROR error: bad argument #2 to 'event.reschedule' (number expected, got string)…"},
		step{"event.reschedule(99, 5)", "false\n"},
		step{"event.cancle = 5", "ERROR error: unknown option 'event.cancle'; did you mean 'event.cancel'?"},
	)
	w.expectFile("\nevent.after(5)", "config:2: error: wrong number of arguments…")
	w.expect(step{"(5).cancel", "function: …"}, step{"(5).nothing", "nil\n"})
}
