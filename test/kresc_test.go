package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// kresc runs the client with in on its standard input.
func kresc(t *testing.T, in string, args ...string) (out, errs string, status int) {
	t.Helper()
	cmd := exec.Command(proctest.Bin("kresc"), args...)
	cmd.Stdin = strings.NewReader(in)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// Values go to the standard output, errors to the standard error, and the status tells.
func TestKresc(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	socket := g.Worker(t, 1).Socket
	for _, c := range []struct {
		in, args   string // arguments with | between
		out, errs  string
		wantStatus int
	}{
		{"", "-e|1 + 1|" + g.Dir, "2\n", "", 0},
		{"", g.Dir + "|-e|worker.id|-e|x = 5|-e|x|-e|return 'text'", "0\n5\ntext\n", "", 0},
		{"", "-e|worker.id|" + socket, "1\n", "", 0},
		{"", "-e|worker.id|" + filepath.Dir(socket), "0\n", "", 0},
		{"", "-e|local a = 2|-e|a|" + g.Dir, "2\n", "", 0},
		{"", "-e|print('p') return 'r'|" + g.Dir, "p\nr\n", "", 0},
		{"", "-e|1|-e|error('oh', 0)|-e|2|" + g.Dir, "1\n", "oh\n", 1},
		{"", "-e|1 +|" + g.Dir, "", "[string \"1 +\"]:1: unexpected symbol near <eof>\n    1 +\n       ^\n", 1},
		{"", "-j|-e|{ a = { 1, 2 }, b = 'x' }|-e|nil|" + g.Dir, `{"a":[1,2],"b":"x"}` + "\nnull\n", "", 0},
		{"", "-j|-e|print('p') return 1|" + g.Dir, "1\n", "p\n", 0},
		{"worker.id\nfunction f()\nreturn 7\nend\nf()\n1 + 1", g.Dir, "0\n7\n2\n", "", 0},
		{"1\nfor x\n2\n", g.Dir, "1\n", "[string \"for x\"]:1: '=' or 'in' expected near '2'\n    2\n    ^\n", 1},
		{"(", g.Dir, "", "[string \"(\"]:1: unexpected symbol near <eof>\n    (\n     ^\n", 1},
		{"", g.Dir, "", "", 0},
		{"", "-x", "", "kresc: unknown option '-x' (see 'kresc --help')\n", 2},
		{"", "-e|1|" + g.Dir + "/none", "", "kresc: '" + g.Dir + "/none': no such file or directory\n", 3},
		{"", "-e|1|" + g.Dir + "/config", "", "kresc: '" + g.Dir + "/config' is neither a run directory nor a control socket\n", 3},
	} {
		out, errs, status := kresc(t, c.in, strings.Split(c.args, "|")...)
		if out != c.out || errs != c.errs || status != c.wantStatus {
			t.Errorf("kresc %s < %q: output %q, errors %q, status %d; want %q, %q, %d", c.args, c.in, out, errs, status, c.out, c.errs, c.wantStatus)
		}
	}
	if out, errs, status := kresc(t, "", "--version"); !strings.HasPrefix(out, "kresc, version ") || errs != "" || status != 0 {
		t.Errorf("version: %q, %q, %d", out, errs, status)
	}
	long := "return #'" + strings.Repeat("x", 100_000) + "'\n"
	if _, errs, status := kresc(t, long, g.Dir); status != 1 || !strings.Contains(errs, "longer than the 65536") {
		t.Errorf("a command of 100,000 octets: %q, %d", errs, status)
	}
	lines := strings.Repeat("n = (n or 0) + 1\n", 10_000) + "n\n"
	if out, errs, status := kresc(t, lines, g.Dir); out != "10000\n" || status != 0 {
		t.Errorf("170 KiB of commands: %q, %.200q, %d", out, errs, status)
	}
	if got := g.Log(); strings.Contains(got, "figures") || !strings.Contains(got, "return 'text'") {
		t.Errorf("the commands are not in the log, for accountability:\n%s", got)
	}
}

// An element of --all --json.
type krescReply struct {
	Group, Worker, PID int
	Result             any
	Error              string
}

func krescAll(t *testing.T, args ...string) (replies []krescReply, errs string, status int) {
	t.Helper()
	out, errs, status := kresc(t, "", append([]string{"--all", "--json", "-e"}, args...)...)
	if err := json.Unmarshal([]byte(out), &replies); err != nil {
		t.Fatalf("%q: %v; errors %q", out, err, errs)
	}
	return replies, errs, status
}

// All workers of all groups below a directory are found, by whatever run directory; a
// worker that was killed is replaced, and sockets of dead ones are skipped and told.
func TestKrescFindsAllWorkers(t *testing.T) {
	n := proctest.SmallInternet(t)
	parent := proctest.RunDir(t)
	var groups []*proctest.Group
	for _, name := range []string{"a", "a", "b"} {
		c := proctest.On(t, n, 2)
		c.Dir = filepath.Join(parent, name)
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, proctest.Start(t, c))
	}
	check := func(when, place string, groups ...*proctest.Group) {
		t.Helper()
		replies, _, status := krescAll(t, "worker.pid", place)
		want := map[string]bool{}
		for _, g := range groups {
			for _, w := range g.Workers() {
				want[fmt.Sprint(g.PID(), w.ID, w.PID)] = true
			}
		}
		for _, r := range replies {
			key := fmt.Sprint(r.Group, r.Worker, r.PID)
			if !want[key] || r.Result != float64(r.PID) {
				t.Errorf("%s: unexpected %+v; want %v", when, r, want)
			}
			delete(want, key)
		}
		if len(want) != 0 || status != 0 {
			t.Errorf("%s: status %d, without %v", when, status, want)
		}
	}
	check("all", parent, groups...)
	check("two groups in one directory", filepath.Join(parent, "a"), groups[:2]...)
	out, _, _ := kresc(t, "", "--all", "-e", "worker.id", filepath.Join(parent, "b"))
	want := ""
	for _, w := range groups[2].Workers() {
		want += fmt.Sprintf("# group %d, worker %d, process %d\n%d\n", groups[2].PID(), w.ID, w.PID, w.ID)
	}
	if out != want {
		t.Errorf("with headings: %q, want %q", out, want)
	}
	if out, _, status := kresc(t, "", "-e", "worker.id", parent); strings.Count(out, ", worker 0, process ") != 3 || strings.Count(out, "\n") != 6 || status != 0 {
		t.Errorf("without --all the first worker of each group is asked: %q, %d", out, status)
	}

	victim := groups[2].Worker(t, 1)
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 20*time.Second, "the killed worker is replaced", func() bool {
		w := groups[2].Workers()
		return len(w) == 2 && w[1].PID != victim.PID
	})
	check("after one was killed", filepath.Join(parent, "b"), groups[2])
}

// leaveSocket makes a control socket as a killed worker leaves it.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestKrescTellsWhoDoesNotAnswer(t *testing.T) {
	g := proctest.Start(t, patient(proctest.On(t, proctest.SmallInternet(t), 2)))
	stale := filepath.Join(g.Dir, "tty", "999999")
	leaveSocket(t, stale)
	says := "kresc: '" + stale + "' is skipped: its worker is dead, the socket was left behind\n"
	if out, errs, status := kresc(t, "", "-a", "-e", "worker.count", g.Dir); strings.Count(out, "\n2\n") != 2 || errs != says || status != 0 {
		t.Errorf("beside a dead worker's socket: %q, %q, %d", out, errs, status)
	}
	frozen := g.Worker(t, 1)
	if err := syscall.Kill(frozen.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out, errs, status := kresc(t, "", "-a", "-e", "worker.count", g.Dir)
	_ = syscall.Kill(frozen.PID, syscall.SIGCONT)
	if strings.Count(out, "\n2\n") != 1 || !strings.Contains(errs, frozen.Socket+"' is skipped: its worker has not answered within") || status != 3 {
		t.Errorf("beside a frozen worker: %q, %q, %d", out, errs, status)
	}

	empty := proctest.RunDir(t)
	if _, errs, status := kresc(t, "", "-e", "1", empty); !strings.Contains(errs, "has no control socket: no kresd runs there") || status != 3 {
		t.Errorf("an empty directory: %q, %d", errs, status)
	}
	if err := os.Mkdir(empty+"/tty", 0o700); err != nil {
		t.Fatal(err)
	}
	leaveSocket(t, empty+"/tty/999999")
	if _, errs, status := kresc(t, "", "-e", "1", empty); !strings.Contains(errs, "its worker is dead") || status != 3 {
		t.Errorf("only a dead worker's socket: %q, %d", errs, status)
	}
	if out, errs, status := kresc(t, "", "-e", "os.execute('kill -9 $PPID')", "-e", "1", g.Worker(t, 0).Socket); status != 3 || out != "" || !strings.Contains(errs, " is lost: it ended before it answered\n") {
		t.Errorf("a worker that dies: %q, %q, %d", out, errs, status)
	}
}

func TestKrescNamesWhoMay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	bin := proctest.RunDir(t) + "/kresc" // where others can execute it
	text, err := os.ReadFile(proctest.Bin("kresc"))
	if err == nil {
		err = os.WriteFile(bin, text, 0o755)
	}
	if err == nil {
		err = os.Chmod(filepath.Dir(bin), 0o755)
	}
	if err == nil {
		err = os.Chmod(g.Dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{g.Dir, g.Worker(t, 0).Socket} {
		cmd := exec.Command(bin, "-e", "1", place)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), "permission denied; '"+g.Dir) || !strings.Contains(string(out), "belongs to root: run kresc as that user or as root") || cmd.ProcessState.ExitCode() != 3 {
			t.Errorf("%s for nobody: %q, %d", place, out, cmd.ProcessState.ExitCode())
		}
	}
}

// The path of a socket may be longer than an address of a UNIX socket.
func TestKrescReachesASocketWithALongPath(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	long := filepath.Join(proctest.RunDir(t), strings.Repeat("x", 120))
	if err := os.Symlink(g.Dir, long); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := kresc(t, "", "-e", "1 + 1", long); out != "2\n" || status != 0 {
		t.Errorf("%q, %q, %d", out, errs, status)
	}
}

// onTerminal starts kresc for a person with the home directory home.
func onTerminal(t *testing.T, home string, env []string, args ...string) *proctest.Terminal {
	t.Helper()
	cmd := exec.Command(proctest.Bin("kresc"), args...)
	cmd.Env = append(append(os.Environ(), "HOME="+home, "XDG_STATE_HOME=", "TERM=xterm"), env...)
	return proctest.OnTerminal(t, cmd)
}

// anew is Ctrl-L, which shows the line anew on an empty screen, as editedTo has it.
const anew = "\x0c"

func editedTo(line string) string { return "\x1b[2J> " + line }

func TestKrescOnATerminal(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	home := proctest.RunDir(t)
	x := onTerminal(t, home, nil, g.Dir)
	x.Await("Ctrl-D leaves\r\n")
	x.Await("> ")
	x.Type("1 + 21\x1b[D\x7f\r") // a cursor to the left and a correction
	x.Await("\r\n2\r\n> ")
	x.Type("cache.cou\t" + anew)
	x.Await(editedTo("cache.count"))
	x.Type("\x03")
	x.Await("^C\r\n> ")
	x.Type("local names = {\r")
	x.Await(">> ")
	x.Type("first = 1 }\r")
	x.Await("\r\n> ")
	x.Type("names.fi\t" + anew)
	x.Await(editedTo("names.first"))
	x.Type("\r")
	x.Await("\r\n1\r\n> ")
	x.Type("error('no', 0)\r")
	x.Await("\r\nno\r\n> ")
	x.Type(" 'a secret \\27[2J'\r")
	x.Await("\r\na secret \\027[2J\r\n> ")
	x.Type("\x1b[A\x1b[A\x1b[A\x1b[A\r") // two lines of names, names.first, error: the first of the table
	x.Await(">> ")
	x.Type("\x03")
	x.Await("> ")
	x.Type("\x04")
	if status := x.Wait(); status != 0 {
		t.Errorf("status %d after Ctrl-D", status)
	}
	file := filepath.Join(home, ".local/state/kresc/history")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("history: %v, %v; want mode 0600", info, err)
	}
	text, _ := os.ReadFile(file)
	if !strings.HasPrefix(string(text), "1 + 1\nlocal names = {\nfirst = 1 }\nnames.first\nerror('no', 0)\n") || strings.Contains(string(text), "secret") {
		t.Errorf("history %q", text)
	}

	recalled(t, g, home)
}

// Wide characters are edited like others, and what is pasted is taken as it is: lines are one
// command, and a tabulator completes nothing.
func TestKrescEditsWideAndPastedText(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	x := onTerminal(t, proctest.RunDir(t), nil, g.Dir)
	x.Await("> ")
	x.Type("'日本語'\x1b[D\x1b[D\x7f字" + anew) // 字 in the place of 本
	x.Await(editedTo("'日字語'\r\x1b[7C"))
	x.Type("\r")
	x.Await("\r\n日字語\r\n> ")
	x.Type("\x1b[200~function pasted()\r\treturn 'as a whole'\rend\x1b[201~\rpasted()\r")
	x.Await("\r\nas a whole\r\n> ")
	x.Type("while true do end\r")
	x.Await("\r\n")
	x.Type("\x03")
	x.Await("interrupted\r\n> ")
	x.Type("half\x1b[A\x1b[B" + anew) // back to what was typed
	x.Await(editedTo("half"))
	x.Type("\x03exit\r")
	if status := x.Wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// recalled tries the history in a dialogue that comes later.
func recalled(t *testing.T, g *proctest.Group, home string) {
	t.Helper()
	x := onTerminal(t, home, nil, g.Dir)
	x.Await("> ")
	x.Type("\x121 +\r") // Ctrl-R
	x.Await("\r\n2\r\n> ")
	x.Type("exit\r")
	if status := x.Wait(); status != 0 {
		t.Errorf("status %d after exit", status)
	}
	if !g.Alive() || len(g.Workers()) != 2 {
		t.Error("exit ended a worker")
	}
	state := proctest.RunDir(t)
	x = onTerminal(t, home, []string{"XDG_STATE_HOME=" + state}, g.Dir)
	x.Await("> ")
	x.Type("5\r")
	x.Await("5\r\n> ")
	if text, err := os.ReadFile(state + "/kresc/history"); string(text) != "5\n" {
		t.Errorf("history below XDG_STATE_HOME: %q, %v", text, err)
	}
}

// However a dialogue ends, the terminal is as it was.
func TestKrescLeavesTheTerminalAsItWas(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	for how, end := range map[string]struct {
		do     func(x *proctest.Terminal)
		status int
	}{
		"Ctrl-D":  {func(x *proctest.Terminal) { x.Type("\x04") }, 0},
		"SIGTERM": {func(x *proctest.Terminal) { x.Signal(syscall.SIGTERM) }, 143},
		"SIGHUP": {func(x *proctest.Terminal) {
			x.Type("worker.sleep(20)\r")
			x.Await("20)\r\n")
			x.Signal(syscall.SIGHUP)
		}, 129},
	} {
		x := onTerminal(t, proctest.RunDir(t), nil, g.Dir)
		x.Await("> ")
		if x.Echoes() {
			t.Errorf("%s: nothing can be edited on a terminal that echoes", how)
		}
		end.do(x)
		if status := x.Wait(); status != end.status || !x.Echoes() {
			t.Errorf("%s: status %d, the terminal echoes: %v", how, status, x.Echoes())
		}
	}
}

// Where nothing can be edited a line is read as it comes, and no colour is shown.
func TestKrescOnADumbTerminal(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	x := onTerminal(t, proctest.RunDir(t), []string{"TERM=dumb"}, "--all", g.Dir)
	shown := x.Await("> ")
	x.Type("1 + 1\n")
	shown += x.Await("\n2\r\n> ")
	x.Type("abc\x03")
	x.Await("> ")
	x.Type("2 + 2\n")
	shown += x.Await("\n4\r\n> ")
	x.Type("\x04")
	if status := x.Wait(); status != 0 || strings.Contains(shown, "\x1b") {
		t.Errorf("status %d, shown %q", status, shown)
	}
	x = onTerminal(t, proctest.RunDir(t), []string{"NO_COLOR=1"}, "--all", "-e", "1", g.Dir)
	if x.Wait(); strings.Contains(x.Await("\n1\r\n"), "\x1b") {
		t.Error("colour in spite of NO_COLOR")
	}
	x = onTerminal(t, proctest.RunDir(t), nil, "--all", "-e", "1", g.Dir)
	x.Await("\x1b[1m# group ")
}

// Ctrl-C ends the command and nothing else: the worker lives, knows what it knew, and
// answers queries all the time.
func TestKrescInterruptsACommand(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	warm(t, g)
	load := proctest.Load(t, g.Addr, 300, names...)
	x := onTerminal(t, proctest.RunDir(t), nil, g.Dir)
	x.Await("> ")
	x.Type("known = 7\r")
	x.Await("> ")
	for _, command := range []string{
		"while true do end",
		"pcall(function() while true do end end)",
		"co = coroutine.wrap(function() while true do end end) co()",
		"co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
		"worker.sleep(60)",
		"while true do string.rep('x', 1e6) end",
		"io.popen('sleep 60'):read()",
	} {
		x.Type(command + "\r")
		x.Await(command + "\r\n")
		time.Sleep(300 * time.Millisecond) // so that it runs when it is interrupted
		begun := time.Now()
		x.Type("\x03")
		x.Await("the command was interrupted\r\n> ")
		if took := time.Since(begun); took > 4*time.Second { // the worker itself ends it after 5 s
			t.Errorf("%s: ended after %v", command, took)
		}
		x.Type("known\r")
		x.Await("7\r\n> ")
	}
	x.Type("string.rep('x', 1e9)\r")
	x.Await("string")
	x.Await("too large")
	lossless(t, "while commands are interrupted", load.Stop(), 0)

	cmd := exec.Command(proctest.Bin("kresc"), "-e", "worker.sleep(60)", "-e", "late = true", g.Dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // so that it is connected
	_ = cmd.Process.Signal(syscall.SIGINT)
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || errs.String() != "the command was interrupted\n" || g.Eval(t, "late") != "nil" {
		t.Errorf("-e after Ctrl-C: status %d, errors %q, late is %s", cmd.ProcessState.ExitCode(), errs.String(), g.Eval(t, "late"))
	}
}

// A command whose client has gone is not run on, neither kresc's nor one of nc.
func TestACommandEndsWithItsClient(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	cmd := exec.Command(proctest.Bin("kresc"), "-e", "worker.sleep(20) late = true", g.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // so that it is connected; when it is not, nothing is tested
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ended := func(n int) func() bool {
		return func() bool { return strings.Count(g.Log(), "the client closed its connection") == n }
	}
	proctest.Eventually(t, 10*time.Second, "the log has the end of the command", ended(1))

	c, err := net.Dial("unix", g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("before = true\nwhile true do end\nlate = true\n")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	proctest.Eventually(t, 10*time.Second, "the log has the end of the loop", ended(2))
	if before, late := g.Eval(t, "before"), g.Eval(t, "late"); before != "true" || late != "nil" {
		t.Errorf("before is %s, late is %s", before, late)
	}
}

// In a dialogue the next command goes to who took the place of a worker that has ended.
func TestKrescGoesOnWithTheNextWorker(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	x := onTerminal(t, proctest.RunDir(t), nil, g.Dir)
	x.Await("> ")
	old := g.Worker(t, 0)
	if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 20*time.Second, "the killed worker is replaced", func() bool {
		w := g.Workers()
		return len(w) == 2 && w[0].PID != old.PID
	})
	x.Type("worker.pid\r")
	x.Await(fmt.Sprintf("worker 0 (process %d) has ended", old.PID))
	pid := g.Worker(t, 0).PID
	x.Await(fmt.Sprintf("commands go to worker 0 (process %d)", pid))
	x.Await(fmt.Sprintf("%d\r\n> ", pid))
	g.Stop()
	x.Type("1\r")
	x.Await("> ")
	x.Type("\x04")
	x.Wait()
}

func TestKrescStatusAndTop(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2, "modules.load('stats')"))
	warm(t, g)
	load := proctest.Load(t, g.Addr, 500, names...)
	defer load.Stop()
	out, errs, status := kresc(t, "", "top", "-n", "2", "-d", "1", g.Dir)
	if errs != "" || status != 0 || strings.Contains(out, "\x1b") {
		t.Errorf("errors %q, status %d, output %q", errs, status, out)
	}
	tables := strings.Split(out, "\n\n")
	if len(tables) != 2 {
		t.Fatalf("%d tables: %s", len(tables), out)
	}
	all := regexp.MustCompile(`(?m)^ +all +(\d+)(?:\.\d)? +(\d+)\.\d% +\d+(?:\.\d)? +\d+ `)
	workers := g.Workers()
	for _, table := range tables {
		m := all.FindStringSubmatch(table)
		each := regexp.MustCompile(fmt.Sprintf(`\n +0 +%d (?s:.*)\n +1 +%d `, workers[0].PID, workers[1].PID))
		if m == nil || !each.MatchString(table) {
			t.Fatalf("a table without figures:\n%s", table)
		}
		rate, _ := strconv.Atoi(m[1])
		hits, _ := strconv.Atoi(m[2])
		if rate < 100 || rate > 900 || hits < 50 {
			t.Errorf("%d questions a second, %d%% hits, of 500 a second for warm names:\n%s", rate, hits, table)
		}
	}
	out, _, _ = kresc(t, "", "top", "-n", "1", "-d", "0.2", "--json", g.Dir)
	var rows []struct {
		Worker int
		Load   map[string]float64
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 || rows[0].Load["hit_ratio"] < 0.5 || rows[1].Load["p99_ms"] < 1 {
		t.Errorf("top --json: %v, %s", err, out)
	}

	out, errs, status = kresc(t, "", "status", g.Dir)
	if errs != "" || status != 0 || !strings.HasPrefix(out, fmt.Sprintf("group %d: kresd ", g.PID())) || strings.Count(out, "\n") != 4 {
		t.Errorf("status: %q, %d\n%s", errs, status, out)
	}
	out, _, _ = kresc(t, "", "status", "--json", g.Dir)
	var list []struct {
		Worker, PID int
		Uptime      float64
		Figures     map[string]float64
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[1].Worker != 1 || list[0].Uptime <= 0 || list[0].Figures["queries"]+list[1].Figures["queries"] < 100 {
		t.Errorf("status --json: %v, %s", err, out)
	}
}

// On a terminal top draws over what it drew, until Ctrl-C, which is no failure.
func TestKrescTopOnATerminal(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	x := onTerminal(t, proctest.RunDir(t), nil, "top", "-d", "0.2", g.Dir)
	for range 2 {
		x.Await("\x1b[H")
		x.Await("modules.load('stats')")
	}
	x.Type("\x03")
	if status := x.Wait(); status != 0 {
		t.Errorf("status %d after Ctrl-C", status)
	}
	if got := strings.Count(g.Log(), "worker.stats()"); got > 1 {
		t.Errorf("the log tells %d times what top asks", got)
	}
}

// status asks each worker a question, and is 0 where all of a group answer.
func TestStatusAsksAQuestion(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	out, errs, status := kresc(t, "", "status", "--json", g.Dir)
	if status != 0 || errs != "" || strings.Count(out, `"alive":true`) != 2 {
		t.Errorf("status %d, %q:\n%s", status, errs, out)
	}
	for _, w := range g.Workers() {
		kill(t, w.PID) // they come again; those that are dead are not asked
	}
	proctest.Eventually(t, time.Minute, "the next ones answer", func() bool {
		_, _, status := kresc(t, "", "status", g.Dir)
		return status == 0
	})
}

// kresc status tells when the certificate expires that clients are shown, the operator's as
// the ephemeral one, and answers to health checks as without.
func TestKrescStatusTellsTheEndOfCertificates(t *testing.T) {
	end := time.Now().Add(40*24*time.Hour + time.Hour).UTC()
	cert := (*proctest.CertificateAuthority)(nil).Issue(t, end, "dns.example")
	for what, c := range map[string]struct{ lua, want string }{
		"own":       {fmt.Sprintf("net.tls('%s', '%s')", cert.CertFile, cert.KeyFile), fmt.Sprintf("certificate %s expires at %s, in 40 days\n", cert.CertFile, end.Format("2006-01-02 15:04 UTC"))},
		"ephemeral": {"", "ephemeral certificate, renewed by itself, expires at "},
	} {
		t.Run(what, func(t *testing.T) {
			config, _ := dotConfig(t, proctest.SmallInternet(t), 2, c.lua)
			g := proctest.Start(t, config)
			out, errs, status := kresc(t, "", "status", g.Dir)
			if status != 0 || errs != "" || strings.Count(out, "\n"+c.want) != 1 || strings.Count(out, "certificate") != 1 {
				t.Errorf("status %d, %q\n%s\nwant %q", status, errs, out, c.want)
			}
			out, _, status = kresc(t, "", "status", "-j", g.Dir)
			var list []struct {
				Certificate struct {
					File string
					End  time.Time `json:"not_after"`
				}
			}
			if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[1].Certificate.End.Before(time.Now()) || (list[0].Certificate.File == "") != (what == "ephemeral") || status != 0 {
				t.Errorf("%v, status %d, %s", err, status, out)
			}
		})
	}
}
