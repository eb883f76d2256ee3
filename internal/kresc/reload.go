package kresc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/reload"
)

// A reloading is the reload of a group, or of a process alone.
type reloading struct {
	group  int
	number int // its ticket, by which its outcome is known from those of others; 0: it has none yet
	state  reload.State
	run    reload.Run // that has done it
	err    error      // it is not known what became of it
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
	if r.err = w.answer(ctx, console.ReqReload, limits.ConsoleRunTime+limits.ClientWelcome, &r.number); r.err != nil {
		if ctx.Err() != nil {
			r.err = errors.New("interrupted: it is not known whether the reload was taken")
		}
		return
	}
	for r.state.Ended < r.number {
		if w, r.err = c.stateOf(ctx, w, r); r.err != nil {
			return
		}
		c.progress(r)
		select {
		case <-time.After(limits.ClientLook):
		case <-ctx.Done():
		}
	}
	known := false
	if r.run, known = r.state.Of(r.number); !known {
		r.err = fmt.Errorf("what became of this reload is not known any more: more than %d others have ended since", limits.ReloadRuns)
	}
}

// errNotAwaited is the error of a reload that goes on while its client was interrupted.
var errNotAwaited = errors.New("what becomes of the reload is not awaited")

// stateOf asks how far the reloads of a group have come: the worker that was asked last,
// or, since that may have been replaced or hang, any other of the group.
func (c *client) stateOf(ctx context.Context, w *worker, r *reloading) (*worker, error) {
	for attempt := 0; ; attempt++ {
		state := reload.State{}
		err := w.answer(ctx, console.ReqState, limits.ClientWelcome, &state)
		switch {
		case ctx.Err() != nil:
			return w, errNotAwaited
		case err == nil:
			r.state = state
			return w, nil
		case attempt == limits.ClientLooks:
			return w, err
		}
		time.Sleep(limits.ClientLook)
		w.close()
		if other := c.another(r.group); other != nil {
			w = other
		}
	}
}

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
	case len(r.run.Errors) > 0:
		for _, line := range r.run.Errors {
			c.complain(errors.New(line))
		}
		c.complain(fmt.Errorf("group %d: %s", r.group, kept(r.run, r.state.Workers)))
		return statusRaised
	case c.options.JSON:
	case r.state.Workers > 0:
		c.write(fmt.Sprintf("group %d: reloaded, %s replaced\n", r.group, counted(r.run.Replaced, "worker")))
	default:
		c.write(fmt.Sprintf("group %d: reloaded\n", r.group))
	}
	return 0
}

// kept says what is in force after a run that failed, of a group with so many workers; 0: of
// a process alone.
func kept(run reload.Run, workers int) string {
	switch {
	case workers == 0:
		return "what the lines above tell of is not in force"
	case run.Replaced == 0:
		return "not reloaded, all of what was in force stays so"
	}
	return fmt.Sprintf("half reloaded: %d of %d workers are replaced, the others serve on as they were and are tried again until they are, or until the next reload", run.Replaced, workers)
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
		g := groupReload{Group: r.group, Workers: r.state.Workers, Replaced: r.run.Replaced, Errors: slices.Clone(r.run.Errors)}
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
	ctx, interrupted := c.interruptible()
	for _, w := range c.workers {
		var r reload.Report
		if err := w.answer(ctx, console.ReqCheck, limits.CheckTime+limits.CheckGrace+limits.ClientWelcome, &r); err != nil {
			if interrupted() {
				return statusInterrupted
			}
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
	interrupted()
	return status
}

// answer asks for what is told in JSON within a time. When ctx ends it returns at once and
// the connection is closed, since its answer may still come.
func (w *worker) answer(ctx context.Context, kind byte, within time.Duration, into any) error {
	if err := w.send(kind, ""); err != nil {
		return w.lost("it has ended")
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case f, ok := <-w.frames:
		switch {
		case !ok:
			return w.lost("it ended before it answered")
		case f[0] == console.RespError:
			return errors.New(string(f[1:]))
		}
		if err := json.Unmarshal(f[1:], into); err != nil {
			return w.lost("what it said makes no sense")
		}
		return nil
	case <-limit.C:
		return w.lost("it does not answer")
	case <-ctx.Done():
		return w.lost("it was not waited for")
	}
}
