package rundir

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// asNobody runs fn on a thread that has given up being root, where it was; the thread
// ends with its goroutine.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
				result <- errno
				return
			}
		}
		fn()
		result <- nil
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// Who is not root will not become the owner: what is said is said at once.
func TestAForeignDirectoryThatMayBeWrittenIsToldOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	restore(t)
	dir, err := os.MkdirTemp("", "rundir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o770); err != nil { // of root's group, which the thread keeps
		t.Fatal(err)
	}
	asNobody(t, func() {
		w, err := Enter(dir)
		if want := "run directory '" + dir + "' belongs to user 0, not to 65534 who runs this process"; err != nil || len(w) != 1 || w[0] != want {
			t.Errorf("Enter: %q, %v; want %s", w, err, want)
		}
	})
}

// A user has to enter the directory and to write there, by the bits of the first that
// apply: those of the owner, of the group, of others.
func TestWhoCanLiveInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	uid, gid := os.Getuid(), os.Getgid()
	const stranger, theirs = 54321, 54322
	for _, c := range []struct {
		mode os.FileMode
		uid  int
		gids []int
		may  bool
	}{
		{0o700, stranger, []int{theirs}, false},
		{0o703, stranger, []int{theirs}, true},
		{0o702, stranger, []int{theirs}, false}, // it cannot be entered
		{0o701, stranger, []int{theirs}, false}, // nor written
		{0o705, stranger, nil, false},
		{0o730, stranger, []int{theirs, gid}, true},
		{0o750, stranger, []int{gid}, false},
		{0o703, stranger, []int{gid}, false}, // others may, the group may not
		{0o730, stranger, []int{theirs}, false},
		{0o700, 0, nil, true},
		{0o000, 0, nil, true},
	} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		err := UsableBy(c.uid, c.gids)
		if (err == nil) != c.may {
			t.Errorf("mode %04o, user %d of %d: %v, want usable %v", c.mode, c.uid, c.gids, err, c.may)
		}
		if want := "run directory '" + dir + "' is not writable for user 54321: chown it first"; err != nil && err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if uid == 0 {
		uid = stranger
		if err := os.Chown(dir, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	for mode, may := range map[os.FileMode]bool{0o300: true, 0o700: true, 0o500: false, 0o600: false, 0o077: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := UsableBy(uid, []int{gid}); (err == nil) != may {
			t.Errorf("mode %04o, the owner: %v, want usable %v", mode, err, may)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestHandOverMakesTheDirectoryAnothers(t *testing.T) {
	t.Chdir(t.TempDir())
	uid := os.Getuid()
	if uid == 0 {
		uid = nobody
	}
	if err := HandOver(uid); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(TTY, &st); err != nil || int(st.Uid) != uid || st.Mode&0o777 != 0o700 {
		t.Errorf("%v: owner %d, mode %04o; want %d, 0700", err, st.Uid, st.Mode&0o777, uid)
	}
	if uid != nobody { // who may give away nothing is told
		if err := HandOver(uid + 1); err == nil || !strings.HasPrefix(err.Error(), "directory of control sockets 'tty': ") {
			t.Errorf("somebody else's: %v", err)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile(TTY, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := HandOver(uid); err == nil || !strings.Contains(err.Error(), "'tty': it is not a directory") {
		t.Errorf("a file in its place: %v", err)
	}
}

// What keeps control sockets from being made is told in one line.
func TestFailuresOfControlSockets(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Listen(17); err == nil || !strings.HasPrefix(err.Error(), "control socket in 'tty': ") {
		t.Errorf("without a directory: %v", err)
	}
	if _, err := PrepareTTY(); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(TTY, tempPrefix+"17")
	leave(t, temp)
	l, err := Listen(17)
	if err != nil {
		t.Errorf("with what a dead process of this number left: %v", err)
	} else {
		l.Close()
		Forget(17)
	}
	if err := os.MkdirAll(filepath.Join(SocketPath(17), "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(17); err == nil || !strings.HasPrefix(err.Error(), "control socket in 'tty': ") {
		t.Errorf("where a directory has the name: %v", err)
	}
	if _, err := os.Lstat(temp); err == nil {
		t.Error("the temporary name is left")
	}
	leave(t, filepath.Join(TTY, tempPrefix+"x"))
	leave(t, filepath.Join(TTY, tempPrefix+filepath.Base(SocketPath(os.Getpid()))))
	if n, err := PrepareTTY(); n != 0 || err != nil {
		t.Errorf("removed %d, %v: one is no process's, one is a living process's", n, err)
	}
	gone := t.TempDir()
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := PrepareTTY(); err == nil || !strings.HasPrefix(err.Error(), "directory of control sockets 'tty': ") {
		t.Errorf("in a directory that is gone: %v", err)
	}
	if w := OwnerWarning(); w != nil {
		t.Errorf("in a directory that is gone: %q", w)
	}
}

// A directory of control sockets that is somebody else's serves nobody.
func TestControlSocketsOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	mkdir(t, TTY, 0o755)
	for mode, want := range map[os.FileMode]string{
		0o755: "directory of control sockets 'tty': operation not permitted", 0o700: "directory of control sockets 'tty': permission denied",
	} {
		if err := os.Chmod(TTY, mode); err != nil {
			t.Fatal(err)
		}
		asNobody(t, func() {
			if _, err := PrepareTTY(); err == nil || err.Error() != want {
				t.Errorf("mode %04o: %v, want %s", mode, err, want)
			}
		})
	}
}

// A configuration that was looked at stays open nowhere: workers read it again.
func TestReadableLeavesNoFileOpen(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ok", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Readable("ok"); err != nil {
		t.Fatal(err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(open) == 0 {
		t.Skip("the system does not show the open files")
	}
	here, _ := os.Getwd()
	for _, fd := range open {
		if target, _ := os.Readlink(fd); target == filepath.Join(here, "ok") {
			t.Errorf("%s is open", target)
		}
	}
}

func TestPrepareTellsWhatItCannotDo(t *testing.T) {
	restore(t)
	dir := t.TempDir() + "/run"
	mkdir(t, dir, 0o700)
	if err := os.WriteFile(dir+"/tty", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(dir, nil); err == nil || !strings.Contains(err.Error(), "'tty': it is not a directory") {
		t.Errorf("a file where the sockets are to be: %v", err)
	}
	if _, err := Prepare(dir+"/none", nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Remove(dir + "/tty"); err != nil {
		t.Fatal(err)
	}
	if w, err := Prepare(dir, nil); err != nil || len(w) != 0 {
		t.Errorf("nothing is wrong: %q, %v", w, err)
	}
}
