package test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
	"kresd/internal/safe"
)

// reload has kresc reload a group and returns what it says.
func reload(t *testing.T, g *proctest.Group) (out, errs string, status int) {
	t.Helper()
	return kresc(t, "", "reload", g.Dir)
}

// figure is a number from the environment, for who wants to have more of a test.
func figure(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number", name, text)
	}
	return n
}

// connections ask over TCP, one question after the other on each of them, and make
// another where the server has closed one that waited for nothing.
type connections struct {
	stop     atomic.Bool
	group    safe.Group
	answered atomic.Int64
	renewed  atomic.Int64
	mu       sync.Mutex
	lost     []string // what became of questions without an answer
}

func connect(t *testing.T, to net.Addr, count int) *connections {
	t.Helper()
	c := &connections{}
	for i := range count {
		query, err := proctest.Query(names[i%len(names)], dns.TypeA, 0).Pack()
		if err != nil {
			t.Fatal(err)
		}
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
		c.group.Go("connection", func() {
			for !c.stop.Load() {
				if err := c.ask(to, framed); err != nil {
					c.mu.Lock()
					c.lost = append(c.lost, err.Error())
					c.mu.Unlock()
				}
			}
		})
	}
	return c
}

// ask asks by one connection until that is closed between two questions. A question
// that met a closed connection was not accepted. A worker that leaves begins no handshakes
// any more, so that clients begin theirs again after 1, 3, 7 and more seconds; where one
// replacement follows the other, that may meet the next one.
func (c *connections) ask(to net.Addr, query []byte) error {
	conn, err := net.DialTimeout("tcp", to.String(), 2*time.Minute)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.renewed.Add(1)
	for first := true; !c.stop.Load(); first = false {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write(query); err != nil {
			return nil
		}
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			if !first && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
				return nil // it was closed while the question was on its way
			}
			return fmt.Errorf("first question %t: %w", first, err)
		}
		if _, err := io.ReadFull(conn, make([]byte, binary.BigEndian.Uint16(head[:]))); err != nil {
			return fmt.Errorf("in the middle of an answer: %w", err)
		}
		c.answered.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func (c *connections) end(t *testing.T, what string) {
	t.Helper()
	c.stop.Store(true)
	c.group.Wait()
	t.Logf("%s: %d answers by TCP over %d connections", what, c.answered.Load(), c.renewed.Load())
	if len(c.lost) > 0 || c.answered.Load() == 0 {
		t.Errorf("%s: %d answers by TCP; %d questions were lost: %q", what, c.answered.Load(), len(c.lost), c.lost[:min(len(c.lost), 5)])
	}
}

// Reloads lose nothing, by UDP and by TCP. KRESD_RELOADS=100 KRESD_RELOAD_RATE=20000
// KRESD_RELOAD_TCP=200 ask for as much as the project has set itself.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	reloads, rate, tcp := figure(t, "KRESD_RELOADS", 4), figure(t, "KRESD_RELOAD_RATE", 2000), figure(t, "KRESD_RELOAD_TCP", 20)
	const workers = 4
	config := proctest.On(t, proctest.SmallInternet(t), workers, "net.limits({ tcp_conns_per_client = 1000 })")
	g := proctest.Start(t, config)
	warm(t, g)
	console, err := net.Dial("unix", g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	s := proctest.Load(t, g.Addr, rate, names...)
	c := connect(t, net.TCPAddrFromAddrPort(g.Addr), tcp)
	r := watchReceiving(g.Addr.Port())
	for i := range reloads {
		configure(t, g, config.Lua+fmt.Sprintf("round = %d\n", i))
		out, errs, status := reload(t, g)
		if status != 0 || !strings.HasSuffix(out, "reloaded, 4 workers replaced\n") {
			t.Fatalf("reload %d: status %d, %q, %q", i, status, out, errs)
		}
	}
	if least, most := r.end(); least < workers-1 || most > workers+1 {
		t.Errorf("between %d and %d workers received queries", least, most)
	}
	c.end(t, "reloads")
	report := s.Stop()
	lossless(t, "reloads", report, 0)
	t.Logf("%d reloads, %d queries by UDP, the slowest answer after %v", reloads, report.Sent, report.Wait(1))
	left(t, g, workers)
	if n := strings.Count(g.Eval(t, "map 'round'"), fmt.Sprintf("=> %d", reloads-1)); n != workers {
		t.Errorf("%d workers run the last configuration", n)
	}
	if got := g.Eval(t, "worker.stats().reloads"); got != fmt.Sprint(reloads) {
		t.Errorf("worker.stats().reloads is %s", got)
	}
}

// brokenConfigurations are some that no start should accept, of each kind of mistake
// several; good is one that serves.
func brokenConfigurations(good string) (list []string) {
	wrong := []string{
		"net.listen('127.0.0.1', %d + 70000)", "modules = { 'nosuch%d' }", "modules.load('nosuch%d')",
		"cache.sise = %d", "cache.size = 'x%d'", "cache.open(%d)", "policy.add(policy.suffix(policy.DENI, { todname('a%d.') }))",
		"policy.add('x%d')", "trust_anchors.add('nonsense %d')", "trust_anchors.add_file('nosuch%d.keys', true)", "hints.config('nosuch%d.hosts')",
		"hints.root_file('nosuch%d.zone')", "local x = = %d", "if %d then", "error('mistake %d')", "nosuchfunction%d()", "nosuchtable.field = %d",
		"mode('loose%d')", "net.bufsize(-%d - 1)", "require('nosuch%d')", "dofile('nosuch%d.lua')", "user('nosuch%d')", "net.outgoing_v4('x%d')",
		"cache.max_ttl(-%d - 1)", "event.after('%d')",
	}
	for n := range 4 {
		for _, w := range wrong {
			line := fmt.Sprintf(w, n)
			switch n {
			case 0:
				list = append(list, good+line+"\n")
			case 1:
				list = append(list, line+"\n"+good)
			case 2:
				list = append(list, good+"-- two mistakes\n"+line+"\nerror('another')\n")
			case 3:
				list = append(list, good+"for i = 1, 1 do\n\t"+line+"\nend\n")
			}
		}
	}
	return list
}

// What is wrong with a configuration is told in the same words when it is checked, at a
// start and at a reload, and what was in force serves on. KRESD_BROKEN=100 tries all.
func TestBrokenConfigurationsAreRefusedAlike(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	g := proctest.Start(t, config)
	warm(t, g)
	old := pids(g.Workers())
	s := proctest.Load(t, g.Addr, 500, names...)
	list := brokenConfigurations(config.Lua)
	step := max(1, len(list)/figure(t, "KRESD_BROKEN", 25))
	other, tried := proctest.RunDir(t), 0
	for i := 0; i < len(list); i += step { // with a step of 4 each kind of mistake and each place is tried
		tried++
		configure(t, g, list[i])
		status, _, checked := checkConfig(t, g.Dir)
		first, _, _ := strings.Cut(checked, "\n")
		if status != 1 || first == "" {
			t.Errorf("checked: status %d, %q of\n%s", status, checked, list[i])
			continue
		}
		if err := os.WriteFile(filepath.Join(other, "config"), []byte(list[i]), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, proctest.Bin("kresd"), "-f", "1", other)
		started, _ := cmd.CombinedOutput()
		cancel()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(started), "kresd: "+first+"\n") {
			t.Errorf("started: status %d, %q, want %q, of\n%s", cmd.ProcessState.ExitCode(), started, first, list[i])
		}
		out, reloaded, status := reload(t, g)
		if status != 1 || !strings.Contains(reloaded, "kresc: "+first+"\n") {
			t.Errorf("reloaded: status %d, %q, %q, want %q, of\n%s", status, out, reloaded, first, list[i])
		}
		if log := g.Log(); strings.Count(log, "the configuration in force stays: "+first+"\n") < 1 {
			t.Errorf("the log has no %q", first)
		}
	}
	lossless(t, "broken configurations", s.Stop(), 0)
	t.Logf("%d broken configurations", tried)
	if now := pids(g.Workers()); !slices.Equal(now, old) {
		t.Errorf("the workers are %v, and were %v", now, old)
	}
	if got := g.Eval(t, "worker.stats().reloads_failed"); got != fmt.Sprint(tried) {
		t.Errorf("%s reloads are said to have failed, of %d", got, tried)
	}
}

// A storm of signals is one reload or two, and loses nothing.
func TestSIGHUPsAreDoneTogether(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	warm(t, g)
	s := proctest.Load(t, g.Addr, 1000, names...)
	const storm = 300
	for range storm {
		g.Signal(syscall.SIGHUP)
		time.Sleep(100 * time.Microsecond)
	}
	const end = "rolling restart is complete"
	proctest.Eventually(t, 60*time.Second, "the reloads are over", func() bool {
		out, errs, status := kresc(t, "", "-j", "-e", "worker.stats().reloads", g.Dir)
		done, _ := strconv.Atoi(strings.TrimSpace(out))
		return status == 0 && errs == "" && done >= 2 && done == strings.Count(g.Log(), end)
	})
	time.Sleep(time.Second)
	if n := strings.Count(g.Log(), end); n > 10 {
		t.Errorf("%d signals were %d reloads", storm, n)
	}
	left(t, g, 3)
	lossless(t, "a storm of signals", s.Stop(), 0)
}

// A configuration that does not end is given up, and what is in force serves on.
func TestAConfigurationThatHangsIsRefused(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	g := proctest.Start(t, config)
	warm(t, g)
	old := pids(g.Workers())
	s := proctest.Load(t, g.Addr, 500, names...)
	configure(t, g, config.Lua+"while true do end\n")
	begun := time.Now()
	out, errs, status := reload(t, g)
	if status != 1 || !strings.Contains(errs, "the configuration runs for more than 10s") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	t.Logf("refused after %v", time.Since(begun))
	lossless(t, "a configuration that hangs", s.Stop(), 0)
	if now := pids(g.Workers()); !slices.Equal(now, old) {
		t.Errorf("the workers are %v, and were %v", now, old)
	}
}

// A successor that is killed before it serves ends the reload, and its predecessor serves
// on; the reload after it is whole.
func TestASuccessorThatIsKilledEndsTheReload(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	g := proctest.Start(t, config)
	warm(t, g)
	old := pids(g.Workers())
	s := proctest.Load(t, g.Addr, 500, names...)
	configure(t, g, config.Lua+unlessChecked("local f = io.open('successor', 'w') f:write(worker.pid) f:close() worker.sleep(30)"))
	var errs string
	status, done := 0, make(chan struct{})
	safe.Go("reload", nil, func() {
		defer close(done)
		_, errs, status = reload(t, g)
	})
	var successor int
	proctest.Eventually(t, 30*time.Second, "the successor runs its configuration", func() bool {
		text, _ := os.ReadFile(filepath.Join(g.Dir, "successor"))
		successor, _ = strconv.Atoi(strings.TrimSuffix(string(text), ".0"))
		return successor != 0
	})
	kill(t, successor)
	<-done
	if says := fmt.Sprintf("worker 0 (pid %d) serves on: its successor was ended by a signal (killed)", old[0]); status != 1 || !strings.Contains(errs, says) {
		t.Errorf("status %d, %q, want %q", status, errs, says)
	}
	configure(t, g, config.Lua)
	kill(t, g.Worker(t, 1).PID) // a reload while a worker is dead
	if out, errs, status := reload(t, g); status != 0 {
		t.Errorf("the reload after it: status %d, %q, %q", status, out, errs)
	}
	left(t, g, 2)
	lossless(t, "a successor that is killed", s.Stop(), inside)
}

// A process alone reads its files again, all or none, and says what needs a restart.
func TestReloadOfOneProcess(t *testing.T) {
	dir := proctest.RunDir(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := proctest.On(t, proctest.SmallInternet(t), 1, "hints.add_hosts('first.hosts')", "hints.set('set.test 192.0.2.1')", "hints.add_hosts('second.hosts')",
		"hints.del('gone.test')", "trust_anchors.add_file('keys', true)", "dofile('more.lua')")
	config.Dir = dir
	write("first.hosts", "192.0.2.1 one.test\n192.0.2.1 gone.test\n")
	write("second.hosts", "192.0.2.1 two.test\n")
	write("keys", ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
	write("more.lua", "more = 1\n")
	g := proctest.Start(t, config)
	tells := func(name, addr string) {
		t.Helper()
		r := g.Ask(t, "udp", name, dns.TypeA, 0)
		got := "nothing"
		if len(r.Answer) > 0 {
			got = r.Answer[0].(*dns.A).A.String()
		}
		if got != addr {
			t.Errorf("%s is %s, want %s", name, got, addr)
		}
	}
	all := func(one, set, two string) {
		t.Helper()
		tells("one.test", one)
		tells("set.test", set)
		tells("two.test", two)
	}
	all("192.0.2.1", "192.0.2.1", "192.0.2.1")
	g.Eval(t, "hints.set('console.test 192.0.2.1')")

	write("first.hosts", "192.0.2.2 one.test\n192.0.2.2 gone.test\n")
	write("second.hosts", "192.0.2.2 two.test\n")
	write("keys", ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n")
	if out, errs, status := reload(t, g); status != 0 || !strings.HasSuffix(out, "reloaded\n") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	all("192.0.2.2", "192.0.2.1", "192.0.2.2")
	tells("console.test", "192.0.2.1")
	if r := g.Ask(t, "udp", "gone.test", dns.TypeA, 0); len(r.Answer) > 0 {
		t.Errorf("what the configuration has removed is back: %v", r.Answer)
	}
	if got := g.Eval(t, "trust_anchors.keysets['\\0'][1].key_tag"); got != "38696" {
		t.Errorf("the key is %s", got)
	}

	write("first.hosts", "192.0.2.3 one.test\n")
	if err := os.Remove(filepath.Join(dir, "second.hosts")); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := reload(t, g); status != 1 || !strings.Contains(errs, "second.hosts: no such file or directory") {
		t.Errorf("a file is missing: status %d, %q, %q", status, out, errs)
	}
	all("192.0.2.2", "192.0.2.1", "192.0.2.2")
	write("second.hosts", "192.0.2.3 two.test\n")

	write("more.lua", "more = 2\n")
	out, errs, status := reload(t, g)
	if status != 1 || !strings.Contains(errs, "more.lua: it was changed since kresd was started, and needs a restart") || strings.Contains(errs, "config:") {
		t.Errorf("code has changed: status %d, %q, %q", status, out, errs)
	}
	all("192.0.2.3", "192.0.2.1", "192.0.2.3")
	write("more.lua", "more = 1\n")
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, 30*time.Second, "two reloads are complete", func() bool { return g.Eval(t, "worker.stats().reloads") == "2" })
	if got := g.Eval(t, "worker.stats().reloads_failed"); got != "2" {
		t.Errorf("%s reloads have failed, want 2", got)
	}
	if n := len(g.Workers()); n != 1 || g.Workers()[0].PID != g.PID() {
		t.Errorf("%d processes are there", n)
	}
}

// kresc shows the configuration in force, and what is wrong with the files of it.
func TestKrescConfig(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2, "policy.add(policy.suffix(policy.STUB('192.0.2.1@5353'), policy.todnames({ 'stub.example' })))",
		"hints.set('router.lan 192.0.2.7')", "net.bufsize(1400, 1300)")
	g := proctest.Start(t, config)
	out, errs, status := kresc(t, "", "config", g.Dir)
	for _, line := range []string{
		fmt.Sprintf("net.listen = %s@%d udp dns, %[1]s@%[2]d tcp dns\n", g.Addr.Addr(), g.Addr.Port()), "cache.size = 20971520\n", "cache.max_ttl = 518400\n",
		"net.bufsize = 1400\n", "net.bufsize_upstream = 1300\n", "option.ALLOW_LOCAL = true\n", "option.NO_CACHE = false\n", "policy.postrules = none\n",
		"policy.rules.0 = policy.suffix(policy.STUB({ '192.0.2.1@5353' }), policy.todnames({ 'stub.example.' }))\n", "hints.names.router.lan. = 192.0.2.7\n", "mode = normal\n",
		"trust_anchors.keys = none\n", "workers = 2\n",
	} {
		if !strings.Contains(out, line) || errs != "" || status != 0 {
			t.Errorf("no line %q in %q; %q, status %d", line, out, errs, status)
		}
	}
	out, errs, status = kresc(t, "", "config", "--json", g.Dir)
	var v struct {
		Group  int
		Config struct {
			Workers int
			Cache   struct{ Size int }
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Group != g.PID() || v.Config.Workers != 2 || v.Config.Cache.Size != 20<<20 || status != 0 {
		t.Errorf("%q, %q, status %d: %+v, %v", out, errs, status, v, err)
	}
	if strings.Contains(g.Log(), "trust_anchors.keysets") {
		t.Error("the log has what kresc asks")
	}
	if out, errs, status := kresc(t, "", "config", "check", g.Dir); out != fmt.Sprintf("group %d: no errors\n", g.PID()) || status != 0 {
		t.Errorf("check: %q, %q, status %d", out, errs, status)
	}
	configure(t, g, config.Lua+"cache.sise = 1\nnosuch()\n")
	_, _, checked := checkConfig(t, g.Dir)
	if out, errs, status := kresc(t, "", "config", "check", g.Dir); out != "" || errs+"config: 2 errors\n" != checked || status != 1 {
		t.Errorf("check: %q, %q, status %d; --check-config says %q", out, errs, status, checked)
	}
}

// Of many rules and hints the first are listed, in the order of their numbers and names, and
// the others counted.
func TestKrescConfigOfMany(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1, "for i = 1, 105 do policy.add(policy.all(policy.PASS)) end", "policy.del(3)", "policy.rules[1].suspended = true",
		"for i = 300, 100, -1 do hints.set('h' .. i .. '.lan 192.0.2.1') end")
	g := proctest.Start(t, config)
	out, errs, status := kresc(t, "", "config", g.Dir)
	var rules, names []string
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, " = "); strings.HasPrefix(name, "policy.rules.") {
			rules = append(rules, strings.TrimPrefix(name, "policy.rules."))
		} else if strings.HasPrefix(name, "hints.names.") {
			names = append(names, strings.TrimPrefix(name, "hints.names."))
		}
	}
	if len(rules) != 101 || rules[0] != "0" || rules[3] != "4" || rules[99] != "100" || len(names) != 101 || names[0] != "h100.lan." || names[99] != "h199.lan." || status != 0 {
		t.Errorf("%q, status %d, rules %q, hints %q", errs, status, rules, names)
	}
	for _, line := range []string{"policy.rules.0 = policy.all(policy.PASS) (suspended)\n", "policy.rules.… = 4 more\n", "hints.names.… = 101 more\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no line %q in %q", line, out)
		}
	}
}

// kresc config diff shows what is configured and nothing that is so by default.
func TestKrescConfigDiff(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2, "policy.add(policy.all(policy.PASS))", "net.bufsize(1400, 1300)", "net.ipv6 = false", "modules.unload('ddr')")
	g := proctest.Start(t, config)
	all, _, _ := kresc(t, "", "config", g.Dir)
	out, errs, status := kresc(t, "", "config", "diff", g.Dir)
	if errs != "" || status != 0 {
		t.Fatalf("%q, status %d", errs, status)
	}
	for _, line := range []string{
		"net.bufsize = 1400 (default: 4096)\n", "net.bufsize_upstream = 1300 (default: 1232)\n", "net.ipv6 = false (default: true)\n", "policy.rules.0 = policy.all(policy.PASS)\n",
		"modules: - ddr\n", "workers = 2 (default: 1)\n", fmt.Sprintf("net.listen: + %s@%d udp dns, + %[1]s@%[2]d tcp dns, - 127.0.0.1@53 udp dns, - 127.0.0.1@53 tcp dns", g.Addr.Addr(), g.Addr.Port()),
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no line %q in %q", line, out)
		}
	}
	for line := range strings.Lines(out) {
		path, _, _ := strings.Cut(line, " = ")
		for _, same := range []string{"net.tcp_in_idle", "cache.max_ttl", "cache.storage", "hostname", "log.", "mode", "reorder_RR", "option.NO_CACHE", "net.ipv4", "hints."} {
			if strings.HasPrefix(path, same) {
				t.Errorf("what is so by default is shown: %q; in force is %q", line, all)
			}
		}
	}
	out, errs, status = kresc(t, "", "config", "diff", "--json", g.Dir)
	var v struct {
		Group int
		Diff  []struct {
			Path           string
			Value, Default any
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Group != g.PID() || len(v.Diff) < 6 || status != 0 {
		t.Fatalf("%q, %q, status %d: %+v, %v", out, errs, status, v, err)
	}
	for _, d := range v.Diff {
		if d.Path == "workers" && (d.Value != 2.0 || d.Default != 1.0) || d.Path == "policy.rules.0" && d.Default != nil {
			t.Errorf("%+v", d)
		}
	}
}

// The service manager hears that a configuration is loaded, that everything serves again,
// and why it was refused.
func TestTheServiceManagerHearsOfReloads(t *testing.T) {
	for workers, status := range map[int]string{
		1: "STATUS=the latest reload failed: config:7: no",
		2: "STATUS=2 of 2 workers serve; the latest reload failed (1 of 2 did): config:7: no",
	} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			notify, config := manager(t, proctest.On(t, proctest.SmallInternet(t), workers))
			g := proctest.Launch(t, config)
			expect(t, notify, "READY=1")
			g.Signal(syscall.SIGHUP)
			expect(t, notify, "RELOADING=1")
			expect(t, notify, "READY=1")
			configure(t, g, config.Lua+"error('no')\n")
			g.Signal(syscall.SIGHUP)
			expect(t, notify, "RELOADING=1")
			expect(t, notify, status)
		})
	}
}
