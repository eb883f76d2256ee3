package worker

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/listen"
)

// guard hands copies of this worker's sockets over, to be kept by a sibling, and
// keeps those of siblings: of one that dies it answers what is left in them.
// Which sibling keeps whose is the supervisor's choice.
type guard struct {
	w       *Worker
	changed chan struct{} // this worker listens elsewhere than before
	life    [2]int        // a pipe: the end that others read closes with this process
	mortal  bool          // there is no such pipe
	asked   bool          // the supervisor knows of a change and will ask
	kept    map[int]*ward // by process
	ended   chan *ward
}

// A ward is another worker's sockets.
type ward struct {
	pid     int
	life    *os.File
	sockets ipc.Descriptors
}

func newGuard(w *Worker) *guard {
	return &guard{w: w, changed: make(chan struct{}, 1), kept: map[int]*ward{}, ended: make(chan *ward)}
}

// listensElsewhere takes note of a change, and does not wait.
func (g *guard) listensElsewhere() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// run returns when the worker ends.
func (g *guard) run() {
	if g.w.o.Link == nil {
		return
	}
	if err := unix.Pipe2(g.life[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		// It still keeps those of others: the supervisor counts on it.
		g.w.log.Warn(fmt.Sprintf("this worker's sockets will die with it: %v", err))
		g.mortal = true
	}
	for {
		select {
		case <-g.changed:
			if !g.asked {
				g.asked = true
				g.w.o.Link.Changed()
			}
		case <-g.w.o.Link.Give():
			g.asked = false
			g.give()
		case <-g.w.o.Link.Guards():
			for _, m := range g.w.o.Link.Guarded() {
				g.keep(m)
			}
		case d := <-g.ended:
			g.take(d)
		case <-g.w.ctx.Done():
			for _, d := range g.kept {
				g.drop(d)
			}
			return
		}
	}
}

// give hands over the sockets of now.
func (g *guard) give() {
	if g.mortal {
		return
	}
	fds := ipc.Descriptors(g.w.server.Copies(limits.HandedSockets - 1))
	defer fds.Close()
	g.w.o.Link.Sockets(append(ipc.Descriptors{g.life[0]}, fds...))
}

// keep takes the sockets of a process in place of those that are here.
func (g *guard) keep(m ipc.Message) {
	if old := g.kept[m.PID]; old != nil {
		g.drop(old)
	}
	if len(m.FDs) > 0 {
		d := &ward{pid: m.PID, life: os.NewFile(uintptr(m.FDs[0]), "lifeline"), sockets: m.FDs[1:]}
		g.kept[m.PID] = d
		g.w.group.Go("lifeline", func() { g.follow(d) })
	}
	g.w.o.Link.Kept(m.PID)
}

func (g *guard) drop(d *ward) {
	delete(g.kept, d.pid)
	d.life.Close()
	d.sockets.Close()
}

// follow waits until nobody holds the other end of a lifeline any more: a
// process gives its files up when its last thread has ended, so that nobody
// reads from its sockets then.
func (g *guard) follow(d *ward) {
	if _, err := d.life.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return // dropped
	}
	select {
	case g.ended <- d:
	case <-g.w.ctx.Done():
	}
}

// take answers what a dead worker has left, unless its sockets were dropped
// meanwhile.
func (g *guard) take(d *ward) {
	if g.kept[d.pid] != d {
		return
	}
	for _, fd := range d.sockets {
		err := g.w.server.Finish(fd)
		if err != nil && !errors.Is(err, listen.ErrNotASocket) && !errors.Is(err, listen.ErrLeaving) {
			g.w.log.Warn(fmt.Sprintf("queries left by worker process %d: %v", d.pid, err))
		}
	}
	d.sockets = nil
	g.drop(d)
	g.w.o.Link.Taken(d.pid)
}
