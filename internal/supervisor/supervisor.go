// Package supervisor starts the workers of a group and keeps them running.
//
// It re-executes a program N times, tells each worker who else is ready, and
// starts a worker again when it dies. Worker 0 starts alone, the others when
// it is ready, so that what is wrong with the configuration is found once and
// said once. It passes each worker's sockets on to a sibling, which answers what
// is left in them should the worker be killed (custody.go). Workers write to the standard output and error that they
// inherit and answer queries without asking anybody: a supervisor that is
// frozen costs nothing, and one that is dead ends its group, because its end
// of each worker's socket pair closes (package ipc).
//
// All state belongs to the one goroutine that runs the loop; others only send
// it events. The supervisor knows no DNS, opens no cache, runs no Lua, binds no
// socket and reads from none. Rolling restarts are absent.
package supervisor

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/safe"
	"kresd/internal/systemd"
)

// Config says what to run and whom to tell. Path, Args and Count are needed.
type Config struct {
	Path  string   // program of a worker
	Args  []string // its arguments, the program's name first
	Env   []string // its environment, to which the worker's number is added
	Count int

	Signals <-chan os.Signal  // SIGTERM, SIGINT: end; a second one: at once; SIGHUP: logged
	Notify  *systemd.Notifier // nil: nobody to tell
	Log     *logging.Logger   // nil: silent
	Fail    func(line string) // shows the one line of a group that cannot start
	Died    func(pid int)     // after a worker has ended, however it did; may be nil
	Stdio   [3]*os.File       // of the workers; nil entries mean the supervisor's own
}

// killAfter leaves a worker all but a little of the time that a stop may take.
const killAfter = limits.DrainTime - 200*time.Millisecond

// Run keeps the group running until it is told to end, or cannot start, and
// returns the exit status. No worker is left when it returns.
func Run(c Config) int {
	s := &group{
		Config: c,
		events: make(chan func()),
		done:   make(chan struct{}),
		faults: map[string][]time.Time{},
		slots:  make([]*slot, c.Count),

		orphaned: map[int]ipc.Descriptors{},
	}
	s.tasks.OnPanic = func(p *safe.Panic) { s.Log.Error(p.Error(), "stack", string(p.Stack)) }
	for id := range s.slots {
		s.slots[id] = &slot{id: id}
	}
	defer close(s.done)
	s.start(s.slots[0])
	s.loop()
	return s.status
}

// A group is the state of the loop.
type group struct {
	Config
	tasks  safe.Group
	events chan func() // run by the loop
	done   chan struct{}

	slots    []*slot
	complete bool // every worker has been ready once
	stopping bool
	status   int
	killer   *time.Timer
	// faults are the recent deaths by a memory fault, for each cache
	// directory that was open then.
	faults map[string][]time.Time
	// orphaned are the sockets of dead workers that no sibling could take.
	orphaned map[int]ipc.Descriptors
}

// A slot is a worker's number, which outlives its processes.
type slot struct {
	id       int
	child    *child // nil while there is none
	failures int    // deaths before READY in a row
	begun    time.Time
	timer    *time.Timer // a start to come
	suspect  *ipc.Suspect
}

func (s *group) loop() {
	var tick <-chan time.Time
	if every := s.Notify.WatchdogInterval(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for !s.stopping || s.alive() > 0 {
		select {
		case event := <-s.events:
			event()
		case sig := <-s.Signals:
			s.signal(sig)
		case <-tick:
			s.Notify.Alive()
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

func (s *group) alive() (n int) {
	for _, slot := range s.slots {
		if slot.child != nil {
			n++
		}
	}
	return n
}

func (s *group) signal(sig os.Signal) {
	switch {
	case sig == syscall.SIGHUP:
		s.Log.Notice("SIGHUP is ignored by the supervisor")
	case sig != syscall.SIGTERM && sig != syscall.SIGINT:
	case s.stopping:
		s.Log.Warn("second signal, killing all workers", "signal", sig)
		s.killAll()
		s.status = 128 + int(sig.(syscall.Signal))
	default:
		s.Log.Notice("stopping", "signal", sig)
		s.stop(0)
	}
}

// stop asks all workers to end and kills those that have not in time.
func (s *group) stop(status int) {
	if s.stopping {
		return
	}
	s.stopping, s.status = true, status
	s.Notify.Stopping()
	s.dropAllOrphaned()
	for _, slot := range s.slots {
		if slot.timer != nil {
			slot.timer.Stop()
		}
		if slot.child != nil {
			slot.child.closeHere()
			slot.child.orders.drain()
		}
	}
	s.killer = time.AfterFunc(killAfter, func() { s.post(s.killAll) })
}

// fail ends a group that cannot start, with the one line that says why.
func (s *group) fail(line string) {
	if s.stopping {
		return
	}
	s.Fail(line)
	s.stop(1)
}

func (s *group) killAll() {
	for _, slot := range s.slots {
		if slot.child != nil {
			s.Log.Warn("killing a worker", "worker", slot.id, "pid", slot.child.pid)
			slot.child.kill()
		}
	}
}

// start starts a slot's worker, after a death before READY or not.
func (s *group) start(slot *slot) {
	if s.stopping || slot.child != nil {
		return
	}
	slot.timer, slot.begun = nil, time.Now()
	c, err := s.spawn(slot)
	if err != nil {
		s.unready(slot, "", fmt.Sprintf("cannot be started: %v", err))
		return
	}
	slot.child, slot.suspect = c, nil
}

// startLater starts a slot's worker after a delay. Two starts have a gap
// between them in any case, so that a worker that dies right after being ready
// does not take a core for itself.
func (s *group) startLater(slot *slot, delay time.Duration) {
	if gap := limits.RestartGap - time.Since(slot.begun); delay < gap {
		delay = gap
	}
	slot.timer = time.AfterFunc(delay, func() { s.post(func() { s.start(slot) }) })
}

// message handles what a worker says.
func (s *group) message(slot *slot, c *child, m ipc.Message) {
	switch m.Kind {
	case ipc.Cache:
		c.dir = m.Dir
	case ipc.Fatal:
		c.fatal = m.Line
	case ipc.Stopping:
		c.stopping = true
		c.closeHere()
		s.tellRoster()
	case ipc.Ready:
		s.ready(slot, c)
	case ipc.Changed:
		c.asked = false
		s.arrangeCustody()
	case ipc.Sockets:
		s.entrust(slot, c, m.FDs)
		return // the descriptors are taken
	case ipc.Kept:
		s.confirmed(c, m.PID)
	case ipc.TookOver:
		s.tookOver(c, m.PID)
	}
	m.FDs.Close()
}

func (s *group) ready(slot *slot, c *child) {
	c.ready = true
	slot.failures = 0
	s.entrustOrphaned(c)
	s.tellRoster()
	if s.complete || s.stopping {
		return
	}
	if slot.id == 0 {
		for _, other := range s.slots[1:] {
			if other.timer == nil {
				s.start(other)
			}
		}
	}
	if len(s.roster()) == s.Count {
		s.complete = true
		s.Notify.Ready()
		s.Log.Notice("all workers are ready", "workers", s.Count)
	}
}

// roster lists the workers that serve, in the order of their numbers.
func (s *group) roster() []ipc.Member {
	members := []ipc.Member{}
	for _, slot := range s.slots {
		if c := slot.child; c != nil && c.ready && !c.stopping {
			members = append(members, ipc.Member{ID: slot.id, PID: c.pid})
		}
	}
	return members
}

// serving lists the workers that serve, in the order of their numbers.
func (s *group) serving() (list []*child) {
	for _, slot := range s.slots {
		if c := slot.child; c != nil && c.ready && !c.stopping {
			list = append(list, c)
		}
	}
	return list
}

// tellRoster tells each worker who serves, and sees to it that each of those has
// a custodian among them.
func (s *group) tellRoster() {
	s.arrangeCustody()
	members := s.roster()
	for _, slot := range s.slots {
		if slot.child != nil {
			slot.child.orders.setRoster(members)
		}
	}
}

// ended handles the death of a worker.
func (s *group) ended(slot *slot, c *child, how ending) {
	slot.child = nil
	c.orders.close()
	c.conn.Close()
	if s.Died != nil {
		s.Died(c.pid)
	}
	s.endCustody(c, how.Success())
	if c.ready {
		s.tellRoster()
	}
	s.noteFault(slot, c, how)
	switch {
	case s.stopping:
	case c.ready:
		s.Log.Warn(fmt.Sprintf("worker %d (pid %d) %s; it is started again and runs the configuration file again",
			slot.id, c.pid, describe(c, how)))
		s.startLater(slot, afterSignal(how))
	case !s.complete && c.fatal == "" && how.Success():
		s.Log.Notice("the configuration ended the worker, and so the group", "worker", slot.id)
		s.stop(0)
	default:
		s.unready(slot, c.fatal, describe(c, how))
	}
}

// afterSignal is the wait before a worker that ended in good order is started
// again: the signal that ended it may have been for the whole process group,
// and then reaches the supervisor, too, in a moment.
func afterSignal(how ending) time.Duration {
	if how.Success() {
		return limits.RestartGap
	}
	return 0
}

// unready handles a worker that ended, or never began, before it was ready. A
// reason that the worker gave itself is final for a group that has not been
// complete; otherwise it is tried again, later each time, while others serve.
func (s *group) unready(slot *slot, fatal, how string) {
	slot.failures++
	if fatal != "" && !s.complete {
		s.fail(fatal)
		return
	}
	if slot.failures >= limits.StartAttempts && (!s.complete || len(s.roster()) == 0) {
		line := fmt.Sprintf("worker %d was started %d times and never became ready; the last time it %s", slot.id, slot.failures, how)
		if fatal != "" {
			line = fatal
		}
		s.fail(line)
		return
	}
	s.dropAllOrphaned()
	delay := backoff(slot.failures)
	s.Log.Warn(fmt.Sprintf("worker %d %s before it was ready; next try in %v", slot.id, how, delay))
	s.startLater(slot, delay)
}

// backoff is the wait after n deaths before READY in a row.
func backoff(n int) time.Duration {
	d := limits.RestartBackoffMin
	for ; n > 1 && d < limits.RestartBackoffMax; n-- {
		d *= 2
	}
	return min(d, limits.RestartBackoffMax)
}

// noteFault remembers a death by a memory fault while a cache was open, and
// has the slot's next process told of it.
func (s *group) noteFault(slot *slot, c *child, how ending) {
	if c.dir == "" || !how.isFault() {
		return
	}
	now := time.Now()
	recent := slices.DeleteFunc(s.faults[c.dir], func(t time.Time) bool { return now.Sub(t) > limits.QuarantineWindow })
	s.faults[c.dir] = append(recent, now)
	slot.suspect = &ipc.Suspect{Dir: c.dir, Deaths: len(s.faults[c.dir])}
}
