package test

import (
	"encoding/binary"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// Results, framing and errors on a control socket, exactly.
func TestConsole(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	c, err := proctest.Dial(g.Worker(t, 1).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range []struct{ in, want string }{
		{"1 + 1", "2\n"},
		{"'a string'", "a string\n"},
		{"nil", "nil\n"},
		{"x = 5", ""},
		{"x", "5\n"},
		{"", ""},
		{"worker.id", "1\n"},
		{"worker.count", "2\n"},
		{"{ a = 1, b = { 'x', true }, 'first' }", "[1] => first\n[a] => 1\n[b] => {\n    [1] => x\n    [2] => true\n}\n"},
		{"{ name = todname('example.com.') }", "[name] => \\7example\\3com\\0\n"},
		{"{}", ""},
		{"net.bufsize 4096", ""},
		{"net.bufsize()", "4096\n"},
	} {
		got, err := c.Do(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", tc.in, got, tc.want)
		}
	}
	for in, want := range map[string]string{
		"error('some reason')": "some reason",
		"nosuch.field":         "nosuch",
		"cache.sise = 5":       "sise",
		"net.bufsize('x')":     "bufsize",
		"net.bufsize(100000)":  "65535",
		"cache.max_ttl(-1)":    "max_ttl",
		"modules.load('none')": "none",
		"option('NOSUCH')":     "NOSUCH",
		"cache.get()":          "cache.get",
	} {
		got, err := c.Do(in)
		if err != nil || !strings.Contains(got, want) || got == "" {
			t.Errorf("%s: %q, %v; want a message that names %q", in, got, err, want)
		}
	}
}

// Expressions in one piece are several results; other lines that compile together are
// one command, which shows the value of the last; text that ends too early waits for
// its end.
func TestConsoleInput(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	c, err := net.Dial("unix", g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct{ in, want string }{
		{"", "> "},
		{"1\n2\n3\n", "1\n\n> 2\n\n> 3\n\n> "},
		{"function f(n)\nreturn n * 2\nend\nf(21)\n", "42\n\n> "},
		{"local a = f(1)\nif a == 2 then return 'two' end\nreturn 'not reached'\n", "two\n> "},
		{"one = 1\none + 1\n", "\n> 2\n\n> "},
		{"f(\n", ""},
		{"4)\n", "8\n\n> "},
	} {
		if _, err := c.Write([]byte(step.in)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		got := make([]byte, len(step.want))
		if n, err := io.ReadFull(c, got); err != nil || string(got) != step.want {
			t.Fatalf("%q: %q, %v; want %q", step.in, got[:n], err, step.want)
		}
	}
}

// socat and nc are what the manual tells users to type.
func TestConsoleWithSocatAndNetcat(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	socket := g.Worker(t, 0).Socket
	for _, args := range [][]string{{"socat", "-t5", "-", "UNIX-CONNECT:" + socket}, {"nc", "-N", "-w", "5", "-U", socket}} {
		for in, want := range map[string]string{
			"worker.id\nhostname('judge')\nhostname()\n": "> 0\n\n> judge\n\n> judge\n\n> ",
			"hostname('judge')\nhostname()":              "> judge\n\n> judge\n\n> ",
			"cache.size / MB\n":                          "> 20\n\n> ",
			"local count = worker.count\nlocal size = cache.size\nreturn count .. ' of ' .. size / MB\n": "> 1 of 20\n> ",
		} {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdin = strings.NewReader(in)
			if out, err := cmd.Output(); err != nil || string(out) != want {
				t.Errorf("%s: %q gives %q, %v; want %q", args[0], in, out, err, want)
			}
		}
	}
}

// Commands and results are in the daemon's log, for accountability.
func TestConsoleIsLogged(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	g.Eval(t, "'accoun' .. 'table'")
	proctest.Eventually(t, 5*time.Second, "command and result are in the log", func() bool {
		return strings.Contains(g.Log(), "'accoun' .. 'table'") && strings.Contains(g.Log(), "accountable")
	})
}

// __binary: length in four octets, big-endian, then the result, and no prompt.
func TestConsoleBinary(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	c, err := net.Dial("unix", g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	prompt := make([]byte, 2)
	if _, err := io.ReadFull(c, prompt); err != nil || string(prompt) != "> " {
		t.Fatalf("prompt %q, %v", prompt, err)
	}
	if _, err := c.Write([]byte("__binary\n")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, command := range []string{"", "worker.id\n", "'x'\n"} {
		if _, err := c.Write([]byte(command)); err != nil {
			t.Fatal(err)
		}
		if command == "" {
			continue
		}
		var size uint32
		if err := binary.Read(c, binary.BigEndian, &size); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(c, text); err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	if len(got) != 2 || strings.TrimSpace(got[0]) != "0" || strings.TrimSpace(got[1]) != "x" {
		t.Errorf("binary results %q, want 0 and x", got)
	}
}

// Console clients that never read, never write or write without end delay no
// answer.
func TestConsoleClientsDoNotDelayAnswers(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	warm(t, g)
	socket := g.Worker(t, 0).Socket
	var clients []net.Conn
	for range 20 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	s := proctest.Load(t, g.Addr, 1000, names...)
	flood := []byte(strings.Repeat("string.rep('x', 100000)\n", 50))
	for _, c := range clients[:5] {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(flood) // and never reads
	}
	_ = clients[6].SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = clients[6].Write([]byte("while true do end\n"))
	time.Sleep(time.Second)
	lossless(t, "with rude console clients", s.Stop(), 0)
}

// kresd without -f has its console on the pipe that is its standard input.
func TestInteractiveConsole(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	cmd := exec.Command(proctest.Bin("kresd"), "-c", "-", "-a", strings.Replace(config.Addr.String(), ":", "@", 1), proctest.RunDir(t))
	cmd.Stdin = strings.NewReader("1 + 1\nquit()\n")
	out, err := cmd.Output()
	want := regexp.MustCompile(`(?s)\[system\] started in interactive mode, type 'help\(\)'\n> .*2\n\n> `)
	if err != nil || !want.Match(out) {
		t.Errorf("output %q, %v; want it to match %v", out, err, want)
	}
}

// A pasted example is what it is in a file: its locals live on in the connection, and
// what it prints is shown there. All that a client sent before it closed is run, and a
// line may come in two pieces.
func TestConsoleTakesWhatIsPasted(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	socket := g.Worker(t, 0).Socket
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	hasty := dial()
	if _, err := io.WriteString(hasty, "local a = 20\nlocal function twice() return 2 * a end\none = 1\nnonsense nonsense\nnosuch.field\na = a + 1\ntwo = twice()"); err != nil {
		t.Fatal(err)
	}
	hasty.Close()
	for end := time.Now().Add(20 * time.Second); g.Eval(t, "two") != "42"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("one is %s, two %s, a %s", g.Eval(t, "one"), g.Eval(t, "two"), g.Eval(t, "a"))
		}
	}
	if got := g.Eval(t, "a"); got != "nil" {
		t.Errorf("another connection sees the local: %q", got)
	}
	c := dial()
	for _, piece := range []string{"local list = {\n 'x',\n 'y',\n}\nfor _, v in ipairs(list) do print(v) e", "nd\nreturn\n{ last = #list }\n"} {
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // the rule under test is about time
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if want := "> \n> x\ny\n\n> "; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
