package seal

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/memfile"
)

// dirVar names the directory in which the test's child tries what it can.
const dirVar = "KRESD_TEST_SEALED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVar); dir != "" {
		os.Exit(sealed(dir))
	}
	os.Exit(m.Run())
}

// sealed tries everything that is refused, from several threads.
func sealed(dir string) (status int) {
	if err := Process(); err != nil {
		println("not sealed:", err.Error())
		return 2
	}
	file := filepath.Join(dir, "there")
	var failed sync.Map
	var wait sync.WaitGroup
	for name, try := range attempts(dir, file) {
		wait.Go(func() {
			if err := try(); !errors.Is(err, syscall.EPERM) {
				failed.Store(name, err)
			}
		})
	}
	wait.Wait()
	failed.Range(func(name, err any) bool {
		println("not refused:", name.(string))
		status = 1
		return true
	})
	if text, err := os.ReadFile(file); err != nil || string(text) != "text" {
		println("what may be read cannot be")
		status = 1
	}
	if f, err := memfile.New("x"); err != nil || f.Truncate(10) != nil {
		println("memory cannot be used as a file")
		status = 1
	}
	return status
}

func attempts(dir, file string) map[string]func() error {
	other := filepath.Join(dir, "other")
	return map[string]func() error{
		"create":   func() error { return os.WriteFile(other, nil, 0o600) },
		"append":   func() error { _, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0); return err },
		"truncate": func() error { return os.Truncate(file, 0) },
		"read and truncate": func() error {
			_, err := unix.Open(file, unix.O_RDONLY|unix.O_TRUNC, 0)
			return err
		},
		"open without a directory": func() error { _, err := unix.Openat(-1, file, unix.O_RDWR, 0); return err },
		"temporary file":           func() error { _, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600); return err },
		"remove":                   func() error { return syscall.Unlink(file) },
		"rename":                   func() error { return os.Rename(file, other) },
		"mkdir":                    func() error { return os.Mkdir(other, 0o700) },
		"link":                     func() error { return os.Link(file, other) },
		"symlink":                  func() error { return os.Symlink(file, other) },
		"chmod":                    func() error { return os.Chmod(file, 0o644) },
		"fifo":                     func() error { return unix.Mkfifo(other, 0o600) },
		"times":                    func() error { return unix.Utimes(file, []unix.Timeval{{}, {}}) },
		"UDP":                      func() error { _, err := net.ListenPacket("udp", "127.0.0.1:0"); return err },
		"TCP":                      func() error { _, err := net.Dial("tcp", "127.0.0.1:9"); return err },
		"UNIX socket":              func() error { _, err := net.Listen("unix", other); return err },
		"program":                  func() error { return exec.Command("/bin/true").Run() },
		"user":                     func() error { return unix.Setresuid(1, 1, 1) },
	}
}

func TestASealedProcessChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "there")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirVar+"="+dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == 2 {
		t.Skipf("not run: %s", strings.TrimSpace(string(out)))
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if after := state(t, dir); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
}

// state is all that can be seen of a directory.
func state(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
