package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// A worker is one process that serves under its slot's number, is about to, or
// did. Its fields belong to the loop.
type worker struct {
	slot    *slot
	process *os.Process
	crash   int      // where its last words come from
	status  *os.File // of the process, in /proc; may be nil (alive.go)
	conn    *ipc.Conn
	orders  *orders
	pid     int

	reading  atomic.Pointer[chan struct{}] // closed when its messages are not read any more
	carrying chan struct{}                 // closed when its orders are not carried any more

	state         state
	served        bool      // has been ready
	since         time.Time // when it was so; zero: before this image of the supervisor
	outdated      bool      // began before the group was told to replace its workers
	late          bool      // was not ready in time
	files         bool      // runs the operator's files, not what is in force (inforce.go)
	runs          int       // the number of what it runs
	fatal         string    // why it cannot go on, in its own words
	unfit         bool      // and its configuration is to blame
	dir           string    // its cache
	configuration *os.File  // that it has run; nil: it has not handed it over, or that was taken
	awaited       []string  // addresses that it may have bound while it serves
	alive         aliveness
	custody
}

// spawn starts a process for a slot. Its standard streams are the supervisor's
// own, not pipes to it, so that nothing that the supervisor does or fails to
// do can hold a worker up.
func (s *group) spawn(slot *slot) (*worker, error) {
	conn, file, err := ipc.Pair()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	crash, crashFile, err := ipc.CrashPipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer crashFile.Close()
	cmd := &exec.Cmd{Path: s.Workers.path(), Args: s.Args, Env: s.workerEnv(slot), ExtraFiles: []*os.File{file, crashFile}}
	for _, socket := range s.Sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, socket.File)
	}
	w := newWorker(slot, 0)
	s.choose(w)
	if !w.files {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", ipc.EnvInForce, firstExtra+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.InForce)
	}
	if err := conn.Send(ipc.Message{Kind: ipc.Share, Secret: s.secret}); err != nil { // it waits in the socket
		conn.Close()
		ipc.LastWords(crash)
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stream(s.Stdio[0], os.Stdin), stream(s.Stdio[1], os.Stdout), stream(s.Stdio[2], os.Stderr)
	if err := cmd.Start(); err != nil {
		conn.Close()
		ipc.LastWords(crash)
		return nil, err
	}
	w.pid = cmd.Process.Pid
	w.process, w.conn, w.crash = cmd.Process, conn, crash
	w.status, _ = os.Open(fmt.Sprintf("/proc/%d/status", w.pid)) // without it less is known of its silences
	s.converse(w)
	s.tasks.Go("worker end", func() { s.wait(w) })
	return w, nil
}

// firstExtra is the number that a child has the first of its extra files under.
const firstExtra = 3

// converse begins to read a worker's messages and to carry its orders.
func (s *group) converse(w *worker) {
	read, carried, orders := make(chan struct{}), make(chan struct{}), w.orders
	w.reading.Store(&read)
	w.carrying = carried
	s.tasks.Go("worker messages", func() { defer close(read); s.listen(w) })
	s.tasks.Go("worker orders", func() { defer close(carried); orders.carry(w.conn) })
}

// newWorker is a worker that is starting.
func newWorker(slot *slot, pid int) *worker {
	return &worker{slot: slot, pid: pid, orders: newOrders(), custody: custody{unconfirmed: map[int]bool{}}}
}

func stream(f, otherwise *os.File) *os.File {
	if f == nil {
		return otherwise
	}
	return f
}

func (s *group) workerEnv(slot *slot) []string {
	env := append([]string{}, s.Env...)
	env = append(env, fmt.Sprintf("%s=%d/%d", ipc.EnvWorker, slot.id, s.Count), ipc.EnvCrash+"=1")
	if s.HangTime > 0 {
		env = append(env, ipc.EnvWatchdog+"="+limits.AliveEvery.String())
	}
	if len(s.Sockets) > 0 {
		passed := make([]ipc.Passed, len(s.Sockets))
		for i, socket := range s.Sockets {
			passed[i] = ipc.Passed{Kind: socket.Kind, Was: socket.FD}
		}
		env = append(env, ipc.EnvPassed+"="+ipc.PassedEnv(passed))
	}
	if dir := slot.suspectDir; dir != "" {
		env = append(env, fmt.Sprintf("%s=%d:%s", ipc.EnvSuspect, max(1, len(s.recentFaults(dir))), dir))
	}
	return env
}

func (s *group) listen(w *worker) {
	for {
		m, err := w.conn.Receive()
		if err != nil {
			return
		}
		s.post(func() { s.message(w, m) })
	}
}

// wait reaps one worker, and only that: other children of this process, if it
// runs as the first of a container, are not ours to wait for.
func (s *group) wait(w *worker) {
	// An error says that another image of this program has waited for it (upgrade.go).
	state, _ := w.process.Wait()
	select { // some other process may hold the worker's end of the socket pair open
	case <-*w.reading.Load():
	case <-time.After(limits.LastWordsTime):
	}
	// The loop closes the pipe, which until then is the worker's for who hands it over.
	s.post(func() { s.ended(w, ending{state, ipc.LastWords(w.crash)}) })
}

// kill cannot hit another process: until Wait has reaped it, the number stays
// the worker's, and after that Kill is an error.
func (w *worker) kill() { _ = w.process.Kill() }

// An ending is how a process ended, and what the Go runtime said if it crashed.
type ending struct {
	state *os.ProcessState // nil: not known
	words string
}

// Success tells whether it ended in good order.
func (e ending) Success() bool { return e.state != nil && e.state.Success() }

// signal is the one that ended it; not ok: it ended by itself, or nobody knows.
func (e ending) signal() (sig syscall.Signal, ok bool) {
	if e.state == nil {
		return 0, false
	}
	ws, ok := e.state.Sys().(syscall.WaitStatus)
	return ws.Signal(), ok && ws.Signaled()
}

// goFatal is the status with which the Go runtime ends a process that it
// cannot save: it catches SIGSEGV, SIGBUS and SIGABRT, in C code too, prints
// what it knows, and exits instead of dying by the signal. A script may end its
// process with the same number; only the runtime names a signal.
const goFatal = 2

// isFault says whether a worker died in a way that a damaged file can cause.
func (e ending) isFault() bool {
	if sig, ok := e.signal(); ok {
		return slices.Contains([]syscall.Signal{syscall.SIGBUS, syscall.SIGSEGV, syscall.SIGABRT}, sig)
	}
	return e.state.ExitCode() == goFatal && signalNamed.MatchString(e.words)
}

var signalNamed = regexp.MustCompile(`(?m)^(\[signal )?SIG(BUS|SEGV|ABRT): `)

// describe says how a worker ended, to follow its name.
func describe(w *worker, e ending) string {
	sig, signaled := e.signal()
	first, _, _ := strings.Cut(e.words, "\n")
	switch {
	case w.late:
		return "was not ready in time"
	case w.fatal != "":
		return "gave up: " + w.fatal
	case signaled:
		return fmt.Sprintf("was ended by a signal (%v)", sig)
	case first != "":
		return fmt.Sprintf("crashed (%s)", first)
	}
	if e.state == nil {
		return "has ended"
	}
	return fmt.Sprintf("ended with status %d", e.state.ExitCode())
}
