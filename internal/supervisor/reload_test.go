package supervisor

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/reload"
)

// A worker that starts while the configuration is checked has its program looked for; the
// check has nothing to do with that (seen with -race).
func TestACheckDoesNotRaceWithAStart(t *testing.T) {
	s := bench(1)
	s.complete, s.events = true, make(chan func())
	defer close(s.done)
	s.Find = func() (*Program, error) { return This() }
	s.Check = func(string, []string) []string { return []string{"config:1: no"} }
	s.askReload("test")
	s.find()
	for range 2 {
		event := <-s.events
		event()
	}
	if got := s.reloads.Errors(); !reflect.DeepEqual(got, []string{"config:1: no"}) {
		t.Errorf("the reload ended with %q", got)
	}
}

// A configuration is tried by the program that is going to run it, and by none if there is no
// such program.
func TestWhichProgramTriesTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	knows := script(t, filepath.Join(dir, "knows"), "echo version 8; echo "+layout)
	older := script(t, filepath.Join(dir, "older"), "echo version 8")
	present := &Program{name: script(t, filepath.Join(dir, "kresd"), "")}
	present.was, _ = fileStateOf(present.name)
	gone, next := &Program{name: filepath.Join(dir, "gone")}, &Program{name: "/next"}
	found := func() (*Program, error) { return next, nil }
	none := func() (*Program, error) { return nil, errors.New("no program") }
	for what, c := range map[string]struct {
		program string
		workers *Program
		find    func() (*Program, error)
		tries   string // by which program
		next    *Program
		upgrade bool
		mistake string // "" : what the program has found
	}{
		"all is as it was":                                 {"", present, none, present.name, nil, false, ""},
		"the workers' is another":                          {"", gone, found, "/next", next, false, ""},
		"the workers' is not known yet":                    {"", nil, found, "/next", next, false, ""},
		"the workers' is gone":                             {"", gone, none, "", nil, false, "no program" + halfReplaced},
		"both are one, and it is another":                  {knows, &Program{name: self}, none, knows, nil, true, ""},
		"the supervisor's is another":                      {knows, present, none, present.name, nil, true, ""},
		"the supervisor's is another, and finds workers'":  {knows, nil, none, "", nil, true, "-"},
		"the supervisor's is one that does not take over":  {older, present, none, "", nil, true, "is of a version that cannot take over"},
		"the supervisor's is another, the workers' is too": {knows, gone, found, gone.name, nil, true, ""},
	} {
		s := bench(1)
		s.Program, s.Find = c.program, c.find
		var tried []string
		s.Check = func(path string, files []string) []string {
			if tried = append(tried, path); !reflect.DeepEqual(files, []string{"config"}) {
				t.Errorf("%s: in force are %q", what, files)
			}
			return []string{"config:1: no"}
		}
		got := s.check(c.workers, []string{"config"})
		if strings.Join(tried, " ") != c.tries || got.workers != c.next || got.upgrade != c.upgrade {
			t.Errorf("%s: tried by %q, program %+v, upgrade %v", what, tried, got.workers, got.upgrade)
		}
		want := cmp.Or(c.mistake, "config:1: no")
		if mistakes := cmp.Or(strings.Join(got.mistakes, "\n"), "-"); !strings.Contains(mistakes, want) {
			t.Errorf("%s: %q, want %q", what, mistakes, want)
		}
	}
	if found := (&group{}).try("/next", nil); found != nil {
		t.Errorf("where nobody tries configurations: %q", found)
	}
}

// The program that was found takes the place of the workers' at a reload; where it cannot be
// executed the workers serve on, and nothing is left of the try.
func TestAReloadWithAnotherProgramOfTheWorkers(t *testing.T) {
	s := bench(2)
	defer close(s.done)
	s.Count, s.complete = 2, true
	s.reloads.Ask()
	s.reloads.Begin()
	old, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	s.Workers = &Program{name: "/old", file: old}
	next := &Program{name: "/does/not/exist"}
	before := openFiles(t)
	s.checked(checked{workers: next})
	if s.Workers != next || !errors.Is(old.Close(), os.ErrClosed) {
		t.Errorf("the program is %+v, and the old one is open", s.Workers)
	}
	want := []string{"worker 0 (pid 100) serves on: its successor cannot be started: no such file or directory"}
	if got := s.reloads.Errors(); !reflect.DeepEqual(got, want) {
		t.Errorf("the reload ended with %q, want %q", got, want)
	}
	if got := openFiles(t); len(got) != len(before)-1 {
		t.Errorf("open are %q, before %q", got, before)
	}
}

// openFiles are the names of what this process has open.
func openFiles(t *testing.T) (names []string) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		name, _ := os.Readlink("/proc/self/fd/" + e.Name())
		names = append(names, name)
	}
	return names
}

// A supervisor that has no descriptors left says so, and leaves nothing of the worker open that
// it cannot start.
func TestAWorkerForWhichThereAreNoDescriptors(t *testing.T) {
	var usual unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	var free []int // numbers
	for fd := 0; len(free) < 10; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			free = append(free, fd)
		}
	}
	s := bench(1)
	defer close(s.done)
	s.Workers = &Program{name: "/does/not/exist"}
	before := openFiles(t)
	for room, first := range free {
		limit := usual
		limit.Cur = uint64(first) // so many are below it
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		w, err := s.launch(s.slots[0])
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
			t.Fatal(err)
		}
		if w != nil || err == nil || room < 3 && !errors.Is(err, unix.EMFILE) {
			t.Errorf("room for %d: %v", room, err)
		}
		if got := openFiles(t); len(got) != len(before) {
			t.Errorf("room for %d: open are %q, before %q", room, got, before)
		}
	}
	if n := len(s.slots[0].workers); n != 1 {
		t.Errorf("the slot has %d workers", n)
	}
}

// A reload that another image has begun ends where no program is found for the workers.
func TestAReloadThatCannotGoOn(t *testing.T) {
	s := bench(1)
	defer close(s.done)
	log := &bytes.Buffer{}
	s.complete, s.resumed, s.Log = true, true, logging.New(logging.Options{Out: log})
	s.reloads.Ask()
	s.reloads.Begin()
	s.found(nil, errors.New("no program"))
	if got := s.reloads.Errors(); len(got) != 1 || got[0] != "no program"+halfReplaced || s.rolling || s.resumed || !strings.Contains(log.String(), got[0]) {
		t.Errorf("the reload ended with %q; log:\n%s", got, log)
	}
}

// A search for the program of the workers that panics is one that has found nothing, and is
// told with its stack.
func TestASearchForTheProgramThatPanics(t *testing.T) {
	log := &sharedLog{}
	var lines []string
	status := Run(Config{
		Count: 1, Find: func() (*Program, error) { panic("a bug") }, Log: logging.New(logging.Options{Out: log}),
		Fail: func(line string) { lines = append(lines, line) },
	})
	if status != 1 || len(lines) != 1 || !strings.Contains(lines[0], "the search for the program of the workers failed") {
		t.Errorf("status %d, %q", status, lines)
	}
	// What panicked reports it itself, when the search is known to have failed.
	told := func() bool {
		return strings.Contains(log.String(), "a bug") && strings.Contains(log.String(), "reload_test.go")
	}
	for end := time.Now().Add(20 * time.Second); !told() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if !told() {
		t.Errorf("log:\n%s", log.String())
	}
}

// A sharedLog is one that is read while others write.
type sharedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A configuration that is found wrong keeps the workers that an earlier reload has left from
// being replaced, since their successors would read it. They are not forgotten: when it is
// right again, they are replaced.
func TestAFailedCheckDoesNotForgetTheRest(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 3)
	r.complete(3)
	play(t, dir, "fatal", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("1 of 3 workers replaced", "tried again in 1s")
	play(t, dir, "mistakes", "config:3:no")
	os.Remove(filepath.Join(dir, "fatal"))
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("workers are left that an earlier reload was to replace", "tried again in 1s")
	r.expect("the configuration in force stays: config:3:no")
	r.expect("workers are left that an earlier reload was to replace, but the configuration has mistakes: config:3:no", "tried again in 2s")
	r.expect("but the configuration has mistakes: config:3:no", "tried again in 4s")
	if n := strings.Count(strings.Join(r.seen, "\n"), "a worker is replaced"); n != 1 {
		t.Errorf("%d workers were replaced while the configuration had mistakes, want that of the first reload", n)
	}
	os.Remove(filepath.Join(dir, "mistakes"))
	r.expect("the workers that a reload had left are replaced, too")
	r.settled(3)
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), "a worker is replaced"); n != 3 {
		t.Errorf("%d workers were replaced, want 3", n)
	}
}

// reloading is a group in whose reload a worker could not be replaced after another one was,
// and what it has said.
func reloading(t *testing.T) (s *group, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	s = bench(2)
	t.Cleanup(func() { close(s.done) })
	s.Count, s.complete, s.Log = 2, true, logging.New(logging.Options{Out: log})
	s.reloads.Ask()
	s.reloads.Begin()
	s.reloads.Phase = reload.Replacing
	s.outdate()
	s.rolling = true
	s.reloads.Replaced = 1
	s.worker(0).outdated = false
	s.notReplaced(s.worker(1), "fell")
	return s, log
}

// A reload that has left workers says so, to the service manager, too, until they are
// replaced, too; then it was complete at a later try.
func TestAReloadThatIsCompletedLater(t *testing.T) {
	s, log := reloading(t)
	s.retry.Stop()
	const failed = "2 of 2 workers serve; the latest reload failed (1 of 1 did): worker 1 (pid 101) serves on: its successor fell"
	if s.half != 1 || s.rolling || s.tally() != failed || !strings.Contains(log.String(), "the rolling restart ends with 1 of 2 workers replaced; the workers that are left are tried again in 1s") {
		t.Errorf("%d is left of, rolling %v: %s\n%s", s.half, s.rolling, s.tally(), log)
	}
	s.restChecked(s.rests+1, nil)
	if s.rolling {
		t.Error("a check that another try has taken over begins to replace")
	}
	if s.restChecked(s.rests, []string{"config:1: no"}); s.rolling || !strings.Contains(log.String(), "config:1: no; the workers that are left are tried again in 2s") {
		t.Errorf("rolling %v:\n%s", s.rolling, log)
	}
	s.retry.Stop()
	s.worker(1).outdated = false // another process has taken its place
	told := manager(t, s)
	s.restChecked(s.rests, nil)
	if got := told(); !strings.Contains(got, "STATUS=2 of 2 workers serve; the latest reload was complete at a later try") {
		t.Errorf("the service manager hears\n%s", got)
	}
	if s.rolling || s.retrying || s.half != 0 || s.tally() != "2 of 2 workers serve; the latest reload was complete at a later try" || !strings.Contains(log.String(), "the workers that a reload had left are replaced, too") {
		t.Errorf("rolling %v, retrying %v, %d is left of: %s\n%s", s.rolling, s.retrying, s.half, s.tally(), log)
	}
	if s.reloads.Completed != 0 || s.reloads.Failed != 1 {
		t.Errorf("%+v", s.reloads)
	}
	if s.mayReplaceRest() {
		t.Error("something is left")
	}
}

// Each try at what is left comes later than the one before, and a reload that begins ends
// them.
func TestTriesAtTheRestAreSeldom(t *testing.T) {
	s, log := reloading(t)
	for _, delay := range []string{"2s", "4s", "8s"} {
		s.retry.Stop()
		log.Reset()
		s.rolling, s.retrying = true, true
		if s.notReplaced(s.worker(1), "fell"); s.rolling || s.retrying || !strings.Contains(log.String(), "its successor fell; the workers that are left are tried again in "+delay) || strings.Contains(log.String(), "the rolling restart ends") {
			t.Errorf("rolling %v, retrying %v:\n%s", s.rolling, s.retrying, log)
		}
	}
	for range 20 {
		s.retry.Stop()
		s.replaceRestLater()
	}
	if s.retryDelay != limits.RollRetryMax {
		t.Errorf("they are %v apart at last, want %v", s.retryDelay, limits.RollRetryMax)
	}
	log.Reset()
	s.notReplaced(s.worker(1), "fell") // which belongs to no restart
	if got := log.String(); !strings.HasSuffix(got, "worker 1 (pid 101) serves on: its successor fell\n") {
		t.Errorf("%s", got)
	}
	rests, timer := s.rests, s.retry
	s.rolling, s.retrying, s.caughtUp, s.accepting = true, true, true, true
	s.pauseRest()
	if timer.Stop() || s.retry != nil || s.rests == rests || s.rolling || s.retrying || s.caughtUp || s.accepting || s.retryDelay != 0 {
		t.Errorf("a reload that begins leaves a try: %v, %+v", s.retry != nil, s.rests)
	}
	if s.half == 0 {
		t.Error("it forgets what is left")
	}
}

// What is left is not touched while the group ends, replaces, reloads, or where nothing is.
func TestWhenTheRestIsReplaced(t *testing.T) {
	for what, change := range map[string]func(*group){
		"the group ends": func(s *group) { s.stopping = true }, "workers are replaced": func(s *group) { s.rolling = true },
		"a reload is under way": func(s *group) { s.reloads.Phase = reload.Checking }, "nothing is left": func(s *group) { s.half = 0 },
	} {
		s, _ := reloading(t)
		s.retry.Stop()
		if !s.mayReplaceRest() {
			t.Fatal("what is left is never replaced")
		}
		if change(s); s.mayReplaceRest() {
			t.Errorf("%s: it is", what)
		}
	}
}

// A restart that has put nothing in force leaves nobody to be replaced.
func TestARestartThatReplacedNobodyLeavesNothing(t *testing.T) {
	s := bench(2)
	defer close(s.done)
	s.reloads.Ask()
	s.reloads.Begin()
	s.rolling = true
	s.notReplaced(s.worker(0), "fell")
	if s.half != 0 || s.retry != nil || s.rolling || s.reloads.Ended != 1 || len(s.reloads.Errors()) != 1 {
		t.Errorf("%d is left of, a try is to come: %v, rolling %v, %+v", s.half, s.retry != nil, s.rolling, s.reloads)
	}
}
