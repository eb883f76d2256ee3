package worker

import (
	"context"
	"net"
	"os"
	"strings"

	"kresd/internal/console"
	"kresd/internal/forkmap"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/rundir"
	"kresd/internal/script"
	"kresd/internal/systemd"
	"kresd/internal/version"
)

// consoles are where commands come in.
type consoles struct {
	vm       *script.VM
	out, err *logging.Ring   // what commands print is copied there
	screen   *console.Screen // that both write to; nil: lines are not edited
	quiet    bool
	log      *logging.Logger
	text     bool // the log is text
	counters *limits.Counters
	link     *ipc.Link

	server  *console.Server
	hasFile bool // the control socket has a file of ours
}

// local runs the console on the terminal or pipe until it is left or ctx ends.
func (c *consoles) local(ctx context.Context, in *os.File) {
	l := &console.Local{Eval: c.vm.NewSession(), In: in, Out: c.out, Err: c.err, Quiet: c.quiet, Screen: c.screen}
	l.Run(ctx)
}

// serve opens the control socket: the one among those that were handed over, or
// tty/PID. On it relay serves map().
func (c *consoles) serve(handed []systemd.Socket, relay *forkmap.Relay) error {
	l, err := c.listener(handed)
	if err != nil {
		return err
	}
	c.server = console.Serve(l, console.Options{
		Eval: func() console.Evaluator { return c.vm.NewSession() }, Quiet: c.quiet, Record: c.record(), Log: c.log, Limits: c.counters,
		Identity:  console.Identity{Worker: c.link.ID(), Count: c.link.Count(), PID: os.Getpid(), Version: version.String()},
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

func (c *consoles) listener(handed []systemd.Socket) (net.Listener, error) {
	for _, s := range handed {
		if s.Kind == systemd.Control {
			return net.FileListener(s.File)
		}
	}
	if _, err := rundir.PrepareTTY(); err != nil {
		return nil, err
	}
	c.hasFile = true
	return rundir.Listen(os.Getpid())
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
