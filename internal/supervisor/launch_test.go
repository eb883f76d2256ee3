package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/cli"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/systemd"
)

func TestHangTimeOfTheEnvironment(t *testing.T) {
	for text, want := range map[string]time.Duration{"": limits.HangTime, "0": 0, "1": time.Second, "600": 10 * time.Minute, "-1": -1, "1.5": -1, "9999999999": -1, "x": -1} {
		got, err := hangTimeOf(text)
		if want < 0 && (err == nil || !strings.Contains(err.Error(), "KRESD_HANG_TIME: '"+text+"'")) || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

// unixSocket is a descriptor of a UNIX socket that is listened on.
func unixSocket(t *testing.T) int {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// Sockets of options are handed on in their order, and not more than one of them is for the
// console.
func TestSocketsOfOptionsAreHandedOnInTheirOrder(t *testing.T) {
	t.Setenv("LISTEN_FDS", "")
	for _, c := range []struct {
		kinds []string
		says  string
	}{
		{nil, ""}, {[]string{systemd.DNS, systemd.Control}, ""}, {[]string{systemd.DNS, systemd.DNS}, ""},
		{[]string{systemd.Control, systemd.DNS, systemd.Control}, "inherited sockets %d and %d are all named 'control'; one is the most"},
	} {
		var o cli.Options
		var control []any
		for _, kind := range c.kinds {
			fd := unixSocket(t)
			o.FDs = append(o.FDs, cli.FD{Num: fd, Kind: kind})
			if kind == systemd.Control {
				control = append(control, fd)
			}
		}
		sockets, kept, err := PassedSockets(o)
		var kinds []string
		for i, s := range sockets {
			kinds = append(kinds, s.Kind)
			if s.FD != o.FDs[i].Num {
				t.Errorf("%v: socket %d is %d, want %d", c.kinds, i, s.FD, o.FDs[i].Num)
			}
			s.File.Close()
		}
		switch {
		case c.says == "" && (err != nil || kept != nil || !slices.Equal(kinds, c.kinds)):
			t.Errorf("%v: %v, %v, %v", c.kinds, kinds, kept, err)
		case c.says != "" && (err == nil || err.Error() != fmt.Sprintf(c.says, control...)):
			t.Errorf("%v: %v", c.kinds, err)
		}
	}
	if _, _, err := PassedSockets(cli.Options{FDs: []cli.FD{{Num: nobody, Kind: systemd.DNS}}}); err == nil {
		t.Error("what is not open is a socket")
	}
}

// leave has another image leave a group in the environment.
func leave(t *testing.T, text string) {
	t.Helper()
	t.Setenv(GroupVar, fmt.Sprint(inMemory(t, "group", text)))
}

// A supervisor that begins says what of its environment it does not understand, and needs no
// program for the workers where another image has left some.
func TestHowASupervisorBegins(t *testing.T) {
	none := func() (*Program, error) { return nil, errors.New("no program") }
	for what, c := range map[string]struct {
		left, start, hang string
		says              string
	}{
		"a group that is left":              {`{"Workers": []}`, "7", "9", ""},
		"sockets that are left":             {`{"Sockets": [{"Kind": "dns", "FD": 8388608}]}`, "", "", "inherited socket 8388608"},
		"what is left is none":              {"nonsense", "", "", GroupVar},
		"a start time that is none":         {"{}", "x", "9", startTimeVar},
		"a hang time that is none":          {"{}", "7", "x", hangTimeVar},
		"no program, and nothing that left": {"", "7", "9", "no program"},
	} {
		t.Setenv(startTimeVar, c.start)
		t.Setenv(hangTimeVar, c.hang)
		t.Setenv(GroupVar, "")
		if c.left != "" {
			leave(t, c.left)
		}
		config, warnings := Config{Find: none}, []string(nil)
		err := config.begin(cli.Options{}, &warnings)
		switch {
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want %s", what, err, c.says)
		case c.says == "" && (err != nil || config.taken == nil || config.StartTime != 7*time.Second || config.HangTime != 9*time.Second || config.Workers != nil):
			t.Errorf("%s: %v, %+v", what, err, config)
		}
	}
}

// What a worker may take is what limits says where nobody says anything else.
func TestTimesThatWereNotSetAreTheUsual(t *testing.T) {
	c := Config{}
	if c.usualTimes(); c.ReadyTime != limits.ReadyTime || c.StartTime != limits.StartTime {
		t.Errorf("%v, %v", c.ReadyTime, c.StartTime)
	}
	c = Config{ReadyTime: 1, StartTime: 2}
	if c.usualTimes(); c.ReadyTime != 1 || c.StartTime != 2 {
		t.Errorf("those that were set become %v, %v", c.ReadyTime, c.StartTime)
	}
}

// leftSocket is the control socket of a process, as it is left behind when that dies.
func leftSocket(t *testing.T, dir string, pid int) (path string) {
	t.Helper()
	path = filepath.Join(dir, "tty", fmt.Sprint(pid))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	return path
}

// A supervisor enters its run directory before it starts anybody, sees what is wrong with it
// and what dead processes have left, and leads a process group.
func TestPreparingARunDirectory(t *testing.T) {
	t.Setenv("LISTEN_FDS", "")
	t.Chdir(t.TempDir())      // which is left again
	mask := unix.Umask(0o077) // as it becomes
	defer unix.Umask(mask)
	group := unix.Getpgrp() // which it leaves
	t.Cleanup(func() {
		if unix.Getpgrp() == group {
			return
		}
		if err := unix.Setpgid(0, group); err != nil {
			t.Errorf("the tests do not get back into their process group: %v", err)
		}
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	leftSocket(t, dir, nobody)
	var c Config
	var warnings []string
	for _, o := range []cli.Options{
		{RunDir: filepath.Join(dir, "missing")}, {RunDir: dir, Configs: []string{"missing"}}, {RunDir: dir, FDs: []cli.FD{{Num: nobody, Kind: systemd.DNS}}},
	} {
		if err := c.prepare(o, &warnings); err == nil || len(warnings) != 0 {
			t.Errorf("%+v: %v, %v", o, err, warnings)
		}
	}
	if err := c.prepare(cli.Options{RunDir: dir, Configs: []string{"config"}}, &warnings); err != nil || c.InForce != nil || len(c.Sockets) != 0 {
		t.Errorf("%v, %+v", err, c)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "removed the control sockets of dead processes: 1") {
		t.Errorf("warnings: %q", warnings)
	}
	if here, err := os.Getwd(); err != nil || here != dir {
		t.Errorf("it is in %s, %v, want %s", here, err, dir)
	}
	if group := unix.Getpgrp(); group != os.Getpid() && group != foreground() {
		t.Errorf("it is in the process group %d of another process", group)
	}
}

// A group that another image has left and that cannot be gone on with ends at once.
func TestAGroupThatCannotBeGoneOnWithEnds(t *testing.T) {
	var lines []string
	status := Run(Config{
		Count: 2, taken: &handedOver{Workers: []handedWorker{{Slot: 2}}},
		Fail: func(line string) { lines = append(lines, line) },
	})
	if status != 1 || len(lines) != 1 || lines[0] != "a worker of number 2 is left by another image of the supervisor" {
		t.Errorf("status %d, %q", status, lines)
	}
}

// The log is as verbose, and of the form, that the command line says.
func TestTheLogOfOptions(t *testing.T) {
	out, errOut := logging.NewRing(io.Discard, 0), logging.NewRing(io.Discard, 0)
	defer out.Close(0)
	defer errOut.Close(0)
	for _, verbose := range []bool{false, true} {
		o := logOptions(cli.Options{LogFormat: logging.JSON, Verbose: verbose}, out, errOut)
		if o.Out != out || o.Err != errOut || o.Format != logging.JSON || (o.Level == logging.Debug) != verbose {
			t.Errorf("verbose %v: %+v", verbose, o)
		}
	}
}
