// Package supervisor starts the workers of a group and keeps them running.
//
// It executes a program N times, tells each worker who else is ready, and
// starts a worker again when it dies. Worker 0 starts alone, the others when
// it is ready, so that what is wrong with the configuration is found once and
// said once. SIGHUP has the configuration checked and replaces all workers, one
// after the other, each by a successor that is ready before its predecessor leaves
// (reload.go, rolling.go, slot.go).
// The supervisor passes copies of each worker's sockets on to a sibling, which
// answers what is left in them should the worker be killed (custody.go).
// Workers write to the standard output and error that they inherit and answer
// queries without asking anybody: a supervisor that is frozen costs nothing, and
// one that is dead ends its group, because its end of each worker's socket pair
// closes (package ipc).
//
// All state belongs to the one goroutine that runs the loop; others only send
// it events. The supervisor knows no DNS, opens no cache, runs no Lua, and reads from no
// socket. It binds those of workers that may not do so themselves (bind.go). Those that it inherited it keeps open and hands on to
// every worker, so that they outlive all of these.
package supervisor

import (
	"crypto/rand"
	"fmt"
	"os"
	"syscall"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/reload"
	"kresd/internal/safe"
	"kresd/internal/systemd"
)

// Config says what to run and whom to tell. Find, Args and Count are needed.
type Config struct {
	// Find finds the program of the workers, of this supervisor's version.
	Find    func() (*Program, error)
	Workers *Program // that program; nil: it is yet to be found
	Args    []string // its arguments, the program's name first
	Env     []string // its environment, to which the worker's number is added
	Count   int
	// Program is the path of this very program, whose place a new file of that name takes
	// at a reload (upgrade.go); "": it stays what it is.
	Program string
	// Exec has Program take this process over, with one more variable in its environment; it
	// returns if that is not possible.
	Exec func(variable string) error
	// InForce has the configuration that the workers run (package inforce), which is that of
	// a process that has died in the place of this one; nil: they run the operator's files.
	InForce *os.File
	// Sockets are handed on to each worker, in this order (package ipc, Passed).
	Sockets []systemd.Socket

	Signals <-chan os.Signal  // SIGTERM, SIGINT, SIGQUIT: end; a second one: at once; SIGHUP: reload
	Notify  *systemd.Notifier // nil: nobody to tell
	Log     *logging.Logger   // nil: silent
	Fail    func(line string) // shows the one line of a group that cannot start
	Died    func(pid int)     // after a worker has ended, however it did; may be nil
	Stdio   [3]*os.File       // of the workers; nil entries mean the supervisor's own

	// Check tries the configuration before a reload, by the program at a path, and returns
	// what is wrong; nil: nobody does. It is told which files were run for what is in force.
	Check func(program string, files []string) []string

	taken *handedOver // the group that another image of this program has left; nil: none

	HangTime  time.Duration // that a worker may be silent and do nothing; 0: for ever (alive.go)
	ReadyTime time.Duration // that a successor may take to be ready; 0: limits.ReadyTime
	StartTime time.Duration // that any other worker may take; 0: limits.StartTime
}

// secretLength is how many octets the secret of a group has.
const secretLength = 64

// killAfter leaves a worker all but a little of the time that a stop may take.
const killAfter = limits.DrainTime - limits.DrainGrace

// Run keeps the group running until it is told to end, or cannot start, and
// returns the exit status. No worker is left when it returns.
func Run(c Config) int {
	c.usualTimes()
	s := &group{
		Config: c,
		events: make(chan func()),
		done:   make(chan struct{}),
		faults: map[string][]time.Time{},
		slots:  make([]*slot, c.Count),

		orphaned: map[int]ipc.Descriptors{},
		secret:   make([]byte, secretLength),
	}
	_, _ = rand.Read(s.secret) // it never fails: without random numbers the process ends
	s.tasks.OnPanic = func(p *safe.Panic) { s.Log.Error(p.Error(), "stack", logging.Stack(p.Stack)) }
	for id := range s.slots {
		s.slots[id] = &slot{id: id}
	}
	defer close(s.done)
	if c.taken == nil {
		s.start(s.slots[0])
	} else if err := s.resume(c.taken); err != nil {
		s.fail(err.Error(), true)
	}
	s.loop()
	return s.status
}

// usualTimes sets the times that nobody has set.
func (c *Config) usualTimes() {
	if c.ReadyTime == 0 {
		c.ReadyTime = limits.ReadyTime
	}
	if c.StartTime == 0 {
		c.StartTime = limits.StartTime
	}
}

// A group is the state of the loop.
type group struct {
	Config
	tasks  safe.Group
	secret []byte      // what all workers have in common, those too that are started later
	events chan func() // run by the loop
	done   chan struct{}

	slots      []*slot
	complete   bool // every worker has been ready once
	stopping   bool
	status     int
	passing    bool // what has ended the group is no fault of its configuration
	number     int  // of the configuration that is in force (inforce.go)
	accepting  bool // a reload is under way that has yet to put one in force
	reloads    reload.State
	rolling    bool          // a rolling restart is under way
	retrying   bool          // and it replaces what an earlier one has left
	caughtUp   bool          // nothing is left of that any more
	retry      *time.Timer   // the next of these; may be nil
	rests      int           // the number of the latest try at that, or of the reload that has taken it over
	retryDelay time.Duration // until it, since the one before
	half       int           // the reload whose failure has left workers that are to be replaced; 0: none is left
	becoming   bool          // this process is to execute the new program when all workers serve
	upgrading  bool          // it is about to: nothing is begun
	finding    bool          // the program of the workers is looked for
	resumed    bool          // the reload that another image has begun goes on when that is found
	lived      time.Duration // the clock of silences (alive.go)
	ticked     time.Time     // when that was moved on
	// faults are the recent deaths by a memory fault, for each cache
	// directory that was open then.
	faults map[string][]time.Time
	// orphaned are the sockets of dead workers that no sibling could take.
	orphaned map[int]ipc.Descriptors
}

func (s *group) loop() {
	var tick <-chan time.Time
	if every := s.Notify.WatchdogInterval(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	var look <-chan time.Time
	if s.HangTime > 0 {
		t := time.NewTicker(limits.AliveLook)
		defer t.Stop()
		look = t.C
	}
	for !s.stopping || len(s.workers()) > 0 {
		select {
		case event := <-s.events:
			event()
		case sig := <-s.Signals:
			s.signal(sig)
			s.tryUpgrade()
		case <-tick:
			s.Notify.Alive()
		case now := <-look:
			s.live(now)
			s.findHung()
		}
	}
}

// post hands an event to the loop; after its end events are dropped.
func (s *group) post(event func()) {
	select {
	case s.events <- event:
	case <-s.done:
	}
}

// workers lists all that are not gone, slot by slot.
func (s *group) workers() (list []*worker) {
	for _, slot := range s.slots {
		list = append(list, slot.workers...)
	}
	return list
}

func (s *group) signal(sig os.Signal) {
	switch {
	case s.stopping && sig == syscall.SIGHUP:
	case sig == syscall.SIGHUP:
		s.askReload("SIGHUP")
	case sig != syscall.SIGTERM && sig != syscall.SIGINT && sig != syscall.SIGQUIT:
	case s.stopping:
		s.Log.Warn("second signal, killing all workers", "signal", sig)
		s.killAll()
		s.status = 128 + int(sig.(syscall.Signal))
	default:
		s.Log.Notice("stopping", "signal", sig)
		s.stop(0)
	}
}

// stop asks all workers to end, those too that are starting, and kills those
// that have not ended in time.
func (s *group) stop(status int) {
	if s.stopping {
		return
	}
	s.stopping, s.status = true, status
	if !s.passing {
		s.Notify.Forget()
	}
	s.Notify.Stopping()
	s.dropAllOrphaned()
	for _, slot := range s.slots {
		if slot.timer != nil {
			slot.timer.Stop()
		}
	}
	for _, w := range s.workers() {
		s.drain(w)
	}
	time.AfterFunc(killAfter, func() { s.post(s.killAll) })
}

// fail ends a group that cannot start, with the one line that says why. Where that may
// pass, the configuration in force stays with the service manager for who tries again.
func (s *group) fail(line string, passing bool) {
	if s.stopping {
		return
	}
	s.passing = passing
	s.Fail(line)
	s.stop(1)
}

func (s *group) killAll() {
	for _, w := range s.workers() {
		s.kill(w)
	}
}

func (s *group) kill(w *worker) {
	s.Log.Warn("killing a worker", "worker", w.slot.id, "pid", w.pid)
	w.kill()
}

// message handles what a worker says.
func (s *group) message(w *worker, m ipc.Message) {
	switch m.Kind {
	case ipc.Cache:
		w.dir = m.Dir
	case ipc.Fatal:
		w.fatal = m.Line
	case ipc.Unfit:
		w.unfit = true
	case ipc.Stopping:
		s.drains(w)
	case ipc.Ready:
		if w.state == starting { // what serves, and reads what strangers send, has no say any more
			w.awaited = m.Awaited
		}
		s.ready(w)
	case ipc.Bind:
		w.orders.answer(ipc.Bound, m.Ticket, int(w.bind(m)))
	case ipc.Reload:
		s.reloadAsked(w, m)
	case ipc.Changed:
		w.asked = false
		s.arrangeCustody()
	case ipc.Sockets:
		s.entrust(w, m.FDs)
		return // the descriptors are taken
	case ipc.InForce:
		s.handsOver(w, m)
		return // as above
	case ipc.Kept:
		s.confirmed(w, m.PID)
	case ipc.TookOver:
		s.tookOver(w, m.PID)
	case ipc.Alive:
		s.heardOf(w)
	case ipc.Hangs:
		s.hangs(w, m.Line)
	}
	m.FDs.Close()
}

// serving lists the workers that serve, in the order of their numbers.
func (s *group) serving() (list []*worker) {
	for _, w := range s.workers() {
		if w.state == ready {
			list = append(list, w)
		}
	}
	return list
}

// tellRoster tells each worker who serves, and sees to it that each of those has
// a custodian among them. A group that is stopping ends with its last roster.
func (s *group) tellRoster() {
	if s.stopping {
		return
	}
	s.arrangeCustody()
	members := []ipc.Member{}
	for _, w := range s.serving() {
		members = append(members, ipc.Member{ID: w.slot.id, PID: w.pid})
	}
	for _, w := range s.workers() {
		w.orders.setRoster(members)
	}
	if s.complete {
		s.Notify.Status(s.tally())
	}
}

// tally says how the group is, in a line.
func (s *group) tally() string {
	return fmt.Sprintf("%d of %d workers serve", len(s.serving()), s.Count) + s.reloadsTally()
}
