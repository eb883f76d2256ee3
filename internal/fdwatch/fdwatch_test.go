package fdwatch

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe is one of which both ends would survive an exec, as what a script inherits does.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

type told struct {
	events Events
	err    error
}

// expect waits for one call of a watch.
func expect(t *testing.T, c <-chan told, events Events, err error) {
	t.Helper()
	select {
	case got := <-c:
		if got.events != events || !errors.Is(got.err, err) {
			t.Errorf("told %v %v, want %v %v", got.events, got.err, events, err)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was told in a minute")
	}
}

func silent(t *testing.T, c <-chan told) {
	t.Helper()
	select {
	case got := <-c:
		t.Errorf("told %v %v, where nothing should be", got.events, got.err)
	case <-time.After(20 * time.Millisecond): // for what must not happen there is no event to wait for
	}
}

func watch(t *testing.T, w *Watcher, fd int, events Events) (*Watch, chan told) {
	t.Helper()
	c := make(chan told, 10)
	watch, err := w.Watch(fd, events, func(e Events, err error) { c <- told{e, err} })
	if err != nil {
		t.Fatal(err)
	}
	return watch, c
}

func TestAWatchTellsOnceAndAgain(t *testing.T) {
	w := New(nil)
	defer w.Close()
	r, wr := pipe(t)
	in, readable := watch(t, w, r, Readable)
	out, writable := watch(t, w, wr, Writable)
	expect(t, writable, Writable, nil)
	out.Close()
	silent(t, readable)
	_, _ = unix.Write(wr, []byte("x"))
	expect(t, readable, Readable, nil)
	silent(t, readable) // though nobody has read
	in.Again()
	expect(t, readable, Readable, nil)
	in.Close()
	in.Close()
	in.Again()
	silent(t, readable)
}

func TestAWatchTellsThatTheOtherEndIsGone(t *testing.T) {
	w := New(nil)
	defer w.Close()
	var p [2]int
	if err := unix.Pipe2(p[:], 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	_, c := watch(t, w, p[0], Readable)
	unix.Close(p[1])
	expect(t, c, Readable|HungUp, nil)
}

// A number that was closed and came to stand for something else means the old
// descriptor to a watch.
func TestANumberThatIsUsedAgainIsNotWatched(t *testing.T) {
	w := New(nil)
	defer w.Close()
	r, wr := pipe(t)
	_, c := watch(t, w, r, Readable)
	other, otherEnd := pipe(t)
	if err := unix.Dup3(other, r, 0); err != nil {
		t.Fatal(err)
	}
	_, _ = unix.Write(otherEnd, []byte("x"))
	silent(t, c)
	_, _ = unix.Write(wr, []byte("x"))
	expect(t, c, Readable, nil)
}

func TestTheDaemonsDescriptorsAndFilesAreRefused(t *testing.T) {
	w := New(nil)
	defer w.Close()
	r, _ := pipe(t)
	unix.CloseOnExec(r)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(plain)
	for fd, want := range map[int]string{
		r: "belongs to the resolver itself", -1: "is not open", 1 << 20: "is not open", plain: "is a file",
		int(file.Fd()): "belongs to the resolver itself",
	} {
		if _, err := w.Watch(fd, Readable, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("descriptor %d: %v, want that it %s", fd, err, want)
		}
	}
	w.Own(r)
	_, c := watch(t, w, r, Readable)
	w.Disown(r)
	expect(t, c, 0, unix.EBADF)
	if _, err := w.Watch(r, Readable, nil); err == nil {
		t.Error("what a library has closed can be watched")
	}
}

// On a device that the kernel cannot poll there is never any activity.
func TestADeviceThatCannotBePolledIsQuiet(t *testing.T) {
	w := New(nil)
	defer w.Close()
	null, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	in, c := watch(t, w, null, Readable)
	in.Again()
	silent(t, c)
	in.Close()
}

func TestAClosedWatcherLeavesNothing(t *testing.T) {
	before, descriptors := runtime.NumGoroutine(), open(t)
	w := New(nil)
	for range 100 {
		var p [2]int
		if err := unix.Pipe2(p[:], 0); err != nil {
			t.Fatal(err)
		}
		watch(t, w, p[0], Readable)
		unix.Close(p[0])
		unix.Close(p[1])
	}
	w.Close()
	w.Close()
	if _, err := w.Watch(0, Readable, nil); err == nil {
		t.Error("a closed watcher watches")
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before || open(t) > descriptors; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d descriptors, %d and %d before", runtime.NumGoroutine(), open(t), before, descriptors)
		}
	}
}

// open is how many descriptors this process has.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
