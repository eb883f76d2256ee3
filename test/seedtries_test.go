package test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
	"kresd/internal/safe"
)

func address(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func number(i int) string { return fmt.Sprintf("%02d", i) }

// An interactive is a kresd with a console on its terminal, which here is a pipe.
type interactive struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bytes.Buffer
}

// begin starts a line of the shell as the terminal would.
func (m *seedManual) begin(t *testing.T, dir, line string) *interactive {
	t.Helper()
	p := &interactive{t: t, cmd: exec.Command("bash", "-c", "exec "+line), out: &bytes.Buffer{}}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	in, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// end says the last command and waits for the end; it returns all that was printed.
func (p *interactive) end(command string) string {
	p.t.Helper()
	fmt.Fprintln(p.in, command)
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%v: %v\n%s", p.cmd.Args, err, p.out)
	}
	return p.out.String()
}

func tryFirstSteps(t *testing.T, m *seedManual, text string) {
	lines, _ := typed(text)
	if out := m.shell(t, m.home, lines[0]); !strings.Contains(out, "--help") {
		t.Errorf("%s prints %q", lines[0], out)
	}
	dir := proctest.RunDir(t)
	p := m.begin(t, dir, lines[1]+" -K "+m.key)
	proctest.Eventually(t, 10*time.Second, "it answers at ::1", func() bool { return resolves(t, "[::1]:53", "www.example.com") })
	p.end("quit()")
}

// tryInteractive starts a process on the directory that the text names, and types what
// it types.
func tryInteractive(t *testing.T, m *seedManual, text string) {
	first, rest, _ := strings.Cut(text, "\n")
	lines, _ := typed(first)
	p := m.begin(t, m.home, lines[0])
	_, says, _ := strings.Cut(rest, "\n")
	for _, s := range dialogue(says, nil) {
		fmt.Fprintln(p.in, s.command)
	}
	out := p.end("quit()")
	if !numbersAlike(out, rest+"\n> ") && rest != "" && !strings.Contains(numbers.ReplaceAllString(out, "N"), strings.ReplaceAll(numbers.ReplaceAllString(rest, "N"), "\n> cache.count()\n", "\n> ")) {
		t.Errorf("printed\n%s\nwant\n%s", out, rest)
	}
}

// tryPrecedence has a module view in Lua beside the configuration.
func tryPrecedence(t *testing.T, m *seedManual, text string) {
	dir := proctest.RunDir(t)
	if err := os.WriteFile(filepath.Join(dir, "view.lua"), []byte("return {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := m.startIn(t, dir, loopback, text+"\n", 1)
	if got, want := g.Eval(t, "table.concat(modules.list(), ' ')"), regexp.MustCompile(`iterate hints policy .*view cache`); !want.MatchString(got) {
		t.Errorf("the order is %s", got)
	}
}

// tryPrefix completes what the manual leaves to the reader.
func tryPrefix(t *testing.T, m *seedManual, text string) {
	t.Setenv("EXPECTED_ADDR_PREFIX", "10.")
	text = strings.Replace(text, "...", "        end\nend", 1)
	m.configured(t, "10.1.0.1:53", "addr_list = net.eth1\n"+text, bound, "10.1.0.1#53")
}

// tryDownload starts a group with the cache of another one, which a web server has.
func tryDownload(t *testing.T, m *seedManual, text string) {
	parent := m.start(t, loopback, "cache.size = 20*MB", 1)
	parent.Ask(t, "udp", "www.example.com", 1, 0)
	parent.Eval(t, "worker.sleep(0.2)")
	if _, err := parent.Stop(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(parent.Dir, "data.mdb"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/data.mdb" && r.Host == "parent" {
			_, _ = w.Write(data)
		}
	})}
	safe.Go("parent", nil, func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Close() })
	if err := os.RemoveAll("/var/cache/knot-resolver"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("/var/cache/knot-resolver", 0o700); err != nil {
		t.Fatal(err)
	}
	before := m.n.Queries()
	g := m.start(t, loopback, text+"\n", 1)
	if got := g.Eval(t, "cache.count() > 0"); got != "true" {
		again := m.say(t, g, "select(2, require('socket.http').request('http://parent/data.mdb'))")
		t.Errorf("the cache of the parent is not there; asked again it says %s; log:\n%s", again, g.Log())
	}
	g.Ask(t, "udp", "www.example.com", 1, 0)
	if after := m.n.Queries(); after > before+4 { // priming, and looks at the keys of the root
		t.Errorf("%d questions were sent, for an answer that the parent had", after-before)
	}
}

func tryNotify(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, text+"\n", 1)
	now := time.Now()
	if err := os.Chtimes("/etc/hosts", now, now); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile("/etc/hosts", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "# changed")
	f.Close()
	proctest.Eventually(t, 10*time.Second, "the change in the log", func() bool { return regexp.MustCompile(`(?m)^hosts\t[A-Z]+$`).MatchString(g.Log()) })
}

// tryUser gives the run directory to the user whom the group becomes.
func tryUser(t *testing.T, m *seedManual, text string) {
	dir := proctest.RunDir(t)
	proctest.Run(t, "chown", "knot-resolver", dir)
	g := proctest.Start(t, proctest.Config{Dir: dir, Lua: "cache.size = 20*MB\n", Addr: address(loopback)})
	m.talk(t, g, dialogue(text, nil), func(got, want string) bool {
		return exactly(strings.TrimPrefix(got, "error: "), want)
	})
}

// tryInterfaces compares what Linux has: its loopback interface has another name.
func tryInterfaces(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, "cache.size = 20*MB", 1)
	got := m.say(t, g, "net.interfaces()")
	_, eth0, _ := strings.Cut(text, "}\n[eth0]")
	if !strings.Contains(got, "[eth0]"+eth0+"\n") {
		t.Errorf("printed\n%s\nwithout\n[eth0]%s", got, eth0)
	}
	for _, line := range []string{"[lo] => {", "=> ::1\n", "=> 127.0.0.1\n", "    [mac] => 00:00:00:00:00:00"} {
		if !strings.Contains(got, line) {
			t.Errorf("printed\n%s\nwithout %q", got, line)
		}
	}
}

// tryAddFile compares the words around the keys, which are those of another root.
func tryAddFile(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, "trust_anchors.remove('.')\ncache.size = 20*MB", 1)
	for _, s := range dialogue(text, nil) {
		if got := m.say(t, g, s.command); strings.Contains(got, "rror") {
			t.Errorf("%s: %s", s.command, got)
		}
	}
	for _, line := range []string{"[ ta ] new state of trust anchors for a domain:\n", "[ ta ] key: "} {
		if !strings.Contains(text, line) {
			t.Fatalf("the manual has no %q", line)
		}
		proctest.Eventually(t, 5*time.Second, line+" in the log", func() bool { return strings.Contains(g.Log(), line) })
	}
	if !regexp.MustCompile(`(?m)^\[ ta \] key: \d+ state: Valid$`).MatchString(g.Log()) {
		t.Errorf("no key is valid:\n%s", g.Log())
	}
}

// tryTLS has the files that are named, and asks where the dialogue listens.
func tryTLS(t *testing.T, m *seedManual, text string) {
	cert := (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(time.Hour), "localhost")
	if err := os.MkdirAll("/etc/knot-resolver", 0o755); err != nil { // this machine's own, of a name space
		t.Fatal(err)
	}
	move(t, cert.CertFile, "/etc/knot-resolver/server-cert.pem")
	move(t, cert.KeyFile, "/etc/knot-resolver/server-key.pem")
	g := m.start(t, loopback, "net = { '127.0.0.1' }\ncache.size = 20*MB", 1)
	for _, s := range dialogue(text, nil) {
		if got := m.say(t, g, s.command); strings.Contains(got, "rror") {
			t.Errorf("%s: %s", s.command, got)
		}
	}
	if got := g.Eval(t, "net.tls().cert_file .. ' ' .. net.tls().key_file"); got != "/etc/knot-resolver/server-cert.pem /etc/knot-resolver/server-key.pem" {
		t.Errorf("net.tls() names %s", got)
	}
	for _, at := range []string{"[::1]:853", "[::1]:443"} {
		if _, pin := newDoTClient().visit(t, netip.MustParseAddrPort(at)); pin != cert.Pin {
			t.Errorf("%s has pin %s, want %s", at, pin, cert.Pin)
		}
	}
}

// tryAdd completes the digest, of which the manual shows the beginning.
func tryAdd(t *testing.T, m *seedManual, text string) {
	full := "49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"
	command := strings.TrimPrefix(strings.Replace(text, "49AAC11...", full, 1), "> ")
	g := m.start(t, loopback, "cache.size = 20*MB", 1)
	if got := m.say(t, g, command); strings.Contains(got, "rror") {
		t.Errorf("%s: %s", command, got)
	}
	if got := g.Eval(t, "trust_anchors.summary()"); !strings.Contains(got, "19036") {
		t.Errorf("the anchors are %s", got)
	}
}

// tryClear fills the cache before each command, and compares all but the numbers.
func tryClear(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, "cache.size = 20*MB", 1)
	fill := func() {
		for i := range 120 {
			g.Ask(t, "udp", fmt.Sprintf("n%d.example.com", i), 1, 0)
		}
		g.Ask(t, "udp", "www.example.com", 1, 0)
		g.Eval(t, "worker.sleep(0.2)")
	}
	for _, s := range dialogue(text, nil) {
		if strings.HasPrefix(s.command, "cache.clear") {
			fill()
		}
		if end, ok := strings.CutPrefix(s.answer, "[cache] "); ok { // the log says it
			m.say(t, g, s.command)
			proctest.Eventually(t, 5*time.Second, s.answer, func() bool { return strings.Contains(g.Log(), end) })
			continue
		}
		if strings.Contains(s.command, "'com.'") { // that com. is the apex of a zone is known here, and was not to the manual's cache
			s.answer = apexUnknown.ReplaceAllString(s.answer, "")
		}
		if got := m.say(t, g, s.command); !numbersAlike(got, s.answer) {
			t.Errorf("> %s\n%s\nwant\n%s", s.command, got, s.answer)
		}
	}
}

var apexUnknown = regexp.MustCompile(`(?m)^\[(not_apex|subtree)\].*\n`)

// tryMap asks two workers, which have the name that the manual shows.
func tryMap(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, "cache.size = 20*MB\nhostname('localhost')", 2)
	m.talk(t, g, dialogue(text, commands), func(got, want string) bool {
		if strings.Contains(want, "[hit]") {
			return numbersAlike(got, want)
		}
		return exactly(got, want)
	})
}

func tryKeyFile(t *testing.T, m *seedManual, text string) {
	lines, _ := typed(text)
	dir := proctest.RunDir(t)
	proctest.Run(t, "cp", m.key, filepath.Join(dir, "root.keys"))
	p := m.begin(t, dir, lines[len(lines)-1])
	proctest.Eventually(t, 10*time.Second, "it validates", func() bool { return resolves(t, loopback, "www.example.com") })
	p.end("quit()")
}

func tryVerbose(t *testing.T, m *seedManual, text string) {
	lines, _ := typed(text)
	p := m.begin(t, proctest.RunDir(t), lines[0]+" -K "+m.key)
	proctest.Eventually(t, 10*time.Second, "it answers", func() bool { return resolves(t, loopback, "www.example.com") })
	if out := p.end("quit()"); !strings.Contains(out, "[iter]") {
		t.Errorf("printed\n%s", out)
	}
}

// tryNohup takes the kresd of this test, and adds what ends the shell's job.
func tryNohup(t *testing.T, m *seedManual, text string) {
	lines, _ := typed(text)
	dir := proctest.RunDir(t)
	line := strings.Replace(lines[0], "./daemon/kresd", "kresd", 1)
	out := m.shell(t, dir, strings.Replace(line, " &", " -K "+m.key+" >log 2>&1 & pid=$!\nfor i in $(seq 100); do kdig +short @127.0.0.1 www.example.com | grep -q 192 && break; sleep 0.1; done\nkdig +short @127.0.0.1 www.example.com | grep -v WARNING; kill $pid; wait $pid; echo $?", 1))
	if out != "192.0.2.80\n0\n" {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Errorf("printed %q; log:\n%s", out, log)
	}
}

func tryNetcat(t *testing.T, m *seedManual, text string) {
	g := m.start(t, loopback, "cache.size = 20*MB", 1)
	lines, output := typed(text)
	line := strings.Replace(lines[0], "rundir/tty/3008", g.Worker(t, 0).Socket, 1)
	out := m.shell(t, m.home, "printf 'cache.count()\\nquit()\\n' | timeout 10 "+line)
	if !strings.Contains(numbers.ReplaceAllString(out, "N"), strings.ReplaceAll(numbers.ReplaceAllString(output, "N"), "cache.count()\n", "")) {
		t.Errorf("printed %q, want %q", out, output)
	}
}

// tryGroups starts two groups in one run directory and ends the second.
func tryGroups(t *testing.T, m *seedManual, text string) {
	dir := proctest.RunDir(t)
	if err := os.Mkdir(filepath.Join(dir, "rundir"), 0o700); err != nil {
		t.Fatal(err)
	}
	lines, _ := typed(text)
	shell := "set -m\n" + strings.Replace(lines[0], "&", "& first=$!", 1) + "\n" + strings.Replace(lines[1], "&", "& second=$!", 1) + `
for i in $(seq 200); do [ $(ls rundir/tty 2>/dev/null | wc -l) = 6 ] && break; sleep 0.1; done
` + lines[2] + "\n" + strings.Replace(lines[3], "19399", "$second", 1) + "\nwait $second; echo status $?\nls rundir/tty | wc -l\n" + lines[2] + "\nkill $first; wait $first; echo status $?\n"
	out := m.shell(t, dir, shell)
	both, one, _ := strings.Cut(out, "status 0\n")
	groups := func(tree string) int {
		seen := map[string]bool{}
		for _, process := range regexp.MustCompile(`kresd\(\d+\)`).FindAllString(tree, -1) {
			seen[process] = true
		}
		return len(seen)
	}
	if groups(both) != 2 || groups(one) != 1 || !strings.HasPrefix(one, "4\n") || !strings.Contains(one, "status 0\n") {
		t.Errorf("printed\n%s", out)
	}
}

// tryTools runs the lines of the tools, which find their keys where they run.
func tryTools(t *testing.T, m *seedManual, text string) {
	dir := t.TempDir()
	for _, name := range []string{"root.key", "root.keys"} {
		proctest.Run(t, "cp", m.key, filepath.Join(dir, name))
	}
	lines, output := typed(text)
	if got := m.shell(t, dir, strings.Join(lines, "\n")); strings.TrimSpace(got) != strings.TrimSpace(output) {
		t.Errorf("printed\n%s\nwant\n%s", got, output)
	}
}
