package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The program enters its run directory, says what is wrong there, starts as many workers as it
// was told to, keeps the directory clean of what they leave, and ends with them.
func TestTheProgramRunsAGroup(t *testing.T) {
	dir, here := t.TempDir(), t.TempDir()
	leftSocket(t, dir, nobody)
	play(t, dir, "config", "first")
	r := launch(t, here, os.Args[0], []string{"-f", "2", "-c", "config", dir})
	pids := r.complete(2)
	var log []string
	for _, line := range r.seen {
		if strings.HasPrefix(line, "[system]") {
			log = append(log, line)
		}
	}
	if want := []string{"[system] removed the control sockets of dead processes: 1", "[system] all workers are ready workers=2"}; !slices.Equal(log, want) {
		t.Errorf("it says %q, want %q", log, want)
	}
	socket := leftSocket(t, dir, pids[1])
	r.kill(pids[1], syscall.SIGKILL)
	r.event(1, "ready")
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the control socket of a dead worker is there: %v", err)
	}
	if pgid, err := syscall.Getpgid(r.pid()); err != nil || pgid != r.pid() {
		t.Errorf("it is in the process group %d, %v", pgid, err)
	}
	r.stop()
}

// What keeps the program from starting it says in one line, with its name.
func TestTheProgramSaysWhyItDoesNotStart(t *testing.T) {
	for what, c := range map[string]struct {
		options   []string
		env, says string
	}{
		"no run directory":        {[]string{"/does/not/exist"}, "", "/does/not/exist"},
		"a start time":            {[]string{"."}, startTimeVar + "=x", "kresd-supervisor: " + startTimeVar + ": 'x' is no whole number"},
		"a worker that is broken": {[]string{"-f", "2", "."}, "", "kresd-supervisor: config:3: bad option\n"},
	} {
		dir := t.TempDir()
		play(t, dir, "fatal", "0")
		r := launch(t, dir, os.Args[0], c.options, c.env)
		if status := r.end(); status != 1 {
			t.Errorf("%s: status %d, want 1", what, status)
		}
		if got := r.stderr.String(); !strings.HasPrefix(got, "kresd-supervisor: ") || !strings.Contains(got, c.says) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q, want one line with %q", what, got, c.says)
		}
	}
}

// A reload has the workers' program try the configuration, with the options of the command
// line and by what is in force; what it finds keeps the reload away.
func TestTheProgramHasTheConfigurationChecked(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "config", "first")
	r := launch(t, dir, os.Args[0], []string{"-f", "2", "-v", "."})
	old := r.complete(2)
	play(t, dir, "mistakes", "config:3:no")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect(`the configuration in force stays: config:3:no in config of ["--check-config" "-f" "2" "-v" "."]`)
	r.pong(0, old[0])
	r.forget("mistakes")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("rolling restart is complete", "replaced=2")
	r.settled(2)
	r.stop()
}

// A new file of the program's name takes over at a reload, with the same options and the same
// workers until it replaces them, hears signals as the old one did, and can be replaced again.
func TestTheProgramIsReplacedAtAReload(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	replaceProgram(t, program, 0)
	r := launch(t, dir, program, []string{"-f", "2", "."}, startTimeVar+"=50")
	r.complete(2)
	for round := 1; round < 3; round++ {
		replaceProgram(t, program, round)
		r.kill(r.pid(), syscall.SIGHUP)
		r.expect("the new one takes over")
		r.expect("rolling restart is complete", "replaced=2")
		r.isImage(program)
		r.settled(2)
	}
	r.stop()
}
