package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/safe"
)

// custody is this worker's part in the custody of sockets, on both sides. As an
// owner it hands copies of its sockets to the supervisor, which passes them on
// to a custodian. As a custodian it keeps copies of siblings' sockets and, when
// one of those siblings dies, answers what is left in them. Which sibling is the
// custodian of which is the supervisor's choice (supervisor/custody.go).
type custody struct {
	link   *ipc.Link
	server *listen.Server
	log    *logging.Logger
	group  *safe.Group
	ctx    context.Context // ends with the worker

	changed chan struct{} // this worker listens elsewhere than before

	lifeline    [2]int                  // a pipe: the end that the custodian reads closes with this process
	withoutCopy bool                    // the pipe could not be made, so this worker hands no copies over
	changeTold  bool                    // the supervisor was told of a change, and Give has not come yet
	kept        map[int]*siblingSockets // by the owner's process
	ownerDied   chan *siblingSockets
}

// siblingSockets are copies of the sockets of a sibling, their owner.
type siblingSockets struct {
	owner    int // its process
	lifeline *os.File
	sockets  ipc.Descriptors
}

// newCustody makes a worker's part of the custody; run may begin when it has its
// server.
func newCustody(ctx context.Context, link *ipc.Link, log *logging.Logger, group *safe.Group) *custody {
	return &custody{
		link: link, log: log, group: group, ctx: ctx,
		changed: make(chan struct{}, 1), kept: map[int]*siblingSockets{}, ownerDied: make(chan *siblingSockets),
	}
}

// listensElsewhere takes note of a change, and does not wait.
func (c *custody) listensElsewhere() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// run returns when the worker ends.
func (c *custody) run() {
	if c.link == nil {
		return
	}
	if err := unix.Pipe2(c.lifeline[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		// It is still a custodian: the supervisor counts on it.
		c.log.Warn(fmt.Sprintf("should this worker be killed, what waits in its sockets is lost: %v", err))
		c.withoutCopy = true
	}
	for {
		select {
		case <-c.changed:
			if !c.changeTold {
				c.changeTold = true
				c.link.Changed()
			}
		case <-c.link.Give():
			c.changeTold = false
			c.give()
		case <-c.link.Entrusted():
			for _, m := range c.link.TakeEntrusted() {
				c.keep(m)
			}
		case s := <-c.ownerDied:
			c.takeOver(s)
		case <-c.ctx.Done():
			for _, s := range c.kept {
				c.drop(s)
			}
			return
		}
	}
}

// give hands over copies of the sockets that are served now.
func (c *custody) give() {
	if c.withoutCopy {
		return
	}
	copies := ipc.Descriptors(c.server.Copies(limits.HandedSockets - 1))
	defer copies.Close()
	c.link.Sockets(append(ipc.Descriptors{c.lifeline[0]}, copies...))
}

// keep does what the supervisor says about one owner: it keeps the owner's
// sockets, in place of those of the same owner that it has, or keeps none.
func (c *custody) keep(m ipc.Message) {
	if old := c.kept[m.PID]; old != nil {
		c.drop(old)
	}
	if len(m.FDs) > 0 {
		s := &siblingSockets{owner: m.PID, lifeline: os.NewFile(uintptr(m.FDs[0]), "lifeline"), sockets: m.FDs[1:]}
		c.kept[m.PID] = s
		c.group.Go("lifeline", func() { c.follow(s) })
	}
	c.link.Kept(m.PID)
}

func (c *custody) drop(s *siblingSockets) {
	delete(c.kept, s.owner)
	s.lifeline.Close()
	s.sockets.Close()
}

// follow waits until nobody holds the other end of a lifeline any more: a
// process gives its files up when its last thread has ended, so that nobody
// reads from its sockets then.
func (c *custody) follow(s *siblingSockets) {
	if _, err := s.lifeline.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return // drop has closed it
	}
	select {
	case c.ownerDied <- s:
	case <-c.ctx.Done():
	}
}

// takeOver answers what a dead owner has left in its sockets, unless they were
// dropped meanwhile.
func (c *custody) takeOver(s *siblingSockets) {
	if c.kept[s.owner] != s {
		return
	}
	for _, fd := range s.sockets {
		err := c.server.Finish(fd)
		if err != nil && !errors.Is(err, listen.ErrNotASocket) && !errors.Is(err, listen.ErrLeaving) {
			c.log.Warn(fmt.Sprintf("queries left by worker process %d: %v", s.owner, err))
		}
	}
	s.sockets = nil
	c.drop(s)
	c.link.TookOver(s.owner)
}
