package console

import (
	"context"
	"errors"
	"io"

	"kresd/internal/limits"
	"kresd/internal/lineedit"
)

const (
	prompt     = "> "
	morePrompt = ">> " // the command goes on
	// interruptHint is said when Ctrl-C finds nothing to clear or to end.
	interruptHint = "quit() ends kresd, Ctrl-D closes this console\n"
)

// A dialogue is the console on a terminal: lines are edited, remembered and completed.
type dialogue struct {
	*Local
	s     *session
	lines *lineedit.Editor
}

// edit is Run for a screen.
func (l *Local) edit(ctx context.Context) {
	d := &dialogue{Local: l}
	d.s = &session{eval: l.Eval, quiet: l.Quiet, prompted: true, out: l.Out, errOut: l.Err, local: true}
	d.lines = lineedit.NewEditor(l.Screen, l.Kept, d.complete)
	defer d.lines.Close()
	defer context.AfterFunc(ctx, d.lines.Close)()
	if l.greet() != nil {
		return
	}
	for ctx.Err() == nil && d.step(ctx) {
	}
}

// prompt is what stands before the line that is typed next, which may go on with a command.
func (d *dialogue) prompt() (prompted string, more bool) {
	more = len(d.s.pending) > 0
	switch {
	case d.Quiet:
		return "", more
	case more:
		return morePrompt, true
	}
	return prompt, false
}

// step reads a line and runs what is complete by it. It returns false at the end of the
// input.
func (d *dialogue) step(ctx context.Context) bool {
	settle(d.Err)
	settle(d.Out)
	text, err := d.lines.ReadLine(d.prompt())
	switch {
	case err == nil:
		d.run(ctx, text+"\n")
		return true
	case errors.Is(err, lineedit.ErrInterrupted):
		if text == "" && len(d.s.pending) == 0 {
			_ = write(d.Out, interruptHint)
		}
		d.s.pending = nil
		return true
	}
	d.lines.Close()
	if ctx.Err() == nil && errors.Is(err, io.EOF) {
		_ = d.s.flush(ctx, true)
		if !d.Quiet {
			_ = write(d.Out, farewell)
		}
	}
	return false
}

// run runs the commands that text completes. Ctrl-C ends them.
func (d *dialogue) run(ctx context.Context, text string) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var err error
	d.lines.During(func() { cancel(ErrInterrupted) }, func() { err = d.s.feed(ctx, []byte(text)) })
	switch {
	case context.Cause(ctx) == ErrInterrupted:
		d.s.pending = nil
	case errors.Is(err, errTooLong):
		d.s.pending = nil
		_ = write(d.Err, err.Error()+"\n")
	}
}

// complete lists what may stand in the place of the word before the cursor.
func (d *dialogue) complete(before string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), limits.CompletionTime)
	defer cancel()
	return d.Eval.Complete(ctx, string(d.s.pending)+before)
}
