package bindings

import (
	"testing"
	"time"
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
	// What came due while the command ran, and was moved by it, waits again.
	w.expect(step{"id = event.after(0, function() print('late') end) worker.sleep(0.03) return tostring(event.reschedule(id, 1 * hour))", "true"})
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

func TestAnErrorRemovesTheEvent(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"id = event.recurrent(1, function() error('broken', 0) end)", ""})
	w.eventually("the error", func() bool { return w.err.String() == "error: broken\n" })
	w.expect(step{"event.cancel(id)", "false\n"})
	time.Sleep(20 * time.Millisecond)
	w.do(nothing)
	if got := w.err.String(); got != "error: broken\n" {
		t.Errorf("it ran on: %q", got)
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
