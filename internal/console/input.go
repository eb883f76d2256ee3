package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

// An input reads a client's stream on a goroutine of its own, so that the
// session can wait for it, for a while, and for its own end at once.
type input struct {
	chunks chan []byte // closed at the end of the stream
	rest   []byte      // read by Read, not taken yet
}

func newInput(ctx context.Context, tasks *safe.Group, r io.Reader) *input {
	in := &input{chunks: make(chan []byte)}
	tasks.Go("console input", func() {
		defer close(in.chunks)
		b := make([]byte, limits.ConsoleLine) // what is sent together arrives together
		for {
			n, err := r.Read(b)
			if n > 0 {
				select {
				case in.chunks <- bytes.Clone(b[:n]):
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	return in
}

// errSwitched ends serve when another protocol goes on.
var errSwitched = errors.New("another protocol takes over")

// serve feeds the session until the end of the stream, of ctx, or an error.
func (in *input) serve(ctx context.Context, s *session) error {
	for step := in.begin; ; step = in.step {
		err := step(ctx, s)
		switch {
		case err != nil:
			return err
		case s.switched != nil:
			return errSwitched
		}
	}
}

// begin handles what was read before.
func (in *input) begin(ctx context.Context, s *session) error {
	if len(s.pending) == 0 {
		return nil
	}
	return s.feed(ctx, nil)
}

// step waits for one thing to happen and handles it.
func (in *input) step(ctx context.Context, s *session) error {
	var quiet <-chan time.Time
	if s.unfinished() {
		t := time.NewTimer(quietTime)
		defer t.Stop()
		quiet = t.C
	}
	select {
	case data, ok := <-in.chunks:
		return in.took(ctx, s, data, ok)
	case <-quiet:
		return in.calm(ctx, s)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (in *input) took(ctx context.Context, s *session, data []byte, ok bool) error {
	if !ok {
		return errors.Join(s.flush(ctx, true), io.EOF)
	}
	return s.feed(ctx, data)
}

// calm runs an unfinished last line; if it needs more text it waits for it as
// a finished one does.
func (in *input) calm(ctx context.Context, s *session) error {
	if err := s.flush(ctx, false); err != nil || !s.unfinished() {
		return err
	}
	select {
	case data, ok := <-in.chunks:
		return in.took(ctx, s, data, ok)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read gives the stream to a protocol that took over.
func (in *input) Read(p []byte) (int, error) {
	if len(in.rest) == 0 {
		data, ok := <-in.chunks
		if !ok {
			return 0, io.EOF
		}
		in.rest = data
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}
