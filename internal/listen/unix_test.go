package listen

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

var atPath = PathFlags{Flags: both}

// aSupervisor is who started the servers of these tests, and some others.
const aSupervisor = 7

// servePath opens a server on a path.
func servePath(t *testing.T, path string, flags PathFlags) *Server {
	t.Helper()
	s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics(), Supervisor: aSupervisor})
	if err := s.ListenPath(path, flags); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Drain(t.Context()) })
	return s
}

// askPath asks at a path by a connection of its own.
func askPath(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err = c.Write(appendFrame(nil, ask(7, 'f'))); err != nil {
		return err
	}
	msg, err := nextMessage(c)
	if err == nil && msg[len(msg)-1] != 1 {
		err = errors.New("the client is not known as one of this machine")
	}
	return err
}

func TestAPathIsServedAndGoesWithItsServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	s := servePath(t, path, atPath)
	if err := askPath(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if list := s.Endpoints(); len(list) != 1 || list[0].Path != path || list[0].Kind != transport.TCP || list[0].Addr.IsValid() {
		t.Errorf("endpoints: %+v", list)
	}
	if err := s.ListenPath(path, atPath); err != nil || len(s.Endpoints()) != 1 {
		t.Errorf("once more: %v", err)
	}
	if !s.ClosePath(path) || s.ClosePath(path) {
		t.Error("closing it tells the wrong thing")
	}
	s.retiring.Wait()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: %v", err)
	}
	if err := s.ListenPath(path, PathFlags{Flags: both, Mode: 0o660}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 || askPath(path) != nil {
		t.Errorf("opened again with another mode: %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside it there is more: %v, %v", left, err)
	}
}

// servedByChild has another process listen at a path, and is its number.
func servedByChild(t *testing.T, path string) (pid string) {
	t.Helper()
	cmd := exec.Command("socat", "UNIX-LISTEN:"+path+",fork", "STDOUT")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the other program listens", func() bool { _, err := whoAnswers(path, 0); return err == nil })
	return strconv.Itoa(cmd.Process.Pid)
}

// What is no dead socket is left alone, and the refusal says what it is.
func TestAPathThatIsTakenIsRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", at("live"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	child := servedByChild(t, at("foreign"))
	for path, says := range map[string]string{
		at("file"):                         "not a socket",
		at("foreign"):                      "another program listens there (process " + child + ")",
		at("nosuch/dns"):                   "no file can be made in",
		at("file/dns"):                     "no file can be made in",
		at(strings.Repeat("long", 30)):     "a UNIX socket has at most",
		at(strings.Repeat("longer", 1000)): "a UNIX socket has at most",
	} {
		s := New(newEcho(), Options{Limits: &limits.Counters{}})
		err := s.ListenPath(path, atPath)
		var b *BindError
		if !errors.As(err, &b) || b.Path != path || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v; want %q", path, err, says)
		}
	}
	s := New(newEcho(), Options{})
	if err := s.ListenPath(at("dns"), PathFlags{Flags: only(transport.UDP)}); !errors.Is(err, ErrNoStream) {
		t.Errorf("without a kind for streams: %v", err)
	}
	if text, _ := os.ReadFile(at("file")); string(text) != "precious" {
		t.Error("the file was touched")
	}
}

// A worker whose queue is full for a moment is waited for, and one that accepts nobody
// is told of.
func TestWhoAnswersWithAFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	fill, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	if _, err := whoAnswers(path, time.Millisecond); err != unix.EAGAIN {
		t.Errorf("a full queue: %v", err)
	}
	s := New(newEcho(), Options{})
	if err := s.ListenPath(path, atPath); err == nil || !strings.Contains(err.Error(), "accepts nobody") {
		t.Errorf("a program that accepts nobody: %v", err)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		if nfd, _, err := unix.Accept(fd); err == nil {
			unix.Close(nfd)
		}
	}()
	if there, err := whoAnswers(path, 20*time.Second); err != nil || there.pid != os.Getpid() {
		t.Errorf("a queue that was full: %+v, %v", there, err)
	}
}

// A file of a process that is dead gives way.
func TestAStaleSocketGivesWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	servePath(t, path, atPath)
	if err := askPath(path); err != nil {
		t.Error(err)
	}
}

// Of two workers the later one has the path, from one instant to the next; when it
// leaves, the other one takes the path over.
func TestWorkersHandAPathOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	first := servePath(t, path, atPath)
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		var bad error
		for {
			select {
			case <-stop:
				failed <- bad
				return
			default:
				if err := askPath(path); err != nil && bad == nil {
					bad = err
				}
			}
		}
	}()
	for range 20 {
		servePath(t, path, atPath)
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Errorf("while the path changed hands: %v", err)
	}
	second := servePath(t, path, atPath)
	before := first.Stats().TCP
	if err := askPath(path); err != nil || first.Stats().TCP != before || second.Stats().TCP != 1 {
		t.Errorf("%v; the later worker was not asked", err)
	}
	second.Drain(t.Context())
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := askPath(path); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("nobody took the path over: %v", err)
		}
	}
}

// The custodian of a worker that was killed goes on accepting from its socket: not
// even a connection that waits there is lost.
func TestAPathOutlivesAKilledWorker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	other := filepath.Join(t.TempDir(), "other")
	custodian := servePath(t, other, atPath)
	if err := custodian.ListenPath(path, atPath); err != nil {
		t.Fatal(err)
	}
	own := path + owner{os.Getpid(), aSupervisor}.suffix()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: own}), unix.Listen(fd, 16), os.Rename(own, path)); err != nil {
		t.Fatal(err)
	}
	var waiting []net.Conn
	for range 17 { // a full queue
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		sendFrames(t, c, ask(7, 'f'))
		waiting = append(waiting, c)
	}
	if err := custodian.Finish(fd); err != nil {
		t.Fatal(err)
	}
	for _, c := range waiting {
		readFrame(t, c)
	}
	if err := errors.Join(askPath(path), askPath(other)); err != nil {
		t.Error(err)
	}
	custodian.Drain(t.Context())
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: %v", err)
	}
}

// A path that another worker has by now is not fought for.
func TestALeftoverOfAPathIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	s := servePath(t, path, atPath)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	other := path + owner{1, aSupervisor}.suffix()
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: other}), unix.Listen(fd, 16)); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(fd); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("unix", other); err == nil {
		c.Close()
		t.Error("the leftover is still there")
	}
	if err := askPath(path); err != nil {
		t.Error(err)
	}
}

func TestOwnNamesOfPaths(t *testing.T) {
	for own, want := range map[string]struct {
		path string
		by   owner
	}{
		"/run/dns.77-5~":    {"/run/dns", owner{77, 5}},
		"/run/d.5.77-0~":    {"/run/d.5", owner{77, 0}},
		"/run/dns":          {"/run/dns", owner{}},
		"dns":               {"dns", owner{}},
		"/run/dns.x~":       {"/run/dns.x~", owner{}},
		"/run/dns.77~":      {"/run/dns.77~", owner{}},
		"/run/dns.077-5~":   {"/run/dns.077-5~", owner{}},
		"/run/dns.77-5~old": {"/run/dns.77-5~old", owner{}},
		"/run/dns77-5~":     {"/run/dns77-5~", owner{}},
	} {
		if path, by := pathOf(own); path != want.path || by != want.by {
			t.Errorf("%s: %s of %+v", own, path, by)
		}
	}
}

// A sibling's socket is known by its name, without a look at its process, which may be
// hidden; that of a program with another supervisor, or with none, is a stranger's.
func TestASiblingsSocketIsKnownByItsName(t *testing.T) {
	for supervisor, taken := range map[int]bool{aSupervisor: false, aSupervisor + 1: true, 0: true} {
		path := filepath.Join(t.TempDir(), "dns")
		own := path + owner{mostPID, supervisor}.suffix()
		servedByChild(t, own)
		if err := os.Rename(own, path); err != nil {
			t.Fatal(err)
		}
		s := New(newEcho(), Options{Limits: &limits.Counters{}, Supervisor: aSupervisor})
		if err := s.ListenPath(path, atPath); (err != nil) != taken || taken && !strings.Contains(err.Error(), "another program listens there") {
			t.Errorf("the socket of a process that %d started: %v", supervisor, err)
		}
		alone := New(newEcho(), Options{Limits: &limits.Counters{}})
		if alone.ListenPath(path, atPath) == nil {
			t.Errorf("a process without a supervisor takes the path of one that %d started", supervisor)
		}
	}
}

// A path is not tried while its file is the one seen last and the process seen with it lives;
// where it has to be, who answers there is remembered.
func TestWhenAPathIsTried(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	s := New(newEcho(), Options{})
	e := &endpoint{Endpoint: Endpoint{Path: path}}
	mine := seenAt{fileAt(path), os.Getpid()}
	if s.lost(e) || e.seen != mine {
		t.Errorf("one that is served is lost, or seen as %+v, want %+v", e.seen, mine)
	}
	ln.Close() // the file stays
	if s.lost(e) {
		t.Error("it is tried though nothing has changed")
	}
	for what, seen := range map[string]seenAt{"of a dead process": {mine.file, mostPID}, "another file": {fileID{mine.file.dev, mine.file.ino + 1}, mine.pid}, "none": {}} {
		if e.seen = seen; !s.lost(e) {
			t.Errorf("what was seen is %s: it is not lost", what)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if e.seen = (seenAt{pid: mine.pid}); !s.lost(e) {
		t.Error("one that is gone is not lost")
	}
}

// Paths are looked after as long as there are any, and by one goroutine.
func TestPathsAreLookedAfterWhileThereAreAny(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns")
	s := servePath(t, path, PathFlags{Flags: tcpOnly})
	standing := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.standing
	}
	for range 2 {
		if !s.lookAtPaths() || !standing() {
			t.Error("a path that is served is not looked after any more")
		}
	}
	if err := askPath(path); err != nil {
		t.Error(err)
	}
	if !s.ClosePath(path) || s.ClosePath(path) {
		t.Error("it is not closed once")
	}
	if s.lookAtPaths() || standing() {
		t.Error("paths are looked after where there are none")
	}
}

// What a dead process of our number has left under the name of our own is in nobody's way, and
// the file of a path may be used by whom the operator says.
func TestALeftoverOfOurOwnNumberGivesWay(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{0: ownerOnly, 0o660: 0o660} {
		path := filepath.Join(t.TempDir(), "dns")
		s := serve(t, newEcho())
		own := path + owner{os.Getpid(), s.supervisor}.suffix()
		if err := os.WriteFile(own, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.ListenPath(path, PathFlags{Flags: tcpOnly, Mode: mode}); err != nil {
			t.Fatal(err)
		}
		if err := askPath(path); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("the file has the mode %v, %v; want %v", info.Mode(), err, want)
		}
		if _, err := os.Lstat(own); err == nil {
			t.Error("the name of our own is there still")
		}
	}
}
