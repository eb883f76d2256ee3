package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Workers that hang. Each worker that serves says every limits.AliveEvery that it
// answers a question of its own. One that falls silent is looked at: if it does
// nothing either, it was stopped or its threads wait for each other, and it is killed,
// so that a sibling answers what waits in its sockets (custody.go) and another process
// takes its place. One whose watchdog runs, and knows that the rest does not, says that
// itself, and is killed at once, whatever is hidden of its threads.
//
// A silence has other reasons, too. It is measured on a clock that stands while this
// process does not run, so that a machine that was suspended, or a whole group that was
// stopped, is no reason. A worker that runs, wants to run, or waits for a disk gets more
// time. One that a debugger holds is left alone.

// aliveness is what is known of a worker's being alive.
type aliveness struct {
	spoke  bool          // has said that it serves or is alive, and was not killed for its silence
	heard  time.Duration // when it last did, on the group's own clock
	seen   activity      // what it did when its silence was noticed
	looked bool          // seen is of this silence
	traced bool          // it was told that a debugger holds it
}

// heardOf takes note of a worker that says that it is alive.
func (s *group) heardOf(w *worker) {
	w.alive = aliveness{spoke: true, heard: s.lived}
}

// live moves the group's own clock on by the time since its last tick, of which no more
// counts than a tick that is late by as much as it may be.
func (s *group) live(now time.Time) {
	if !s.ticked.IsZero() {
		s.lived += min(now.Sub(s.ticked), 2*limits.AliveLook)
	}
	s.ticked = now
}

// findHung kills the workers that hang.
func (s *group) findHung() {
	for _, w := range s.serving() {
		silence := s.lived - w.alive.heard
		if !w.alive.spoke || silence < s.HangTime/2 {
			continue
		}
		if !w.alive.looked {
			w.alive.looked, w.alive.seen = true, w.activity()
			continue
		}
		if silence >= s.HangTime {
			s.judge(w, silence)
		}
	}
}

// judge decides about a worker that has been silent for longer than it may.
func (s *group) judge(w *worker, silence time.Duration) {
	now := w.activity()
	switch {
	case now.tracer != 0:
		if !w.alive.traced {
			s.Log.Warn(fmt.Sprintf("worker %d (pid %d) answers nothing, and is left alone, because process %d traces it", w.slot.id, w.pid, now.tracer))
		}
		w.alive.traced = true
		return
	case (now.busy || now.used-w.alive.seen.used > limits.AliveIdle) && silence < max(limits.HangBusy, s.HangTime):
		return
	}
	s.killHung(w, fmt.Sprintf("it has not said that it is alive for %.1f s", silence.Seconds()))
}

// hangs handles that a worker says of itself that it hangs.
func (s *group) hangs(w *worker, why string) {
	if w.state == ready && w.alive.spoke && s.HangTime > 0 && w.activity().tracer == 0 {
		s.killHung(w, why)
	}
}

func (s *group) killHung(w *worker, why string) {
	s.Log.Error(fmt.Sprintf("worker %d (pid %d) hangs: %s; it is killed, and another answers what waits in its sockets", w.slot.id, w.pid, why))
	s.kill(w)
	w.alive.spoke = false // once
}

// activity is what a process does.
type activity struct {
	used   time.Duration // of processors, in all
	busy   bool          // a thread of it runs, wants to, or waits for a disk
	tracer int           // the process that traces it, 0 for none
}

// activity looks at what a worker does. One that has given up its privileges is hidden
// in /proc where the system hides other processes, so its status was opened before. That
// tells of its first thread alone, and whether all are stopped; a worker whose other
// threads cannot be seen passes for busy unless they are.
func (w *worker) activity() (a activity) {
	a.used = processorTime(w.pid)
	status := make([]byte, 4096)
	n, _ := w.status.ReadAt(status, 0)
	state := valueOf(status[:n], "State")
	a.busy = isBusy(state)
	a.tracer, _ = strconv.Atoi(valueOf(status[:n], "TracerPid"))
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.pid))
	if len(threads) == 0 {
		a.busy = !strings.HasPrefix(state, "T")
	}
	for _, path := range threads {
		text, _ := os.ReadFile(path)
		a.busy = a.busy || isBusy(valueOf(text, "State"))
	}
	return a
}

// isBusy tells whether a thread of that state has, or awaits, what it is not its own fault
// to wait for: a processor or a disk.
func isBusy(state string) bool { return strings.HasPrefix(state, "R") || strings.HasPrefix(state, "D") }

// valueOf is a line of a status of /proc, without its name.
func valueOf(status []byte, name string) string {
	_, rest, _ := strings.Cut("\n"+string(status), "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// processorTime is what all threads of a process have used, by the clock that the kernel
// has for it (clock_getcpuclockid(3)); 0 where there is none.
func processorTime(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
