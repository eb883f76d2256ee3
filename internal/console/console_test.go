package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

const patience = 30 * time.Second

// toy is an evaluator with a language of its own: "(" opens and ")" closes, a
// command is complete when all are closed. Its value is its text; "!" makes an
// error, "print x" prints x, "@n" a result of n octets, "hang" waits for its context.
type toy struct{}

func (toy) Split(text string) (chunk, rest string, wait bool) {
	for end := 0; end < len(text); {
		n := strings.IndexByte(text[end:], '\n') + 1
		if n == 0 {
			n = len(text) - end
		}
		end += n
		if strings.Count(text[:end], "(") <= strings.Count(text[:end], ")") {
			return strings.TrimSuffix(text[:end], "\n"), text[end:], false
		}
	}
	return "", text, text != ""
}

func (toy) Eval(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	var n int
	switch {
	case strings.HasPrefix(chunk, "!"):
		return chunk[1:], true
	case chunk == "hang":
		<-ctx.Done()
		return "gone", true
	case strings.HasPrefix(chunk, "print "):
		_, _ = io.WriteString(echo, chunk[6:]+"\n")
		return "nil\n", false
	case strings.HasPrefix(chunk, "statement"):
		return "", false
	}
	if c, _ := fmt.Sscanf(chunk, "@%d", &n); c == 1 {
		return strings.Repeat("x", n), false
	}
	return "<" + chunk + ">\n", false
}

func (y toy) EvalJSON(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	out, isErr := y.Eval(ctx, chunk, echo)
	return fmt.Sprintf("%q\n", out), isErr
}

func (toy) Complete(_ context.Context, text string) []string {
	return []string{text + "1", text + "2"}
}

func serve(t *testing.T, o Options) (dial func() net.Conn, s *Server) {
	t.Helper()
	if o.Eval == nil {
		o.Eval = func() Evaluator { return toy{} }
	}
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s = Serve(l, o)
	t.Cleanup(s.Close)
	return func() net.Conn {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return c
	}, s
}

// expect reads exactly want.
func expect(t *testing.T, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func send(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func TestDialogue(t *testing.T) {
	dial, _ := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	for _, step := range []struct{ in, out string }{
		{"53\n", "<53>\n\n> "},
		{"\n", "\n> "},
		{"!bad\n", "bad\n> "},
		{"statement\n", "\n> "},
		{"a\nb\n(c\nd)\n", "<a>\n\n> <b>\n\n> <(c\nd)>\n\n> "},
		{"__binary\n53\n", "\x00\x00\x00\x05<53>\n"},
		{"!bad\nstatement\n", "\x00\x00\x00\x03bad\x00\x00\x00\x00"},
	} {
		send(t, c, step.in)
		expect(t, c, step.out)
	}
	other := dial()
	expect(t, other, "> ") // the switch was for the first connection only
	send(t, other, "1\n")
	expect(t, other, "<1>\n\n> ")
}

// What a command prints stands before its value, on its own connection only, and not in
// binary frames, which hold values. The log has it already.
func TestPrintedTextIsShown(t *testing.T) {
	var log syncBuffer
	dial, _ := serve(t, Options{Record: RecordText(&log)})
	c, other := dial(), dial()
	expect(t, c, "> ")
	expect(t, other, "> ")
	send(t, c, "print hello\n")
	expect(t, c, "hello\nnil\n\n> ")
	send(t, other, "1\n")
	expect(t, other, "<1>\n\n> ")
	send(t, c, "__binary\nprint hello\n")
	expect(t, c, "\x00\x00\x00\x04nil\n")
	if want := "print hello\nnil\n1\n<1>\n"; log.b.String() != want {
		t.Errorf("recorded %q, want %q", log.b.String(), want)
	}
}

func TestPrintedTextIsBounded(t *testing.T) {
	var e echo
	for range 3 {
		_, _ = e.Write(make([]byte, limits.ConsoleOutput-1))
	}
	if len(e) != limits.ConsoleOutput+1 || !strings.HasSuffix(bounded(string(e)), "cut at 1 MiB)\n") {
		t.Errorf("%d octets are kept", len(e))
	}
}

// A client that closes its connection without waiting for results has all its
// commands run.
func TestCommandsOfAClientThatClosesAtOnceAreRun(t *testing.T) {
	for range 20 {
		var log syncBuffer
		dial, s := serve(t, Options{Record: RecordText(&log)})
		c := dial()
		send(t, c, "1\n2\n(\n3)\nlast")
		c.Close()
		want := "1\n<1>\n2\n<2>\n(\n3)\n<(\n3)>\nlast\n<last>\n"
		for end := time.Now().Add(patience); log.text() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("recorded %q, want %q", log.text(), want)
			}
		}
		s.Close()
	}
}

// A line that comes in two pieces, some time apart, is one line.
func TestALineInTwoPiecesIsOneLine(t *testing.T) {
	dial, _ := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	send(t, c, "com")
	time.Sleep(quietTime / 2) // the rule under test is about time
	send(t, c, "mand\n")
	expect(t, c, "<command>\n\n> ")
}

func TestQuiet(t *testing.T) {
	dial, _ := serve(t, Options{Quiet: true})
	c := dial()
	send(t, c, "1\n\nstatement\n!e\n2\n")
	expect(t, c, "<1>\ne<2>\n")
}

func TestPartialInputWaits(t *testing.T) {
	dial, _ := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	send(t, c, "(a")
	time.Sleep(2 * quietTime) // the rule under test is about time
	send(t, c, "b\nc")
	send(t, c, ")\n")
	expect(t, c, "<(ab\nc)>\n\n> ")
	send(t, c, "com")
	send(t, c, "mand\n")
	expect(t, c, "<command>\n\n> ")
}

func TestCommandWithoutNewline(t *testing.T) {
	dial, _ := serve(t, Options{})
	c := dial()
	send(t, c, "53")
	expect(t, c, "> <53>\n\n> ") // the client goes on waiting for more
	send(t, c, "(never closed")
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(c)
	if err != nil || string(rest) != "<(never closed>\n\n> " {
		t.Errorf("after the end of input: %q, %v", rest, err)
	}
}

func TestRecord(t *testing.T) {
	var log bytes.Buffer
	dial, _ := serve(t, Options{Record: RecordText(&log)})
	c := dial()
	send(t, c, "a\n!e\n__binary\nsecret\n")
	expect(t, c, "> <a>\n\n> e\n> \x00\x00\x00\x09<secret>\n")
	if want := "a\n<a>\n!e\ne\n"; log.String() != want {
		t.Errorf("recorded %q, want %q", log.String(), want)
	}
}

func TestLimits(t *testing.T) {
	dial, _ := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	send(t, c, fmt.Sprintf("@%d\n", limits.ConsoleOutput+5))
	expect(t, c, strings.Repeat("x", limits.ConsoleOutput)+"\n... (output is cut at 1 MiB)\n\n> ")
	_, _ = io.WriteString(c, "("+strings.Repeat("y", limits.ConsoleLine+5000))
	rest, _ := io.ReadAll(c)
	if want := fmt.Sprintf("error: a command is longer than %d octets\n", limits.ConsoleLine); string(rest) != want {
		t.Errorf("after a command that is too long: %q, want %q", rest, want)
	}
}

func TestClientThatDoesNotReadIsDropped(t *testing.T) {
	dial, s := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	send(t, c, strings.Repeat("@1000000\n", 4))
	for limit := time.Now().Add(patience); ; {
		s.mu.Lock()
		n := s.clients
		s.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the client still has its place")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// allBusy waits until each client waits for the end of a command.
func allBusy(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		silent := 0
		s.mu.Lock()
		for p := range s.places {
			if p.silent() > 0 {
				silent++
			}
		}
		s.mu.Unlock()
		if silent == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d clients were not heard", silent)
		}
	}
}

func TestPlacesOfClients(t *testing.T) {
	echo := func(_ context.Context, r io.Reader, w io.Writer) {
		line, _ := bufio.NewReader(r).ReadString('\n')
		_, _ = io.WriteString(w, "echo "+line)
	}
	dial, s := serve(t, Options{Protocols: map[string]Protocol{"__echo": echo}})
	var clients []net.Conn
	for range limits.ConsoleClients {
		c := dial()
		expect(t, c, "> ")
		send(t, c, "hang\n")
		clients = append(clients, c)
	}
	allBusy(t, s)
	late := dial()
	all, _ := io.ReadAll(late)
	if want := "error: too many clients on this console\n"; string(all) != want {
		t.Errorf("one client too many got %q, want %q", all, want)
	}
	pushy := dial()
	send(t, pushy, "53\n")
	if all, _ := io.ReadAll(pushy); strings.Contains(string(all), "<53>") {
		t.Errorf("one client too many had a command run: %q", all)
	}
	relay := dial()
	send(t, relay, "__echo\nhello\n")
	expect(t, relay, "echo hello\n")
	clients[0].Close()
	for limit := time.Now().Add(patience); ; {
		c := dial()
		b := make([]byte, 2)
		if n, _ := io.ReadFull(c, b); n == 2 && string(b) == "> " {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("a place that was given back is not given to the next client")
		}
	}
}

// Clients that do nothing cannot lock anybody out: who is silent for longest gives its
// place to the next, be that one silent, in a hurry or a program. Relays take no place.
func TestSilentClientsGiveTheirPlacesToOthers(t *testing.T) {
	var hits limits.Counters
	echo := func(_ context.Context, r io.Reader, w io.Writer) { _, _ = io.WriteString(w, "echo\n") }
	dial, _ := serve(t, Options{Identity: identity, Limits: &hits, Protocols: map[string]Protocol{"__echo": echo}})
	var silent []net.Conn
	for range limits.ConsoleClients {
		c := dial()
		expect(t, c, "> ")
		silent = append(silent, c)
	}
	send(t, silent[0], "1\n") // the second is silent for longest
	expect(t, silent[0], "<1>\n\n> ")
	relay := dial()
	send(t, relay, "__echo\n")
	expect(t, relay, "echo\n")
	patient := dial()
	expect(t, patient, "> ")
	send(t, patient, "2\n")
	expect(t, patient, "<2>\n\n> ")
	hasty := dial()
	send(t, hasty, "3\n")
	expect(t, hasty, "> <3>\n\n> ")
	framed(t, dial)
	for i := 1; i <= 3; i++ {
		if all, _ := io.ReadAll(silent[i]); string(all) != "error: another client wants this place, and nothing was typed here for a while\n" {
			t.Errorf("client %d got %q", i, all)
		}
	}
	for _, c := range []net.Conn{silent[0], silent[4], patient, hasty} {
		send(t, c, "4\n")
		expect(t, c, "<4>\n\n> ")
	}
}

// Of many clients that come at once none loses its place before it had time to type.
func TestAClientThatWasLetInHasTimeToType(t *testing.T) {
	dial, _ := serve(t, Options{})
	for range limits.ConsoleClients {
		expect(t, dial(), "> ")
	}
	var crowd []net.Conn
	for range 2 * limits.ConsoleClients {
		crowd = append(crowd, dial())
	}
	operator := dial()
	for range limits.ConsoleClients {
		crowd = append(crowd, dial())
	}
	expect(t, operator, "> ")
	time.Sleep(limits.ConsoleTenure / 4)
	send(t, operator, "1\n")
	expect(t, operator, "<1>\n\n> ")
	for _, c := range crowd {
		c.Close()
	}
}

// A client that sends nothing for an hour is told to go.
func TestSilentClientsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		begun := time.Now()
		s := &Server{Options: Options{Eval: func() Evaluator { return toy{} }}, places: map[*place]bool{}, ctx: t.Context()}
		p := newPlace(there)
		client, ok := s.admit(p)
		if !client || !ok {
			t.Fatal("there is no place")
		}
		s.tasks.Go("client", func() {
			defer s.leave(p)
			s.serve(p, client)
		})
		expect(t, here, "> ")
		time.Sleep(limits.ConsoleSilence - time.Minute)
		send(t, here, "1\n")
		expect(t, here, "<1>\n\n> ")
		all, _ := io.ReadAll(here)
		if took, want := time.Since(begun), 2*limits.ConsoleSilence-time.Minute; string(all) != "error: nothing was typed here for 1h0m0s\n" || took != want {
			t.Errorf("after %v, want %v, the client was told %q", took, want, all)
		}
		s.tasks.Wait()
	})
}

func TestCloseEndsWaitingCommands(t *testing.T) {
	dial, s := serve(t, Options{})
	c := dial()
	expect(t, c, "> ")
	send(t, c, "hang\n")
	s.Close()
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after Close: %v", err)
	}
	s.tasks.Wait()
}

func TestEvaluatorThatPanicsEndsOneClient(t *testing.T) {
	dial, s := serve(t, Options{Eval: func() Evaluator { return bomb{} }})
	a, b := dial(), dial()
	expect(t, a, "> ")
	expect(t, b, "> ")
	send(t, a, "boom\n")
	if rest, _ := io.ReadAll(a); len(rest) != 0 {
		t.Errorf("got %q", rest)
	}
	send(t, b, "1\n")
	expect(t, b, "<1>\n\n> ")
	for end := time.Now().Add(10 * time.Second); s.tasks.Panics() == 0 && time.Now().Before(end); { // counted after the client is gone
		time.Sleep(time.Millisecond)
	}
	if s.tasks.Panics() != 1 {
		t.Errorf("%d panics counted, want 1", s.tasks.Panics())
	}
}

type bomb struct{ toy }

func (b bomb) Eval(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	if chunk == "boom" {
		panic(chunk)
	}
	return b.toy.Eval(ctx, chunk, echo)
}

// A command that waits for more than ConsoleWaitTime is ended, and is told so.
func TestACommandThatWaitsTooLongIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &session{eval: waiting{}, out: &out, errOut: &out}
		if err := s.run(context.Background(), "wait"); err != nil {
			t.Fatal(err)
		}
		if want := "the command was ended: it took longer than 30s with all that it waited for\n> "; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

// waiting runs commands that wait for good.
type waiting struct{ toy }

func (waiting) Eval(ctx context.Context, _ string, _ io.Writer) (string, bool) {
	<-ctx.Done()
	return context.Cause(ctx).Error(), true
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A slow writer writes later, as rings do.
type slowWriter struct {
	to    *syncBuffer
	queue []byte
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.queue = append(w.queue, p...)
	return len(p), nil
}

func (w *slowWriter) Flush(time.Duration) bool {
	_, _ = w.to.Write(w.queue)
	w.queue = nil
	return true
}

// On one terminal the text of an error stands between its command and the next prompt.
// What a command prints is there already.
func TestErrorsStandBeforeThePrompt(t *testing.T) {
	var terminal syncBuffer
	out, errOut := &slowWriter{to: &terminal}, &slowWriter{to: &terminal}
	(&Local{Eval: toy{}, In: strings.NewReader("1\n!e\nprint x\n"), Out: out, Err: errOut}).Run(context.Background())
	out.Flush(0)
	if want := "[system] " + Greeting + "\n> <1>\n\n> e\n\n> nil\n\n> "; terminal.text() != want {
		t.Errorf("the terminal shows %q, want %q", terminal.text(), want)
	}
}

func TestLocal(t *testing.T) {
	var out, errOut syncBuffer
	in := strings.NewReader("1\n!e\n2")
	(&Local{Eval: toy{}, In: in, Out: &out, Err: &errOut}).Run(context.Background())
	if want := "[system] " + Greeting + "\n> <1>\n\n> \n> <2>\n\n> "; out.b.String() != want {
		t.Errorf("output %q, want %q", out.b.String(), want)
	}
	if errOut.b.String() != "e\n" {
		t.Errorf("errors %q, want e and a newline", errOut.b.String())
	}
	out = syncBuffer{}
	(&Local{Eval: toy{}, In: strings.NewReader("1\n("), Out: &out, Err: &errOut, Quiet: true}).Run(context.Background())
	if want := "<1>\n<(>\n"; out.b.String() != want {
		t.Errorf("quiet output %q, want %q", out.b.String(), want)
	}
}

func TestUsable(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	if err := Usable(r); err != nil {
		t.Errorf("a pipe: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := Usable(null); err == nil || !strings.Contains(err.Error(), "-f 1") {
		t.Errorf("/dev/null: %v, want a hint to use -f 1", err)
	}
}

// FuzzFraming feeds one text in two cuttings: what comes out must not depend
// on how the stream was cut, and nothing may be lost or panic.
func FuzzFraming(f *testing.F) {
	f.Add("a\nb\n", uint16(1))
	f.Add("(a\n)\n__binary\nx\n", uint16(0x1234))
	f.Add("__echo\nrest", uint16(3))
	f.Fuzz(func(t *testing.T, text string, cuts uint16) {
		text += "\n"
		play := func(size func(i int) int) string {
			var out bytes.Buffer
			s := &session{eval: toy{}, out: &out, errOut: &out,
				protocols: map[string]Protocol{"__echo": func(context.Context, io.Reader, io.Writer) {}}}
			for rest, i := text, 0; rest != ""; i++ {
				n := min(max(1, size(i)), len(rest))
				if s.feed(context.Background(), []byte(rest[:n])) != nil {
					t.Skip("longer than a command may be")
				}
				rest = rest[n:]
			}
			if s.flush(context.Background(), true) != nil {
				t.Fatal("flush failed")
			}
			if s.switched != nil {
				out.Write(s.pending)
			}
			return out.String()
		}
		if strings.Contains(text, "@") {
			t.Skip("long results")
		}
		whole := play(func(int) int { return len(text) })
		cut := play(func(i int) int { return int(cuts>>(i%4*4)) & 15 })
		if whole != cut {
			t.Errorf("%q: output %q, cut into pieces %q", text, whole, cut)
		}
	})
}

func TestBinaryFrame(t *testing.T) {
	var out bytes.Buffer
	s := &session{eval: toy{}, out: &out, errOut: &out, binary: true}
	if err := s.feed(context.Background(), []byte("@70000\n")); err != nil {
		t.Fatal(err)
	}
	if n := binary.BigEndian.Uint32(out.Bytes()); n != 70000 || out.Len() != 70004 {
		t.Errorf("frame says %d octets and has %d", n, out.Len()-4)
	}
}

func TestProtocolGivesTheClientsPlaceBack(t *testing.T) {
	stay := func(_ context.Context, r io.Reader, w io.Writer) {
		_, _ = io.WriteString(w, "here\n")
		_, _ = io.Copy(io.Discard, r)
	}
	dial, _ := serve(t, Options{Protocols: map[string]Protocol{"__stay": stay}})
	for range limits.ConsoleClients + 1 {
		c := dial()
		expect(t, c, "> ")
		send(t, c, "__stay\n")
		expect(t, c, "here\n")
	}
}

// pty opens a terminal: what is written to the first is typed on the second.
func pty(t *testing.T) (typist, terminal *os.File) {
	t.Helper()
	typist, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { typist.Close() })
	n, err := unix.IoctlGetInt(int(typist.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(typist.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return typist, terminal
}

// Ctrl-D on a terminal closes the console, not the resolver, which is said.
func TestEndOfATerminalSaysWhatGoesOn(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		typist, terminal := pty(t)
		var out syncBuffer
		send(t, typist, "1\n\x04")
		(&Local{Eval: toy{}, In: terminal, Out: &out, Err: &out, Quiet: quiet}).Run(context.Background())
		if got := out.text(); !strings.Contains(got, "<1>\n") || strings.HasSuffix(got, farewell) == quiet {
			t.Errorf("quiet %v: %q", quiet, got)
		}
	}
}
