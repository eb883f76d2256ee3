package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kresd/internal/limits"
)

// Workers that hang. Each worker that serves says every limits.AliveEvery that it
// answers a question of its own. One that falls silent is looked at: if it does
// nothing either, it was stopped or its threads wait for each other, and it is killed,
// so that a sibling answers what waits in its sockets (custody.go) and another process
// takes its place.
//
// A silence has other reasons, too. It is measured on a clock that stands while this
// process does not run, so that a machine that was suspended, or a whole group that was
// stopped, is no reason. A worker that runs, wants to run, or waits for a disk gets more
// time. One that a debugger holds is left alone.

// aliveness is what is known of a worker's being alive.
type aliveness struct {
	spoke  bool          // has said that it is alive, as not every version does
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
			w.alive.looked, w.alive.seen = true, activityOf(w.pid)
			continue
		}
		if silence >= s.HangTime {
			s.judge(w, silence)
		}
	}
}

// judge decides about a worker that has been silent for longer than it may.
func (s *group) judge(w *worker, silence time.Duration) {
	now := activityOf(w.pid)
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
	s.Log.Error(fmt.Sprintf("worker %d (pid %d) hangs: it has not answered a question of its own for %.1f s; it is killed, and another answers what waits in its sockets",
		w.slot.id, w.pid, silence.Seconds()))
	s.kill(w)
	w.alive.spoke = false // once
}

// activity is what a process does.
type activity struct {
	used   time.Duration // of processors, in all
	busy   bool          // a thread of it runs, wants to, or waits for a disk
	tracer int           // the process that traces it, 0 for none
}

// clockTick is the unit of processor times in /proc on every Linux system.
const clockTick = 10 * time.Millisecond

// activityOf looks at a process; what cannot be seen is nothing.
func activityOf(pid int) (a activity) {
	_, fields := statOf(fmt.Sprintf("/proc/%d/stat", pid))
	if len(fields) > 12 {
		user, _ := strconv.Atoi(fields[11]) // fields 14 and 15 of proc(5)
		system, _ := strconv.Atoi(fields[12])
		a.used = time.Duration(user+system) * clockTick
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		state, _ := statOf(path)
		a.busy = a.busy || state == "R" || state == "D"
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, ok := strings.Cut(string(status), "\nTracerPid:"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		a.tracer, _ = strconv.Atoi(strings.TrimSpace(line))
	}
	return a
}

// statOf has the state of a process or thread, and the fields of its stat from the state
// on: those behind the name, which may hold anything.
func statOf(path string) (state string, fields []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil
	}
	fields = strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) == 0 {
		return "", nil
	}
	return fields[0], fields
}
