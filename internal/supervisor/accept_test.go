package supervisor

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/inforce"
	"kresd/internal/ipc"
)

// kept is a configuration of one file as a worker hands it over.
func kept(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := (&inforce.Configuration{Files: []string{path}, Code: map[string]string{path: "text"}}).Keep()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// handsOver has a worker hand a configuration over.
func handsOver(t *testing.T, s *group, w *worker, path string) {
	t.Helper()
	f := kept(t, path)
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s.message(w, ipc.Message{Kind: ipc.InForce, FDs: ipc.Descriptors{fd}})
}

// What a worker hands over counts while it starts and if it has run the files, and is what it
// should be.
func TestWhoHandsAConfigurationOver(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*worker)
		fds    int
		taken  bool
	}{
		"as it should be":              {func(*worker) {}, 1, true},
		"a worker that serves":         {func(w *worker) { w.become(ready) }, 1, false},
		"one that ran what others ran": {func(w *worker) { w.files = false }, 1, false},
		"without any":                  {func(*worker) {}, 0, false},
		"with two":                     {func(*worker) {}, 2, false},
	} {
		s := bench(1)
		w := s.beside(0, 900)
		w.files = true
		c.change(w)
		var fds ipc.Descriptors
		for range c.fds {
			f := kept(t, "config")
			fd, err := unix.Dup(int(f.Fd()))
			if f.Close(); err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		s.message(w, ipc.Message{Kind: ipc.InForce, FDs: fds})
		if (w.configuration != nil) != c.taken {
			t.Errorf("%s: taken %v", what, !c.taken)
		}
		for _, fd := range fds {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); (err == nil) != c.taken {
				t.Errorf("%s: descriptor %d is open: %v", what, fd, err == nil)
			}
		}
		w.dropConfiguration()
	}
	s := bench(1)
	w := s.beside(0, 900)
	w.files = true
	handsOver(t, s, w, "first")
	former := w.configuration
	handsOver(t, s, w, "second")
	if err := former.Close(); !errors.Is(err, os.ErrClosed) || w.configuration == nil {
		t.Errorf("of two that one hands over the first is open: %v", err)
	}
	w.dropConfiguration()
	s.message(w, ipc.Message{Kind: ipc.InForce, FDs: descriptor(t)}) // which anybody could change
	if n := handed(t); w.configuration != nil || n != 0 {
		t.Errorf("what can be changed was taken, or %d descriptors are open", n)
	}
}

// What is in force is what the first worker has run that ran the files and became ready, and
// then what the first successor of a reload has.
func TestWhatIsInForce(t *testing.T) {
	s := bench(2)
	for _, slot := range s.slots {
		slot.workers = nil
	}
	if s.filesInForce() != nil {
		t.Error("there are files in force")
	}
	step := func(id, pid int, path string) *worker {
		t.Helper()
		w := s.beside(id, pid)
		s.choose(w)
		if w.files {
			handsOver(t, s, w, path)
		}
		s.ready(w)
		return w
	}
	expect := func(w *worker, runsFiles bool, number int, path string) {
		t.Helper()
		if w.files != runsFiles || w.runs != number || s.number != number || w.configuration != nil || !slices.Equal(s.filesInForce(), []string{path}) {
			t.Errorf("process %d runs the files: %v; number %d of %d; in force: %v; want %v, %d, %s", w.pid, w.files, w.runs, s.number, s.filesInForce(), runsFiles, number, path)
		}
	}
	s.complete = true
	expect(step(0, 900, "first"), true, 1, "first")
	former := s.InForce
	expect(step(1, 901, "second"), false, 1, "first")
	s.accepting = true
	expect(step(0, 902, "third"), true, 2, "third")
	if former.Fd() != ^uintptr(0) {
		t.Error("what was in force is open still")
	}
	if s.accepting {
		t.Error("the reload would put another one in force")
	}
	expect(step(1, 903, "fourth"), false, 2, "third")

	// One that was starting when the next reload began has run what is not to be in force.
	w := s.beside(0, 904)
	w.files, w.outdated = true, true
	handsOver(t, s, w, "fifth")
	s.accepting = true
	s.ready(w)
	if s.accepting = false; w.configuration != nil || !slices.Equal(s.filesInForce(), []string{"third"}) {
		t.Errorf("in force: %v", s.filesInForce())
	}
	s.InForce.Close()
	if got := s.filesInForce(); got != nil {
		t.Errorf("what cannot be read is of the files %v", got)
	}
	for _, w := range s.workers() {
		w.closeHere()
	}
}

// While a reload has put nothing in force one worker at a time runs the files, and others what
// was in force; these are to be replaced.
func TestWhoRunsTheFiles(t *testing.T) {
	s := bench(3)
	s.number = 4
	first := s.beside(0, 900)
	if s.choose(first); !first.files || first.outdated || first.runs != 4 {
		t.Errorf("where nothing was handed over: %+v", first)
	}
	s.InForce = kept(t, "config")
	defer s.InForce.Close()
	if s.choose(first); first.files || first.outdated {
		t.Errorf("where something is in force: files %v, outdated %v", first.files, first.outdated)
	}
	if s.filesRun() != nil {
		t.Error("somebody runs files that nobody asked for")
	}
	s.accepting = true
	if s.choose(first); !first.files || first.outdated || s.filesRun() != first {
		t.Errorf("the first successor of a reload: files %v, outdated %v", first.files, first.outdated)
	}
	other := s.beside(1, 901)
	if s.choose(other); other.files || !other.outdated {
		t.Errorf("who starts beside it: files %v, outdated %v", other.files, other.outdated)
	}
	first.outdated = true
	if s.filesRun() != nil {
		t.Error("who is to be given up counts as the first")
	}
	s.accepting = false
	first.outdated = false
	if s.filesRun() != nil {
		t.Error("without a reload somebody counts as the first")
	}
}

// A reload that is refused leaves who runs what is in force, and who does not is to be
// replaced; one that starts and runs the files is told to leave its place.
func TestWhoIsOutdatedAfterARefusal(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := bench(3)
		if known {
			s.InForce = kept(t, "config")
			defer s.InForce.Close()
		}
		s.number, s.accepting = 2, true
		for id, runs := range []int{2, 1, 2} {
			s.worker(id).runs, s.worker(id).outdated = runs, true
		}
		starts := s.beside(2, 900)
		starts.runs, starts.files = 2, true
		s.refuse()
		if s.accepting {
			t.Error("the reload could still put something in force")
		}
		var outdated []bool
		for _, w := range s.workers() {
			outdated = append(outdated, w.outdated)
		}
		want := []bool{false, true, false, true}
		if !known { // every worker runs the files
			want = []bool{true, true, true, false}
		}
		if !slices.Equal(outdated, want) || (starts.state == draining) != known {
			t.Errorf("in force %v: outdated are %v, want %v; who starts is in state %d", known, outdated, want, starts.state)
		}
		s.refuse() // once more changes nothing
		for _, w := range s.workers() {
			w.closeHere()
		}
	}
}

// A reload ends with its first worker only if that runs what is to be in force, in the place of
// one that has died.
func TestWhoseEndEndsAReload(t *testing.T) {
	for what, c := range map[string]struct {
		change func(s *group, w *worker)
		ends   bool
	}{
		"the first worker":               {func(*group, *worker) {}, true},
		"where files are run by all":     {func(s *group, _ *worker) { s.InForce = nil }, false},
		"without a restart":              {func(s *group, _ *worker) { s.rolling = false }, false},
		"when something is in force":     {func(s *group, _ *worker) { s.accepting = false }, false},
		"one that runs what was":         {func(_ *group, w *worker) { w.files = false }, false},
		"one that was given up":          {func(_ *group, w *worker) { w.outdated = true }, false},
		"one that served":                {func(_ *group, w *worker) { w.served = true }, false},
		"one whose predecessor is there": {func(s *group, _ *worker) { s.arrive(0, 900) }, false},
	} {
		s := bench(2)
		defer close(s.done)
		config := kept(t, "config")
		defer config.Close()
		s.InForce, s.complete, s.rolling, s.accepting = config, true, true, true
		s.reloads.Ask()
		s.reloads.Begin()
		s.slots[0].workers = nil
		w := newWorker(s.slots[0], 800)
		w.files, w.state = true, gone
		c.change(s, w)
		rolling := s.rolling
		s.firstEnded(w, "worker 0 (pid 800) fell")
		if got := s.reloads.Errors(); (len(got) == 1) != c.ends || c.ends && got[0] != "worker 0 (pid 800) fell; the configuration in force stays" {
			t.Errorf("%s: the reload ended with %q", what, got)
		}
		if c.ends && (s.rolling || s.accepting) || !c.ends && s.rolling != rolling {
			t.Errorf("%s: rolling %v, accepting %v", what, s.rolling, s.accepting)
		}
	}
}

// What an earlier reload has left is tried again after a reload that has ended with its first
// worker.
func TestARestIsNotForgottenWithAReloadThatEnds(t *testing.T) {
	s, log := reloading(t)
	s.retry.Stop()
	s.pauseRest()
	config := kept(t, "config")
	defer config.Close()
	s.InForce, s.rolling, s.accepting = config, true, true
	s.reloads.Ask()
	s.reloads.Begin()
	s.slots[0].workers = nil
	w := newWorker(s.slots[0], 800)
	w.files, w.state = true, gone
	s.firstEnded(w, "worker 0 (pid 800) fell")
	if s.retry == nil {
		t.Fatalf("nobody tries again; log:\n%s", log)
	}
	s.retry.Stop()
}

// While a reload has put nothing in force, and while somebody starts who does not run what is, a
// restart goes on.
func TestARestartWaitsForWhoRunsTheFiles(t *testing.T) {
	for what, change := range map[string]func(s *group){
		"whose first worker has yet to start again": func(s *group) { s.accepting = true },
		"beside a worker that starts":               func(s *group) { s.beside(0, 900).outdated = true },
		"whose first worker starts":                 func(s *group) { s.accepting = true; s.beside(0, 900).files = true },
	} {
		s := bench(2)
		defer close(s.done)
		s.InForce = kept(t, "config")
		defer s.InForce.Close()
		s.complete, s.rolling = true, true
		s.slots[0].workers = nil
		s.reloads.Ask()
		s.reloads.Begin()
		change(s)
		if s.roll(); !s.rolling || s.reloads.Ended != 0 {
			t.Errorf("one %s is over: %+v", what, s.reloads)
		}
	}
}

// A restart goes on when who was started in the place of a dead worker is ready.
func TestARestartGoesOnWithAWorkerThatIsReady(t *testing.T) {
	s := bench(2)
	defer close(s.done)
	s.Count, s.complete, s.rolling, s.accepting = 2, true, true, true
	s.Workers = &Program{name: "/does/not/exist"}
	s.InForce = kept(t, "config")
	s.reloads.Ask()
	s.reloads.Begin()
	s.slots[0].workers = nil
	s.worker(1).outdated = true
	w := s.beside(0, 900)
	s.choose(w)
	handsOver(t, s, w, "next")
	s.message(w, ipc.Message{Kind: ipc.Ready})
	if got := s.reloads.Errors(); len(got) != 1 || !strings.Contains(got[0], "worker 1 (pid 101) serves on: its successor cannot be started") {
		t.Errorf("the other worker is not replaced: %q", got)
	}
	if got := s.filesInForce(); !slices.Equal(got, []string{"next"}) {
		t.Errorf("in force is %q", got)
	}
	s.InForce.Close()
	if s.retry != nil {
		s.retry.Stop()
	}
}

// The service manager is not left what is not in force any more.
func TestWhatIsNotInForceIsLeftWithNobody(t *testing.T) {
	s := bench(1)
	heard := manager(t, s)
	s.keep()
	if got := stored(heard()); !slices.Equal(got, []string{"FDSTOREREMOVE"}) {
		t.Errorf("the manager hears %q", got)
	}
}
