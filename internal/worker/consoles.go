package worker

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"kresd/internal/console"
	"kresd/internal/forkmap"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/lineedit"
	"kresd/internal/logging"
	"kresd/internal/rundir"
	"kresd/internal/script/command"
	"kresd/internal/systemd"
	"kresd/internal/version"
)

// consoles are where commands come in.
type consoles struct {
	vm       *command.Interpreter
	out, err *logging.Ring    // what commands print is copied there
	screen   *lineedit.Screen // that both write to; nil: lines are not edited
	quiet    bool
	log      *logging.Logger
	text     bool // the log is text
	counters *limits.Counters
	link     *ipc.Link
	reloads  *reloads

	server  *console.Server
	hasFile bool // the control socket has a file of ours

	// A group has one control socket that was handed over, and the worker that
	// leads serves it.
	handed  *os.File     // nil: none
	leading net.Listener // on handed; nil: another one leads
}

// local runs the console on the terminal or pipe until it is left or ctx ends.
func (c *consoles) local(ctx context.Context, in *os.File) {
	l := &console.Local{Eval: c.vm.NewSession(), In: in, Out: c.out, Err: c.err, Quiet: c.quiet, Screen: c.screen, Kept: lineedit.OpenKept(os.Getenv)}
	l.Run(ctx)
}

// serve opens the control socket, on which relay serves map(): tty/PID, or in its place,
// for a process that is no worker of a group, the one among those that were handed
// over. In a group every worker has a file, because map() asks all of them, and one
// that was handed over is served beside it (lead).
func (c *consoles) serve(handed []systemd.Socket, relay *forkmap.Relay) error {
	if i := slices.IndexFunc(handed, func(s systemd.Socket) bool { return s.Kind == systemd.Control }); i >= 0 {
		c.handed = handed[i].File
	}
	l, err := c.listener()
	if err != nil {
		return err
	}
	c.server = console.Serve(l, console.Options{
		Eval: func() console.Evaluator { return c.vm.NewSession() }, Quiet: c.quiet, Record: c.record(), Log: c.log, Limits: c.counters,
		Identity:  console.Identity{Worker: c.link.ID(), Count: c.link.Count(), PID: os.Getpid(), Version: version.String()},
		Reloads:   c.reloads,
		Protocols: map[string]console.Protocol{forkmap.Greeting: relay.Serve},
	})
	return nil
}

// record has commands and what came of them written to the log.
func (c *consoles) record() func(cmd, out string, isErr bool) {
	if c.text {
		return console.RecordText(c.out)
	}
	log := c.log.Group("control")
	return func(cmd, out string, _ bool) { log.Notice(strings.TrimSpace(out), "command", cmd) }
}

func (c *consoles) listener() (net.Listener, error) {
	if c.handed != nil && c.link == nil {
		return net.FileListener(c.handed)
	}
	if _, err := rundir.PrepareTTY(); err != nil {
		return nil, err
	}
	c.hasFile = true
	return rundir.Listen(os.Getpid())
}

// lead takes the group's control socket over, or leaves it to another worker:
// clients that wait there are served by whoever leads next, and those that are
// connected stay. Nobody else calls it at the same time.
func (c *consoles) lead(leads bool) {
	if c.handed == nil || c.link == nil || leads == (c.leading != nil) {
		return
	}
	if !leads {
		c.leading.Close()
		c.leading = nil
		return
	}
	l, err := net.FileListener(c.handed)
	if err != nil {
		c.log.Error(fmt.Sprintf("the control socket that was handed over cannot be served: %v", err))
		return
	}
	c.leading = l
	c.server.Accept(l)
}

// close removes the control socket, then ends its connections.
func (c *consoles) close() {
	if c.hasFile {
		rundir.Forget(os.Getpid())
	}
	if c.server != nil {
		c.server.Close()
	}
}
