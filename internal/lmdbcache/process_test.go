package lmdbcache

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary runs itself again as another process that shares a map, told
// by this variable what to do there.
const helperEnv = "KRESD_LMDBCACHE_TEST_HELPER"

func TestMain(m *testing.M) {
	if role := os.Getenv(helperEnv); role != "" {
		os.Exit(runHelper(role, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func runHelper(role string, args []string) int {
	var err error
	switch role {
	case "check":
		return CheckMain(args[0])
	case "commands":
		err = obey(args[0], args[1])
	case "write":
		err = writeForever(args[0])
	case "limited":
		err = openLimited(args[0], atoi(args[1]), atoi(args[2]))
	case "lock":
		err = holdForOthers(args[0])
	case "lmdb":
		err = useLMDB(args[0])
	case "disk":
		err = fillDisk(args[0])
	case "serve":
		for i := 0; i < len(args) && err == nil; i++ {
			err = serveOnce(args[i])
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// obey opens dir and executes lines from standard input, answering each by one.
func obey(dir, size string) error {
	n, _ := strconv.ParseInt(size, 10, 64)
	s, err := Open(dir, Options{MaxSize: n})
	if err != nil {
		return err
	}
	fmt.Println("open")
	var release func()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch f[0] {
		case "get":
			val := "none"
			s.Get([]byte(f[1]), func(v []byte) { val = "=" + string(v) })
			fmt.Println(val)
		case "put":
			s.Put([]byte(f[1]), []byte(f[2]))
			fmt.Println("ok")
		case "hold": // queue a write, but keep the writer from committing it
			release = holdWriter(s)
			s.Put([]byte(f[1]), []byte(f[2]))
			fmt.Println("ok")
		case "release":
			release()
			fmt.Println(s.Flush(context.Background()))
		case "flush":
			fmt.Println(s.Flush(context.Background()))
		case "fill": // entries of 1000 bytes
			for i, n := 0, atoi(f[1]); i < n; i++ {
				s.Put(fmt.Appendf(nil, "fill%06d", i), make([]byte, 1000))
			}
			fmt.Println(s.Flush(context.Background()))
		case "clear":
			fmt.Println(s.Clear())
		case "size":
			fmt.Println(s.Size())
		}
	}
	return s.Close()
}

// holdWriter keeps the writer of s, and no other, from committing what is queued from
// now on until release.
func holdWriter(s *Store) (release func()) {
	j := &job{ended: make(chan error)} // which the writer waits to be told the end of
	s.queue.addJob(j)
	return func() { <-j.ended }
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n }

// writeForever writes entries whose value tells their key.
func writeForever(dir string) error {
	s, err := Open(dir, Options{MaxSize: 8 << 20})
	if err != nil {
		return err
	}
	fmt.Println("open")
	for {
		for range 50 {
			k := fmt.Sprintf("key%05d", rand.IntN(4000))
			s.Put([]byte(k), []byte(strings.Repeat(k, 1+rand.IntN(40))))
		}
		s.Flush(context.Background())
	}
}

// serveOnce does what a worker does with a cache of unknown state.
func serveOnce(dir string) error {
	s, err := Open(dir, Options{MaxSize: 1 << 20, Schema: 7, Warn: func(l string) { fmt.Println("warn:", filepath.Base(dir), l) }})
	if err != nil {
		return err
	}
	for i := range 500 {
		s.Get(fmt.Appendf(nil, "key%04d", i), func([]byte) {})
		s.Put(fmt.Appendf(nil, "key%04d", i), make([]byte, i))
	}
	if err := s.Flush(context.Background()); err != nil {
		return err
	}
	if val, ok := get(s, "key0123"); !ok || len(val) != 123 {
		return fmt.Errorf("key0123 has %d bytes, %v", len(val), ok)
	}
	fmt.Println("served", filepath.Base(dir))
	return s.Close()
}

// A helper is such a process.
type helper struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func start(t *testing.T, role string, args ...string) *helper {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{t: t, cmd: exec.Command(exe, args...)}
	h.cmd.Env = append(os.Environ(), helperEnv+"="+role)
	h.cmd.Stderr = os.Stderr
	out, err1 := h.cmd.StdoutPipe()
	h.in, err = h.cmd.StdinPipe()
	if err != nil || err1 != nil {
		t.Fatal(err, err1)
	}
	h.out = bufio.NewScanner(out)
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	return h
}

func (h *helper) line() string {
	h.out.Scan()
	return h.out.Text()
}

func (h *helper) want(command, answer string) {
	h.t.Helper()
	if command != "" {
		fmt.Fprintln(h.in, command)
	}
	if got := h.line(); got != answer {
		h.t.Errorf("%q in another process: %q, want %q", command, got, answer)
	}
}

func (h *helper) kill() {
	h.cmd.Process.Kill()
	h.cmd.Wait()
}

func TestProcessesShareTheMap(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 4 << 20})
	h := start(t, "commands", dir, "1048576")
	h.want("", "open")
	h.want("size", "4194304")
	s.Put([]byte("mine"), []byte("1"))
	flush(t, s)
	h.want("get mine", "=1")
	h.want("put theirs 2", "ok")
	h.want("get theirs", "=2")
	h.want("flush", "<nil>")
	wantGet(t, s, "theirs", "2")
}

func TestClearReachesOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	h := start(t, "commands", dir, "0")
	h.want("", "open")
	r := reader(t, s)
	number := func() uint64 {
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		defer r.End()
		return r.ClearNumber()
	}
	before := number()

	h.want("put com.a 1", "ok")
	h.want("put org.a 1", "ok")
	h.want("flush", "<nil>")
	h.want("hold com.b 2", "ok")
	if n, err := s.RemoveRange([]byte("com."), 100, nil); n != 1 || err != nil {
		t.Errorf("RemoveRange = %d, %v; want 1", n, err)
	}
	h.want("release", "<nil>")
	h.want("get com.a", "none")
	h.want("get com.b", "none") // was queued before the clear
	h.want("get org.a", "=1")
	if now := number(); now != before+1 {
		t.Errorf("clear number went from %d to %d", before, now)
	}

	h.want("hold org.b 2", "ok") // not of the range that is cleared next
	if n, err := s.RemoveRange([]byte("com."), 100, nil); n != 0 || err != nil {
		t.Errorf("RemoveRange = %d, %v; want 0", n, err)
	}
	h.want("release", "<nil>")
	wantGet(t, s, "org.b", "2")

	h.want("hold net.a 3", "ok")
	if n, err := s.Clear(); n != 2 || err != nil {
		t.Errorf("Clear = %d, %v; want 2", n, err)
	}
	h.want("release", "<nil>")
	wantMiss(t, s, "net.a")
	wantCount(t, s, 0)

	// The first write after a clear by another process is stored.
	h.want("clear", "0 <nil>")
	s.Put([]byte("fresh"), []byte("1"))
	flush(t, s)
	h.want("get fresh", "=1")
}

func TestMapThatAnotherProcessEnlarged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20})
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	r.End()
	h := start(t, "commands", dir, strconv.Itoa(32<<20))
	h.want("", "open")
	h.want("fill 6000", "<nil>")
	if err := r.Begin(); err != nil {
		t.Fatalf("Begin after the map grew: %v", err)
	}
	if _, ok := r.Get([]byte("fill005999")); !ok {
		t.Error("an entry beyond the old map is not found")
	}
	r.End()
	h.want("fill 12000", "<nil>")
	if n, err := s.RemoveRange([]byte("fill000000"), 9, nil); n != 1 || err != nil { // the writer follows too
		t.Errorf("RemoveRange after the map grew: %d, %v", n, err)
	}
	h.want("get fill000000", "none")
	s.Put([]byte("mine"), []byte("1"))
	flush(t, s)
	h.want("get mine", "=1")
	if s.Size() != 32<<20 {
		t.Errorf("Size() = %d", s.Size())
	}
	if st := s.Stats(); st.WriteErrors != 0 || st.Damaged != 0 {
		t.Errorf("Stats: %+v", st)
	}
}

// TestKilledWritersHurtNobody kills writing processes at random moments while
// this one reads and writes.
func TestKilledWritersHurtNobody(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 8 << 20})
	r := reader(t, s)
	rounds := 25
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		h := start(t, "write", dir)
		h.want("", "open")
		time.Sleep(time.Duration(rand.IntN(20000)) * time.Microsecond) // the moment is the point
		h.kill()
		mine := fmt.Sprint("mine", round)
		s.Put([]byte(mine), []byte("1"))
		flush(t, s)
		if err := r.Begin(); err != nil {
			t.Fatalf("round %d: Begin: %v", round, err)
		}
		if _, ok := r.Get([]byte(mine)); !ok {
			t.Errorf("round %d: own entry not found", round)
		}
		for range 200 {
			k := fmt.Sprintf("key%05d", rand.IntN(4000))
			if v, ok := r.Get([]byte(k)); ok && strings.Trim(string(v), k) != "" {
				t.Errorf("round %d: %s holds %.40q", round, k, v)
			}
		}
		r.End()
	}
	if st := s.Stats(); st.WriteErrors != 0 || st.Damaged != 0 {
		t.Errorf("Stats: %+v", st)
	}
	wantSound(t, s)
}

// TestFrozenProcessDelaysNobody stops a process inside a write transaction.
func TestFrozenProcessDelaysNobody(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 8 << 20})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	h := start(t, "write", dir)
	h.want("", "open")
	for try := 0; !writerIsHeldUp(t, s); try++ {
		if try == 500 {
			t.Fatal("the other process was never stopped inside a transaction")
		}
		h.signal(syscall.SIGCONT)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the moment is the point
		h.signal(syscall.SIGSTOP)
	}
	s.Put([]byte("queued"), []byte("1"))
	wantGet(t, s, "k", "v")
	wantGet(t, s, "queued", "1")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.Flush(ctx); err != ErrBusy {
		t.Errorf("Flush beside a frozen writer: %v, want ErrBusy", err)
	}
	h.kill()
	flush(t, s)
	wantGet(t, s, "queued", "1")
}

// writerIsHeldUp tells whether a write does not get through.
func writerIsHeldUp(t *testing.T, s *Store) bool {
	s.Put([]byte("try"), []byte("v"))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	return s.Flush(ctx) != nil
}

func (h *helper) signal(sig syscall.Signal) {
	h.t.Helper()
	if err := h.cmd.Process.Signal(sig); err != nil {
		h.t.Fatal(err)
	}
}

func TestReplacedFileIsReported(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"replaced":    func(dir string) error { return replaceFile(filepath.Join(dir, dataName)) },
		"removed":     func(dir string) error { return os.Remove(filepath.Join(dir, dataName)) },
		"quarantined": func(dir string) error { _, err := Quarantine(dir, time.Now()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lost := make(chan string, 1)
			s := open(t, dir, Options{OnLost: func(why string) { lost <- why }})
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			t.Log(soon(t, "the loss is told", lost))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = open(t, dir, Options{})
			s.Put([]byte("k"), []byte("v"))
			flush(t, s)
			wantGet(t, s, "k", "v")
		})
	}
}

func replaceFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
