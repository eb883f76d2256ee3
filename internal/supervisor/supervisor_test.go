package supervisor

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// patience is for a machine that does many other things.
const patience = 60 * time.Second

// A running is a supervisor process with its workers.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	lines  chan string     // of all processes' output; closed when the last has ended
	stderr strings.Builder // errors among them; to be read at the end
	seen   []string
}

func start(t *testing.T, dir string, count int, env ...string) *running {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("%s=%d", roleCount, count)), env...)
	return run(t, dir, cmd)
}

// launch starts the program at a path with a command line, in a directory.
func launch(t *testing.T, dir, program string, line []string, env ...string) *running {
	t.Helper()
	return run(t, dir, asProgram(exec.Command(program, line...), env...))
}

// asProgram has a command be the program.
func asProgram(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(append(os.Environ(), roleLaunch+"=1"), env...)
	return cmd
}

// run starts a supervisor of either kind.
func run(t *testing.T, dir string, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd, dir: dir, lines: make(chan string, 10000)}
	r.cmd.Dir = dir
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	er, ew, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout, r.cmd.Stderr = pw, ew
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	ew.Close()
	errDone := make(chan struct{})
	go func() {
		defer close(errDone)
		for sc := bufio.NewScanner(er); sc.Scan(); {
			r.stderr.WriteString(sc.Text() + "\n")
			r.lines <- sc.Text()
		}
	}()
	go func() {
		for sc := bufio.NewScanner(pr); sc.Scan(); {
			r.lines <- sc.Text()
		}
		<-errDone
		close(r.lines)
	}()
	t.Cleanup(func() { unix.Kill(-r.cmd.Process.Pid, unix.SIGKILL); r.cmd.Process.Kill() })
	return r
}

// expect waits for a line that contains all words and returns it.
func (r *running) expect(words ...string) string {
	r.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended before a line with %q; output:\n%s\nerrors:\n%s", words, strings.Join(r.seen, "\n"), r.stderr.String())
			}
			r.seen = append(r.seen, line)
			if hasAll(line, words) {
				return line
			}
		case <-limit:
			r.t.Fatalf("no line with %q; output:\n%s", words, strings.Join(r.seen, "\n"))
		}
	}
}

func hasAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// complete waits until all count workers are ready and returns their pids.
func (r *running) complete(count int) []int {
	r.t.Helper()
	r.expect("[system] all workers are ready")
	pids := make([]int, count)
	for found := 0; found < count; {
		found = 0
		for _, l := range r.seen {
			var id, pid int
			if n, _ := fmt.Sscanf(l, "%d %d ready", &id, &pid); n == 2 && strings.HasSuffix(l, "ready") {
				pids[id] = pid
				found++
			}
		}
		if found < count {
			r.expect("ready")
		}
	}
	return pids
}

func (r *running) kill(pid int, sig syscall.Signal) {
	r.t.Helper()
	if err := unix.Kill(pid, sig); err != nil {
		r.t.Fatalf("kill %d %v: %v", pid, sig, err)
	}
}

func (r *running) pid() int { return r.cmd.Process.Pid }

// end waits until every process of the group is gone and returns the
// supervisor's status.
func (r *running) end() int {
	r.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-r.lines:
			if ok {
				r.seen = append(r.seen, line)
				continue
			}
			_ = r.cmd.Wait()
			return r.cmd.ProcessState.ExitCode()
		case <-limit:
			r.t.Fatalf("some process is still there; output:\n%s", strings.Join(r.seen, "\n"))
		}
	}
}

// play puts a file for the workers to read (see playWorker).
func play(t *testing.T, dir, what, worker string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, what), []byte(worker), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFirstWorkerStartsAlone(t *testing.T) {
	r := start(t, t.TempDir(), 3)
	r.complete(3)
	r.kill(r.pid(), syscall.SIGTERM)
	if status := r.end(); status != 0 {
		t.Errorf("status %d after SIGTERM, want 0", status)
	}
	// Worker 0 says that it is ready to the supervisor first, so that the others
	// may come between; but its start, and what follows it, comes before theirs.
	if !strings.HasPrefix(r.seen[0], "0 ") || !strings.HasSuffix(r.seen[0], "start") {
		t.Errorf("first line is %q, want the start of worker 0", r.seen[0])
	}
	if drained := strings.Count(strings.Join(r.seen, "\n"), " drain"); drained != 3 {
		t.Errorf("%d workers drained, want 3", drained)
	}
}

func TestKilledWorkerIsRestartedWithItsID(t *testing.T) {
	r := start(t, t.TempDir(), 3)
	pids := r.complete(3)
	for id := range 3 {
		r.kill(pids[id], syscall.SIGKILL)
		r.expect("worker "+fmt.Sprint(id), "runs the configuration again")
		line := r.expect(fmt.Sprintf("%d ", id), " ready")
		var gotID, pid int
		fmt.Sscanf(line, "%d %d", &gotID, &pid)
		if gotID != id || pid == pids[id] {
			t.Errorf("after the death of worker %d (pid %d): %q", id, pids[id], line)
		}
	}
	if z := zombies(t, r.pid()); len(z) != 0 {
		t.Errorf("zombies: %v", z)
	}
	if !strings.Contains(strings.Join(r.seen, "\n"), fmt.Sprint("died ", pids[1])) {
		t.Error("Died was not told")
	}
	if n := strings.Count(strings.Join(r.seen, "\n"), "all workers are ready"); n != 1 {
		t.Errorf("the group became complete %d times, want once", n)
	}
	r.kill(r.pid(), syscall.SIGINT)
	if status := r.end(); status != 0 {
		t.Errorf("status %d after SIGINT, want 0", status)
	}
}

// zombies lists the dead children of a process that it has not waited for.
func zombies(t *testing.T, parent int) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(b), ") ")
		var state string
		var ppid int
		fmt.Sscan(rest, &state, &ppid)
		if ppid == parent && state == "Z" {
			found = append(found, path)
		}
	}
	return found
}

// What workers have in common those have, too, that are started in others' places;
// other groups have something else.
func TestASecretIsSharedByTheGroup(t *testing.T) {
	secrets := func(r *running) (list []string) {
		for _, m := range regexp.MustCompile(`(?m)^\d+ \d+ secret ([0-9a-f]{64})$`).FindAllStringSubmatch(strings.Join(r.seen, "\n"), -1) {
			list = append(list, m[1])
		}
		return list
	}
	r := start(t, t.TempDir(), 3)
	r.kill(r.complete(3)[1], syscall.SIGKILL)
	r.expect("1 ", " secret ")
	other := start(t, t.TempDir(), 2)
	other.complete(2)
	all, others := secrets(r), secrets(other)
	if len(all) != 4 || len(slices.Compact(slices.Clone(all))) != 1 {
		t.Errorf("four workers have the secrets %q", all)
	}
	if len(others) != 2 || others[0] == all[0] || others[0] != others[1] {
		t.Errorf("another group has the secrets %q, this one %q", others, all)
	}
}

func TestRosterFollowsDeathsAndReturns(t *testing.T) {
	r := start(t, t.TempDir(), 2)
	pids := r.complete(2)
	full := fmt.Sprintf("roster [{0 %d} {1 %d}]", pids[0], pids[1])
	if !strings.Contains(strings.Join(r.seen, "\n"), full) {
		r.expect(full)
	}
	r.kill(pids[0], syscall.SIGKILL)
	r.expect(fmt.Sprintf("1 %d roster [{1 %d}]", pids[1], pids[1]))
	r.expect(fmt.Sprintf("1 %d roster [{0 ", pids[1]))
}

func TestWorkersEndWithTheirSupervisor(t *testing.T) {
	r := start(t, t.TempDir(), 3)
	r.complete(3)
	begun := time.Now()
	r.kill(r.pid(), syscall.SIGKILL)
	r.end()
	if took := time.Since(begun); took > limits.OrphanTime {
		t.Errorf("workers outlived their supervisor by %v", took)
	}
	if n := strings.Count(strings.Join(r.seen, "\n"), "orphan"); n != 3 {
		t.Errorf("%d workers noticed, want 3", n)
	}
}

func TestFrozenSupervisorHoldsNobodyUp(t *testing.T) {
	r := start(t, t.TempDir(), 2)
	pids := r.complete(2)
	r.kill(r.pid(), syscall.SIGSTOP)
	for range 100 {
		r.kill(pids[1], syscall.SIGUSR1)
		r.expect("1 ", "pong")
	}
	r.kill(pids[0], syscall.SIGKILL)
	r.kill(r.pid(), syscall.SIGCONT)
	r.expect("0 ", "ready")
}

func TestNoOtherWorkerStartsBeforeTheFirstIsReady(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "crash", "0")
	r := start(t, dir, 3)
	r.end()
	for _, l := range r.seen {
		if strings.HasSuffix(l, " start") && !strings.HasPrefix(l, "0 ") {
			t.Errorf("%q, but worker 0 was never ready", l)
		}
	}
}

func TestStartFailureIsOneLine(t *testing.T) {
	for _, worker := range []string{"0", "2"} {
		dir := t.TempDir()
		play(t, dir, "fatal", worker)
		r := start(t, dir, 4)
		if status := r.end(); status != 1 {
			t.Errorf("worker %s cannot start: status %d, want 1", worker, status)
		}
		if got := r.stderr.String(); got != "config:3: bad option\n" {
			t.Errorf("worker %s cannot start: errors %q, want one line", worker, got)
		}
	}
}

func TestGroupThatDiesBeforeReadyGivesUp(t *testing.T) {
	for _, worker := range []string{"0", "1"} {
		dir := t.TempDir()
		play(t, dir, "crash", worker)
		r := start(t, dir, 2)
		if status := r.end(); status != 1 {
			t.Errorf("status %d, want 1", status)
		}
		want := fmt.Sprintf("worker %s was started %d times and never became ready; the last time it ended with status 3\n", worker, limits.StartAttempts)
		if got := r.stderr.String(); got != want {
			t.Errorf("errors %q, want %q", got, want)
		}
	}
}

// A first worker that never becomes ready ends the group in time, by itself or by force.
func TestAFirstWorkerThatIsNotReadyInTimeEndsTheGroup(t *testing.T) {
	for _, stubborn := range []string{"", "0"} {
		dir := t.TempDir()
		play(t, dir, "hang", "0")
		play(t, dir, "stubborn", stubborn)
		r := start(t, dir, 2, roleStartTime+"=300ms")
		if status := r.end(); status != 1 {
			t.Errorf("stubborn %q: status %d, want 1", stubborn, status)
		}
		if got := r.stderr.String(); !regexp.MustCompile(`^worker 0 \(pid \d+\) is not ready after 300ms: .* KRESD_START_TIME\n$`).MatchString(got) {
			t.Errorf("stubborn %q: errors %q, want one line", stubborn, got)
		}
	}
}

// A later worker that hangs is tried again while others serve.
func TestALaterWorkerThatIsNotReadyInTimeIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "hang", "1")
	r := start(t, dir, 2, roleStartTime+"=300ms")
	r.expect("worker 1 was not ready in time; next try in")
	if err := os.Remove(filepath.Join(dir, "hang")); err != nil {
		t.Fatal(err)
	}
	r.expect("all workers are ready")
	r.kill(r.pid(), syscall.SIGTERM)
	if status := r.end(); status != 0 || r.stderr.String() != "" {
		t.Errorf("status %d, errors %q", status, r.stderr.String())
	}
}

func TestStartTimeOfTheEnvironment(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "1": time.Second, "600": 10 * time.Minute, "0": -1, "-1": -1, "1.5": -1, "9999999999": -1, "x": -1} {
		got, err := startTimeOf(text)
		if want < 0 && (err == nil || !strings.Contains(err.Error(), "KRESD_START_TIME: '"+text+"'")) || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestBrokenRestartLeavesTheOthersServing(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	pids := r.complete(2)
	play(t, dir, "fatal", "1")
	r.kill(pids[1], syscall.SIGKILL)
	for range limits.StartAttempts + 1 {
		r.expect("worker 1 gave up before it was ready: config:3: bad option; next try in")
	}
	r.kill(pids[0], syscall.SIGUSR1)
	r.expect("0 ", "pong")
	os.Remove(filepath.Join(dir, "fatal"))
	pid := r.event(1, "ready")
	play(t, dir, "fatal", "1")
	r.kill(pid, syscall.SIGKILL)
	r.expect("worker 1 gave up", fmt.Sprintf("next try in %v", backoff(1))) // it was ready since
	if got := r.stderr.String(); got != "" {
		t.Errorf("errors %q", got)
	}
}

func TestCleanEndInTheConfigurationEndsTheGroup(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "quit", "0")
	r := start(t, dir, 2)
	if status := r.end(); status != 0 || r.stderr.String() != "" {
		t.Errorf("status %d, errors %q; want 0 and none", status, r.stderr.String())
	}
}

func TestStubbornWorkerIsKilledInTime(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 3)
	r.complete(3)
	play(t, dir, "stubborn", "1")
	begun := time.Now()
	r.kill(r.pid(), syscall.SIGTERM)
	r.expect("killing a worker worker=1")
	if status := r.end(); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
	if took := time.Since(begun); took < 4*time.Second || took > limits.DrainTime+2*time.Second {
		t.Errorf("stopping took %v, want just under %v", took, limits.DrainTime)
	}
}

func TestSecondSignalKillsAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	r.complete(2)
	play(t, dir, "stubborn", "1")
	r.kill(r.pid(), syscall.SIGTERM)
	r.expect("[system] stopping")
	begun := time.Now()
	r.kill(r.pid(), syscall.SIGTERM)
	if status := r.end(); status != 128+int(syscall.SIGTERM) {
		t.Errorf("status %d, want 143", status)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the second signal took %v", took)
	}
}

func TestGroupsAreProcessGroups(t *testing.T) {
	dir := t.TempDir()
	one, two := start(t, dir, 2), start(t, dir, 2)
	for _, r := range []*running{one, two} {
		for _, pid := range append(r.complete(2), r.pid()) {
			if pgid, err := unix.Getpgid(pid); err != nil || pgid != r.pid() {
				t.Errorf("process group of %d is %d, %v; want %d", pid, pgid, err, r.pid())
			}
		}
	}
	one.kill(-one.pid(), syscall.SIGTERM)
	if status := one.end(); status != 0 {
		t.Errorf("status %d after a signal to the process group, want 0", status)
	}
	two.kill(two.pid(), syscall.SIGTERM)
	if status := two.end(); status != 0 {
		t.Errorf("status %d of the other group, want 0", status)
	}
}

func TestMemoryFaultMakesTheCacheSuspect(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	pids := r.complete(2)
	play(t, dir, "fault", "1")
	r.kill(pids[1], syscall.SIGUSR1)
	r.expect("1 ", "suspect 1:/cache")
	r.expect("1 ", "ready")
	play(t, dir, "fault", "0")
	r.kill(pids[0], syscall.SIGUSR1)
	r.expect("0 ", "suspect 2:/cache")
	line := r.expect("0 ", "ready")
	var id, pid int
	fmt.Sscanf(line, "%d %d", &id, &pid)
	r.kill(pid, syscall.SIGKILL)
	fmt.Sscanf(r.expect("0 ", "ready"), "%d %d", &id, &pid)
	play(t, dir, "exit", "0")
	r.kill(pid, syscall.SIGUSR1)
	r.expect("worker 0", "ended with status 2")
	r.expect("0 ", "ready")
	all := strings.Join(r.seen, "\n")
	if n := strings.Count(all, "suspect"); n != 2 {
		t.Errorf("%d suspicions, want 2: SIGKILL is none, and neither is a script's exit status", n)
	}
	if !strings.Contains(all, "crashed (") {
		t.Error("the log does not say that a worker crashed")
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	path := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := start(t, t.TempDir(), 2, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	heard := func(want string) {
		t.Helper()
		b := make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(patience))
		for {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("no %s: %v", want, err)
			}
			if slices.Contains(strings.Split(string(b[:n]), "\n"), want) {
				return
			}
		}
	}
	heard("READY=1")
	heard("WATCHDOG=1")
	heard("WATCHDOG=1")
	r.event(1, "ready")
	r.kill(r.pid(), syscall.SIGHUP)
	heard("RELOADING=1")
	heard("READY=1")
	r.kill(r.event(1, "ready"), syscall.SIGKILL)
	heard("STATUS=1 of 2 workers serve")
	heard("STATUS=2 of 2 workers serve")
	r.kill(r.pid(), syscall.SIGTERM)
	heard("STOPPING=1")
	if status := r.end(); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
}

func TestProgramThatCannotBeExecuted(t *testing.T) {
	var lines []string
	status := Run(Config{Workers: &Program{name: "/nonexistent/kresd"}, Args: []string{"kresd"}, Count: 2,
		Fail: func(l string) { lines = append(lines, l) }})
	if status != 1 || len(lines) != 1 || !strings.Contains(lines[0], "no such file") {
		t.Errorf("status %d, lines %q; want 1 and one line with the reason", status, lines)
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 5: 800 * time.Millisecond, 100: 5 * time.Second} {
		if got := backoff(n); got != want {
			t.Errorf("backoff(%d) = %v, want %v", n, got, want)
		}
	}
}

// Worker 0 that is ready once more, before the group is complete, starts the
// others only where none is under way.
func TestFirstWorkerThatIsReadyAgainStartsNobodyTwice(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "hang", "1")
	r := start(t, dir, 2)
	first := r.event(0, "ready")
	r.event(1, "start")
	r.kill(first, syscall.SIGKILL)
	r.event(0, "ready")
	os.Remove(filepath.Join(dir, "hang"))
	r.expect("all workers are ready")
	r.settled(2)
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), " start\n"); n != 3 {
		t.Errorf("%d processes were started, want 3", n)
	}
}
