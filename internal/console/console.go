// Package console is the daemon's command line: on the control sockets of
// running processes, and on the terminal or pipe of an interactive one. A
// command in, its result out, a prompt.
//
// Each client has its own goroutine, a bounded input and output and a time
// limit for taking a result, so that one which is slow, silent or hostile
// holds up nobody, least of all an answer to a DNS client. The Evaluator knows what
// commands mean; this package knows no Lua and no DNS.
//
// On a terminal (package lineedit) lines are edited, remembered and completed. What else is
// written to it, log lines above all, stands above the line that is typed. What comes
// by a pipe or a socket is taken as it is.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/lineedit"
	"kresd/internal/safe"
)

// An Evaluator runs the commands of one client.
type Evaluator interface {
	// Eval runs one command and returns what the client is shown: the printed
	// form of its value, or the error's text. What the command itself prints also
	// goes to echo, if that is not nil.
	Eval(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool)
	// Split cuts the first command off text, whole lines. With wait it is nothing
	// yet, because text only ends too early.
	Split(text string) (chunk, rest string, wait bool)
	// EvalJSON is Eval with the value as JSON on one line.
	EvalJSON(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool)
	// Complete lists what the last word of text, a command up to the cursor, may become.
	Complete(ctx context.Context, text string) []string
}

// A Protocol takes over a connection whose client asked for it by its name. It
// returns when it is done with it.
type Protocol func(ctx context.Context, r io.Reader, w io.Writer)

// Greeting is the first line of an interactive process.
const Greeting = "started in interactive mode, type 'help()'"

var errTooLong = fmt.Errorf("a command is longer than %d octets", limits.ConsoleLine)

// Usable says whether a console can be had on f, the standard input.
func Usable(f *os.File) error {
	if isTerminal(f) {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err == nil {
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFSOCK:
			return nil
		}
	}
	return errors.New("standard input is neither a terminal nor a pipe; use -f 1 to run without a console")
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && lineedit.IsTerminal(f)
}

// A Local is the console on a process's own streams.
type Local struct {
	Eval  Evaluator
	In    io.Reader
	Out   io.Writer // prompts and results
	Err   io.Writer // texts of errors
	Quiet bool
	// Screen is where lines are edited, if Out and Err write to it; nil: nowhere.
	Screen *lineedit.Screen
	// Kept has the lines that were typed there; nil: nothing is kept.
	Kept *lineedit.Kept
}

// farewell is said at the end of a terminal's input, which ends no process.
const farewell = "\n[system] this console is closed, the resolver goes on; Ctrl-C or SIGTERM ends it\n"

// greet writes the first line.
func (l *Local) greet() error {
	if l.Quiet {
		return nil
	}
	return write(l.Out, "[system] "+Greeting+"\n")
}

// Run reads commands until the end of the input or of ctx. The end of the
// input is not that of the daemon.
func (l *Local) Run(ctx context.Context) {
	if l.Screen != nil {
		l.edit(ctx)
		return
	}
	if l.greet() != nil {
		return
	}
	s := &session{eval: l.Eval, quiet: l.Quiet, out: l.Out, errOut: l.Err, local: true}
	if s.greet() != nil {
		return
	}
	in := newInput(ctx, &safe.Group{}, l.In)
	for {
		err := in.serve(ctx, s)
		if errors.Is(err, io.EOF) && isTerminal(l.In) && !l.Quiet {
			_ = write(l.Out, farewell)
		}
		if !errors.Is(err, errTooLong) {
			return
		}
		// On the terminal there is nobody else to connect again: the text is
		// dropped and the dialogue goes on.
		s.pending = nil
		if write(l.Err, err.Error()+"\n") != nil {
			return
		}
	}
}
