package forkmap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/rundir"
)

// said is what a peer makes of what the other side says, at the times that it chooses.
func said(t *testing.T, say func(c net.Conn), hear func(p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			say(theirs)
		}()
		p := newPeer(ours)
		hear(p)
		p.Close()
		theirs.Close()
		<-done
	})
}

func frame(t *testing.T, c io.Writer, text string) {
	if err := ipc.WriteFrame(c, []byte(text), limits.IPCFrame); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// A leader may take as long as it likes while it says that it is there, and is given up
// when it has said nothing for limits.MapSilence.
func TestALeaderIsWaitedForWhileItSpeaks(t *testing.T) {
	said(t, func(c net.Conn) {
		_, _ = ipc.ReadFrame(c, 100)
		for range 5 {
			time.Sleep(limits.MapSilence - time.Millisecond)
			frame(t, c, "W")
		}
		time.Sleep(limits.MapSilence - time.Millisecond)
		frame(t, c, "L\x00\x02")
		time.Sleep(limits.MapSilence - time.Millisecond)
		frame(t, c, "n")
		time.Sleep(limits.MapSilence - time.Millisecond)
		frame(t, c, "ewhy")
	}, func(p *peer) {
		if got, err := p.relay("x"); err != nil || len(got) != 2 || got[0].Kind != Nothing || string(got[1].Payload) != "why" {
			t.Errorf("%+v, %v", got, err)
		}
	})
	for name, say := range map[string]func(c net.Conn){
		"it does not read":       func(net.Conn) {},
		"it says nothing":        func(c net.Conn) { _, _ = ipc.ReadFrame(c, 100) },
		"it says nothing more":   func(c net.Conn) { _, _ = ipc.ReadFrame(c, 100); frame(t, c, "W") },
		"it begins with results": func(c net.Conn) { _, _ = ipc.ReadFrame(c, 100); frame(t, c, "L\x00\x01") },
	} {
		said(t, say, func(p *peer) {
			began := time.Now()
			if _, err := p.relay("x"); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != limits.MapSilence {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
}

// What a leader may not say ends the call, whatever it says then.
func TestWhatALeaderMayNotSay(t *testing.T) {
	for _, text := range []string{"?", "WW", "", "L", "L\x00", "L\x00\x00\x00", "l\x00\x00", "E"} {
		said(t, func(c net.Conn) {
			_, _ = ipc.ReadFrame(c, 100)
			frame(t, c, text)
			frame(t, c, "L\x00\x00")
		}, func(p *peer) {
			if got, err := p.relay("x"); !errors.Is(err, errMalformed) {
				t.Errorf("%q: %+v, %v", text, got, err)
			}
		})
	}
	said(t, func(c net.Conn) {
		_, _ = ipc.ReadFrame(c, 100)
		_, _ = c.Write([]byte{0, 0x10, 0, 1}) // begins a frame that is too long by one octet
	}, func(p *peer) {
		if _, err := p.relay("x"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a frame of more than %d octets: %v", limits.IPCFrame, err)
		}
	})
	said(t, func(c net.Conn) { _, _ = ipc.ReadFrame(c, 100); frame(t, c, "X") }, func(p *peer) {
		if _, err := p.relay("x"); !errors.As(err, new(leaderError)) {
			t.Errorf("without a reason: %v", err)
		}
	})
	said(t, func(net.Conn) {}, func(p *peer) {
		p.Close()
		if _, err := p.relay("x"); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a connection that is closed: %v", err)
		}
		if err := p.accepted(os.Getpid()); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a connection that is closed: %v", err)
		}
		if _, err := p.next(); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a connection that is closed: %v", err)
		}
	})
}

// A worker on a busy machine has limits.MapAccept to accept, also piece by piece; one that
// is stopped is not waited for.
func TestHowLongALeaderMayTakeToAccept(t *testing.T) {
	said(t, func(c net.Conn) {
		for _, piece := range []string{"> __map", " 1 o", "k\n"} {
			time.Sleep(limits.MapConnect * 3 / 2)
			_, _ = io.WriteString(c, piece)
		}
	}, func(p *peer) {
		if err := p.accepted(os.Getpid()); err != nil {
			t.Errorf("in three pieces: %v", err)
		}
	})
	said(t, func(net.Conn) {}, func(p *peer) {
		began := time.Now()
		err := p.accepted(os.Getpid())
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took < limits.MapAccept || took > limits.MapAccept+limits.MapConnect {
			t.Errorf("never: %v after %v", err, took)
		}
	})
	said(t, func(c net.Conn) { c.Close() }, func(p *peer) {
		began := time.Now()
		if err := p.accepted(os.Getpid()); !errors.Is(err, io.EOF) || time.Since(began) != 0 {
			t.Errorf("gone: %v after %v", err, time.Since(began))
		}
	})
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if stopped(cmd.Process.Pid) || stopped(os.Getpid()) || stopped(1<<30) {
		t.Error("a process that runs, or that there is not, is stopped")
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal(err)
	}
	if !stopped(cmd.Process.Pid) {
		t.Error("a process that is stopped runs")
	}
	said(t, func(net.Conn) {}, func(p *peer) {
		began := time.Now()
		if err := p.accepted(cmd.Process.Pid); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != limits.MapConnect {
			t.Errorf("stopped: %v after %v", err, time.Since(began))
		}
	})
}

// breaks is a connection that takes so many writes.
type breaks int

var errBroken = errors.New("broken")

func (b *breaks) Write(p []byte) (int, error) {
	if *b--; *b < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// Where an answer cannot be written the connection is over, wherever that is.
func TestAnAnswerThatCannotBeWritten(t *testing.T) {
	results := []Result{{Kind: Nothing}, {Kind: NoAnswer}}
	writes := func(do func(w io.Writer) error) (needed int) {
		for {
			w := breaks(needed)
			err := do(&w)
			if err == nil {
				return needed
			}
			if !errors.Is(err, errBroken) || needed > 10 {
				t.Fatalf("broken after %d writes: %v", needed, err)
			}
			needed++
		}
	}
	if n := writes(func(w io.Writer) error { return writeResults(w, results) }); n < 3 {
		t.Errorf("two results and their number take %d writes", n)
	}
	if n := writes(func(w io.Writer) error { return writeResults(w, nil) }); n < 1 {
		t.Error("that there is no result is not written")
	}
	r := New(Options{Eval: evaluate(0)})
	for _, req := range []string{"Enothing", "Rnothing"} {
		if n := writes(func(w io.Writer) error { return r.request(context.Background(), []byte(req), w) }); n < 1 {
			t.Errorf("%s takes %d writes", req, n)
		}
	}
	ends, cancel := context.WithCancel(context.Background())
	cancel()
	busy := New(Options{Eval: evaluate(0)})
	<-busy.turn
	if n := writes(func(w io.Writer) error { return busy.request(ends, []byte("Rid"), w) }); n < 1 {
		t.Errorf("that a call was not run takes %d writes", n)
	}
	in := strings.NewReader("\x00\x00\x00\x03Eid")
	none := breaks(0)
	if r.Serve(context.Background(), in, &none); in.Len() == 0 {
		t.Error("a request is read although the greeting could not be answered")
	}
	// A follower that is gone takes its call back while it waits for its turn.
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Eval: evaluate(0)})
		<-r.turn
		gone, began := breaks(2), time.Now()
		if err := r.serveRelay(context.Background(), "id", &gone); !errors.Is(err, errBroken) || time.Since(began) < waitEvery || time.Since(began) > 3*waitEvery {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		synctest.Wait() // the goroutine that waits for its turn has ended
		r.turn <- struct{}{}
		var out bytes.Buffer
		if err := r.serveRelay(context.Background(), "nothing", &out); err != nil || !strings.Contains(out.String(), "L\x00\x01") {
			t.Errorf("the next call: %q, %v", &out, err)
		}
	})
}

// A call that has begun goes on without its caller, and each worker has
// limits.MapPerWorker for it.
func TestACallThatHasBegunGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := New(Options{Eval: func(ctx context.Context, _ string) Result {
		cancel()
		end, ok := ctx.Deadline()
		if left := time.Until(end); ctx.Err() != nil || !ok || left > limits.MapPerWorker || left < limits.MapPerWorker/10 {
			return ErrorOf("it has " + left.String())
		}
		return Result{Kind: Nothing}
	}})
	got, err := r.call(ctx, "x")
	if err != nil || len(got) != 1 || got[0].Kind != Nothing {
		t.Errorf("%+v, %v", got, err)
	}
	var out bytes.Buffer
	if err := r.serveEval(context.Background(), "x", &out); err != nil || out.String() != "\x00\x00\x00\x01n" {
		t.Errorf("%q, %v", &out, err)
	}
	var given context.Context
	r = New(Options{Eval: func(ctx context.Context, _ string) Result {
		given = ctx
		return Result{Value, make([]byte, limits.IPCFrame)}
	}})
	out.Reset()
	if err := r.serveEval(context.Background(), "x", &out); err == nil || out.Len() > 0 {
		t.Errorf("a result of an octet more than a frame has: %d octets written, %v", out.Len(), err)
	}
	if given.Err() == nil {
		t.Error("an evaluation that has ended keeps its timer")
	}
	if err := newPeer(nil).request(opEval, strings.Repeat("x", limits.IPCFrame)); err == nil {
		t.Error("an expression of an octet more than a frame has is sent")
	}
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Eval: func(ctx context.Context, _ string) Result { <-ctx.Done(); return Result{Kind: Nothing} }})
		began := time.Now()
		if res := r.own(context.Background(), "x"); res.Kind != NoAnswer || time.Since(began) != evalTime {
			t.Errorf("%+v after %v", res, time.Since(began))
		}
		time.Sleep(limits.MapPerWorker) // the evaluation has ended
	})
}

func TestWhatARelayKnowsAtFirst(t *testing.T) {
	r := New(Options{Count: -1})
	if got, want := r.SocketPath(ipc.Member{ID: 3, PID: 7}), rundir.SocketPath(7); got != want {
		t.Errorf("the control socket is at %s, want %s", got, want)
	}
	if r.Count != 1 || len(r.turn) != 1 || len(r.members()) != 0 {
		t.Errorf("%d workers, %d turns, %v", r.Count, len(r.turn), r.members())
	}
	if r = New(Options{Count: 2}); r.Count != 2 {
		t.Errorf("%d workers", r.Count)
	}
}

// A value may fill its frame to the last octet, and what cannot be decoded is no answer.
func TestTheLargestValue(t *testing.T) {
	size := func(n int) int {
		b, err := luavalue.Append(nil, strings.Repeat("x", n))
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	n := limits.IPCFrame
	for size(n) > maxPayload {
		n--
	}
	if size(n) != maxPayload {
		t.Fatalf("no string takes %d octets", maxPayload)
	}
	if got := ValueOf(strings.Repeat("x", n)); got.Kind != Value || len(got.frame()) != limits.IPCFrame {
		t.Errorf("%d octets: %c of %d octets", n, got.Kind, len(got.frame()))
	}
	if got := ValueOf(strings.Repeat("x", n+1)); got.Kind != Error || string(got.Payload) != "the result takes 1048576 octets, more than 1048575" {
		t.Errorf("an octet more: %c, %.60q", got.Kind, got.Payload)
	}
	if got := ValueOf(func() {}); got.Kind != Error || len(got.Payload) == 0 {
		t.Errorf("what has no encoding: %c %q", got.Kind, got.Payload)
	}
	if got := (Result{Value, []byte("\xffgarbage")}).entry(); got != false {
		t.Errorf("what cannot be decoded: %v", got)
	}
	long := strings.Repeat("x", limits.IPCFrame-1)
	if got := ErrorOf(long + "y"); string(got.Payload) != long {
		t.Errorf("a message is cut to %d octets", len(got.Payload))
	}
}
