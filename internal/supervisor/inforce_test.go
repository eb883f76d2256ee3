package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/cli"
	"kresd/internal/inforce"
	"kresd/internal/logging"
	"kresd/internal/memfile"
)

// tell writes a file that workers read.
func (r *running) tell(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) forget(name string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
		r.t.Fatal(err)
	}
}

// runs waits until a worker of that number says what it runs, and is ready.
func (r *running) runs(id int, text string) (pid int) {
	r.t.Helper()
	for got, ran := -1, ""; got != id; {
		line := r.expect(" runs ")
		if n, _ := fmt.Sscanf(line, "%d %d runs %s", &got, &pid, &ran); n == 3 && got == id && ran != text {
			r.t.Fatalf("worker %d runs %s, and should run %s", id, ran, text)
		}
	}
	if got := r.event(id, "ready"); got != pid {
		r.t.Fatalf("process %d is ready, and %d should be", got, pid)
	}
	return pid
}

// known waits until the supervisor has heard that a worker is ready, which that worker hears
// from it.
func (r *running) known(id, pid int) {
	r.t.Helper()
	words := []string{fmt.Sprintf("%d %d roster ", id, pid), fmt.Sprintf("{%d %d}", id, pid)}
	if !slices.ContainsFunc(r.seen, func(line string) bool { return hasAll(line, words) }) {
		r.expect(words...)
	}
}

// said waits for a line of the supervisor's that may have come before what a worker said
// last.
func (r *running) said(text string) {
	r.t.Helper()
	if !slices.ContainsFunc(r.seen, func(line string) bool { return strings.Contains(line, text) }) {
		r.expect(text)
	}
}

// A worker that takes the place of a dead one runs what is in force, not what has been
// written since.
func TestADeadWorkerIsReplacedByWhatIsInForce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, 2)
	pid := r.runs(0, "first")
	r.tell("config", "edited") // before the others start
	other := r.runs(1, "first")
	r.kill(pid, syscall.SIGKILL)
	r.runs(0, "first")
	r.tell("mistakes", "config:1:no")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("the configuration in force stays")
	r.kill(other, syscall.SIGKILL)
	r.known(1, r.runs(1, "first"))
	r.forget("mistakes")
	r.kill(r.pid(), syscall.SIGHUP)
	pid = r.runs(0, "edited")
	r.tell("config", "later")
	r.runs(1, "edited")
	r.said("rolling restart is complete")
	r.kill(pid, syscall.SIGKILL)
	r.runs(0, "edited")
	r.stop()
}

// A worker that dies before a reload has put anything in force is replaced by what is in
// force then, and that one by what is in force in the end.
func TestADeathBeforeTheFirstSuccessorIsReady(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, 3)
	pids := r.complete(3)
	r.tell("config", "second")
	r.tell("hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	r.event(0, "start")
	r.kill(pids[1], syscall.SIGKILL)
	r.runs(1, "first")
	r.forget("hang")
	for id := range 3 {
		r.runs(id, "second")
	}
	r.said("rolling restart is complete replaced=3")
	r.settled(3)
	r.stop()
}

// The first worker that runs what is to be in force may have no predecessor any more. When
// it fails, what was in force is run again.
func TestTheFirstSuccessorFailsWithoutAPredecessor(t *testing.T) {
	for _, count := range []int{1, 2} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte("first"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, dir, count)
		pids := r.complete(count)
		r.tell("config", "second")
		r.tell("hang", "0")
		r.kill(r.pid(), syscall.SIGHUP)
		r.event(0, "start")
		r.kill(pids[0], syscall.SIGKILL)
		r.expect("its successor is there or on its way")
		r.tell("crash", "0")
		r.forget("hang")
		r.expect("the configuration in force stays")
		r.forget("crash")
		r.known(0, r.runs(0, "first"))
		r.kill(r.pid(), syscall.SIGHUP)
		r.runs(0, "second")
		r.said("rolling restart is complete")
		r.settled(count)
		r.stop()
	}
}

// A reload that has put nothing in force leaves nobody to be replaced; one that has goes on
// until all run the same, whatever was written since.
func TestARestIsReplacedByWhatIsInForce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, 2)
	r.complete(2)
	r.tell("config", "second")
	r.tell("crash", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.runs(0, "second")
	r.expect("the rolling restart ends with 1 of 2 workers replaced; the workers that are left are tried again")
	r.tell("config", "third")
	r.tell("mistakes", "config:1:no")
	r.forget("crash")
	r.runs(1, "second")
	r.said("the workers that a reload had left are replaced, too")
	r.forget("mistakes")
	r.tell("crash", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("the rolling restart ends with 0 of 2 workers replaced")
	r.forget("crash")
	r.stop()
}

// A worker that dies while the failed first successor of a reload has yet to end may be
// replaced by one that runs the files. When the reload is refused, so is that one.
func TestARefusedReloadLeavesNobodyWhoRunsItsFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, 2, roleReadyTime+"=1s")
	pids := r.complete(2)
	r.tell("config", "second")
	r.tell("stubborn", "0")
	r.tell("hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	successor := r.event(0, "start")
	r.event(0, "stays")
	r.tell("hang", "1")
	r.kill(pids[1], syscall.SIGKILL)
	r.event(1, "start")
	r.kill(successor, syscall.SIGKILL)
	r.event(1, "drain")
	r.said("the rolling restart ends with 0 of 2 workers replaced")
	r.forget("hang")
	r.forget("stubborn")
	r.runs(1, "first")
	r.stop()
}

// foreign is memory such as another version may keep, which is no configuration.
func foreign(t *testing.T) *os.File {
	t.Helper()
	f, err := memfile.New("other")
	if err == nil {
		_, err = f.WriteString("of another version")
	}
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stored is what of some lines to a service manager tells of what it stores.
func stored(lines string) (told []string) {
	for line := range strings.Lines(lines) {
		if word, _, _ := strings.Cut(line, "="); strings.HasPrefix(word, "FDSTORE") {
			told = append(told, word)
		}
	}
	return told
}

// A program that takes the place of this one may know nothing of what the service manager
// keeps, and so refuse it when it is started anew: it is left nothing. One that knows leaves
// it with the manager again.
func TestAnotherProgramIsLeftNothingThatItMayRefuse(t *testing.T) {
	s := bench(0)
	heard := manager(t, s)
	s.InForce = kept(t, "config")
	s.Exec = func(string) error {
		if got := stored(heard()); !slices.Equal(got, []string{"FDSTOREREMOVE"}) {
			t.Errorf("before the other program the manager hears %s", got)
		}
		return errors.New("no such program")
	}
	if err := s.become(); err == nil {
		t.Fatal("it took over")
	}
	again := []string{"FDSTOREREMOVE", "FDSTORE"}
	if got := stored(heard()); !slices.Equal(got, again) {
		t.Errorf("when the other program has not taken over the manager hears %s", got)
	}
	left := s.InForce
	s = bench(0)
	heard = manager(t, s)
	s.goOnRunning(left)
	if got := stored(heard()); s.InForce != left || !slices.Equal(got, again) {
		t.Errorf("one that goes on has %v in force, and the manager hears %s", s.InForce, got)
	}
	left.Close()
}

// What a supervisor is left and cannot read ends nobody: it says so, and the files are run.
func TestWhatCannotBeReadIsNotInForce(t *testing.T) {
	var log bytes.Buffer
	s := bench(0)
	s.Log = logging.New(logging.Options{Out: &log})
	left := foreign(t)
	s.goOnRunning(left)
	if s.InForce != nil || left.Close() == nil {
		t.Error("by another image: it is in force, or open")
	}
	if !strings.Contains(log.String(), "cannot be read by this program (") || !strings.Contains(log.String(), "run the configuration files") {
		t.Errorf("by another image: %q", log.String())
	}
	var warnings []string
	c := Config{InForce: foreign(t)}
	o := cli.Options{Configs: []string{"config"}}
	c.takeLeft(&o, &warnings)
	if c.InForce != nil || len(o.Configs) != 1 || len(warnings) != 1 || !strings.Contains(warnings[0], "the configuration files are run") {
		t.Errorf("by the service manager: %v in force, files %q, warnings %q", c.InForce, o.Configs, warnings)
	}
	c.InForce, warnings = kept(t, "config"), nil
	defer c.InForce.Close()
	c.takeLeft(&o, &warnings)
	if c.InForce == nil || len(o.Configs) != 0 || len(warnings) != 1 || !strings.Contains(warnings[0], "is run again") {
		t.Errorf("what can be read: %v in force, files %q, warnings %q", c.InForce, o.Configs, warnings)
	}
}

// The data beside the code in force are the workers' alone: a supervisor that wants names of
// files, or to see that all can be read, does not decode them.
func TestASupervisorReadsNoData(t *testing.T) {
	data := map[string]string{}
	for i := range 10000 {
		data[fmt.Sprint("list ", i)] = "text"
	}
	f, err := (&inforce.Configuration{Files: []string{"config"}, Code: map[string]string{"config": "text"}, Data: data}).Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bench(0)
	s.InForce = f
	for what, read := range map[string]func(){
		"at a reload":            func() { s.filesInForce() },
		"by another image":       func() { s.goOnRunning(f) },
		"by the service manager": func() { (&Config{InForce: f}).takeLeft(&cli.Options{}, new([]string)) },
	} {
		if n := testing.AllocsPerRun(1, read); n > 1000 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	if got := s.filesInForce(); !slices.Equal(got, []string{"config"}) {
		t.Errorf("in force are %q", got)
	}
}
