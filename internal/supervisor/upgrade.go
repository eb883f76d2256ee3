package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/inforce"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/memfile"
	"kresd/internal/reload"
	"kresd/internal/systemd"
)

// Upgrade of a group that runs. Where the program's file has been replaced, a reload
// checks the configuration by the new program, and then this process executes it in its
// own place: it stays the process that the service manager knows, the parent of its
// workers, and has their connections open. The workers notice nothing of it. Then they
// are replaced as in every reload, by workers of the new program.
//
// The new program gets the group's state as JSON, and the descriptors by their numbers.
// Nothing is on its way then: no message half read, no order half sent. SIGHUP is ignored
// until the new program takes it, which replaces all workers anyway; a signal to end that
// comes before it can take one ends this process at once, and its workers in good order,
// since their connections end.

// handedOver is the state of a group that one image of the supervisor leaves to the next.
// All of its workers serve. A slot without one was waiting for its next try, which the new
// program makes at once: it may be the remedy for what has failed.
type handedOver struct {
	Workers []handedWorker
	Sockets []handedSocket
	InForce int `json:",omitempty"` // descriptor; 0 for none
	Reloads reload.State
	Secret  []byte
}

type handedWorker struct {
	Slot, PID   int
	Conn, Crash int   // descriptors
	Status      int   // descriptor; -1 for none
	Here        []int // descriptors: copies of its sockets
	Dir         string
	// Processes: of its custodian, and of the worker that has its sockets; 0 for the
	// supervisor, or for none.
	Custodian, Holder int
	Asked             bool
	Awaited           []string
	Unconfirmed       []int // processes
}

type handedSocket struct {
	Kind string
	FD   int
}

// whole tells whether the group can be handed over.
func (s *group) whole() bool { return s.unsettled() == "" }

// unsettled says what is under way, so that the group cannot be handed over; "": nothing.
func (s *group) unsettled() string {
	for _, slot := range s.slots {
		switch {
		case len(slot.workers) == 0 && slot.timer != nil: // it waits for its next try
		case len(slot.workers) > 1:
			return fmt.Sprintf("worker %d is being replaced", slot.id)
		case slot.in(ready) == nil:
			return fmt.Sprintf("worker %d is not ready", slot.id)
		}
	}
	if len(s.orphaned) > 0 {
		return "what waits in a dead worker's sockets has yet to be answered"
	}
	return ""
}

// upgrade executes the new program, and does not return, unless it fails or the group is
// not whole any more.
func (s *group) upgrade() error {
	workers := s.workers()
	for _, w := range workers {
		w.conn.Pause()
	}
	for _, w := range workers {
		s.until(*w.reading.Load())
	}
	defer func() {
		for _, w := range workers {
			if w.state != gone {
				w.conn.Resume()
				w.orders = newOrders()
				s.converse(w)
			}
		}
		s.tellReloads()
		s.tellRoster()
	}()
	for _, w := range workers {
		w.orders.end()
	}
	for _, w := range workers {
		<-w.carrying // it waits for a worker that does not read for a second at most
	}
	if s.stopping || !s.becoming || !s.whole() {
		return errNotWhole
	}
	return s.become()
}

// errNotWhole says that something happened just now, and that it is to be tried again.
var errNotWhole = errors.New("something else is under way")

// until runs the loop's events until a channel is closed.
func (s *group) until(done <-chan struct{}) {
	for {
		select {
		case event := <-s.events:
			event()
		case <-done:
			return
		}
	}
}

// become executes the program with the group's state.
func (s *group) become() error {
	state, err := s.handOver()
	if err != nil {
		return err
	}
	file, err := memfile.New("group")
	if err != nil {
		return err
	}
	defer file.Close()
	memory := int(file.Fd())
	if err := json.NewEncoder(file).Encode(state); err != nil {
		return err
	}
	fds := append(state.descriptors(), memory)
	defer inherit(fds, false)
	inherit(fds, true)
	// A program that does not know what is kept would refuse it should it be started by the
	// service manager later on. The one that does leaves it there again.
	s.Notify.Forget()
	defer s.keep()
	return s.Exec(fmt.Sprintf("%s=%d", GroupVar, memory))
}

// inherit sets whether descriptors stay open when a program is executed.
func inherit(fds []int, stay bool) {
	flag := unix.FD_CLOEXEC
	if stay {
		flag = 0
	}
	for _, fd := range fds {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag) // they are open, and ours
	}
}

// handOver describes the group.
func (s *group) handOver() (state handedOver, err error) {
	state.Reloads, state.Secret = s.reloads, s.secret
	if s.InForce != nil {
		state.InForce = int(s.InForce.Fd())
	}
	for _, socket := range s.Sockets {
		state.Sockets = append(state.Sockets, handedSocket{socket.Kind, socket.FD})
	}
	for _, w := range s.workers() {
		h := handedWorker{
			Slot: w.slot.id, PID: w.pid, Crash: w.crash, Here: w.here, Dir: w.dir, Awaited: w.awaited,
			Custodian: pidOf(w.custodian), Holder: pidOf(w.holder), Asked: w.asked,
		}
		for owner := range w.unconfirmed {
			h.Unconfirmed = append(h.Unconfirmed, owner)
		}
		if err := w.conn.WithFD(func(fd int) { h.Conn = fd }); err != nil {
			return state, errNotWhole // it has ended, which is about to be told
		}
		if h.Status = -1; w.status != nil {
			h.Status = int(w.status.Fd())
		}
		state.Workers = append(state.Workers, h)
	}
	return state, nil
}

// descriptors lists what belongs to the group.
func (h *handedOver) descriptors() (fds []int) {
	for _, socket := range h.Sockets {
		fds = append(fds, socket.FD)
	}
	if h.InForce != 0 {
		fds = append(fds, h.InForce)
	}
	for _, w := range h.Workers {
		fds = append(append(fds, w.Conn, w.Crash), w.Here...)
		if w.Status >= 0 {
			fds = append(fds, w.Status)
		}
	}
	return fds
}

func pidOf(w *worker) int {
	if w == nil {
		return 0
	}
	return w.pid
}

// leftGroup is the state of a group that another image has left, nil for none. Nothing of
// it stays open in a program that is started from here on.
func leftGroup() (*handedOver, error) {
	text := os.Getenv(GroupVar)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(GroupVar)
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s: '%s' is no descriptor", GroupVar, text)
	}
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "group")
	defer file.Close()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", GroupVar, err)
	}
	state := &handedOver{}
	if err := json.NewDecoder(io.LimitReader(file, limits.IPCFrame)).Decode(state); err != nil {
		return nil, fmt.Errorf("%s: %w", GroupVar, err)
	}
	inherit(state.descriptors(), false)
	return state, nil
}

// passed are the sockets that were handed over with a group.
func (h *handedOver) passed() (sockets []systemd.Socket, err error) {
	for _, socket := range h.Sockets {
		s, err := systemd.OpenSocket(socket.FD, socket.Kind)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// resume goes on with a group that another image has left, in the middle of a reload whose
// configuration was found good.
func (s *group) resume(state *handedOver) error {
	if state.InForce != 0 {
		s.goOnRunning(os.NewFile(uintptr(state.InForce), "configuration"))
	}
	byPID := map[int]*worker{}
	for _, h := range state.Workers {
		if h.Slot < 0 || h.Slot >= len(s.slots) {
			return fmt.Errorf("a worker of number %d is left by another image of the supervisor", h.Slot)
		}
		w, err := s.goOn(h)
		if err != nil {
			return err
		}
		byPID[w.pid] = w
		s.converse(w)
		s.tasks.Go("worker end", func() { s.wait(w) }) // also if another one is not had
	}
	for _, h := range state.Workers {
		w := byPID[h.PID]
		w.custodian, w.holder, w.asked = byPID[h.Custodian], byPID[h.Holder], h.Asked
		for _, owner := range h.Unconfirmed {
			w.unconfirmed[owner] = true
		}
	}
	s.complete, s.reloads, s.secret = true, state.Reloads, state.Secret
	s.tellReloads()
	s.tellRoster()
	s.resumed = true
	s.find()
	for _, slot := range s.slots {
		s.start(slot) // where there is none
	}
	return nil
}

// goOnRunning keeps in force what another image has left. Where this one cannot read it,
// every worker runs the files, which the reload that goes on has found good.
func (s *group) goOnRunning(left *os.File) {
	if _, err := inforce.ReadCode(left); err != nil {
		s.Log.Warn(fmt.Sprintf("what the workers run cannot be read by this program (%v): those that it starts run the configuration files", err))
		left.Close()
		return
	}
	s.InForce = left
	s.keep()
}

// find looks for the program of the workers, on which no worker is to wait that serves.
func (s *group) find() {
	if s.finding {
		return
	}
	s.finding = true
	s.tasks.Go("program of the workers", func() {
		var program *Program
		err := errors.New("the search for the program of the workers failed") // should it panic
		defer func() { s.post(func() { s.found(program, err) }) }()
		program, err = s.Find()
	})
}

// found goes on when the program of the workers is known, or not: with a reload that
// another image has begun, and with the slots that wait for it.
func (s *group) found(program *Program, err error) {
	s.finding = false
	if s.stopping || s.Workers != nil { // or a reload has found it meanwhile
		program.close()
	} else {
		s.Workers = program
	}
	if s.stopping {
		return
	}
	if s.Workers != nil {
		err = nil
	}
	if s.resumed {
		s.resumed = false
		s.goOnWithReload(err)
	}
	for _, slot := range s.slots {
		waited := slot.waiting
		slot.waiting = false
		switch {
		case !waited:
		case err == nil:
			s.start(slot)
		default:
			s.unready(slot, "", "cannot be started: "+err.Error(), "", true)
		}
	}
	s.tryUpgrade()
}

// goOnWithReload has the workers replaced, if their program was found.
func (s *group) goOnWithReload(err error) {
	if err == nil {
		s.replaceAll()
		return
	}
	line := err.Error() + halfReplaced
	s.Log.Error(line)
	s.endReload([]string{line})
}

// goOn makes a worker that serves of what was handed over.
func (s *group) goOn(h handedWorker) (*worker, error) {
	process, err := os.FindProcess(h.PID)
	if err != nil {
		return nil, err
	}
	conn, err := ipc.FromFD(h.Conn)
	if err != nil {
		return nil, fmt.Errorf("connection to worker %d: %w", h.Slot, err)
	}
	slot := s.slots[h.Slot]
	w := newWorker(slot, h.PID)
	w.process, w.conn, w.crash, w.dir, w.here, w.awaited = process, conn, h.Crash, h.Dir, h.Here, h.Awaited
	if h.Status >= 0 {
		w.status = os.NewFile(uintptr(h.Status), "status")
	}
	w.become(ready)
	w.since = time.Time{} // nobody knows; it is not new
	slot.workers = append(slot.workers, w)
	return w, nil
}
