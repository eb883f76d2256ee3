package kresc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kresd/internal/console"
	"kresd/internal/reload"
)

// statePause is between two looks at how far a reload has come.
const statePause = 100 * time.Millisecond

// A reloading is the reload of a group, or of a process alone.
type reloading struct {
	group  int
	number int
	state  reload.State
	err    error // it is not known what became of it
	shown  string
}

// reload has every group load its configuration, one after the other, and waits for the
// end: what is wrong in one stops the others that come after it, which serve on as they
// are.
func (c *client) reload() int {
	ctx, interrupted := c.interruptible()
	var list []*reloading
	status := 0
	for _, w := range c.workers {
		r := &reloading{group: w.Group}
		list = append(list, r)
		c.reloadOf(ctx, w, r)
		if status = c.reloaded(r); status != 0 {
			break
		}
	}
	if interrupted() && status != 0 {
		status = statusInterrupted
	}
	if c.options.JSON {
		c.reloadsJSON(list)
	}
	return status
}

// reloadOf asks a worker for a reload of its group, and follows it.
func (c *client) reloadOf(ctx context.Context, w *worker, r *reloading) {
	if r.err = w.answer(console.ReqReload, &r.number); r.err != nil {
		return
	}
	for r.err == nil && r.state.Ended < r.number {
		if w, r.err = c.stateOf(w, r); r.err != nil {
			return
		}
		c.progress(r)
		select {
		case <-time.After(statePause):
		case <-ctx.Done():
			r.err = errors.New("what becomes of the reload is not awaited")
		}
	}
}

// stateOf asks how far the reloads of a group have come: the worker that was asked last,
// or, since that may have been replaced, any other of the group.
func (c *client) stateOf(w *worker, r *reloading) (*worker, error) {
	for attempt := 0; ; attempt++ {
		state := reload.State{}
		err := w.answer(console.ReqState, &state)
		if err == nil {
			r.state = state
		}
		if err == nil || attempt == stateAttempts {
			return w, err
		}
		time.Sleep(statePause)
		w.close()
		if other := c.another(r.group); other != nil {
			w = other
		}
	}
}

// stateAttempts is how often another worker is looked for.
const stateAttempts = 50

// another connects to a worker of a group, nil where there is none.
func (c *client) another(group int) *worker {
	paths, err := find(c.options.Place)
	if err != nil {
		return nil
	}
	workers, _ := openAll(paths)
	var found *worker
	for _, w := range workers {
		if w.Group == group && found == nil {
			found = w
			continue
		}
		w.close()
	}
	return found
}

// progress shows what a reload is at, once.
func (c *client) progress(r *reloading) {
	text := ""
	switch s := r.state; {
	case s.Ended >= r.number || c.options.JSON:
		return
	case s.Begun < r.number:
		text = "waiting until the reload before it has ended"
	case s.Phase == reload.Checking:
		text = "checking the configuration"
	case s.Workers > 0:
		text = fmt.Sprintf("replacing workers, %d of %d so far", s.Replaced, s.Workers)
	default:
		text = "reading files again"
	}
	if text != r.shown {
		r.shown = text
		c.write(fmt.Sprintf("group %d: %s\n", r.group, text))
	}
}

// reloaded shows what became of a reload and returns the exit status.
func (c *client) reloaded(r *reloading) int {
	switch {
	case r.err != nil:
		c.complain(fmt.Errorf("group %d: %w", r.group, r.err))
		return statusNobody
	case len(r.state.Errors) > 0:
		for _, line := range r.state.Errors {
			c.complain(errors.New(line))
		}
		c.complain(fmt.Errorf("group %d: %s", r.group, kept(r.state)))
		return statusRaised
	case c.options.JSON:
	case r.state.Workers > 0:
		c.write(fmt.Sprintf("group %d: reloaded, %s replaced\n", r.group, counted(r.state.Replaced, "worker")))
	default:
		c.write(fmt.Sprintf("group %d: reloaded\n", r.group))
	}
	return 0
}

// kept says what is in force after a reload that failed.
func kept(s reload.State) string {
	switch {
	case s.Workers == 0:
		return "what the lines above tell of is not in force"
	case s.Replaced == 0:
		return "not reloaded, all of what was in force stays so"
	}
	return fmt.Sprintf("not reloaded: %d of %d workers are replaced, the others serve on as they were", s.Replaced, s.Workers)
}

// A groupReload is an element of the array of reload --json.
type groupReload struct {
	Group    int      `json:"group"`
	Workers  int      `json:"workers"`
	Replaced int      `json:"replaced"`
	Errors   []string `json:"errors"`
}

func (c *client) reloadsJSON(list []*reloading) {
	out := make([]groupReload, 0, len(list))
	for _, r := range list {
		g := groupReload{Group: r.group, Workers: r.state.Workers, Replaced: r.state.Replaced, Errors: slices.Clone(r.state.Errors)}
		if r.err != nil {
			g.Errors = []string{r.err.Error()}
		}
		if g.Errors == nil {
			g.Errors = []string{}
		}
		out = append(out, g)
	}
	c.writeJSON(out)
}

// check has the first worker of each group try the configuration.
func (c *client) check() (status int) {
	for _, w := range c.workers {
		var r reload.Report
		if err := w.answer(console.ReqCheck, &r); err != nil {
			c.complain(err)
			return statusNobody
		}
		status = max(status, min(len(r.Mistakes), statusRaised))
		switch {
		case c.options.JSON:
			c.writeJSON(r)
		case len(r.Mistakes) == 0:
			c.write(fmt.Sprintf("group %d: no errors\n", w.Group))
		}
		for _, line := range r.Mistakes {
			c.writeError(line + "\n")
		}
	}
	return status
}

// answer asks for what is told in JSON.
func (w *worker) answer(kind byte, into any) error {
	f, err := w.request(context.Background(), kind, "", func(string) {})
	switch {
	case err != nil:
		return err
	case f[0] == console.RespError:
		return errors.New(string(f[1:]))
	}
	if err := json.Unmarshal(f[1:], into); err != nil {
		return w.lost("what it said makes no sense")
	}
	return nil
}
