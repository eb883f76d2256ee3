package rundir

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// restore undoes what Enter changes in the process.
func restore(t *testing.T) {
	t.Helper()
	old := unix.Umask(0o022)
	unix.Umask(old)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Umask(old)
		if err := os.Chdir(wd); err != nil {
			t.Fatal(err)
		}
	})
}

func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestEnterRefusesBadLayouts(t *testing.T) {
	restore(t)
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	mkdir(t, at("good"), 0o700)
	mkdir(t, at("open"), 0o777)
	mkdir(t, at("sticky"), 0o777|os.ModeSticky)
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "good", "dangling": "nowhere", "loop": "loop"} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range map[string]string{
		"missing":  "no such file",
		"file":     "not a directory",
		"link":     "symbolic link",
		"link/":    "symbolic link",
		"dangling": "symbolic link",
		"loop":     "symbolic link",
		"open":     "everybody may write",
		"sticky":   "everybody may write",
	} {
		wd, _ := os.Getwd()
		_, err := Enter(top + "/" + name)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Enter(%s): %v, want one line with %q", name, err, says)
		}
		if now, _ := os.Getwd(); now != wd {
			t.Errorf("Enter(%s) failed and changed the directory to %s", name, now)
		}
	}
}

func TestEnterReportsADirectoryThatIsNotWritable(t *testing.T) {
	dir, err := os.MkdirTemp("", "rundir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() { _, err = Enter(dir) }) // root may write anywhere
	if err == nil || !strings.Contains(err.Error(), "is not writable: permission denied") {
		t.Errorf("Enter of a directory without write access: %v", err)
	}
}

func TestEnterGoesThereWithUmask(t *testing.T) {
	restore(t)
	dir := t.TempDir() + "/run"
	mkdir(t, dir, 0o755)
	if w, err := Enter(dir); err != nil || len(w) != 0 {
		t.Fatalf("Enter: %v, %v", w, err)
	}
	if err := os.WriteFile("f", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file made after Enter: %v, %v; want mode 0600 in the run directory", info.Mode(), err)
	}
	if _, err := Enter("."); err != nil {
		t.Errorf("Enter(.): %v", err)
	}
}

func TestReadable(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ok", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"ok":   "",
		"none": "config 'none' cannot be read: no such file or directory",
		".":    "config '.' cannot be read: is a directory",
	} {
		got := ""
		if err := Readable(path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Readable(%s) = %q, want %q", path, got, want)
		}
	}
}

// leave makes a socket file as a killed process leaves it.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestPrepareTTYRemovesOnlyDeadSockets(t *testing.T) {
	t.Chdir(t.TempDir())
	mkdir(t, TTY, 0o755)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	pid := dead.Process.Pid
	leave(t, SocketPath(pid))
	leave(t, SocketPath(os.Getppid())) // the number lives, its old socket does not
	leave(t, filepath.Join(TTY, tempPrefix+filepath.Base(SocketPath(pid))))
	leave(t, filepath.Join(TTY, "control"))
	if err := os.WriteFile(filepath.Join(TTY, "17"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	removed, err := PrepareTTY()
	if err != nil || removed != 3 {
		t.Errorf("PrepareTTY() = %d, %v; want 3 removed", removed, err)
	}
	for path, want := range map[string]bool{
		SocketPath(os.Getpid()):       true,
		SocketPath(os.Getppid()):      false,
		SocketPath(pid):               false,
		filepath.Join(TTY, "control"): true,
		filepath.Join(TTY, "17"):      true,
	} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s exists: %v, want %v", path, err == nil, want)
		}
	}
	if info, _ := os.Stat(TTY); info.Mode().Perm() != 0o700 {
		t.Errorf("mode of tty is %v, want 0700", info.Mode().Perm())
	}
}

func TestListenModeAndForget(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := PrepareTTY(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(SocketPath(os.Getpid()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v, %v; want mode 0600", info, err)
	}
	conn, err := net.Dial("unix", SocketPath(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	Forget(os.Getpid())
	if left, _ := os.ReadDir(TTY); len(left) != 0 {
		t.Errorf("left behind after Forget: %v", left)
	}
}

func TestPrepareTTYRefusesALink(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Symlink("/tmp", TTY); err != nil {
		t.Fatal(err)
	}
	if _, err := PrepareTTY(); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("PrepareTTY with a link: %v", err)
	}
}

func TestPrepare(t *testing.T) {
	restore(t)
	dir := t.TempDir() + "/run"
	mkdir(t, dir, 0o700)
	mkdir(t, dir+"/tty", 0o700)
	if err := os.WriteFile(dir+"/conf", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	leave(t, SocketPath(os.Getppid()))
	w, err := Prepare(dir, []string{"conf"})
	if err != nil || len(w) != 1 || !strings.Contains(w[0], "dead processes: 1") {
		t.Errorf("Prepare = %q, %v; want a warning about one stale socket", w, err)
	}
	if _, err := Prepare(dir, []string{"conf", "other"}); err == nil || !strings.Contains(err.Error(), "'other'") {
		t.Errorf("Prepare with a missing file: %v", err)
	}
}

// Root may be about to become the owner, which the configuration decides: what is
// said then is said by OwnerWarning, once, for the user that the process stays.
func TestRootIsWarnedOfAForeignDirectoryLaterOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	restore(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if w, err := Enter(dir); err != nil || len(w) != 0 {
		t.Errorf("Enter: %q, %v; want no warning", w, err)
	}
	if w := OwnerWarning(); len(w) != 1 || !strings.Contains(w[0], "belongs to user 65534, not to 0") {
		t.Errorf("OwnerWarning: %q", w)
	}
	if w := CacheOwnerWarning(dir); len(w) != 0 {
		t.Errorf("the run directory is told of as that of the cache, too: %q", w)
	}
	cache := t.TempDir()
	if w := CacheOwnerWarning(cache); len(w) != 0 {
		t.Errorf("CacheOwnerWarning of an own directory: %q", w)
	}
	if err := os.Chown(cache, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if w := CacheOwnerWarning(cache); len(w) != 1 || !strings.Contains(w[0], "cache directory '"+cache+"' belongs to user 65534, not to 0") {
		t.Errorf("CacheOwnerWarning: %q", w)
	}
}
