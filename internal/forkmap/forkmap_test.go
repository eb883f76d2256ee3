package forkmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/console"
	"kresd/internal/ipc"
	"kresd/internal/luavalue"
)

// noLua is the console's evaluator in these tests; nobody types there.
type noLua struct{}

func (noLua) Eval(context.Context, string, io.Writer) (string, bool) { return "", false }
func (noLua) EvalJSON(context.Context, string, io.Writer) (string, bool) {
	return "", false
}
func (noLua) Complete(context.Context, string) []string { return nil }
func (noLua) Split(text string) (string, string, bool)  { return text, "", false }

// evaluate is the expression language of the tests.
func evaluate(id int) func(context.Context, string) Result {
	return func(ctx context.Context, expr string) Result {
		var who int
		switch {
		case expr == "id":
			return ValueOf(float64(id))
		case expr == "table":
			return ValueOf(luavalue.List("a\x00b", true, float64(id)))
		case expr == "nothing":
			return Result{Kind: Nothing}
		case expr == "nil":
			return ValueOf(nil)
		case expr == "error":
			return ErrorOf(fmt.Sprint("bad ", id))
		case expr == "huge":
			return ValueOf(strings.Repeat("x", 2<<20))
		case expr == "big":
			return ValueOf(strings.Repeat("y", 900<<10))
		}
		if n, _ := fmt.Sscanf(expr, "hang %d", &who); n == 1 && who == id {
			<-ctx.Done()
			return ErrorOf("interrupted")
		}
		if n, _ := fmt.Sscanf(expr, "panic %d", &who); n == 1 && who == id {
			panic(expr)
		}
		return ValueOf(expr)
	}
}

// team is a group of workers in one process: each has its socket and relay.
func team(t *testing.T, n int) []*Relay {
	t.Helper()
	dir := t.TempDir()
	path := func(m ipc.Member) string { return fmt.Sprintf("%s/%d", dir, m.ID) }
	var roster []ipc.Member
	var relays []*Relay
	for id := range n {
		roster = append(roster, ipc.Member{ID: id, PID: os.Getpid()})
		r := New(Options{ID: id, Count: n, Eval: evaluate(id), SocketPath: path})
		relays = append(relays, r)
		listen(t, path(ipc.Member{ID: id}), r)
	}
	for _, r := range relays {
		r.SetRoster(roster)
	}
	return relays
}

func listen(t *testing.T, path string, r *Relay) *console.Server {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := console.Serve(l, console.Options{Eval: func() console.Evaluator { return noLua{} }, Protocols: map[string]console.Protocol{Greeting: r.Serve}})
	t.Cleanup(s.Close)
	return s
}

// want builds the table of expected entries; nil ones are holes.
func want(entries ...any) *luavalue.Table {
	tab := &luavalue.Table{}
	for i, e := range entries {
		if e != nil {
			tab.Add(float64(i+1), e)
		}
	}
	return tab
}

func TestMapFromEveryWorker(t *testing.T) {
	relays := team(t, 3)
	for expr, expected := range map[string]*luavalue.Table{
		"id":       want(0.0, 1.0, 2.0),
		"text":     want("text", "text", "text"),
		"table":    want(luavalue.List("a\x00b", true, 0.0), luavalue.List("a\x00b", true, 1.0), luavalue.List("a\x00b", true, 2.0)),
		"nothing":  want("", "", ""),
		"nil":      want(nil, nil, nil),
		"error":    want("bad 0", "bad 1", "bad 2"),
		"x\n\x00)": want("x\n\x00)", "x\n\x00)", "x\n\x00)"),
	} {
		for id, r := range relays {
			got, err := r.Map(context.Background(), expr)
			if err != nil || !reflect.DeepEqual(got, expected) {
				t.Errorf("map %q from worker %d = %v, %v; want %v", expr, id, got, err, expected)
			}
		}
	}
}

func TestLargeResults(t *testing.T) {
	relays := team(t, 2)
	for id, r := range relays {
		got, err := r.Map(context.Background(), "big")
		if err != nil || len(got.Get(1.0).(string)) != 900<<10 || len(got.Get(2.0).(string)) != 900<<10 {
			t.Errorf("900 KiB from worker %d: %v", id, err)
		}
		got, err = r.Map(context.Background(), "huge")
		if err != nil || !strings.Contains(got.Get(1.0).(string), "more than") || !strings.Contains(got.Get(2.0).(string), "more than") {
			t.Errorf("2 MiB from worker %d: %v, %v", id, got, err)
		}
	}
	if _, err := relays[1].Map(context.Background(), strings.Repeat("z", 2<<20)); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("an expression of 2 MiB: %v, want an error that says so", err)
	}
}

func TestHangingWorkerCostsItsOwnEntry(t *testing.T) {
	relays := team(t, 3)
	for _, c := range []struct {
		expr string
		from int
		want *luavalue.Table
	}{
		{"hang 2", 0, want("hang 2", "hang 2", false)},
		{"hang 0", 1, want(false, "hang 0", "hang 0")},
		{"panic 1", 2, want("panic 1", false, "panic 1")},
		{"panic 0", 1, want("internal error", "panic 0", "panic 0")},
	} {
		begun := time.Now()
		got, err := relays[c.from].Map(context.Background(), c.expr)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("map %q from worker %d = %v, %v; want %v", c.expr, c.from, got, err, c.want)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("map %q took %v", c.expr, took)
		}
	}
}

func TestMissingWorkers(t *testing.T) {
	relays := team(t, 4)
	me := os.Getpid()
	for _, r := range relays {
		// 0 left no socket, 2 is another process than the roster says, 3 is
		// not ready: 1 leads.
		r.SocketPath = func(path func(ipc.Member) string) func(ipc.Member) string {
			return func(m ipc.Member) string {
				if m.ID == 0 {
					return "/nonexistent/tty/0"
				}
				return path(m)
			}
		}(r.SocketPath)
		r.SetRoster([]ipc.Member{{ID: 2, PID: 1}, {ID: 1, PID: me}, {ID: 0, PID: me}})
	}
	for _, from := range []int{1, 3} {
		got, err := relays[from].Map(context.Background(), "id")
		if err != nil || !reflect.DeepEqual(got, want(false, 1.0, false, false)) {
			t.Errorf("map from worker %d = %v, %v", from, got, err)
		}
	}
}

func TestAlone(t *testing.T) {
	r := New(Options{Eval: evaluate(0)})
	got, err := r.Map(context.Background(), "id")
	if err != nil || !reflect.DeepEqual(got, want(0.0)) {
		t.Errorf("map without a group = %v, %v; want one entry", got, err)
	}
}

func TestCallsRunInOneOrderEverywhere(t *testing.T) {
	relays := team(t, 3)
	var mu sync.Mutex
	order := make([][]string, 3)
	for id, r := range relays {
		r.Eval = func(_ context.Context, expr string) Result {
			mu.Lock()
			defer mu.Unlock()
			order[id] = append(order[id], expr)
			return Result{Kind: Nothing}
		}
	}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if _, err := relays[i%3].Map(context.Background(), fmt.Sprint(i)); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if len(order[0]) != 60 || !reflect.DeepEqual(order[0], order[1]) || !reflect.DeepEqual(order[0], order[2]) {
		t.Errorf("orders differ:\n%v\n%v\n%v", order[0], order[1], order[2])
	}
}

// fakeLeader accepts a call and then does what end says with the connection.
func fakeLeader(t *testing.T, end func(net.Conn)) *Relay {
	t.Helper()
	path := t.TempDir() + "/leader"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			head := make([]byte, len(Greeting)+1)
			_, _ = io.ReadFull(conn, head)
			_, _ = io.WriteString(conn, "> "+accepted)
			_, _ = ipc.ReadFrame(conn, 1000)
			end(conn)
		}
	}()
	r := New(Options{ID: 1, Count: 2, Eval: evaluate(1), SocketPath: func(ipc.Member) string { return path }})
	r.SetRoster([]ipc.Member{{ID: 0, PID: os.Getpid()}, {ID: 1, PID: os.Getpid()}})
	return r
}

func TestLeaderThatFailsInTheMiddle(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"dies":         func(c net.Conn) { c.Close() },
		"falls silent": func(net.Conn) {},
		"says nonsense": func(c net.Conn) {
			_ = ipc.WriteFrame(c, []byte("?"), 10)
		},
		"sends what is no result": func(c net.Conn) {
			_ = ipc.WriteFrame(c, []byte{opResults, 0, 2}, 10)
			_ = ipc.WriteFrame(c, []byte("?"), 10)
			_ = ipc.WriteFrame(c, []byte{byte(Nothing)}, 10)
		},
		"dies between results": func(c net.Conn) {
			_ = ipc.WriteFrame(c, []byte{opWait}, 10)
			_ = ipc.WriteFrame(c, []byte{opResults, 0, 2}, 10)
			_ = ipc.WriteFrame(c, []byte{byte(Nothing)}, 10)
			c.Close()
		},
	} {
		r := fakeLeader(t, end)
		r.Eval = func(context.Context, string) Result {
			t.Errorf("leader %s: the expression was run again", name)
			return Result{}
		}
		if _, err := r.Map(context.Background(), "id"); !errors.Is(err, ErrUnknown) {
			t.Errorf("leader %s: %v, want ErrUnknown", name, err)
		}
	}
}

func TestLeaderSaysWhyNot(t *testing.T) {
	r := fakeLeader(t, func(c net.Conn) { _ = ipc.WriteFrame(c, append([]byte{opFailed}, "no"...), 10) })
	if _, err := r.Map(context.Background(), "id"); err == nil || err.Error() != "map(): no" {
		t.Errorf("got %v, want the leader's words", err)
	}
}

func TestCallerCanGiveUp(t *testing.T) {
	r := fakeLeader(t, func(c net.Conn) {
		for ipc.WriteFrame(c, []byte{opWait}, 10) == nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Map(ctx, "id"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func FuzzProtocol(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01v"), true)
	f.Add([]byte("\x00\x00\x00\x03L\x00\x01\x00\x00\x00\x02ex"), false)
	f.Add([]byte("\x00\x00\x00\x03Eid"), true)
	f.Fuzz(func(t *testing.T, in []byte, server bool) {
		if server {
			r := New(Options{Eval: func(context.Context, string) Result { return Result{Kind: Nothing} }})
			var out bytes.Buffer
			r.Serve(context.Background(), bytes.NewReader(in), &out)
			if !strings.HasPrefix(out.String(), accepted) {
				t.Fatalf("answer begins with %q", out.String())
			}
			return
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = ipc.ReadFrame(theirs, 100)
			_, _ = theirs.Write(in)
		}()
		p := newPeer(ours)
		results, err := p.relay("x")
		p.Close()
		if err == nil {
			table(results)
		}
	})
}
