package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/inforce"
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

// started has a command be the program, which a service manager starts with a file of a name.
func started(t *testing.T, name string, file *os.File, line string) *exec.Cmd {
	t.Helper()
	cmd := asProgram(exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" `+line, os.Args[0]), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	cmd.ExtraFiles = []*os.File{file}
	return cmd
}

// What the service manager was left by a supervisor that has died is in force, whatever has
// become of the files meanwhile, and is passed to nobody as a socket.
func TestTheProgramGoesOnWithWhatItsPredecessorLeft(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "config", "later")
	f, err := (&inforce.Configuration{Files: []string{"gone"}, Code: map[string]string{"config": "first"}}).Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := run(t, dir, started(t, "configuration", f, "-f 2 -c gone ."))
	r.runs(0, "first")
	r.runs(1, "first")
	r.stop()
	if all := strings.Join(r.seen, "\n"); !strings.Contains(all, "is run again") || strings.Contains(all, "passed") {
		t.Errorf("output:\n%s", all)
	}
}

// A socket of the service manager that nobody can serve keeps the program from starting.
func TestTheProgramDoesNotTakeASocketOfAnUnknownKind(t *testing.T) {
	socket := os.NewFile(uintptr(unixSocket(t)), "socket")
	defer socket.Close()
	r := run(t, t.TempDir(), started(t, "webmgmt", socket, "-f 2 ."))
	if status, got := r.end(), r.stderr.String(); status != 1 || !strings.HasPrefix(got, "kresd-supervisor: inherited socket 3 is named 'webmgmt'") {
		t.Errorf("status %d, %q", status, got)
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

// A new file of the program's name takes over at a reload, with the same options, sockets and
// workers until it replaces these, hears signals as the old one did, and can be replaced again.
// What was accepted stays in force.
func TestTheProgramIsReplacedAtAReload(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	replaceProgram(t, program, 0)
	play(t, dir, "config", "first")
	socket := os.NewFile(uintptr(unixSocket(t)), "socket")
	defer socket.Close()
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", socket.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := asProgram(exec.Command(program, "-f", "2", "-S", "3", "."), startTimeVar+"=50")
	cmd.ExtraFiles = []*os.File{socket}
	r := run(t, dir, cmd)
	passed := func(id int) {
		t.Helper()
		if line := r.expect(" passed "); !strings.HasPrefix(line, fmt.Sprint(id, " ")) || !strings.HasSuffix(line, " 3:dns "+name) {
			t.Errorf("%q, want socket 3 for DNS, %s, for worker %d", line, name, id)
		}
	}
	passed(0)
	passed(1)
	other := r.complete(2)[1]
	for round := 1; round < 3; round++ {
		replaceProgram(t, program, round)
		play(t, dir, "hang", "0")
		r.kill(r.pid(), syscall.SIGHUP)
		r.expect("the new one takes over")
		passed(0)
		r.isImage(program)
		r.kill(other, syscall.SIGKILL)
		play(t, dir, "config", "later") // which is not in force yet
		passed(1)
		r.runs(1, "first")
		play(t, dir, "config", "first")
		r.forget("hang")
		line := r.expect("a worker is replaced", "worker=1")
		if n, _ := fmt.Sscanf(line, "[system] a worker is replaced worker=1 pid=%d", &other); n != 1 {
			t.Fatalf("%q does not tell the process", line)
		}
		r.expect("rolling restart is complete", "replaced=2")
		r.settled(2)
	}
	r.stop()
}

// What runs in the foreground of a terminal stays there, where the keyboard can end it.
func TestTheProgramStaysInTheForegroundOfATerminal(t *testing.T) {
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	n, err := unix.IoctlGetInt(int(host.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(host.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	cmd := asProgram(exec.Command("sh", "-c", `"$0" -f 2 . ; true`, os.Args[0]))
	cmd.Stdin, cmd.SysProcAttr = terminal, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	r := run(t, t.TempDir(), cmd)
	for _, pid := range r.complete(2) {
		if group, err := unix.Getpgid(pid); err != nil || group != r.pid() {
			t.Errorf("process %d is in the group %d, %v; want that of the shell, %d", pid, group, err, r.pid())
		}
	}
	r.kill(-r.pid(), syscall.SIGKILL)
	r.end()
}
