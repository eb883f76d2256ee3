package proctest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/safe"
)

// terminalWait is how long a Terminal waits for what a program is to show.
const terminalWait = 30 * time.Second

// A Terminal is a pseudo terminal with a program on it, which it controls: what is typed
// there reaches the program as from a keyboard, Ctrl-C as a signal.
type Terminal struct {
	t     testing.TB
	cmd   *exec.Cmd
	host  *os.File
	ended chan struct{}

	mu    sync.Mutex
	shown strings.Builder
	read  int // how much of it Await has passed
}

// OnTerminal starts a program on a terminal of 24 lines of 100 columns, with state files of
// its own unless it has an environment. The test's end ends it.
func OnTerminal(t testing.TB, cmd *exec.Cmd) *Terminal {
	t.Helper()
	host, guest := openTerminal(t)
	defer guest.Close()
	if cmd.Env == nil { // what is typed is nothing to be kept for whoever runs the tests
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = guest, guest, guest
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &Terminal{t: t, cmd: cmd, host: host, ended: make(chan struct{})}
	safe.Go("terminal", nil, x.watch)
	safe.Go("terminal program", nil, func() { _ = cmd.Wait(); close(x.ended) })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-x.ended
		host.Close()
	})
	return x
}

func openTerminal(t testing.TB) (host, guest *os.File) {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(host.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if err == nil {
		guest, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return host, guest
}

func (x *Terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := x.host.Read(buf)
		x.mu.Lock()
		x.shown.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type sends keys. Enter is "\r".
func (x *Terminal) Type(keys string) {
	x.t.Helper()
	if _, err := x.host.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// Await waits until text is shown behind what was awaited before, and fails the test when it
// does not come. It returns what was shown before it.
func (x *Terminal) Await(text string) string {
	x.t.Helper()
	for end := time.Now().Add(terminalWait); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		rest := x.shown.String()[x.read:]
		before, _, ok := strings.Cut(rest, text)
		if ok {
			x.read += len(before) + len(text)
		}
		x.mu.Unlock()
		if ok {
			return before
		}
		if time.Now().After(end) {
			x.t.Fatalf("%q is not shown, but %q", text, rest)
		}
	}
}

// Echoes tells whether the terminal shows what is typed by itself, as it does unless a
// program has taken that over.
func (x *Terminal) Echoes() bool {
	x.t.Helper()
	modes, err := unix.IoctlGetTermios(int(x.host.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return modes.Lflag&unix.ECHO != 0
}

// Signal sends a signal to the program.
func (x *Terminal) Signal(s syscall.Signal) { _ = x.cmd.Process.Signal(s) }

// Wait waits until the program has ended and returns its exit status.
func (x *Terminal) Wait() int {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(terminalWait):
		x.t.Fatal("the program on the terminal does not end")
	}
	return x.cmd.ProcessState.ExitCode()
}
