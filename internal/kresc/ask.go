package kresc

import (
	"context"
	"encoding/binary"
	"strings"

	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// A reply is what became of a command in one worker.
type reply struct {
	*worker
	printed string // what the command printed, unless it was shown already
	text    string // its value, or its error's text
	raised  bool
	err     error // there is no answer
}

// ask runs a command in all workers at once. What the only worker of a dialogue prints is
// shown at once, by live.
func ask(ctx context.Context, workers []*worker, kind byte, text string, live func(string)) []reply {
	replies := make([]reply, len(workers))
	var group safe.Group
	for i, w := range workers {
		group.Go("ask", func() {
			r := reply{worker: w}
			show := live
			if len(workers) > 1 || live == nil {
				show = func(text string) { r.printed += text }
			}
			f, err := w.request(ctx, kind, text, show)
			if r.err = err; err == nil {
				r.raised, r.text = f[0] == console.RespError, string(f[1:])
			}
			replies[i] = r
		})
	}
	group.Wait()
	return replies
}

// command runs a command and shows what came of it. The status is the program's.
func (c *client) command(text string) (status int) {
	if len(text) > limits.ConsoleLine {
		c.complain(errTooLong)
		return statusRaised
	}
	ctx, interrupted := c.interruptible()
	kind, live := byte(console.ReqEval), c.writeValue
	if c.options.JSON {
		kind, live = console.ReqJSON, c.writeError
	}
	replies := ask(ctx, c.workers, kind, text, live)
	wasInterrupted := interrupted()
	c.show(replies)
	for _, r := range replies {
		switch {
		case r.err != nil:
			status = statusNobody
		case r.raised && status == 0:
			status = statusRaised
		}
	}
	if status != 0 && wasInterrupted {
		return statusInterrupted
	}
	return status
}

// interruptible is a context that Ctrl-C ends, until the function is called that says whether it
// did.
func (c *client) interruptible() (ctx context.Context, end func() bool) {
	ctx, cancel := context.WithCancel(context.Background())
	done, ended := make(chan struct{}), make(chan struct{})
	safe.Go("interrupt", nil, func() {
		defer close(ended)
		select {
		case <-c.signals:
			cancel()
		case <-done:
		}
	})
	return ctx, func() bool {
		close(done)
		<-ended
		defer cancel()
		return ctx.Err() != nil
	}
}

// split finds where the first command of text ends; 0 says that it needs more text.
func (c *client) split(text string) (int, error) {
	f, err := c.workers[0].inform(console.ReqSplit, text)
	if err != nil {
		return 0, err
	}
	if len(f) != 5 {
		return 0, c.workers[0].lost("what it said makes no sense")
	}
	return min(int(binary.BigEndian.Uint32(f[1:])), len(text)), nil
}

// complete lists what the last word of text may become.
func (c *client) complete(text string) []string {
	if len(c.workers) == 0 || c.workers[0].gone.Load() || len(text) > limits.ConsoleLine {
		return nil
	}
	f, err := c.workers[0].inform(console.ReqComplete, text)
	if err != nil {
		return nil
	}
	return strings.Fields(string(f[1:]))
}
