package kresc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/console"
	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// toy is the language of the workers of these tests: "(" waits for ")", "!" raises, "hang"
// waits until it is ended, other text is its own value.
type toy struct {
	name  string
	asked *atomic.Int64 // how often for its figures
}

func (toy) Split(text string) (chunk, rest string, wait bool) {
	for end := 0; ; {
		n := strings.IndexByte(text[end:], '\n')
		if n < 0 {
			return "", text, true
		}
		if end += n + 1; strings.Count(text[:end], "(") == strings.Count(text[:end], ")") {
			return text[:end], text[end:], false
		}
	}
}

func (y toy) Eval(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	switch {
	case chunk == "who":
		return y.name + "\n", false
	case chunk == "hang":
		<-ctx.Done()
		return context.Cause(ctx).Error(), true
	case strings.HasPrefix(chunk, "print "):
		_, _ = io.WriteString(echo, chunk[6:])
		return "", false
	case strings.HasPrefix(chunk, "!"):
		return chunk[1:], true
	}
	return chunk + "\n", false
}

func (y toy) EvalJSON(ctx context.Context, chunk string, echo io.Writer) (string, bool) {
	if chunk == figuresCommand || chunk == statusCommand {
		return y.figures()
	}
	out, isErr := y.Eval(ctx, chunk, echo)
	if isErr {
		return out, true
	}
	return fmt.Sprintf("%q\n", strings.TrimSpace(out)), false
}

// figures grow with each question; only worker 0 has any.
func (y toy) figures() (string, bool) {
	switch y.name {
	case "0":
	case "2": // it cannot do its work
		return `{"worker":{"queries":1},"alive":false,"why":"nobody answers at 127.0.0.1@53"}`, false
	default:
		return "no figures", true
	}
	n := y.asked.Add(1)
	return fmt.Sprintf(`{"worker":{"queries":%d,"concurrent":2,"rss":1048576},"cache":{"hit":3,"miss":1},"entries":7,"size":2097152}`, 1000*n) + "\n", false
}

func (toy) Complete(_ context.Context, text string) []string { return []string{text + "1", text + "2"} }

// runDir is a short-lived run directory with workers, each named after its number.
func runDir(t *testing.T, workers int) (dir string, servers []*console.Server) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kresc")
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tty"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for i := range workers {
		l, err := net.Listen("unix", filepath.Join(dir, "tty", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		asked := new(atomic.Int64)
		s := console.Serve(l, console.Options{Eval: func() console.Evaluator { return toy{fmt.Sprint(i), asked} },
			Identity: console.Identity{Worker: i, Count: workers, PID: math.MaxInt32 - 1, Version: "1"}})
		t.Cleanup(s.Close)
		servers = append(servers, s)
	}
	return dir, servers
}

// run is the program with what it wrote.
func run(t *testing.T, in string, args ...string) (out, errs string, status int) {
	t.Helper()
	var files [3]*os.File
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "stream")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if _, err := files[0].WriteString(in); err != nil {
		t.Fatal(err)
	}
	if _, err := files[0].Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	status = Run(args, Streams{In: files[0], Out: files[1], Err: files[2]})
	text := func(f *os.File) string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return text(files[1]), text(files[2]), status
}

func TestCommandsAndTheirStatus(t *testing.T) {
	dir, _ := runDir(t, 2)
	const heading = "# group 2147483646, worker %d, process 2147483646\n"
	long := strings.Repeat("a", 1000)
	heads := func(a, b string) string { return fmt.Sprintf(heading+a+heading+b, 0, 1) }
	for _, c := range []struct {
		in     string
		args   []string
		out    string
		errs   string
		status int
	}{
		{"", []string{"-e", "a", "-e", "who"}, "a\n0\n", "", 0},
		{"", []string{"-e", "a", "-e", "!b", "-e", "c"}, "a\n", "b\n", 1},
		{"", []string{"-e", "print x"}, "x", "", 0},
		{"", []string{"-a", "-e", "who"}, heads("0\n", "1\n"), "", 0},
		{"", []string{"-a", "-e", "print x"}, heads("x\n", "x\n"), "", 0},
		{"", []string{"-a", "-e", "!x"}, heads("", ""), "worker 0 (process 2147483646): x\nworker 1 (process 2147483646): x\n", 1},
		{"", []string{"-j", "-e", "who"}, "\"0\"\n", "", 0},
		{"", []string{"-j", "-e", "print x"}, "\"\"\n", "x", 0},
		{"a\n(b\nc)\n\nd", nil, "a\n(b\nc)\nd\n", "", 0},
		{"a\n!b\nc\n", nil, "a\n", "b\n", 1},
		{"(a", nil, "(a\n", "", 0},
		{strings.Repeat("x", limits.ConsoleLine+1), nil, "", "kresc: a command is longer than the 65536 octets that a worker takes\n", 1},
		{"(" + strings.Repeat("x\n", limits.ConsoleLine), nil, "", "kresc: a command is longer than the 65536 octets that a worker takes\n", 1},
		{"", []string{"-e", strings.Repeat("x", limits.ConsoleLine+1)}, "", "kresc: a command is longer than the 65536 octets that a worker takes\n", 1},
		{strings.Repeat(long+"\n", 80), []string{"-j"}, strings.Repeat("\""+long+"\"\n", 80), "", 0},
	} {
		out, errs, status := run(t, c.in, append(c.args, dir)...)
		if out != c.out || errs != c.errs || status != c.status {
			t.Errorf("kresc %.80q < %.80q: %.200q, %.200q, %d; want %.200q, %q, %d", c.args, c.in, out, errs, status, c.out, c.errs, c.status)
		}
	}
	out, _, status := run(t, "", "-a", "-j", "-e", "who", dir)
	if want := `[{"group":2147483646,"worker":0,"pid":2147483646,"result":"0"},{"group":2147483646,"worker":1,"pid":2147483646,"result":"1"}]` + "\n"; out != want || status != 0 {
		t.Errorf("--all --json: %s, want %s", out, want)
	}
	out, _, status = run(t, "", "-a", "-j", "-e", "!x", dir)
	if strings.Count(out, `"error":"x"`) != 2 || strings.Contains(out, "result") || status != 1 {
		t.Errorf("--all --json of an error: %s, %d", out, status)
	}
}

// A worker that gives its figures and answers no question is no healthy one.
func TestStatusOfAWorkerThatDoesNotAnswer(t *testing.T) {
	dir, servers := runDir(t, 3)
	servers[1].Close()
	out, errs, status := run(t, "", "status", "-j", dir)
	if !strings.Contains(errs, "worker 2 (process 2147483646): nobody answers at 127.0.0.1@53\n") || !strings.Contains(out, `"alive":false,"error":"nobody answers at 127.0.0.1@53"`) ||
		!strings.Contains(out, `"alive":true`) && status != statusNobody {
		t.Errorf("%s, %s, %d", out, errs, status)
	}
	servers[0].Close()
	if err := os.RemoveAll(filepath.Join(dir, "tty", "0")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "tty", "1")); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := run(t, "", "status", dir); status != statusRaised || !strings.HasSuffix(errs, ": nobody answers at 127.0.0.1@53\n") {
		t.Errorf("%q, %q, %d; want %d", out, errs, status, statusRaised)
	}
}

func TestFigures(t *testing.T) {
	dir, _ := runDir(t, 2)
	const complaint = "kresc: worker 1 (process 2147483646): no figures\n"
	out, errs, status := run(t, "", "status", dir)
	want := "group 2147483646: kresd 1, 2 workers; cache of 2M (entries: 7)\n" +
		" ID    PROCESS UP QUERIES  HITS MEAN 50% 95% 99% FAIL SENT LOST WAIT CPU MEM\n" +
		"  0 2147483646  -    1000 75.0%    -   -   -   -    -    0    0    2   0  1M\n\n" + noLatency
	if out != want || errs != complaint || status != statusNobody {
		t.Errorf("status: %q, %q, %d; want %q", out, errs, status, want)
	}
	out, errs, status = run(t, "", "status", "--json", dir)
	if !strings.HasPrefix(out, `[{"group":2147483646,"worker":0,"pid":2147483646,"version":"1","uptime":0,"load":{`) ||
		!strings.Contains(out, `"cache.hit":3`) || !strings.Contains(out, `"worker":1,"pid":2147483646,"version":"1","uptime":0,"error":"worker 1 (process 2147483646): no figures"}`) || status != statusNobody {
		t.Errorf("status --json: %s, %s, %d", out, errs, status)
	}
	out, errs, status = run(t, "", "top", "-n", "2", "-d", "0.1", dir)
	line := regexp.MustCompile(`(?m)^  0 2147483646 +(\d+) +- +- +- +- +- +- +0 +0 +2 +0.0% +1M$`)
	rates := line.FindAllStringSubmatch(out, -1)
	if len(rates) != 2 || errs != complaint+complaint || status != statusNobody {
		t.Fatalf("top: %q, %q, %d", out, errs, status)
	}
	for _, r := range rates { // 1000 in a little more than a tenth of a second
		if n, _ := strconv.Atoi(r[1]); n < 10 || n > 10_000 {
			t.Errorf("%d questions a second", n)
		}
	}
	out, _, _ = run(t, "", "top", "-n", "1", "-d", "0.1", "--json", dir)
	if !strings.HasPrefix(out, `[{"group":2147483646,"worker":0,"pid":2147483646,"load":{`) || !strings.Contains(out, `"queries":1000,`) {
		t.Errorf("top --json: %s", out)
	}
}

func TestFind(t *testing.T) {
	parent := t.TempDir()
	t.Chdir(parent)
	for _, dir := range []string{"a/tty", "b/control", "c", "d/e/tty"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"a/tty/1", "a/tty/.new-2", "b/control/x", "c/3", "d/e/tty/4"} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.WriteFile("a/tty/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string][]string{
		".":       {"a/tty/1", "b/control/x", "c/3"},
		"a":       {"a/tty/1"},
		"a/tty":   {"a/tty/1"},
		"a/tty/1": {"a/tty/1"},
		"c":       {"c/3"},
		"d/e":     {"d/e/tty/4"},
	} {
		if got, err := find(place); err != nil || !slices.Equal(got, want) {
			t.Errorf("find(%s) = %q, %v; want %q", place, got, err, want)
		}
	}
	for place, want := range map[string]string{"none": "'none': no such file or directory", "a/tty/file": "is neither", "d/e/tty/4/x": "not a directory"} {
		if got, err := find(place); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("find(%s) = %q, %v; want an error with %q", place, got, err, want)
		}
	}
}

// Beside tty a run directory has sockets by which packets of QUIC are passed on, and may have
// some on which DNS is listened for: they are nobody's console, and no failure.
func TestOtherSocketsOfARunDirectoryAreNotAsked(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"tty/1", "dns", "quic/8af0", "nested/tty/2", "nested/dns"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	for place, want := range map[string][]string{".": {"nested/tty/2", "tty/1"}, "nested": {"nested/tty/2"}, "quic": {"quic/8af0"}} {
		if got, err := find(place); err != nil || !slices.Equal(got, want) {
			t.Errorf("find(%s) = %q, %v; want %q", place, got, err, want)
		}
	}
}

// What is no worker of this program is said to be none.
func TestOpenOfStrangers(t *testing.T) {
	for says, answer := range map[string]string{
		"does not speak with kresc":             "> [string \"__frames 1\"]:1: oh\n> ",
		"too many clients on this console":      "error: too many clients on this console\n",
		"what listens there":                    "__frames 1 ok no JSON\n",
		"has not answered within":               "",
		"it may be another version of kresd":    "\n",
		"which ends: what listens there does":   "",
		"does not speak with kresc; it may be ": console.FramesWelcome,
	} {
		says, ends := strings.CutPrefix(says, "which ends: ")
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, len(console.FramesGreeting)+1))
			_, _ = io.WriteString(c, answer)
			if ends || answer == console.FramesWelcome {
				c.Close()
			}
		}()
		if _, err := open(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("answer %q: %v; want an error with %q", answer, err, says)
		}
	}
}

// A worker that answers nonsense, or no more, is lost.
func TestAWorkerIsLost(t *testing.T) {
	dir, servers := runDir(t, 1)
	w, err := open(filepath.Join(dir, "tty", "0"))
	if err != nil {
		t.Fatal(err)
	}
	c := &client{workers: []*worker{w}}
	if n, err := c.split("a\nb\n"); n != 2 || err != nil {
		t.Errorf("split: %d, %v", n, err)
	}
	if got := c.complete("ca"); !slices.Equal(got, []string{"ca1", "ca2"}) {
		t.Errorf("complete: %q", got)
	}
	servers[0].Close()
	if _, err := w.request(context.Background(), console.ReqEval, "a", nil); !errors.Is(err, errLost) || !w.gone.Load() {
		t.Errorf("after the worker's end: %v", err)
	}
	if got := c.complete("ca"); got != nil {
		t.Errorf("complete after the worker's end: %q", got)
	}

	mute, theirs := net.Pipe()
	defer theirs.Close()
	w = &worker{conn: mute, frames: make(chan []byte, 1)}
	w.frames <- []byte{console.RespSplit}
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	c.workers[0] = w
	if _, err := c.split("a\n"); !errors.Is(err, errLost) {
		t.Errorf("an answer that makes no sense: %v", err)
	}
}

// An interrupted command that goes on costs its worker the connection, after a while.
func TestAWorkerThatDoesNotObeyIsLeft(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	w := &worker{conn: ours, frames: make(chan []byte)}
	seen := make(chan byte, 2)
	go func() {
		for {
			f, err := ipc.ReadFrame(theirs, console.FrameMax)
			if err != nil {
				return
			}
			seen <- f[0]
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.request(ctx, console.ReqEval, "hang", nil); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
	if a, b := <-seen, <-seen; a != console.ReqEval || b != console.ReqInterrupt {
		t.Errorf("sent %c, %c", a, b)
	}
}

func TestLoad(t *testing.T) {
	before := tally{"queries": 100, "concurrent": 5, "rss": 1000, "answer.total": 100, "answer.cached": 100, "answer.1ms": 100, "udp": 10, "usertime": 1}
	now := tally{"queries": 300, "concurrent": 3, "rss": 2000, "answer.total": 300, "answer.cached": 250, "answer.sum_ms": 400, "answer.servfail": 2,
		"answer.1ms": 200, "answer.10ms": 90, "answer.slow": 10, "udp": 20, "tcp": 2, "timeout": 4, "usertime": 1.5, "systime": 0.5}
	l := newLoad(now.minus(before), 2*time.Second)
	want := load{queries: 200, rate: 100, hits: 0.75, failures: 0.01, mean: 2, p50: 1, p95: 10, p99: math.Inf(1), sent: 6, timeouts: 2, sentAll: 12, tmoAll: 4, waiting: 3, cpu: 0.5, memory: 2000}
	if l != want {
		t.Errorf("%+v, want %+v", l, want)
	}
	if got := l.json(); got["p99_ms"] != 0 || got["p95_ms"] != 10 || got["queries_per_second"] != 100 {
		t.Errorf("as JSON: %v", got)
	}
	l = newLoad(tally{"cache.hit": 3, "cache.miss": 1}, time.Second)
	if l.hits != 0.75 || !math.IsNaN(l.p50) || !math.IsNaN(l.mean) {
		t.Errorf("without the module stats: %+v", l)
	}
	if _, there := l.json()["p50_ms"]; there {
		t.Error("a time that is not known is in the JSON")
	}
	sum := tally{"a": 1, "rss": 2}.plus(tally{"a": 2, "rss": 3, "b": 1})
	if !reflect.DeepEqual(sum, tally{"a": 3, "rss": 5, "b": 1}) {
		t.Errorf("sum %v", sum)
	}
}

// What a worker shows may come from anybody: it does not steer the terminal.
func TestWhatWouldSteerATerminalIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\né €\n":         "a\tb\né €\n",
		"\x1b[2J\x00\r\x7f":   "\\027[2J\\000\\013\\127",
		"\xff\u009b1m\ufffd.": "\\255\\194\\1551m\ufffd.",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWordsForNumbers(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(0.25): "0.2", number(5): "5", number(99.94): "99.9", number(1234.5): "1234", number(math.NaN()): "-", number(math.Inf(1)): ">1500",
		percent(0.5): "50.0%", percent(math.NaN()): "-", size(2048): "2k", size(100 << 20): "100M", size(3 << 29): "1.5G",
		counted(1, "worker"): "1 worker", counted(2, "worker"): "2 workers",
		upText(math.MaxInt32): "-",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if up := uptime(os.Getpid()); up <= 0 || up > time.Hour {
		t.Errorf("this test has been running for %v", up)
	}
}
