package ipc

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/reload"
	"kresd/internal/safe"
)

// The environment of a worker: which of how many it is, and a cache directory
// to be careful with, with the number of recent deaths that may be its fault.
const (
	EnvWorker  = "KRESD_WORKER"  // "id/count"
	EnvSuspect = "KRESD_SUSPECT" // "deaths:dir"
	// EnvWatchdog is how often the worker shall say Alive, as time.Duration writes
	// it; absent: never.
	EnvWatchdog = "KRESD_WATCHDOG"
	// EnvInForce is the number of a descriptor that has the configuration to run (package
	// inforce); absent: that of the operator's files.
	EnvInForce = "KRESD_IN_FORCE"
)

// linkFD is where a worker finds its end of the socket pair.
const linkFD = 3

// A Suspect is a cache directory that was open when the worker's predecessor
// died by a memory fault. Deaths counts such deaths within
// limits.QuarantineWindow.
type Suspect struct {
	Dir    string
	Deaths int
}

// A Link is the worker's side of the connection to its supervisor. A nil *Link
// is that of a process without a supervisor: it takes every message and never
// has one.
type Link struct {
	conn     *Conn
	id       int
	count    int
	suspect  *Suspect
	passed   []Passed
	alive    time.Duration
	inForce  *os.File
	roster   chan []Member
	drain    chan struct{}
	closed   chan struct{}
	give     chan struct{}
	secret   chan []byte
	sendMu   sync.Mutex
	requests requests
	state    atomic.Pointer[reload.State]

	entrusted chan struct{} // something is in keep
	keepMu    sync.Mutex
	keep      []Message
}

// FromEnv opens the link of a process that a supervisor started; it returns
// nil when the environment says that none did. The variables are removed, so
// that programs started from here do not take themselves for workers.
func FromEnv() (*Link, error) {
	worker, suspect, passed, watchdog, kept := os.Getenv(EnvWorker), os.Getenv(EnvSuspect), os.Getenv(EnvPassed), os.Getenv(EnvWatchdog), os.Getenv(EnvInForce)
	if worker == "" {
		return nil, nil
	}
	for _, name := range []string{EnvWorker, EnvSuspect, EnvPassed, EnvWatchdog, EnvInForce} {
		os.Unsetenv(name)
	}
	takeCrashPipe()
	id, count, err := parseWorker(worker)
	if err != nil {
		return nil, err
	}
	conn, err := fromFile(os.NewFile(linkFD, "ipc"))
	if err != nil {
		return nil, fmt.Errorf("%s is set, but descriptor %d is no connection to a supervisor: %w", EnvWorker, linkFD, err)
	}
	l, err := newLink(conn, id, count, parseSuspect(suspect))
	if err == nil {
		l.alive, _ = time.ParseDuration(watchdog)
		l.inForce = parseInForce(kept)
		l.passed, err = parsePassed(passed)
	}
	return l, err
}

func newLink(conn *Conn, id, count int, suspect *Suspect) (*Link, error) {
	l := &Link{
		conn: conn, id: id, count: count, suspect: suspect,
		roster: make(chan []Member, 1),
		drain:  make(chan struct{}),
		closed: make(chan struct{}),
		give:   make(chan struct{}, 1),
		secret: make(chan []byte, 1),

		requests: requests{awaiting: map[int]chan int{}},

		entrusted: make(chan struct{}, 1),
	}
	if err := conn.Send(Message{Kind: Hello, PID: os.Getpid()}); err != nil {
		return nil, fmt.Errorf("supervisor is gone: %w", err)
	}
	safe.Go("ipc link", nil, l.listen)
	return l, nil
}

func parseWorker(s string) (id, count int, err error) {
	a, b, _ := strings.Cut(s, "/")
	id, errID := strconv.Atoi(a)
	count, errCount := strconv.Atoi(b)
	if errID != nil || errCount != nil || id < 0 || id >= count {
		return 0, 0, fmt.Errorf("%s=%q is not of the form id/count", EnvWorker, s)
	}
	return id, count, nil
}

func parseSuspect(s string) *Suspect {
	n, dir, ok := strings.Cut(s, ":")
	deaths, err := strconv.Atoi(n)
	if !ok || err != nil || dir == "" {
		return nil
	}
	return &Suspect{Dir: dir, Deaths: deaths}
}

func parseInForce(s string) *os.File {
	fd, err := strconv.Atoi(s)
	if err != nil {
		return nil
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), EnvInForce)
}

// listen ends when the supervisor does.
func (l *Link) listen() {
	defer close(l.closed)
	draining := false
	for {
		m, err := l.conn.Receive()
		if err != nil {
			return
		}
		switch m.Kind {
		case Roster:
			l.setRoster(m.Members)
		case Drain:
			if !draining {
				draining = true
				close(l.drain)
			}
		case Give:
			wake(l.give)
		case Share:
			select {
			case l.secret <- m.Secret:
			default: // there is one in a group's life
			}
		case Reloads:
			l.state.Store(m.State)
		case Accepted, Bound:
			l.requests.answered(m)
		case Keep:
			l.setKeep(m)
			continue // its descriptors are kept
		}
		m.FDs.Close()
	}
}

// wake leaves word for one goroutine; once is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// setKeep keeps the newest message about each process only.
func (l *Link) setKeep(m Message) {
	l.keepMu.Lock()
	defer l.keepMu.Unlock()
	l.keep = slices.DeleteFunc(l.keep, func(old Message) bool {
		if old.PID == m.PID {
			old.FDs.Close()
		}
		return old.PID == m.PID
	})
	l.keep = append(l.keep, m)
	wake(l.entrusted)
}

// setRoster keeps the newest roster only: nobody needs an older one.
func (l *Link) setRoster(members []Member) {
	select {
	case <-l.roster:
	default:
	}
	l.roster <- members
}

func (l *Link) send(m Message) bool {
	if l == nil {
		return false
	}
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	return l.conn.Send(m) == nil
}

// ID is this worker's number, 0 to Count-1.
func (l *Link) ID() int {
	if l == nil {
		return 0
	}
	return l.id
}

// Count is the number of workers in the group.
func (l *Link) Count() int {
	if l == nil {
		return 1
	}
	return l.count
}

// Suspect is the cache directory to be careful with, or nil.
func (l *Link) Suspect() *Suspect {
	if l == nil {
		return nil
	}
	return l.suspect
}

// WatchdogInterval is how often Alive is to be called; 0 means never.
func (l *Link) WatchdogInterval() time.Duration {
	if l == nil {
		return 0
	}
	return l.alive
}

// Alive tells that this worker does its work.
func (l *Link) Alive() { l.send(Message{Kind: Alive}) }

// Hangs tells that this worker is sure that it does not do its work, and how it knows.
func (l *Link) Hangs(why string) { l.send(Message{Kind: Hangs, Line: why}) }

// Passed are the sockets that the group was started with.
func (l *Link) Passed() []Passed {
	if l == nil {
		return nil
	}
	return l.passed
}

// InForce has the configuration to run, for this worker takes the place of one that has
// died; nil: the operator's files have it. The file is the caller's.
func (l *Link) InForce() *os.File {
	if l == nil {
		return nil
	}
	return l.inForce
}

// Ran hands over the configuration that this worker has run (package inforce), before it
// is Ready.
func (l *Link) Ran(f *os.File) { l.send(Message{Kind: InForce, FDs: Descriptors{int(f.Fd())}}) }

// CacheDir tells which directory's cache is about to be opened, before it is:
// if its file kills this process, the next one is warned of it.
func (l *Link) CacheDir(dir string) { l.send(Message{Kind: Cache, Dir: dir}) }

// Ready tells that this worker serves and that its control socket is open. The
// other workers start after the first one's Ready. Only what is awaited may it have
// bound from then on.
func (l *Link) Ready(awaited ...string) { l.send(Message{Kind: Ready, Awaited: awaited}) }

// Stopping tells that this worker drains.
func (l *Link) Stopping() { l.send(Message{Kind: Stopping}) }

// Changed tells that this worker's sockets are others than it handed over. The
// answer is Give; until it comes nothing more needs to be said.
func (l *Link) Changed() { l.send(Message{Kind: Changed}) }

// Sockets hands over copies of fds: first the lifeline, whose other end closes
// with this process, then the listening sockets.
func (l *Link) Sockets(fds Descriptors) { l.send(Message{Kind: Sockets, FDs: fds}) }

// Kept confirms what TakeEntrusted gave for process pid.
func (l *Link) Kept(pid int) { l.send(Message{Kind: Kept, PID: pid}) }

// TookOver tells that process pid is dead and that what its sockets hold is
// answered here.
func (l *Link) TookOver(pid int) { l.send(Message{Kind: TookOver, PID: pid}) }

// Unfit tells that what keeps this worker from starting is the configuration itself. It
// comes before Fatal.
func (l *Link) Unfit() { l.send(Message{Kind: Unfit}) }

// Fatal hands over the one line that says why this worker cannot start. It
// reports whether a supervisor took it and will show it; otherwise the caller
// does.
func (l *Link) Fatal(line string) bool {
	return l.send(Message{Kind: Fatal, Line: strings.ReplaceAll(strings.TrimSpace(line), "\n", "; ")})
}

// Roster delivers the members that are ready after each change, the newest
// only. One goroutine should receive from it.
func (l *Link) Roster() <-chan []Member {
	if l == nil {
		return nil
	}
	return l.roster
}

// Give delivers the wish for this worker's sockets (see Sockets).
func (l *Link) Give() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.give
}

// Secret delivers, once, what the workers of the group have in common and nobody
// else knows. It is on its way when the worker starts.
func (l *Link) Secret() <-chan []byte {
	if l == nil {
		return nil
	}
	return l.secret
}

// Entrusted tells that TakeEntrusted has something.
func (l *Link) Entrusted() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.entrusted
}

// TakeEntrusted takes the copies of other workers' sockets that have come since
// it was last called, the newest of each process: a message's FDs are the
// caller's from here on and have process PID as their owner; a message without
// any ends the custody of that process's sockets.
func (l *Link) TakeEntrusted() []Message {
	l.keepMu.Lock()
	defer l.keepMu.Unlock()
	list := l.keep
	l.keep = nil
	return list
}

// Drain is closed when the supervisor asks this worker to end.
func (l *Link) Drain() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.drain
}

// Closed is closed when the supervisor has ended, however it did.
func (l *Link) Closed() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.closed
}
