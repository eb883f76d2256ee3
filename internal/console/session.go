package console

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

// quietTime ends a last line without a newline: a client that sent a command
// so and now waits would otherwise wait for ever, and a line that arrives
// in pieces has its pieces closer together.
const quietTime = 3 * time.Second

// errOverdue ends a command that takes too long with its wait for its turn, for
// map() and for whatever it waits for itself. The time that it runs is bounded by the
// evaluator.
var errOverdue = fmt.Errorf("the command was ended: it took longer than %v with all that it waited for", limits.ConsoleWaitTime)

// binaryCommand switches a connection to length-prefixed results.
const binaryCommand = "__binary"

// A session is the dialogue with one client: what it sent and was not run
// yet, and how it wants its results.
type session struct {
	eval   Evaluator
	quiet  bool
	binary bool
	record func(cmd, out string, isErr bool) // may be nil
	// reloads are for programs; nil: there are none
	reloads Reloads
	out     io.Writer
	errOut  io.Writer // of error texts in text mode
	local   bool      // what commands print goes to out without us
	// prompted says that prompts are shown by others.
	prompted bool
	gone     bool // nobody reads results any more

	tasks  *safe.Group
	hungUp func() bool // tells whether the client has closed its connection; nil: it cannot

	pending []byte
	// protocols take a connection over when their name is sent as a line.
	protocols map[string]Protocol
	switched  Protocol
	// framed goes on when the client wants frames; nil: it cannot have them.
	framed       *frames
	speaksFrames bool
}

// greet sends the first prompt.
func (s *session) greet() error {
	if s.quiet {
		return nil
	}
	return s.show(s.out, prompt)
}

// feed takes what was read and runs what is complete. Lines behind a switch of
// protocol stay pending.
func (s *session) feed(ctx context.Context, data []byte) error {
	s.pending = append(s.pending, data...)
	for s.switched == nil {
		end := bytes.LastIndexByte(s.pending, '\n') + 1
		if end == 0 {
			break
		}
		if s.command() {
			continue
		}
		more, err := s.runFirst(ctx, end)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if len(s.pending) > limits.ConsoleLine && s.switched == nil {
		return errTooLong
	}
	return nil
}

// flush runs what is left without waiting for a newline; with force it is run
// even if it only ends too early, so that its error is shown.
func (s *session) flush(ctx context.Context, force bool) error {
	for len(s.pending) > 0 && s.switched == nil {
		more, err := s.runFirst(ctx, len(s.pending))
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if !force || len(s.pending) == 0 || s.switched != nil {
		return nil
	}
	text := string(s.pending)
	s.pending = nil
	return s.run(ctx, text)
}

// unfinished says that the last line waits for its newline.
func (s *session) unfinished() bool {
	return len(s.pending) > 0 && s.pending[len(s.pending)-1] != '\n'
}

// command handles a first line that is for the console itself.
func (s *session) command() bool {
	line, rest, _ := bytes.Cut(s.pending, []byte{'\n'})
	name := strings.TrimRight(string(line), "\r ")
	if name == binaryCommand {
		s.binary = true
	} else if p := s.protocols[name]; p != nil {
		s.switched = p
	} else if name == FramesGreeting && s.framed != nil {
		s.switched, s.speaksFrames = s.framed.serve, true
	} else {
		return false
	}
	s.pending = rest
	return true
}

// runFirst runs the first command among the first end octets; more is false
// when they only end too early.
func (s *session) runFirst(ctx context.Context, end int) (more bool, err error) {
	text := string(s.pending[:end])
	chunk, rest, wait := s.eval.Split(text)
	if wait {
		return false, nil
	}
	if len(rest) >= len(text) { // a Split that takes nothing would loop for ever
		chunk, rest = text, ""
	}
	s.pending = append([]byte(rest), s.pending[end:]...)
	return true, s.run(ctx, chunk)
}

func (s *session) run(ctx context.Context, chunk string) error {
	var printed echo
	out, isErr := "", false
	if strings.TrimSpace(chunk) != "" {
		ctx, cancel := s.whileWanted(ctx)
		defer cancel(nil)
		ctx, stop := context.WithTimeoutCause(ctx, limits.ConsoleWaitTime, errOverdue)
		defer stop()
		out, isErr = s.eval.Eval(ctx, chunk, &printed)
		if errors.Is(context.Cause(ctx), errClosed) {
			s.pending = nil
		}
	}
	out = bounded(out)
	if s.binary {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(out)))
		return s.show(s.out, string(frame)+out)
	}
	if s.record != nil {
		s.record(chunk, out, isErr)
	}
	if isErr && s.errOut != s.out {
		settle(s.out)
		if err := s.show(s.errOut, strings.TrimSuffix(out, "\n")+"\n"); err != nil {
			return err
		}
		out = ""
	}
	if !s.local {
		out = bounded(string(printed)) + out
	}
	if !s.quiet {
		settle(s.errOut)
		out += "\n"
		if !s.prompted {
			out += prompt
		}
	}
	return s.show(s.out, out)
}

// whileWanted is the context of a command, which ends when the command has run for a while
// and its client has gone. Further commands that the client has sent are not run then.
func (s *session) whileWanted(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.hungUp == nil {
		return ctx, cancel
	}
	s.tasks.Go("console hang-up", func() {
		look := time.NewTicker(limits.ConsoleGone)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				if s.hungUp() {
					cancel(errClosed)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, cancel
}

// cutNote stands behind the first limits.ConsoleOutput octets.
const cutNote = "\n... (output is cut at 1 MiB)\n"

func bounded(text string) string {
	if len(text) > limits.ConsoleOutput {
		return text[:limits.ConsoleOutput] + cutNote
	}
	return text
}

// An echo collects what a command prints, a little more than is shown.
type echo []byte

func (e *echo) Write(p []byte) (int, error) {
	room := limits.ConsoleOutput + 1 - len(*e)
	*e = append(*e, p[:min(len(p), max(0, room))]...)
	return len(p), nil
}

// settle waits, for a while, until what was written to w is on its way, where w
// writes later: an error on one stream stands before the prompt on another.
func settle(w io.Writer) {
	if f, ok := w.(interface{ Flush(time.Duration) bool }); ok {
		f.Flush(limits.ConsoleWrite)
	}
}

// show writes to the client. That it has closed its connection is no error: what it
// sent before is run nevertheless.
func (s *session) show(w io.Writer, text string) error {
	if s.gone {
		return nil
	}
	err := write(w, text)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		s.gone = true
		return nil
	}
	return err
}

func write(w io.Writer, text string) error {
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w, text)
	return err
}
