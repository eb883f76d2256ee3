package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"kresd/internal/limits"
)

func TestTextLines(t *testing.T) {
	var out, errOut bytes.Buffer
	l := New(Options{Out: &out, Err: &errOut})
	l.Notice("started in interactive mode, type 'help()'")
	l.Group("ta").Warn("key is old", "tag", 20326, "file", "a b", "err", errors.New("x"))
	l.Group("cache").Notice("two\nlines", "lonely")
	l.Group("tls").Error("no certificate")
	l.Debug("not shown")
	want := "[system] started in interactive mode, type 'help()'\n" +
		"[ ta ] key is old tag=20326 file=\"a b\" err=x\n" +
		"[cache] two\n  lines EXTRA_VALUE_AT_END=lonely\n"
	if got := out.String(); got != want {
		t.Errorf("output:\n%swant:\n%s", got, want)
	}
	if got, want := errOut.String(), "[tls] no certificate\n"; got != want {
		t.Errorf("error output %q, want %q", got, want)
	}
}

func TestLevelIsShared(t *testing.T) {
	var out bytes.Buffer
	l := New(Options{Out: &out})
	sub := l.Group("iter")
	if sub.DebugOn() {
		t.Error("debug is on at the default level")
	}
	l.SetLevel(Debug)
	if !sub.DebugOn() {
		t.Error("debug is off in a group after SetLevel(Debug)")
	}
	sub.Debug("step")
	if got := out.String(); got != "[iter] step\n" {
		t.Errorf("output %q", got)
	}
}

func TestDebugOnAllocatesNothing(t *testing.T) {
	l := New(Options{Out: io.Discard})
	if n := testing.AllocsPerRun(100, func() {
		if l.DebugOn() {
			l.Debug("x", "y", 1)
		}
	}); n != 0 {
		t.Errorf("a debug call that is off allocates %v times", n)
	}
}

func TestNilLoggerIsSilent(t *testing.T) {
	var l *Logger
	l.Group("x").Error("nothing")
	l.SetLevel(Debug)
	if l.DebugOn() {
		t.Error("a nil logger says that debug is on")
	}
}

func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 11, 23, 1, 2, 3, 4000, time.UTC)
	l := New(Options{Out: &out, Format: JSON, Worker: "3", Now: func() time.Time { return at }})
	l.Group("cache").Warn("a \"b\"\n", "n", 7, "d", time.Second, "e", errors.New("bad"))
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	want := map[string]any{"ts": "2026-11-23T01:02:03.000004Z", "level": "warning", "group": "cache",
		"msg": "a \"b\"\n", "worker": "3", "n": 7.0, "d": "1s", "e": "bad"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPriorityForTheJournal(t *testing.T) {
	var out bytes.Buffer
	l := New(Options{Out: &out, Priority: true, ErrPriority: true})
	l.Warn("w")
	l.Error("e\nand more")
	if got, want := out.String(), "<4>[system] w\n<3>[system] e\n<3>  and more\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestToJournal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	st := info.Sys().(*syscall.Stat_t)
	for env, want := range map[string]bool{"": false, "1:1": false, fmt.Sprintf("%d:%d", st.Dev, st.Ino): true} {
		if got := ToJournal(f, func(string) string { return env }); got != want {
			t.Errorf("JOURNAL_STREAM=%q: %v, want %v", env, got, want)
		}
	}
}

func TestLogfmtLines(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 11, 23, 1, 2, 3, 4000, time.UTC)
	l := New(Options{Out: &out, Format: Logfmt, Now: func() time.Time { return at }})
	l.Group("cache").Warn("two\nlines", FieldName, `a"b.`, "n", 7, "empty", "", "math", "a=b")
	l.Notice("short")
	want := `ts=2026-11-23T01:02:03.000004Z level=warning group=cache msg="two\nlines" qname="a\"b." n=7 empty="" math="a=b"` + "\n" +
		"ts=2026-11-23T01:02:03.000004Z level=notice group=system msg=short\n"
	if got := out.String(); got != want {
		t.Errorf("output:\n%swant:\n%s", got, want)
	}
}

// A step of a request is columns of text, and fields otherwise.
func TestStepsOfARequest(t *testing.T) {
	for format, want := range map[Format]string{
		Text:   "[00007.02] [iter]   of a query\n",
		Logfmt: `ts=1970-01-01T00:00:00.000000Z level=debug group=iter msg="of a query" req=00007.02 depth=1 qname=a.` + "\n",
	} {
		var out bytes.Buffer
		l := New(Options{Out: &out, Format: format, Level: Debug, Now: func() time.Time { return time.Unix(0, 0) }})
		l.Group("iter").Step("00007.02", 1, "of a query", FieldName, "a.")
		if got := out.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Nothing that comes from outside makes a line, ends one or is more than a part of one.
func TestNobodyForgesALine(t *testing.T) {
	bad := "x\r\x1b[2K[system] all is well\u009b\u2028\xff\x7f" + strings.Repeat("y", 2*limits.LogLine)
	for _, format := range []Format{Text, JSON, Logfmt} {
		var out bytes.Buffer
		l := New(Options{Out: &out, Format: format})
		l.Notice(bad+"\n[system] forged", "value", bad+"\n[system] forged")
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if format != Text && len(lines) != 1 {
			t.Errorf("%d lines of format %d", len(lines), format)
		}
		for i, line := range lines {
			if len(line) > limits.LogLine+limits.LogValue+300 || i > 0 && !strings.HasPrefix(line, "  ") {
				t.Errorf("line %d of format %d: %q", i, format, line)
			}
			if strings.ContainsAny(line, "\r\x1b") || strings.ContainsAny(line, "\u009b\u2028\x7f") {
				t.Errorf("format %d lets controls through: %q", format, line)
			}
		}
	}
	var out bytes.Buffer
	New(Options{Out: &out}).Notice("gr\u00fcn\tis\r\xff fine", "stack", Stack(strings.Repeat("z", limits.LogValue+1)))
	if got, want := out.String(), "[system] gr\u00fcn\tis\\013\\255 fine stack="+strings.Repeat("z", limits.LogValue+1)+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where standard output and error are streams of their own to the journal, its
// variable names only one of them.
func TestToJournalByWhereAStreamLeads(t *testing.T) {
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !leadsTo(f, path) || leadsTo(f, journalSocket) || ToJournal(f, func(string) string { return "1:1" }) {
		t.Errorf("leads to %s: %v, to the journal: %v", path, leadsTo(f, path), leadsTo(f, journalSocket))
	}
}

// What a full ring lost is told in the format of all other lines.
func TestLossIsToldInTheFormatOfTheLog(t *testing.T) {
	w := &stuck{gate: make(chan struct{})}
	ring := NewRing(w, 200)
	l := New(Options{Out: ring, Format: JSON, Priority: true})
	for range 100 {
		l.Notice("a line")
	}
	close(w.gate)
	ring.Close(10 * time.Second)
	if !strings.Contains(w.text(), `<4>{"ts":"`) || !strings.Contains(w.text(), `"msg":"`) || strings.Contains(w.text(), "[system]") {
		t.Errorf("the output has %q", w.text())
	}
}

// stuck is a writer that takes nothing until it is let go.
type stuck struct {
	gate chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func (s *stuck) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func TestRingNeverBlocksAndCountsLosses(t *testing.T) {
	w := &stuck{gate: make(chan struct{})}
	r := NewRing(w, 100)
	line := strings.Repeat("x", 9) + "\n"
	for range 1000 { // a blocking ring would hang the test here
		fmt.Fprint(r, line)
	}
	lost := r.Dropped()
	if lost < 900-20 || lost > 990 {
		t.Errorf("%d of 1000 lines lost with room for 10 to 20", lost)
	}
	if r.Flush(time.Millisecond) {
		t.Error("Flush says that a stuck writer took everything")
	}
	close(w.gate)
	if !r.Flush(10 * time.Second) {
		t.Fatal("not flushed by a free writer")
	}
	var told uint64
	for _, l := range strings.Split(w.text(), "\n") {
		var n uint64
		if c, _ := fmt.Sscanf(l, "[system] %d log lines were lost", &n); c == 1 {
			told += n
		}
	}
	if told != lost {
		t.Errorf("lines tell of %d losses, want %d:\n%s", told, lost, w.text())
	}
	r.Close(time.Second)
	fmt.Fprint(r, "late")
	if r.Dropped() != lost+1 {
		t.Error("a write after Close was not counted as lost")
	}
}

func TestRingKeepsOrder(t *testing.T) {
	w := &stuck{gate: make(chan struct{})}
	close(w.gate)
	r := NewRing(w, 0)
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(r, "%d\n", i)
		fmt.Fprintf(&want, "%d\n", i)
	}
	r.Close(10 * time.Second)
	if w.text() != want.String() {
		t.Error("lines are missing or out of order")
	}
}

func TestGroupsAreFollowedAtAnyLevel(t *testing.T) {
	var out bytes.Buffer
	l := New(Options{Out: &out, Level: Warn})
	l.SetGroups([]string{"iter"})
	step, other := l.Labelled("00001.02", "iter"), l.Group("cache")
	if !step.DebugOn() || other.DebugOn() || l.DebugOn() || !l.Follows() {
		t.Errorf("debug is on: iter %v, cache %v, system %v; follows %v", step.DebugOn(), other.DebugOn(), l.DebugOn(), l.Follows())
	}
	step.Debug("step")
	step.Notice("a notice is no debug line")
	other.Debug("of a group that is not followed")
	if got, want := out.String(), "[00001.02] step\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got := fmt.Sprint(l.Groups()); got != "[iter]" {
		t.Errorf("groups %s", got)
	}
	l.SetGroups(nil)
	if step.DebugOn() || l.Follows() || l.Groups() != nil {
		t.Error("a group is followed after all were taken away")
	}
}

func TestTargetStderrTakesAllLines(t *testing.T) {
	var out, errOut bytes.Buffer
	l := New(Options{Out: &out, Err: &errOut, Priority: true})
	sub := l.Group("cache")
	if err := l.SetTarget(Stderr); err != nil {
		t.Fatal(err)
	}
	sub.Notice("there")
	if err := l.SetTarget(Stdout); err != nil {
		t.Fatal(err)
	}
	sub.Notice("here")
	sub.Error("bad")
	if got, want := out.String(), "<5>[cache] here\n"; got != want {
		t.Errorf("standard output %q, want %q", got, want)
	}
	if got, want := errOut.String(), "[cache] there\n[cache] bad\n"; got != want {
		t.Errorf("standard error %q, want %q", got, want)
	}
}

// fakeSyslog is a socket that takes datagrams; next is the one that came next.
func fakeSyslog(t *testing.T, path string) (next func() string, stop func()) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	stop = func() { conn.Close(); os.Remove(path) }
	t.Cleanup(stop)
	return func() string {
		packet := make([]byte, 1000)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := conn.Read(packet)
		if err != nil {
			t.Fatal(err)
		}
		return string(packet[:n])
	}, stop
}

func TestTargetSyslog(t *testing.T) {
	var out bytes.Buffer
	path := t.TempDir() + "/log"
	l := New(Options{Out: &out, Syslog: path})
	if err := l.SetTarget(Syslog); err == nil || !strings.HasPrefix(err.Error(), "no syslog takes lines at "+path+": ") {
		t.Errorf("without a syslog: %v", err)
	}
	if l.Target() != Stdout {
		t.Errorf("target %s after a failure", l.Target())
	}
	next, stop := fakeSyslog(t, path)
	if err := l.SetTarget(Syslog); err != nil {
		t.Fatal(err)
	}
	expect := func(priority int, text string) {
		t.Helper()
		if got, want := next(), fmt.Sprintf("<%d>kresd[%d]: %s", priority, os.Getpid(), text); got != want {
			t.Errorf("syslog got %q, want %q", got, want)
		}
	}
	l.Group("ta").Warn("two\nlines")
	expect(28, "[ ta ] two")
	expect(28, "  lines")
	l.Error("bad")
	expect(27, "[system] bad")
	stop()
	next, _ = fakeSyslog(t, path)
	l.Notice("to one that was started again")
	expect(29, "[system] to one that was started again")
	l.Notice("the last")
	l.Close(10 * time.Second)
	expect(29, "[system] the last")
	if out.Len() > 0 {
		t.Errorf("standard output has %q", out.String())
	}
}

// FuzzLines: whatever a message and a value hold, a line is one, obeyed by no terminal,
// and JSON can be read back.
func FuzzLines(f *testing.F) {
	f.Add("a message", "value")
	f.Add("x\r\x1b[2K\u009b\u2028\xff\x7f\n[system] forged", "\U000e0001\"\\")
	f.Fuzz(func(t *testing.T, msg, value string) {
		for _, format := range []Format{JSON, Logfmt} {
			var out bytes.Buffer
			New(Options{Out: &out, Format: format}).Notice(msg, "value", value)
			line := strings.TrimSuffix(out.String(), "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("format %d lets %q through", format, line)
			}
			var got struct{ Msg, Value string }
			if format != JSON {
				continue
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if len(msg) <= limits.LogLine && utf8.ValidString(msg) && got.Msg != msg {
				t.Errorf("%q reads back as %q", msg, got.Msg)
			}
		}
	})
}
