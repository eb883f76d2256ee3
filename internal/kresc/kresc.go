// Package kresc is the client of control sockets: commands go from the command line, a
// pipe or a terminal to workers of kresd, and their values come back; the figures of all
// workers are shown once or live.
//
// Which workers there are it finds out itself, from the sockets below a run directory
// (find.go). It speaks frames with them (package console, worker.go), so that what a
// command prints, its value and its error are told apart, and a command can be interrupted
// without its worker. A command goes to one worker, or to several at once (ask.go).
//
// What a command means, where it ends and how its words go on is all asked of the worker:
// this package knows no Lua and no DNS.
package kresc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"kresd/internal/cli"
	"kresd/internal/lineedit"
)

const program = "kresc"

// Exit statuses beside that of a wrong command line, which is package cli's.
const (
	statusRaised      = 1 // a command raised an error
	statusNobody      = 3 // no worker could be asked, or one was lost
	statusInterrupted = 130
)

// Streams are where a client's commands come from and its results go.
type Streams struct {
	In       *os.File
	Out, Err *os.File
}

// Run is the program: it returns the exit status.
func Run(args []string, s Streams) int {
	o, err := cli.ParseClient(args)
	switch {
	case err != nil:
		cli.Complain(s.Err, program, err)
		return cli.Status(err)
	case o.Help:
		fmt.Fprint(s.Out, cli.ClientUsage())
		return 0
	case o.Version:
		fmt.Fprint(s.Out, cli.ClientVersionLine())
		return 0
	}
	c := &client{options: o, streams: s, signals: make(chan os.Signal, 1)}
	signal.Notify(c.signals, os.Interrupt)
	defer signal.Stop(c.signals)
	return c.run()
}

// A client is one run of the program.
type client struct {
	options cli.ClientOptions
	streams Streams
	signals chan os.Signal // Ctrl-C
	workers []*worker      // to which commands go
	silent  bool           // a worker that lives could not be asked
}

func (c *client) run() int {
	defer func() {
		for _, w := range c.workers {
			w.close()
		}
	}()
	if err := c.connect(); err != nil {
		c.complain(err)
		return statusNobody
	}
	status := c.task()
	if status == 0 && c.silent && c.everybody() {
		return statusNobody
	}
	return status
}

func (c *client) task() int {
	switch c.options.Task {
	case cli.StatusTask:
		return c.status()
	case cli.TopTask:
		return c.top()
	case cli.ReloadTask:
		return c.reload()
	case cli.ConfigTask:
		return c.config()
	case cli.DiffTask:
		return c.configDiff()
	case cli.CheckTask:
		return c.check()
	}
	switch {
	case len(c.options.Execute) > 0:
		return c.execute(c.options.Execute)
	case !lineedit.IsTerminal(c.streams.In):
		return c.pipe()
	}
	return c.talk()
}

// connect finds the workers that are meant and connects to them. That some of them do not
// answer is told; that none does is the error.
func (c *client) connect() error {
	paths, err := find(c.options.Place)
	if err != nil {
		return err
	}
	all, troubles := openAll(paths)
	if len(all) == 0 {
		return nobody(c.options.Place, troubles)
	}
	for _, t := range troubles {
		c.complain(t)
		c.silent = c.silent || !errors.Is(t, errStale)
	}
	c.workers = all
	if !c.everybody() {
		c.workers = firsts(all)
	}
	return nil
}

// nobody is the error when no socket leads to a worker.
func nobody(place string, troubles []error) error {
	if len(troubles) == 1 {
		return troubles[0]
	}
	return fmt.Errorf("nobody answers in '%s': %w", place, errors.Join(troubles...))
}

func (c *client) complain(err error) { cli.Complain(c.streams.Err, program, err) }

// plain tells whether a terminal gets text only (TERM=dumb), or w is none.
func plain(w *os.File) bool { return !lineedit.IsTerminal(w) || os.Getenv("TERM") == "dumb" }

// bold is a heading's text.
func (c *client) bold(text string) string {
	if plain(c.streams.Out) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// write is for the standard output, whose end ends the program by SIGPIPE.
func (c *client) write(text string) { _, _ = io.WriteString(c.streams.Out, text) }
