package worker

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/cli"
	"kresd/internal/proctest"
)

// A life is a worker that Run runs in a directory of its own.
type life struct {
	t      testing.TB
	dir    string
	socket string // its control socket
	log    *output
	errs   *output
	status chan int
}

// output collects what is written to a pipe.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newOutput(t testing.TB) (o *output, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o = &output{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			o.mu.Lock()
			o.text.Write(buf[:n])
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { w.Close() })
	return o, w
}

// begin runs a worker with a configuration in a fresh directory.
func begin(t *testing.T, config string, o Options) *life {
	t.Helper()
	l := &life{t: t, dir: t.TempDir(), status: make(chan int, 1)}
	t.Chdir(l.dir)
	if err := os.WriteFile(filepath.Join(l.dir, defaultConfig), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l.log, o.Stdout = newOutput(t)
	l.errs, o.Stderr = newOutput(t)
	l.socket = filepath.Join(l.dir, "tty", fmt.Sprint(os.Getpid()))
	go func() { l.status <- Run(o) }()
	return l
}

// running waits until the worker has its control socket.
func (l *life) running() *life {
	l.t.Helper()
	until(l.t, "the control socket is there", func() bool {
		c, err := proctest.Dial(l.socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return l
}

// ends waits for the exit status.
func (l *life) ends(want int) {
	l.t.Helper()
	select {
	case got := <-l.status:
		if got != want {
			l.t.Errorf("exit status %d, want %d\n%s%s", got, want, l.log, l.errs)
		}
	case <-time.After(20 * time.Second):
		l.t.Fatalf("the worker does not end\n%s%s", l.log, l.errs)
	}
}

// quit ends the worker by a command.
func (l *life) quit() {
	l.t.Helper()
	c, err := proctest.Dial(l.socket)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send("quit()"); err != nil {
		l.t.Fatal(err)
	}
	l.ends(0)
}

func TestAWorkersWholeLife(t *testing.T) {
	at := proctest.FreePort(t)
	l := begin(t, fmt.Sprintf("answer = 42 net.listen('%s', %d) hints.set('here.example 192.0.2.9')", at.Addr(), at.Port()), Options{}).running()
	for command, want := range map[string]string{
		"answer": "42", "worker.id": "0", "worker.count": "1", "worker.pid": fmt.Sprint(os.Getpid()), "cache.size > 1*MB": "true",
		"map 'answer'": "[1] => 42",
	} {
		if got := proctest.Eval(t, l.socket, command); got != want {
			t.Errorf("%s is %q, want %q", command, got, want)
		}
	}
	for _, network := range []string{"udp", "tcp"} {
		m, err := proctest.Exchange(network, at, proctest.Query("here.example", dns.TypeA, 0))
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("over %s: %v, %v", network, m, err)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "the reload is complete", func() bool { return strings.Contains(l.log.String(), "reload is complete") })
	l.quit()
	if _, err := os.Stat(l.socket); err == nil {
		t.Error("the control socket is still there")
	}
	for _, line := range []string{fmt.Sprintf("listening on %s@%d", at.Addr(), at.Port()), "cache of 100 MB in " + l.dir, "answers are validated from the keys of . (20326, 38696 built in)"} {
		if !strings.Contains(l.log.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, l.log)
		}
	}
	if l.errs.String() != "" {
		t.Errorf("errors: %s", l.errs)
	}
}

func TestAWorkerEndsByASignal(t *testing.T) {
	l := begin(t, "", Options{Getenv: noListening}).running()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.ends(0)
}

// While the configuration runs, too.
func TestQuitInTheConfiguration(t *testing.T) {
	l := begin(t, "quit() while true do end", Options{Getenv: noListening})
	l.ends(0)
	if _, err := os.Stat(filepath.Join(l.dir, "data.mdb")); err == nil {
		t.Error("it opened a cache first")
	}
}

// os.exit ends a worker in order, also while the configuration runs: what was printed
// before is written, the control socket is gone.
func TestExitInAScript(t *testing.T) {
	l := begin(t, "print('before') io.write('as well') os.exit(7) print('after')", Options{Getenv: noListening})
	l.ends(7)
	until(t, "what was printed is written", func() bool { return l.log.String() == "before\nas well" })
	l = begin(t, "", Options{Getenv: noListening}).running()
	c, err := proctest.Dial(l.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send("print('bye') os.exit(3)"); err != nil {
		t.Fatal(err)
	}
	l.ends(3)
	until(t, "what was printed is written", func() bool { return strings.Contains(l.log.String(), "bye\n") })
	if _, err := os.Stat(l.socket); err == nil {
		t.Error("the control socket is still there")
	}
}

func noListening(name string) string {
	if name == noListenVar {
		return "1"
	}
	return ""
}

// What keeps a worker from running is one line on standard error, and status 1.
func TestWhatKeepsAWorkerFromRunning(t *testing.T) {
	taken := proctest.FreePort(t)
	hold, err := listenTCP(taken)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	addr := func(a netip.AddrPort, optional bool) Options {
		return Options{CLI: cli.Options{Addrs: []cli.Addr{{AddrPort: a, Kind: "dns", Optional: optional}}}}
	}
	for name, tc := range map[string]struct {
		config string
		o      Options
		says   string
	}{
		"a wrong configuration": {"nonsense(", Options{Getenv: noListening}, "config:1:"},
		"an error in it":        {"error('no such luck')", Options{Getenv: noListening}, "no such luck"},
		"an absent file":        {"", Options{CLI: cli.Options{Configs: []string{"absent"}}}, "absent"},
		"a port that is taken":  {"", addr(taken, false), "or listen elsewhere (-a 127.0.0.1@"},
		"a bad laboratory":      {"", Options{Getenv: func(name string) string { return map[string]string{upstreamPortVar: "x"}[name] }}, "'x' is no port"},
		"no cache":              {"cache.open(10*MB, 'lmdb:///proc/nowhere')", Options{Getenv: noListening}, "/proc/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, tc.config, tc.o)
			l.ends(1)
			until(t, "it says why", func() bool { return strings.Contains(l.errs.String(), tc.says) })
			if n := strings.Count(l.errs.String(), "\n"); n != 1 {
				t.Errorf("%d lines: %s", n, l.errs)
			}
		})
	}
	t.Run("but not an optional address", func(t *testing.T) {
		o := addr(taken, true)
		o.Getenv = noListening
		l := begin(t, "", o).running()
		l.quit()
	})
}

// A console on a pipe runs commands until the pipe ends; the worker goes on.
func TestAConsoleOnStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := begin(t, "", Options{CLI: cli.Options{Interactive: true}, Stdin: r, Getenv: noListening})
	if _, err := io.WriteString(w, "6 * 7\n"); err != nil {
		t.Fatal(err)
	}
	until(t, "the result is shown", func() bool { return strings.Contains(l.log.String(), "42") })
	if _, err := os.Stat(l.socket); err == nil {
		t.Error("there is a control socket beside the console")
	}
	if _, err := io.WriteString(w, "quit()\n"); err != nil {
		t.Fatal(err)
	}
	l.ends(0)
}

func listenTCP(at netip.AddrPort) (io.Closer, error) {
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
}
