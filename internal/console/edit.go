package console

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

const (
	prompt     = "> "
	morePrompt = ">> " // the command goes on
	// interruptHint is said when Ctrl-C finds nothing to clear or to end.
	interruptHint = "quit() ends kresd, Ctrl-D closes this console\n"
)

// An editor is the console on a terminal: lines are edited, remembered and completed.
type editor struct {
	*Local
	s      *session
	keys   *keys
	past   *history
	line   *term.Terminal
	prompt string // before a new command
}

// edit is Run for a screen.
func (l *Local) edit(ctx context.Context) {
	tasks := &safe.Group{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Screen.Close()
	e := &editor{Local: l, keys: readKeys(ctx, tasks, l.Screen.in), past: l.past(), prompt: prompt}
	if l.Quiet {
		e.prompt = ""
	}
	e.s = &session{eval: l.Eval, quiet: l.Quiet, prompted: true, out: l.Out, errOut: l.Err, local: true}
	e.begin()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(signals)
	tasks.Go("terminal signals", func() {
		for {
			select {
			case <-signals:
				l.Screen.resume()
			case <-ctx.Done():
				return
			}
		}
	})
	for ctx.Err() == nil && e.step(ctx) {
	}
}

// past are the lines that were typed so far, at consoles before this one, too.
func (l *Local) past() *history {
	if l.Kept == nil {
		return &history{}
	}
	return &history{lines: l.Kept.Load(), kept: l.Kept}
}

// begin makes an empty line on the screen.
func (e *editor) begin() {
	e.line = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, newlines{e.Screen.out}}, "")
	e.line.History = e.past
	e.line.AutoCompleteCallback = e.complete
	e.Screen.edit(e.line)
	e.Screen.resume()
}

// step reads a line and runs what is complete by it. It returns false at the end of the
// input.
func (e *editor) step(ctx context.Context) bool {
	settle(e.Err)
	settle(e.Out)
	e.line.SetPrompt(e.prompt)
	if len(e.s.pending) > 0 && e.prompt != "" {
		e.line.SetPrompt(morePrompt)
	}
	e.Screen.prompts(true)
	text, err := e.line.ReadLine()
	e.Screen.prompts(false)
	switch {
	case err == nil || errors.Is(err, term.ErrPasteIndicator):
		e.run(ctx, text+"\n")
		return true
	case e.keys.wasInterrupted():
		e.clear()
		return true
	}
	e.Screen.Close()
	if ctx.Err() == nil {
		_ = e.s.flush(ctx, true)
		if !e.Quiet {
			_ = write(e.Out, farewell)
		}
	}
	return false
}

// clear leaves the line and what goes before it in the command as they stand, and begins
// anew.
func (e *editor) clear() {
	_, _ = e.Screen.out.WriteString("^C\n")
	if !e.keys.begun() && len(e.s.pending) == 0 {
		_ = write(e.Out, interruptHint)
	}
	e.s.pending = nil
	e.begin()
}

// run runs the commands that text completes. Ctrl-C ends them.
func (e *editor) run(ctx context.Context, text string) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var err error
	e.keys.during(func() { cancel(ErrInterrupted) }, func() { err = e.s.feed(ctx, []byte(text)) })
	switch {
	case context.Cause(ctx) == ErrInterrupted:
		e.s.pending = nil
	case errors.Is(err, errTooLong):
		e.s.pending = nil
		_ = write(e.Err, err.Error()+"\n")
	}
}

// complete serves the tabulator.
func (e *editor) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	if strings.TrimSpace(line[:pos]) == "" && len(e.s.pending) > 0 {
		return line[:pos] + "    " + line[pos:], pos + 4, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), limits.CompletionTime)
	defer cancel()
	words := e.Eval.Complete(ctx, string(e.s.pending)+line[:pos])
	begin := WordStart(line[:pos])
	longest := commonPrefix(words)
	if len(longest) > pos-begin || len(words) == 1 {
		return line[:begin] + longest + line[pos:], begin + len(longest), true
	}
	if len(words) > 1 {
		_, _ = e.Screen.Write([]byte(columns(words, e.Screen.width())))
	}
	return line, pos, true
}

// WordStart is where the word begins that ends text: what a completion replaces.
func WordStart(text string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if c := text[i]; c != '_' && c != '.' && c != ':' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i + 1
		}
	}
	return 0
}

func commonPrefix(words []string) string {
	if len(words) == 0 {
		return ""
	}
	longest := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, longest) {
			longest = longest[:len(longest)-1]
		}
	}
	return longest
}

// columns lists words below each other in columns, as many as the width allows.
func columns(words []string, width int) string {
	const gap = 2
	longest := 0
	for _, w := range words {
		longest = max(longest, len(w))
	}
	n := max(1, width/(longest+gap))
	rows := (len(words) + n - 1) / n
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", longest+gap-len(words[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
