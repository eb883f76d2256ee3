package console

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// Frames, for programs
//
// A connection that sends FramesGreeting as a line is answered by FramesWelcome, maybe
// behind a prompt, and an Identity in JSON on the rest of the line. From then on both sides send frames (package ipc),
// of which the first octet is the kind. One request is answered before the next is read, but
// for ReqInterrupt, which has no answer of its own: it ends the command that runs. So does
// the end of the connection.

// FramesGreeting is the line that turns a connection of text into one of frames.
const FramesGreeting = "__frames 1"

// FramesWelcome begins the answer to FramesGreeting.
const FramesWelcome = FramesGreeting + " ok "

// An Identity says which process serves a control socket.
type Identity struct {
	Worker  int    `json:"worker"` // its number in the group
	Count   int    `json:"count"`  // of workers in the group
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// Requests; text follows.
const (
	ReqEval      = 'E' // run a command; RespValue has what a person is shown
	ReqJSON      = 'J' // run a command; RespValue has its value as JSON on one line
	ReqSplit     = 'S' // RespSplit says where the first command ends
	ReqComplete  = 'C' // RespWords lists what the last word may become
	ReqInterrupt = 'I' // end the command that runs
	ReqReload    = 'R' // reload the configuration; RespValue has the number of that reload in JSON
	ReqState     = 'Q' // RespValue has how far reloads have come, a reload.State in JSON
	ReqConfig    = 'F' // RespValue has the configuration that is in force as JSON on one line
	ReqDefaults  = 'D' // RespValue has the configuration that is in force where nothing is configured, likewise
	ReqOnDisk    = 'O' // RespValue has what configuration files say beside what is in force, a reload.OnDisk in JSON
	ReqCheck     = 'K' // try the configuration; RespValue has a reload.Report in JSON
)

// What comes back.
const (
	RespPrinted = 'P' // what a command prints, while it runs; any number of times
	RespValue   = 'V' // the end of a command
	RespError   = 'X' // the same, with the text of its error
	RespSplit   = 'S' // four octets: the length of the first command, 0 when more text is needed
	RespWords   = 'W' // words, a newline after each
)

// FrameMax is the length of the longest frame.
const FrameMax = limits.IPCFrame + 1<<10

// completionWords is how many words one RespWords has at most.
const completionWords = 1000

// ErrInterrupted is why a command ended that its client interrupted.
var ErrInterrupted = errors.New("the command was interrupted")

var errClosed = errors.New("the client closed its connection")

// frames is the dialogue with one client that speaks them.
type frames struct {
	s        *session
	tasks    *safe.Group
	identity Identity
	// lastJSON is the last command of a ReqJSON, on any connection to this console.
	lastJSON *atomic.Pointer[string]

	mu          sync.Mutex
	running     context.CancelCauseFunc // of the command that runs, or nil
	asked       int                     // requests that were read and not answered
	interrupted bool                    // the command that is asked for, before it runs
}

// serve answers requests until the connection ends; it is a Protocol.
func (f *frames) serve(ctx context.Context, in io.Reader, out io.Writer) {
	who, err := json.Marshal(f.identity)
	if err != nil || write(out, FramesWelcome+string(who)+"\n") != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	requests := make(chan []byte)
	f.tasks.Go("console frames", func() {
		defer cancel(errClosed)
		f.read(ctx, in, requests)
	})
	for {
		select {
		case r := <-requests:
			if f.answer(ctx, r, out) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// read hands requests on, and interrupts at once.
func (f *frames) read(ctx context.Context, in io.Reader, requests chan<- []byte) {
	for {
		r, err := ipc.ReadFrame(in, limits.ConsoleLine+1)
		if err != nil || len(r) == 0 {
			return
		}
		if r[0] == ReqInterrupt {
			f.interrupt()
			continue
		}
		f.count(1)
		select {
		case requests <- r:
		case <-ctx.Done():
			return
		}
	}
}

// interrupt ends the command that runs, or that was asked for and is about to run.
func (f *frames) interrupt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		f.running(ErrInterrupted)
	} else {
		f.interrupted = f.asked > 0
	}
}

// count counts requests that are asked and answered.
func (f *frames) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked += n; f.asked == 0 {
		f.interrupted = false
	}
}

func (f *frames) setRunning(cancel context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = cancel
	if cancel != nil && f.interrupted {
		f.interrupted = false
		cancel(ErrInterrupted)
	}
}

func (f *frames) answer(ctx context.Context, request []byte, out io.Writer) error {
	defer f.count(-1)
	text := string(request[1:])
	switch request[0] {
	case ReqEval:
		return f.command(ctx, text, f.s.eval.Eval, f.s.record, out)
	case ReqJSON:
		return f.command(ctx, text, f.evalJSON, f.recordJSON, out)
	case ReqSplit:
		_, rest, wait := f.s.eval.Split(text)
		n := uint32(0)
		if !wait {
			n = uint32(len(text) - len(rest))
		}
		return respond(out, RespSplit, string(binary.BigEndian.AppendUint32(nil, n)))
	case ReqComplete:
		ctx, cancel := context.WithTimeout(ctx, limits.CompletionTime)
		defer cancel()
		words := f.s.eval.Complete(ctx, text)
		words = words[:min(len(words), completionWords)]
		return respond(out, RespWords, strings.Join(append(words, ""), "\n"))
	case ReqConfig:
		if f.s.reloads == nil {
			return respond(out, RespError, errNoReloads)
		}
		return f.command(ctx, f.s.reloads.ConfigCommand(), f.evalJSON, nil, out)
	case ReqReload, ReqState, ReqCheck, ReqDefaults, ReqOnDisk:
		return f.reload(ctx, request[0], out)
	}
	return fmt.Errorf("no request begins with %q", request[0])
}

func respond(out io.Writer, kind byte, text string) error {
	return ipc.WriteFrame(out, append([]byte{kind}, text...), FrameMax)
}

// evalJSON refuses a value that would be cut, since its beginning is no JSON.
func (f *frames) evalJSON(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool) {
	out, isErr = f.s.eval.EvalJSON(ctx, chunk, echo)
	if len(out) > limits.ConsoleOutput {
		return fmt.Sprintf("the value takes %d octets as JSON, more than %d", len(out), limits.ConsoleOutput), true
	}
	return out, isErr
}

// recordJSON leaves values out, which programs ask for, and a command that is repeated, as
// by what shows figures live and by checks of health, of which each is a connection.
func (f *frames) recordJSON(cmd, out string, isErr bool) {
	if f.s.record == nil {
		return
	}
	if last := f.lastJSON.Swap(&cmd); last != nil && *last == cmd {
		return
	}
	if !isErr {
		out = ""
	}
	f.s.record(cmd, out, isErr)
}

type evalFunc func(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool)

type recordFunc func(cmd, out string, isErr bool)

// command runs one command on another goroutine. The calling goroutine passes on what the
// command prints while it runs, so that the other one waits for no client.
func (f *frames) command(ctx context.Context, text string, eval evalFunc, record recordFunc, out io.Writer) error {
	ctx, cancelCause := context.WithCancelCause(ctx)
	defer cancelCause(nil)
	f.setRunning(cancelCause)
	defer f.setRunning(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, limits.ConsoleWaitTime, errOverdue)
	defer cancel()

	printed := &printed{ready: make(chan struct{}, 1)}
	kind, result, done := byte(RespError), "internal error", make(chan struct{})
	f.tasks.Go("console command", func() {
		defer close(done)
		value, isErr := eval(ctx, text, printed)
		result = bounded(value)
		if !isErr {
			kind = RespValue
		}
	})
	if err := printed.passOn(out, done); err != nil {
		cancelCause(err)
		<-done
		return err
	}
	if record != nil {
		record(text, result, kind == RespError)
	}
	return respond(out, kind, result)
}

// printed collects what a command prints until it is taken, and drops what is more
// than a client may be shown.
type printed struct {
	ready chan struct{}

	mu    sync.Mutex
	text  bytes.Buffer
	total int // octets that were written
}

// Write never waits.
func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := limits.ConsoleOutput - p.total
	if room < 0 {
		return len(b), nil
	}
	p.total += len(b)
	p.text.Write(b[:min(len(b), room)])
	if len(b) > room {
		p.text.WriteString(cutNote)
	}
	select {
	case p.ready <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (p *printed) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	return p.text.String()
}

// passOn sends what is printed until done, all of it.
func (p *printed) passOn(out io.Writer, done <-chan struct{}) error {
	for ended := false; !ended; {
		select {
		case <-p.ready:
		case <-done:
			ended = true
		}
		if text := p.take(); text != "" {
			if err := respond(out, RespPrinted, text); err != nil {
				return err
			}
		}
	}
	return nil
}
