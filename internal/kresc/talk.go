package kresc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"kresd/internal/lineedit"
)

// Prompts, for a command and for what it still lacks.
const (
	prompt     = "> "
	morePrompt = ">> "
)

// errDropped is what a reader returns when its user pressed Ctrl-C instead of Enter.
var errDropped = errors.New("the line was dropped")

// A lineReader reads what is typed.
type lineReader interface {
	// read returns a line, errDropped after Ctrl-C, or io.EOF.
	read(prompt string) (line string, err error)
	// during runs a command that Ctrl-C may end.
	during(run func())
	close()
}

// talk is the dialogue with who sits at the terminal. It ends with the input.
func (c *client) talk() int {
	pending := ""
	in := c.newReader(func(text string) []string { return c.complete(pending + text) })
	defer in.close()
	c.greet()
	for {
		show := prompt
		if pending != "" {
			show = morePrompt
		}
		select {
		case <-c.signals: // too late for the command that it was meant for
		default:
		}
		text, err := in.read(show)
		switch {
		case errors.Is(err, errDropped):
			pending = ""
			continue
		case errors.Is(err, io.EOF):
			c.write("\n")
			return 0
		case err != nil:
			c.complain(fmt.Errorf("standard input: %w", err))
			return statusNobody
		}
		if pending == "" && leaves(text) {
			return 0
		}
		in.during(func() { pending = c.typed(pending + text + "\n") })
	}
}

// typed runs what is complete and returns the rest.
func (c *client) typed(text string) (rest string) {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	if err := c.refresh(); err != nil {
		c.complain(err)
		return ""
	}
	rest, _ = c.commands(text, false)
	return rest
}

// leaves tells whether a line is meant for the client itself. (As a call, quit()
// is the worker's.)
func leaves(text string) bool {
	word := strings.TrimSpace(text)
	return word == "exit" || word == "quit"
}

// greet says who listens.
func (c *client) greet() {
	if !lineedit.IsTerminal(c.streams.Out) {
		return
	}
	first := c.workers[0]
	c.write(fmt.Sprintf("kresd %s: %s", first.Version, first.name()))
	switch n := len(c.workers) - 1; {
	case n > 0 && c.options.All:
		c.write(fmt.Sprintf(" and %s; each command is run in all of them", counted(n, "other")))
	case n > 0:
		c.write(fmt.Sprintf(" and the first worker of %s; each command is run in all of them", counted(n, "other group")))
	case first.Count > 1:
		c.write(fmt.Sprintf(" of %d; map('…') runs an expression in all", first.Count))
	}
	c.write("\nhelp() lists what there is, Tab completes, Ctrl-D leaves\n")
}

// refresh puts others in the place of workers that have ended. Commands are never sent
// again: who was lost with one is known to have it.
func (c *client) refresh() error {
	living, ended := divide(c.workers)
	if len(ended) == 0 && len(living) > 0 {
		return nil
	}
	if err := c.gather(living); err != nil {
		c.workers = living
		if len(living) == 0 {
			return err
		}
	}
	for _, w := range ended {
		c.complain(fmt.Errorf("%s has ended", w.name()))
	}
	for _, w := range c.workers {
		if !slices.Contains(living, w) {
			c.complain(fmt.Errorf("commands go to %s", w.name()))
		}
	}
	return nil
}

// gather looks for workers again, beside those that are known.
func (c *client) gather(known []*worker) error {
	paths, err := find(c.options.Place)
	if err != nil {
		return err
	}
	var unknown []string
	for _, path := range paths {
		if !isOf(known, path) {
			unknown = append(unknown, path)
		}
	}
	found, troubles := openAll(unknown)
	if len(known)+len(found) == 0 {
		return nobody(c.options.Place, troubles)
	}
	if c.everybody() {
		c.workers = sorted(append(slices.Clone(known), found...))
		return nil
	}
	c.workers = slices.Clone(known)
	for _, w := range firsts(found) {
		if hasGroup(known, w.Group) {
			w.close()
			continue
		}
		c.workers = append(c.workers, w)
	}
	c.workers = sorted(c.workers)
	return nil
}
