package querylog

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/ede"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
)

// batchOf is a batch of lines.
func batchOf(lines ...string) *batch {
	b := &batch{}
	for _, l := range lines {
		b.text = append(append(b.text, l...), '\n')
		b.ends = append(b.ends, len(b.text))
	}
	return b
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s: %q, %v; want %q", filepath.Base(path), text, err, want)
	}
}

// openFiles are the descriptors below a directory that this process has.
func openFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if file, _ := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); strings.HasPrefix(file, dir) {
			n++
		}
	}
	return n
}

// A file is added to as long as it has its path, and left when another has it; each is
// closed when it is left.
func TestAFileIsTheOneThatHasThePath(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "log"), filepath.Join(dir, "old")
	l, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(line string) {
		t.Helper()
		if n, err := l.write(batchOf(line)); n != 1 || err != nil {
			t.Fatalf("%q: %d lines, %v", line, n, err)
		}
	}
	write("a")
	l.looked = time.Time{}
	write("b")
	wantFile(t, path, "a\nb\n")
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	write("c") // looked at just now
	wantFile(t, old, "a\nb\nc\n")
	l.looked = time.Time{}
	write("d")
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "d\n")
	if err := os.Rename(filepath.Join(dir, "other"), path); err != nil {
		t.Fatal(err)
	}
	l.looked = time.Time{}
	write("e")
	wantFile(t, path, "x\ne\n")
	wantFile(t, old, "a\nb\nc\n")
	if n := openFiles(t, dir); n != 1 {
		t.Errorf("%d files are open", n)
	}
	l.close()
	if n := openFiles(t, dir); n != 0 {
		t.Errorf("%d files are open after the end", n)
	}
	l.close()
}

// After a line that the disk had no room to end, the next one begins on a line of its own.
func TestALineThatWasTornIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.looked, l.torn = time.Now(), true
	for _, line := range []string{"a", "b"} {
		if _, err := l.write(batchOf(line)); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, path, "half\na\nb\n")
	read, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.f.Close()
	for _, torn := range []bool{false, true} {
		l.f, l.torn = read, torn // which cannot be written to
		if n, err := l.write(batchOf("c")); n != 0 || err == nil || err.Error() != "file '"+path+"': bad file descriptor" {
			t.Errorf("torn %v: %d lines, %v", torn, n, err)
		}
	}
	wantFile(t, path, "half\na\nb\n")
}

// What is no regular file is refused at once, and so is what a link leads to.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	keep, err := os.OpenFile(fifo, os.O_RDWR, 0) // so that it can be opened for writing
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	if err := os.Symlink("/nonexistent", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{fifo: "is no regular file", link: "file '" + link + "'", dir: "is a directory", filepath.Join(dir, "no", "log"): "no such file"} {
		o := options{kind: file, path: path}
		if s, err := o.open(); err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", path, s, err)
		}
	}
	if n := openFiles(t, dir); n != 1 {
		t.Errorf("%d files are open", n)
	}
}

// receiver listens at a path.
func receiver(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	return conn
}

// A receiver gets each line as one datagram; without one the rest of the batch is lost, and
// the next batch finds the receiver that is there by then.
func TestLinesToAReceiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	o := options{kind: socket, path: path}
	s, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.write(batchOf("a", "b")); n != 0 || err == nil || !strings.HasPrefix(err.Error(), "socket '"+path+"': ") {
		t.Errorf("without a receiver: %d lines, %v", n, err)
	}
	room := make([]byte, 100)
	for range 2 {
		conn := receiver(t, path)
		if n, err := s.write(batchOf("c", "dd")); n != 2 || err != nil {
			t.Errorf("%d lines, %v", n, err)
		}
		for _, want := range []string{"c", "dd"} {
			if n, err := conn.Read(room); err != nil || string(room[:n]) != want {
				t.Errorf("got %q, %v; want %q", room[:n], err, want)
			}
		}
		conn.Close()
		os.Remove(path)
		if n, err := s.write(batchOf("e")); n != 0 || err == nil || s.(*datagrams).conn != nil {
			t.Errorf("after its end: %d lines, %v", n, err)
		}
	}
	conn := receiver(t, path)
	long := strings.Repeat("x", 1<<20)
	if n, err := s.write(batchOf("f", long, "g")); n != 2 || err == nil || !strings.Contains(err.Error(), "message too long") {
		t.Errorf("a line that is too long: %d lines, %v", n, err)
	}
	for _, want := range []string{"f", "g"} {
		if n, err := conn.Read(room); err != nil || string(room[:n]) != want {
			t.Errorf("got %q, %v; want %q", room[:n], err, want)
		}
	}
	s.close()
	if s.close(); s.(*datagrams).conn != nil {
		t.Error("a connection is left")
	}
}

// The journal gets its fields.
func TestAnEntryOfTheJournal(t *testing.T) {
	o := options{}
	if err := o.setPlace("journal", true); err != nil || o.kind != journal || o.path != "/run/systemd/journal/socket" {
		t.Errorf("%v, kind %d, path %q", err, o.kind, o.path)
	}
	s, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.(*datagrams).frame([]byte("{}"))), "PRIORITY=6\nSYSLOG_IDENTIFIER=kresd-querylog\nMESSAGE={}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o = options{}
	if err := o.setPlace("socket", strings.Repeat("x", maxSocketPath)); err != nil || o.kind != socket {
		t.Errorf("the longest path of a socket: %v, kind %d", err, o.kind)
	}
}

// With the module its figures go, and what it has open.
func TestTheEndOfTheModule(t *testing.T) {
	dir := t.TempDir()
	registry := &metrics.Registry{}
	fake := clock.NewFake(time.Unix(1e9, 0))
	inst, err := Module().Open(&module.Host{Clock: &fake.Clock, Tasks: &safe.Group{}, Context: t.Context(), Metrics: registry, Warn: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, Instance: inst}
	f.configure("file", filepath.Join(dir, "log"))
	if len(registry.Read("querylog")) != 3 {
		t.Errorf("figures: %+v", registry.Read("querylog"))
	}
	tally := f.NewTally()
	tally.Answered(answered("\x01a\x00", 0))
	f.eventually("it is written", func() bool { return f.stat("written") == 1 })
	tally.Answered(answered("\x01b\x00", 0)) // which waits for others when the end comes
	if inst.Close(); f.stat("written") != 2 || len(lines(t, filepath.Join(dir, "log"))) != 2 {
		t.Errorf("%v lines are written at the end, and the file has %d", f.stat("written"), len(lines(t, filepath.Join(dir, "log"))))
	}
	tally.Answered(answered("\x01c\x00", 0))
	f.Observe(resolved(answered("\x01c\x00", 0), nil))
	if q := f.stat("written") + f.stat("failed") + f.stat("dropped"); q != 2 {
		t.Errorf("after the end %v questions are logged", q)
	}
	if registry.Read("querylog") != nil || openFiles(t, dir) != 0 {
		t.Errorf("after the end: figures %+v, %d files", registry.Read("querylog"), openFiles(t, dir))
	}
}

// An answer of the cache is called one on either way.
func TestWhichAnswersAreOfTheCache(t *testing.T) {
	for _, cached := range []bool{false, true} {
		e := entryOf(resolved(answered("\x01a\x00", 0), func(r *resolve.Result) { r.Cached = cached }))
		if got := e.flags&wasCached != 0; got != cached {
			t.Errorf("on the driver's way, cached %v: %v", cached, got)
		}
		a := answered("\x01a\x00", 0)
		a.Decided = !cached
		e = entryOf(a)
		if got := e.flags&wasCached != 0; got != cached || e.ede != ede.None {
			t.Errorf("on the cached answer's way, decided %v: %v", a.Decided, got)
		}
	}
}

// What a thread lost is counted when the thread has ended, too.
func TestWhatThreadsLostStaysCounted(t *testing.T) {
	q := newQueryLog(&module.Host{})
	r := newRing(64)
	others := len(q.rings)
	q.rings = append(q.rings, r)
	for r.room(40) != nil {
		r.put()
	}
	lost := q.counts().dropped
	r.closed.Store(true)
	q.drain(func([]byte) {})
	if len(q.rings) != others || lost == 0 || q.counts().dropped != lost {
		t.Errorf("%d threads are left, lost %d before and %d after", len(q.rings), lost, q.counts().dropped)
	}
	q.forget(r)
	if q.counts().dropped != lost {
		t.Error("it is counted twice")
	}
}

// A receiver that takes nothing keeps its connection, and is found again when it reads.
func TestAReceiverThatTakesNothingIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	conn := receiver(t, path)
	o := options{kind: socket, path: path}
	s, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	d := s.(*datagrams)
	many := batchOf(strings.Split(strings.Repeat("a ", 5000), " ")...)
	n, err := s.write(many)
	if n == 0 || n == len(many.ends) || err == nil || !d.stuck || d.conn == nil {
		t.Fatalf("%d of %d lines, %v; stuck %v, connected %v", n, len(many.ends), err, d.stuck, d.conn != nil)
	}
	first := d.conn
	if more, err := s.write(batchOf("b")); more != 0 || err == nil || d.conn != first {
		t.Errorf("%d lines more, %v; another connection %v", more, err, d.conn != first)
	}
	room := make([]byte, 10)
	for range n {
		if _, err := conn.Read(room); err != nil {
			t.Fatal(err)
		}
	}
	if more, err := s.write(batchOf("c")); more != 1 || err != nil || d.stuck || d.conn != first {
		t.Errorf("when it reads: %d lines, %v; stuck %v", more, err, d.stuck)
	}
}

// A configuration that is only tried opens nothing.
func TestAConfigurationThatIsTriedLogsNothing(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	end()
	dir := t.TempDir()
	inst, err := Module().Open(&module.Host{Clock: clock.Real(), Tasks: &safe.Group{}, Context: ctx, Metrics: &metrics.Registry{}, Warn: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	f := &fixture{T: t, Instance: inst}
	f.configure("file", filepath.Join(dir, "log"))
	f.NewTally().Answered(answered("\x01a\x00", 0))
	f.Observe(resolved(answered("\x01a\x00", 0), nil))
	inst.Close()
	if left, _ := os.ReadDir(dir); len(left) != 0 || f.stat("written")+f.stat("failed") != 0 {
		t.Errorf("%d files, %v lines", len(left), f.stat("written")+f.stat("failed"))
	}
}

// Of a batch that the disk had room for in part the whole lines are counted, and whether a
// line has no end is known. (A pipe is the disk that is full.)
func TestABatchThatIsWrittenInPart(t *testing.T) {
	for name, c := range map[string]struct {
		line int
		torn bool
	}{
		"in the middle of a line": {1000, true},
		"between lines":           {1024, false},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		room, err := askPipe(w, func(fd uintptr) (int, error) { return unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0) })
		if err != nil {
			t.Fatalf("how much fits in a pipe is not known: %v", err)
		}
		fit := room / c.line
		b := batchOf(strings.Split(strings.Repeat(strings.Repeat("x", c.line-1)+" ", fit+10), " ")...)
		l := &logFile{path: "pipe", f: w, looked: time.Now().Add(time.Hour)}
		var full sync.WaitGroup
		full.Go(func() {
			defer r.Close() // which ends the writing
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if n, err := askPipe(r, queued); err != nil || n == room {
					return
				}
			}
		})
		if n, err := l.write(b); n != fit || l.torn != c.torn || err == nil || err.Error() != "file 'pipe': broken pipe" {
			t.Errorf("%s: %d lines, want %d; torn %t, %v", name, n, fit, l.torn, err)
		}
		full.Wait()
	}
}

// queued is how many octets wait in a pipe.
func queued(fd uintptr) (int, error) { return unix.IoctlGetInt(int(fd), unix.TIOCINQ) }

// askPipe is what an end of a pipe says.
func askPipe(end *os.File, ask func(fd uintptr) (int, error)) (n int, err error) {
	raw, err := end.SyscallConn()
	if err != nil {
		return 0, err
	}
	outer := raw.Control(func(fd uintptr) { n, err = ask(fd) })
	return n, errors.Join(outer, err)
}

// A file that cannot be had is tried again with the next batch, and one that is begun anew
// begins with a line.
func TestAFileIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	l.torn = true
	if n, err := l.write(batchOf("a")); n != 0 || err == nil {
		t.Fatalf("without a directory: %d lines, %v", n, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.looked = time.Now().Add(time.Hour) // so that it is not looked at for long
	if n, err := l.write(batchOf("b")); n != 1 || err != nil {
		t.Errorf("when the directory is there: %d lines, %v", n, err)
	}
	wantFile(t, path, "b\n")
}
