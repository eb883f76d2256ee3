package forkmap

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/console"
	"kresd/internal/ipc"
	"kresd/internal/rundir"
)

// The test binary also plays a worker: its standard input brings rosters (a
// line of JSON) and expressions for map() (any other line).
const roleEnv = "FORKMAP_TEST_WORKER"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		playWorker(role)
		return
	}
	os.Exit(m.Run())
}

func playWorker(role string) {
	var id, count int
	fmt.Sscanf(role, "%d/%d", &id, &count)
	r := New(Options{ID: id, Count: count, Eval: func(ctx context.Context, expr string) Result {
		if expr == fmt.Sprint("die ", id) {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
		return evaluate(id)(ctx, expr)
	}})
	l, err := rundir.Listen(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	console.Serve(l, console.Options{Eval: func() console.Evaluator { return noLua{} }, Protocols: map[string]console.Protocol{Greeting: r.Serve}})
	fmt.Println("ready")
	for sc := bufio.NewScanner(os.Stdin); sc.Scan(); {
		var roster []ipc.Member
		if json.Unmarshal(sc.Bytes(), &roster) == nil {
			r.SetRoster(roster)
			continue
		}
		got, err := r.Map(context.Background(), sc.Text())
		if err != nil {
			fmt.Println(err)
			continue
		}
		var entries []string
		for _, p := range got.Pairs {
			entries = append(entries, fmt.Sprintf("%v=%v", p.Key, p.Value))
		}
		fmt.Println(strings.Join(entries, " "))
	}
}

type workerProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func startWorkers(t *testing.T, n int) (workers []*workerProcess) {
	t.Helper()
	t.Chdir(t.TempDir())
	if _, err := rundir.PrepareTTY(); err != nil {
		t.Fatal(err)
	}
	var roster []ipc.Member
	for id := range n {
		w := &workerProcess{t: t, cmd: exec.Command(os.Args[0])}
		w.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d/%d", roleEnv, id, n))
		in, err := w.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		w.in, w.out = in, bufio.NewReader(out)
		if err := w.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.cmd.Process.Kill(); _ = w.cmd.Wait() })
		if got := w.line(); got != "ready" {
			t.Fatalf("worker %d says %q", id, got)
		}
		workers = append(workers, w)
		roster = append(roster, ipc.Member{ID: id, PID: w.cmd.Process.Pid})
	}
	text, err := json.Marshal(roster)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		w.say(string(text))
	}
	return workers
}

func (w *workerProcess) say(line string) {
	w.t.Helper()
	if _, err := io.WriteString(w.in, line+"\n"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workerProcess) line() string {
	w.t.Helper()
	text, err := w.out.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

// mapped runs map() in a worker process.
func (w *workerProcess) mapped(expr string) (result string, took time.Duration) {
	w.t.Helper()
	begun := time.Now()
	w.say(expr)
	return w.line(), time.Since(begun)
}

func (w *workerProcess) signal(sig unix.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(sig); err != nil {
		w.t.Fatal(err)
	}
}

// freeze stops the process and waits until it stands still.
func (w *workerProcess) freeze() {
	w.t.Helper()
	w.signal(unix.SIGSTOP)
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", w.cmd.Process.Pid))
		if err != nil || len(tasks) == 0 {
			w.t.Fatalf("no threads in /proc: %v", err)
		}
		running := false
		for _, path := range tasks {
			b, _ := os.ReadFile(path)
			_, state, _ := strings.Cut(string(b), ") ")
			running = running || !strings.HasPrefix(state, "T")
		}
		if !running {
			return
		}
		if time.Now().After(limit) {
			w.t.Fatal("the process does not stop")
		}
	}
}

func TestProcesses(t *testing.T) {
	workers := startWorkers(t, 4)
	for id, w := range workers {
		if got, _ := w.mapped("id"); got != "1=0 2=1 3=2 4=3" {
			t.Errorf("map from worker %d: %s", id, got)
		}
	}
	workers[2].freeze()
	for _, from := range []int{0, 1} {
		got, took := workers[from].mapped("id")
		if got != "1=0 2=1 3=false 4=3" || took > 4*time.Second {
			t.Errorf("map from worker %d with worker 2 stopped: %s after %v", from, got, took)
		}
	}
	workers[2].signal(unix.SIGCONT)
	workers[0].freeze()
	if got, took := workers[1].mapped("id"); got != "1=false 2=1 3=2 4=3" || took > 4*time.Second {
		t.Errorf("map with the leader stopped: %s after %v", got, took)
	}
	workers[0].signal(unix.SIGKILL)
	_ = workers[0].cmd.Wait()
	for _, from := range []int{1, 3} {
		if got, _ := workers[from].mapped("id"); got != "1=false 2=1 3=2 4=3" {
			t.Errorf("map from worker %d with the leader dead: %s", from, got)
		}
	}
}

// A leader that is killed when it has the expression may have run it anywhere: its caller is
// told that nobody knows.
func TestLeaderKilledInTheMiddle(t *testing.T) {
	workers := startWorkers(t, 3)
	if got, _ := workers[1].mapped("die 0"); got != ErrUnknown.Error() {
		t.Errorf("got %q, want %q", got, ErrUnknown)
	}
}
