package console

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/reload"
)

var identity = Identity{Worker: 3, Count: 4, PID: 5, Version: "0.1"}

// framed dials and switches to frames.
func framed(t *testing.T, dial func() net.Conn) net.Conn {
	t.Helper()
	c := dial()
	send(t, c, FramesGreeting+"\n")
	expect(t, c, `> __frames 1 ok {"worker":3,"count":4,"pid":5,"version":"0.1"}`+"\n")
	return c
}

func request(t *testing.T, c net.Conn, kind byte, text string) {
	t.Helper()
	if err := ipc.WriteFrame(c, append([]byte{kind}, text...), FrameMax); err != nil {
		t.Fatal(err)
	}
}

func wantFrame(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got, err := ipc.ReadFrame(c, FrameMax)
	if err != nil || string(got) != want {
		t.Fatalf("frame %q, %v; want %q", got, err, want)
	}
}

func TestFrames(t *testing.T) {
	var log syncBuffer
	dial, _ := serve(t, Options{Record: RecordText(&log), Identity: identity})
	c := framed(t, dial)
	for _, step := range []struct {
		kind byte
		text string
		want []string
	}{
		{ReqEval, "53", []string{"V<53>\n"}},
		{ReqEval, "!bad", []string{"Xbad"}},
		{ReqEval, "statement", []string{"V"}},
		{ReqEval, "print x", []string{"Px\n", "Vnil\n"}},
		{ReqJSON, "53", []string{"V\"<53>\\n\"\n"}},
		{ReqJSON, "53", []string{"V\"<53>\\n\"\n"}},
		{ReqJSON, "!json", []string{"X\"json\"\n"}},
		{ReqSplit, "a\nb\n", []string{"S" + string(binary.BigEndian.AppendUint32(nil, 2))}},
		{ReqSplit, "(", []string{"S\x00\x00\x00\x00"}},
		{ReqComplete, "ca", []string{"Wca1\nca2\n"}},
		{ReqEval, fmt.Sprintf("@%d", limits.ConsoleOutput+5), []string{"V" + strings.Repeat("x", limits.ConsoleOutput) + cutNote}},
	} {
		request(t, c, step.kind, step.text)
		for _, want := range step.want {
			wantFrame(t, c, want)
		}
	}
	request(t, c, ReqJSON, fmt.Sprintf("@%d", limits.ConsoleOutput))
	if got, err := ipc.ReadFrame(c, FrameMax); err != nil || got[0] != RespError || !strings.Contains(string(got), "more than 1048576") {
		t.Errorf("a long value as JSON: %.50q, %v", got, err)
	}
	// Values as JSON are not recorded, their errors are, and what is repeated is once.
	if got, want := log.text(), "53\n<53>\n!bad\nbad\nstatement\nprint x\nnil\n53\n!json\n\"json\"\n@"; !strings.HasPrefix(got, want) {
		t.Errorf("recorded %.80q, want %q", got, want)
	}
}

// A check of health asks the same on a connection of its own each time, and the log
// shows it once.
func TestWhatIsRepeatedOnOtherConnectionsIsRecordedOnce(t *testing.T) {
	var log syncBuffer
	dial, _ := serve(t, Options{Record: RecordText(&log), Identity: identity})
	for _, command := range []string{"53", "53", "53", "1", "53"} {
		c := framed(t, dial)
		request(t, c, ReqJSON, command)
		wantFrame(t, c, "V\"<"+command+">\\n\"\n")
		c.Close()
	}
	if got, want := log.text(), "53\n1\n53\n"; got != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestARequestThatIsNoneEndsTheConnection(t *testing.T) {
	dial, _ := serve(t, Options{Identity: identity})
	for _, bad := range []string{"\x00\x00\x00\x00", "\x00\x00\x00\x01?", "\xff\xff\xff\xff"} {
		c := framed(t, dial)
		send(t, c, bad)
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %q, %v; want the end", bad, rest, err)
		}
	}
}

// A command that runs ends with an interrupt and with its connection; an interrupt when
// none runs is nothing.
func TestACommandInFramesIsInterrupted(t *testing.T) {
	ended := make(chan string, 1)
	dial, _ := serve(t, Options{Identity: identity, Eval: func() Evaluator { return telling{ended: ended} }})
	c := framed(t, dial)
	request(t, c, ReqInterrupt, "")
	request(t, c, ReqEval, "hang")
	time.Sleep(50 * time.Millisecond) // so that it is the running command that is met
	request(t, c, ReqInterrupt, "")
	wantFrame(t, c, "Xgone")
	if got := <-ended; got != ErrInterrupted.Error() {
		t.Errorf("ended by %q", got)
	}
	request(t, c, ReqEval, "1")
	wantFrame(t, c, "V<1>\n")
	request(t, c, ReqEval, "hang")
	c.Close()
	select {
	case got := <-ended:
		if got != errClosed.Error() {
			t.Errorf("ended by %q", got)
		}
	case <-time.After(patience):
		t.Fatal("a command outlives the connection that sent it")
	}
}

// An interrupt that came between the command's arrival and its start was lost, and the
// client took the worker for dead.
func TestAnInterruptAtOnceBehindACommandIsNotLost(t *testing.T) {
	ended := make(chan string, 1)
	dial, _ := serve(t, Options{Identity: identity, Eval: func() Evaluator { return telling{ended: ended} }})
	c := framed(t, dial)
	for range 200 {
		request(t, c, ReqEval, "hang")
		request(t, c, ReqInterrupt, "")
		wantFrame(t, c, "Xgone")
		<-ended
	}
	request(t, c, ReqEval, "1")
	wantFrame(t, c, "V<1>\n")
}

// The same in text, after a second: what a client sends and does not wait for is run, but
// not for long. One that only ends what it sends waits.
func TestACommandWhoseClientHasGoneIsEnded(t *testing.T) {
	ended := make(chan string, 2)
	var log syncBuffer
	dial, _ := serve(t, Options{Eval: func() Evaluator { return telling{ended: ended} }, Record: RecordText(&log)})
	waiting, leaving := dial(), dial()
	send(t, waiting, "hang\n")
	if err := waiting.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	send(t, leaving, "quick\nhang\nlate\n")
	leaving.Close()
	select {
	case got := <-ended:
		if got != errClosed.Error() {
			t.Errorf("ended by %q", got)
		}
	case <-time.After(patience):
		t.Fatal("a command outlives the connection that sent it")
	}
	for end := time.Now().Add(patience); !strings.Contains(log.text(), "gone"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the end of the command is not recorded")
		}
	}
	if got, want := log.text(), "quick\n<quick>\nhang\ngone\n"; got != want {
		t.Errorf("recorded %q, want %q: what follows an ended command is not run", got, want)
	}
	select {
	case got := <-ended:
		t.Errorf("a command whose client waits was ended by %q", got)
	case <-time.After(2 * limits.ConsoleGone):
	}
}

// telling says why a command that hangs ended.
type telling struct {
	toy
	ended chan string
}

func (e telling) Eval(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	out, isErr := e.toy.Eval(ctx, chunk, echo)
	if chunk == "hang" {
		e.ended <- context.Cause(ctx).Error()
	}
	return out, isErr
}

// A client of frames has a client's place, which a relay's connection cannot become.
func TestFramesTakeAClientsPlace(t *testing.T) {
	dial, s := serve(t, Options{Identity: identity})
	for range limits.ConsoleClients {
		request(t, framed(t, dial), ReqEval, "hang")
	}
	allBusy(t, s)
	late := dial()
	send(t, late, FramesGreeting+"\n")
	all, _ := io.ReadAll(late)
	if want := "error: too many clients on this console\n"; string(all) != want {
		t.Errorf("one client too many got %q, want %q", all, want)
	}
}

// What is printed arrives before the command has ended, and only so much of it.
func TestPrintedTextInFramesIsPassedOnAndBounded(t *testing.T) {
	p := &printed{ready: make(chan struct{}, 1)}
	done, r := make(chan struct{}), new(bytes.Buffer)
	_, _ = p.Write([]byte("first"))
	if got := p.take(); got != "first" || p.take() != "" {
		t.Errorf("took %q", got)
	}
	for range 3 {
		_, _ = p.Write(make([]byte, limits.ConsoleOutput-3))
	}
	close(done)
	if err := p.passOn(r, done); err != nil {
		t.Fatal(err)
	}
	got, err := ipc.ReadFrame(r, FrameMax)
	if want := 1 + limits.ConsoleOutput - len("first") + len(cutNote); err != nil || len(got) != want || !bytes.HasSuffix(got, []byte(cutNote)) {
		t.Errorf("%d octets, %v; want %d", len(got), err, want)
	}
}

// fakeReloads is what a worker has, as far as the console is concerned.
type fakeReloads struct{ fails error }

func (r fakeReloads) Ask(context.Context) (int, error) { return 5, r.fails }
func (r fakeReloads) State() *reload.State             { return &reload.State{Asked: 5, Ended: 4} }
func (r fakeReloads) ConfigCommand() string            { return "53" }
func (r fakeReloads) Defaults() (json.RawMessage, error) {
	return json.RawMessage(`{"workers":1}`), r.fails
}
func (r fakeReloads) OnDisk() reload.OnDisk { return reload.OnDisk{Differ: []string{"config"}} }
func (r fakeReloads) Check() []string       { return []string{"config:1: no"} }

func TestFramesOfReloads(t *testing.T) {
	var log syncBuffer
	for _, c := range []struct {
		reloads Reloads
		wants   map[byte]string
	}{
		{fakeReloads{}, map[byte]string{ReqReload: "V5", ReqState: `V{"asked":5,"begun":0,"ended":4,"completed":0,"failed":0}`, ReqOnDisk: `V{"differ":["config"]}`, ReqCheck: `V{"mistakes":["config:1: no"]}`, ReqConfig: "V\"<53>\\n\"\n", ReqDefaults: `V{"workers":1}`}},
		{fakeReloads{errors.New("nobody is there")}, map[byte]string{ReqReload: "Xnobody is there", ReqDefaults: "Xnobody is there"}},
		{nil, map[byte]string{ReqReload: "X" + errNoReloads, ReqState: "X" + errNoReloads, ReqOnDisk: "X" + errNoReloads, ReqCheck: "X" + errNoReloads, ReqConfig: "X" + errNoReloads, ReqDefaults: "X" + errNoReloads}},
	} {
		dial, _ := serve(t, Options{Record: RecordText(&log), Identity: identity, Reloads: c.reloads})
		conn := framed(t, dial)
		for kind, want := range c.wants {
			request(t, conn, kind, "")
			wantFrame(t, conn, want)
		}
	}
	if log.text() != "" {
		t.Errorf("the log has %q", log.text())
	}
}
