package forkmap

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// errInternal stands for a panic, which has been reported where it happened.
var errInternal = errors.New("internal error")

// Serve is the other side of a connection that sent the Greeting (it is a
// console.Protocol): it runs requests until the connection ends.
func (r *Relay) Serve(ctx context.Context, in io.Reader, out io.Writer) {
	if _, err := io.WriteString(out, accepted); err != nil {
		return
	}
	for {
		frame, err := ipc.ReadFrame(in, limits.IPCFrame)
		if err != nil || r.request(ctx, frame, out) != nil {
			return
		}
	}
}

func (r *Relay) request(ctx context.Context, frame []byte, out io.Writer) error {
	if len(frame) == 0 {
		return errMalformed
	}
	expr := string(frame[1:])
	switch frame[0] {
	case opEval:
		return r.serveEval(ctx, expr, out)
	case opRelay:
		return r.serveRelay(ctx, expr, out)
	}
	return errMalformed
}

func (r *Relay) serveEval(ctx context.Context, expr string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, limits.MapPerWorker)
	defer cancel()
	return ipc.WriteFrame(out, r.Eval(ctx, expr).frame(), limits.IPCFrame)
}

// serveRelay leads a follower's call. A follower that goes away while it waits
// for its turn takes its call back.
func (r *Relay) serveRelay(ctx context.Context, expr string, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		results []Result
		err     error
	}
	done := make(chan outcome, 1)
	r.Tasks.Go("map relay", func() {
		o := outcome{err: errInternal} // unless lead returns
		defer func() { done <- o }()
		o.results, o.err = r.lead(ctx, expr)
	})
	alive := time.NewTicker(waitEvery)
	defer alive.Stop()
	for {
		select {
		case o := <-done:
			if o.err != nil {
				return ipc.WriteFrame(out, append([]byte{opFailed}, o.err.Error()...), limits.IPCFrame)
			}
			return writeResults(out, o.results)
		case <-alive.C:
			if err := ipc.WriteFrame(out, []byte{opWait}, limits.IPCFrame); err != nil {
				return err
			}
		}
	}
}

func writeResults(out io.Writer, results []Result) error {
	head := binary.BigEndian.AppendUint16([]byte{opResults}, uint16(len(results)))
	if err := ipc.WriteFrame(out, head, limits.IPCFrame); err != nil {
		return err
	}
	for _, res := range results {
		if err := ipc.WriteFrame(out, res.frame(), limits.IPCFrame); err != nil {
			return err
		}
	}
	return nil
}
