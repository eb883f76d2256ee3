package console

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"time"

	"kresd/internal/limits"
)

// quietTime ends a last line without a newline: a client that sent a command
// so and now waits would otherwise wait for ever, and a command that arrives
// in pieces has its pieces closer together.
const quietTime = 250 * time.Millisecond

// evalTime bounds one command with its wait for its turn and for map().
// The time that it runs is bounded by the evaluator.
const evalTime = 6 * limits.ConsoleRunTime

// binaryCommand switches a connection to length-prefixed results.
const binaryCommand = "__binary"

// A session is the dialogue with one client: what it sent and was not run
// yet, and how it wants its results.
type session struct {
	eval   Evaluator
	quiet  bool
	binary bool
	record func(cmd, out string, isErr bool) // may be nil
	out    io.Writer
	errOut io.Writer // of error texts in text mode

	pending []byte
	// protocols take a connection over when their name is sent as a line.
	protocols map[string]Protocol
	switched  Protocol
}

// greet sends the first prompt.
func (s *session) greet() error {
	if s.quiet {
		return nil
	}
	return write(s.out, "> ")
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
	out, isErr := "", false
	if strings.TrimSpace(chunk) != "" {
		ctx, cancel := context.WithTimeout(ctx, evalTime)
		defer cancel()
		out, isErr = s.eval.Eval(ctx, chunk)
	}
	if len(out) > limits.ConsoleOutput {
		out = out[:limits.ConsoleOutput] + "\n... (output is cut at 1 MiB)\n"
	}
	if s.binary {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(out)))
		return write(s.out, string(frame)+out)
	}
	if s.record != nil {
		s.record(chunk, out, isErr)
	}
	if isErr && s.errOut != s.out {
		if err := write(s.errOut, strings.TrimSuffix(out, "\n")+"\n"); err != nil {
			return err
		}
		out = ""
	}
	if !s.quiet {
		out += "\n> "
	}
	return write(s.out, out)
}

func write(w io.Writer, text string) error {
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w, text)
	return err
}
