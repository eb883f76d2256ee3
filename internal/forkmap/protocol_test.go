package forkmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// served is what a worker says on a connection that brings some frames and ends.
func served(t *testing.T, frames ...string) (said []string) {
	t.Helper()
	var in, out bytes.Buffer
	for _, f := range frames {
		if err := ipc.WriteFrame(&in, []byte(f), 1000); err != nil {
			t.Fatal(err)
		}
	}
	r := New(Options{Eval: evaluate(0)})
	r.SetRoster([]ipc.Member{{ID: 0, PID: os.Getpid()}})
	r.Serve(context.Background(), &in, &out)
	text, ok := strings.CutPrefix(out.String(), accepted)
	if !ok {
		t.Fatalf("it begins with %q", out.String())
	}
	for rest := strings.NewReader(text); ; {
		frame, err := ipc.ReadFrame(rest, limits.IPCFrame)
		if errors.Is(err, io.EOF) {
			return said
		}
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(frame))
	}
}

// A connection serves one request after the other, and none behind what is no request.
func TestRequestsOfAConnection(t *testing.T) {
	for _, c := range []struct{ frames, want []string }{
		{[]string{"Eid", "Enothing", "Eerror"}, []string{"v" + string(ValueOf(0.0).Payload), "n", "ebad 0"}},
		{[]string{"Rnothing", "Enothing"}, []string{"L\x00\x01", "n", "n"}},
		{[]string{"", "Enothing"}, nil},
		{[]string{"?", "Enothing"}, nil},
		{[]string{"Enothing", "?id", "Enothing"}, []string{"n"}},
	} {
		if got := served(t, c.frames...); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%q: said %q, want %q", c.frames, got, c.want)
		}
	}
}

// A request that is longer than any may be is not read to its end.
func TestARequestThatIsTooLong(t *testing.T) {
	var in, out bytes.Buffer
	if err := ipc.WriteFrame(&in, []byte("E"+strings.Repeat("x", limits.IPCFrame)), 2*limits.IPCFrame); err != nil {
		t.Fatal(err)
	}
	New(Options{Eval: evaluate(0)}).Serve(context.Background(), &in, &out)
	if out.String() != accepted || in.Len() < limits.IPCFrame {
		t.Errorf("%d octets are answered, %d are not read", out.Len()-len(accepted), in.Len())
	}
}

// A socket is a worker's if it was made by the user that workers are, or by root, which they
// have been.
func TestWhoseSocketIsTrusted(t *testing.T) {
	for _, c := range []struct {
		user, own int
		want      bool
	}{{53, 53, true}, {0, 53, true}, {0, 0, true}, {54, 53, false}, {53, 0, false}} {
		if got := trusted(c.user, c.own); got != c.want {
			t.Errorf("user %d, for %d: %v", c.user, c.own, got)
		}
	}
}

// Who does not accept the greeting is no leader, and is let go.
func TestWhoDoesNotAcceptDoesNotLead(t *testing.T) {
	for _, says := range []string{"nonsense\n", Greeting + "\n", " ok\n", ""} {
		path := filepath.Join(t.TempDir(), "leader")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		let := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				let <- err
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, says)
			if says == "" {
				_ = conn.(*net.UnixConn).CloseWrite()
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			_, err = io.Copy(io.Discard, conn)
			let <- err
		}()
		r := New(Options{ID: 1, Count: 2, Eval: evaluate(1), SocketPath: func(ipc.Member) string { return path }})
		if p, err := r.knock(context.Background(), ipc.Member{ID: 0, PID: os.Getpid()}); err == nil {
			p.Close()
			t.Errorf("%q is taken for a leader's answer", says)
		}
		if err := <-let; err != nil {
			t.Errorf("%q: the connection is held: %v", says, err)
		}
	}
}

// A worker that was asked is let go, whatever it has answered; what is no answer is none.
func TestAWorkerThatWasAskedIsLetGo(t *testing.T) {
	for says, want := range map[string]Kind{
		accepted + "\x00\x00\x00\x01n":                                        Nothing,
		accepted + "\x00\x00\x00\x04ewhy":                                     Error,
		accepted + "\x00\x00\x00\x01?":                                        NoAnswer,
		accepted + "\x00\x00\x00\x00":                                         NoAnswer,
		accepted + "\x00\x10\x00\x01e" + strings.Repeat("x", limits.IPCFrame): NoAnswer, // too long by an octet
		accepted:                NoAnswer,
		Greeting + " ok":        NoAnswer,
		"no\n\x00\x00\x00\x01n": NoAnswer,
	} {
		path := filepath.Join(t.TempDir(), "worker")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		heard := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				heard <- err.Error()
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, says)
			_ = conn.(*net.UnixConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			b, err := io.ReadAll(conn)
			heard <- fmt.Sprintf("%q %v", b, err)
		}()
		r := New(Options{SocketPath: func(ipc.Member) string { return path }})
		if got := r.ask(context.Background(), ipc.Member{PID: os.Getpid()}, "id"); got.Kind != want {
			t.Errorf("%q: %c, want %c", says, got.Kind, want)
		}
		if got := <-heard; len(says) < limits.IPCFrame && got != `"`+Greeting+`\n\x00\x00\x00\x03Eid" <nil>` {
			t.Errorf("%q: it heard %s", says, got)
		}
	}
}

// A control socket of another process is not that of a worker.
func TestASocketOfAnotherProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "worker")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 2)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			ended <- err
			conn.Close()
		}
	}()
	r := New(Options{SocketPath: func(ipc.Member) string { return path }})
	for pid, want := range map[int]bool{os.Getpid(): true, os.Getppid(): false} {
		p, err := r.dial(context.Background(), ipc.Member{PID: pid})
		if (err == nil) != want {
			t.Errorf("process %d: %v", pid, err)
		}
		if err == nil {
			p.Close()
		} else if !strings.Contains(err.Error(), fmt.Sprintf("control socket of %d belongs to process %d", pid, os.Getpid())) {
			t.Errorf("process %d: %v", pid, err)
		}
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("process %d: the connection is held: %v", pid, err)
		}
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	if err := verify(ours, os.Getpid()); err == nil || err.Error() != "not a UNIX socket" {
		t.Errorf("a pipe: %v", err)
	}
	gone, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	<-ended
	if err := verify(gone, os.Getpid()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection that is closed: %v", err)
	}
	if got := r.ask(context.Background(), ipc.Member{PID: os.Getppid()}, "id"); got.Kind != NoAnswer {
		t.Errorf("another process answers %+v", got)
	}
	l.Close()
	if got := r.ask(context.Background(), ipc.Member{PID: os.Getpid()}, "id"); got.Kind != NoAnswer {
		t.Errorf("nobody answers %+v", got)
	}
}

// An expression may have as many octets as a frame has room for beside what it is for, and
// the answer to one more says so.
func TestTheLongestExpression(t *testing.T) {
	relays := team(t, 2)
	for _, id := range []int{0, 1} {
		if _, err := relays[id].Map(context.Background(), strings.Repeat("x", limits.IPCFrame-1)); err != nil {
			t.Errorf("from worker %d: %v", id, err)
		}
	}
	_, err := relays[1].Map(context.Background(), strings.Repeat("x", limits.IPCFrame))
	if want := fmt.Sprintf("map(): the expression takes %d octets, more than %d", limits.IPCFrame, limits.IPCFrame-1); err == nil || err.Error() != want {
		t.Errorf("one octet more: %v, want %s", err, want)
	}
}

// What came of an expression in a worker is told in its entry.
func TestWhatAnEntryTells(t *testing.T) {
	for frame, want := range map[string]any{
		"n": "", "-": false, "ewhy": "why", "e": "", "n?": nil, "-?": nil, "?": nil, "": nil, "x1": nil,
	} {
		res, err := parseResult([]byte(frame))
		if (err != nil) != (want == nil) {
			t.Errorf("%q: %v", frame, err)
		}
		if err == nil && res.entry() != want {
			t.Errorf("%q: %v, want %v", frame, res.entry(), want)
		}
	}
	if got := ErrorOf(strings.Repeat("x", limits.IPCFrame+5)); len(got.frame()) != limits.IPCFrame {
		t.Errorf("a long message takes %d octets", len(got.frame()))
	}
}

// The leader is let go when it has said what came of a call.
func TestALeaderIsLetGo(t *testing.T) {
	let := make(chan error, 1)
	r := fakeLeader(t, func(c net.Conn) {
		_ = ipc.WriteFrame(c, []byte{opResults, 0, 0}, 10)
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := c.Read(make([]byte, 1))
		let <- err
	})
	if _, err := r.Map(context.Background(), "id"); err != nil {
		t.Fatal(err)
	}
	if err := <-let; !errors.Is(err, io.EOF) {
		t.Errorf("the connection is held: %v", err)
	}
}

// The ready worker with the lowest number leads, in whichever order they are told, and asks
// itself by no socket.
func TestTheLowestLeads(t *testing.T) {
	var asked []int
	pid := os.Getpid()
	roster := []ipc.Member{{ID: 2, PID: pid}, {ID: 0, PID: pid}, {ID: 1, PID: pid}}
	r := New(Options{ID: 0, Count: 3, Eval: evaluate(0), SocketPath: func(m ipc.Member) string { return "/nonexistent" }})
	r.SetRoster(roster)
	for i := range roster {
		roster[i] = ipc.Member{} // the caller's slice is its own
	}
	for i, m := range r.members() {
		if m.ID != i || m.PID != pid {
			t.Errorf("member %d is %+v", i, m)
		}
	}
	got, err := r.Map(context.Background(), "id")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want(0.0, false, false)) {
		t.Errorf("%v, %v", got, err)
	}
	var mu sync.Mutex
	r.SocketPath = func(m ipc.Member) string {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, m.ID)
		return "/nonexistent"
	}
	if _, err := r.call(context.Background(), "id"); err != nil {
		t.Error(err)
	}
	for _, id := range asked {
		if id == 0 {
			t.Error("the leader asks itself by a socket")
		}
	}
}

// A follower is told why its call was not run at all.
func TestAFollowerIsToldWhyNot(t *testing.T) {
	r := New(Options{Eval: evaluate(0)})
	<-r.turn // another call runs
	ctx, end := context.WithCancelCause(context.Background())
	end(errors.New("the worker ends"))
	var in, out bytes.Buffer
	if err := ipc.WriteFrame(&in, []byte("Rid"), 1000); err != nil {
		t.Fatal(err)
	}
	r.Serve(ctx, &in, &out)
	out.Next(len(accepted))
	if frame, err := ipc.ReadFrame(&out, 1000); err != nil || string(frame) != "Xthe worker ends" {
		t.Errorf("%q, %v", frame, err)
	}
}
