package test

import (
	"context"
	"encoding/binary"
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
// that met a closed connection was not accepted.
func (c *connections) ask(to net.Addr, query []byte) error {
	conn, err := net.DialTimeout("tcp", to.String(), 10*time.Second)
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
