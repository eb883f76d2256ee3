package worker

import (
	"net"
	"os"

	"kresd/internal/console"
	"kresd/internal/forkmap"
	"kresd/internal/rundir"
	"kresd/internal/systemd"
)

// consoles are where commands come in.
type consoles struct {
	server *console.Server
	path   bool // the control socket has a file of ours
}

// local starts the console on the terminal or pipe.
func (c *consoles) local(w *Worker) {
	l := &console.Local{Eval: w.vm, In: w.o.Stdin, Out: w.out, Err: w.err, Quiet: w.o.CLI.Quiet}
	w.group.Go("console", func() { l.Run(w.ctx) })
}

// serve opens the control socket: the one that was handed over, or tty/PID.
func (c *consoles) serve(w *Worker) error {
	l, err := c.listener(w)
	if err != nil {
		return err
	}
	c.server = console.Serve(l, console.Options{
		Eval: w.vm, Quiet: w.o.CLI.Quiet, Record: console.RecordText(w.out), Log: w.log, Limits: w.counters,
		Protocols: map[string]console.Protocol{forkmap.Greeting: w.siblings.relay.Serve},
	})
	return nil
}

func (c *consoles) listener(w *Worker) (net.Listener, error) {
	for _, s := range w.o.Sockets {
		if s.Kind == systemd.Control {
			return net.FileListener(s.File)
		}
	}
	if _, err := rundir.PrepareTTY(); err != nil {
		return nil, err
	}
	c.path = true
	return rundir.Listen(os.Getpid())
}

// close removes the control socket, then ends its connections.
func (c *consoles) close() {
	if c.path {
		rundir.Forget(os.Getpid())
	}
	if c.server != nil {
		c.server.Close()
	}
}
