package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
	"kresd/internal/safe"
)

// configure writes what the next workers of a group run.
func configure(t *testing.T, g *proctest.Group, lua string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.Dir, "config"), []byte(lua), 0o600); err != nil {
		t.Fatal(err)
	}
}

// roll does a rolling restart and waits for its end, of which the log has a line
// with that text.
func roll(t *testing.T, g *proctest.Group, end string) {
	t.Helper()
	before := strings.Count(g.Log(), end)
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, 60*time.Second, end, func() bool { return strings.Count(g.Log(), end) > before })
}

// left waits until a group has just as many processes and control sockets as
// workers, and as many sockets on its port as those have.
func left(t *testing.T, g *proctest.Group, workers int) {
	t.Helper()
	proctest.Eventually(t, time.Minute, "nothing is left of those that were replaced", func() bool {
		ttys, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*"))
		return len(ttys) == workers && len(g.Workers()) == workers && len(g.Zombies()) == 0 && len(sockets(t, g.Addr.Port())) == 2*workers
	})
}

// A receiving watches how many UDP sockets are in a port group: those that left
// it are connected, and those of a worker that starts enter it when it can answer. The
// kernel lists sockets page by page, so that where others come and go a list may lack one
// or have it twice; a number counts when it is seen twice.
type receiving struct {
	least, most int
	stop, done  chan struct{}
}

func watchReceiving(port uint16) *receiving {
	r := &receiving{least: 1 << 30, stop: make(chan struct{}), done: make(chan struct{})}
	safe.Go("receiving", nil, func() {
		defer close(r.done)
		for before := -1; ; {
			text, _ := os.ReadFile("/proc/net/udp")
			n := 0
			for _, line := range strings.Split(string(text), "\n") {
				f := strings.Fields(line)
				if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "07" {
					n++
				}
			}
			if n == before {
				r.least, r.most = min(r.least, n), max(r.most, n)
			}
			before = n
			select {
			case <-r.stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return r
}

// end returns the least and the most.
func (r *receiving) end() (least, most int) {
	close(r.stop)
	<-r.done
	return r.least, r.most
}

// Workers that are replaced one after the other lose no query, and there are
// never fewer of them that answer, nor more than one above their number.
func TestRollingRestartLosesNothing(t *testing.T) {
	for _, c := range []struct {
		program string
		workers int
	}{{"kresd", 3}, {"kresd-supervisor", 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			config := proctest.On(t, proctest.SmallInternet(t), c.workers)
			config.Program = c.program
			g := proctest.Start(t, config)
			warm(t, g)
			old := pids(g.Workers())
			s := proctest.Load(t, g.Addr, 2000, names...)
			r := watchReceiving(g.Addr.Port())
			for round := range 3 {
				configure(t, g, config.Lua+fmt.Sprintf("round = %d\n", round))
				roll(t, g, fmt.Sprintf("rolling restart is complete replaced=%d", c.workers))
				left(t, g, c.workers)
				if n := strings.Count(g.Eval(t, "map 'round'"), fmt.Sprintf("=> %d", round)); n != c.workers {
					t.Errorf("round %d: %d workers run the new configuration", round, n)
				}
			}
			least, most := r.end()
			if least < c.workers || most > c.workers+1 {
				t.Errorf("between %d and %d workers received queries, want %d or one more", least, most, c.workers)
			}
			report := s.Stop()
			lossless(t, "three rolling restarts", report, 0)
			t.Logf("%d queries, the slowest answer after %v", report.Sent, report.Wait(1))
			for _, pid := range pids(g.Workers()) {
				if slices.Contains(old, pid) {
					t.Errorf("process %d is still there", pid)
				}
			}
			inCustody(t, g)
		})
	}
}

// unlessChecked is code that does something wherever it is more than tried.
func unlessChecked(lua string) string {
	return "if not io.open('/proc/self/status'):read('*a'):find('Seccomp:%s*2') then " + lua + " end\n"
}

// A configuration that does not work ends a rolling restart before anybody has
// left.
func TestBrokenConfigurationReplacesNobody(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 3)
	g := proctest.Start(t, config)
	warm(t, g)
	old := pids(g.Workers())
	s := proctest.Load(t, g.Addr, 1000, names...)
	for lua, says := range map[string]string{
		config.Lua + "error('no')\n":              "the configuration in force stays: config:7: no",
		config.Lua + "os.exit(7)\n":               "the configuration in force stays: config:7: os.exit(7) ends kresd at its start",
		config.Lua + "quit()\n":                   "its successor ended with status 0; the rolling restart ends with 0 of 3 workers replaced",
		config.Lua + unlessChecked("error('no')"): "its successor gave up: config:7: no; the rolling restart ends with 0 of 3 workers replaced",
	} {
		configure(t, g, lua)
		roll(t, g, says)
		left(t, g, 3)
		if now := pids(g.Workers()); !slices.Equal(now, old) {
			t.Errorf("after %q the workers are %v, want %v", says, now, old)
		}
	}
	lossless(t, "three broken configurations", s.Stop(), 0)
	configure(t, g, config.Lua)
	roll(t, g, "rolling restart is complete replaced=3")
	left(t, g, 3)
}

// A group that is told to end while a successor starts ends in time, and whole.
func TestGroupEndsInTheMiddleOfARollingRestart(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	g := proctest.Start(t, config)
	configure(t, g, config.Lua+unlessChecked("io.open('starting', 'w'):close() worker.sleep(30)"))
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, 20*time.Second, "a successor runs its configuration", func() bool {
		_, err := os.Stat(filepath.Join(g.Dir, "starting"))
		return err == nil
	})
	g.Signal(syscall.SIGTERM)
	if status, err := g.Wait(10 * time.Second); status != 0 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
	if ttys, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*")); len(ttys) > 0 || len(sockets(t, g.Addr.Port())) > 0 {
		t.Errorf("left are control sockets %v and sockets %v", ttys, sockets(t, g.Addr.Port()))
	}
}

// The killed are answered for in the middle of a rolling restart too, and nothing
// is left open after it.
func TestKillsInARollingRestart(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 3)
	g := proctest.Start(t, config)
	warm(t, g)
	inCustody(t, g)
	files := openFiles(g.PID())
	const kills = 6
	s := proctest.Load(t, g.Addr, 2000, names...)
	for i := range kills {
		g.Signal(syscall.SIGHUP)
		time.Sleep(time.Duration(i) * 20 * time.Millisecond) // another moment of the replacement each time
		if ws := g.Workers(); len(ws) > 0 {
			_ = syscall.Kill(ws[i%len(ws)].PID, syscall.SIGKILL) // it may have ended just now
		}
	}
	// Reloads are done in their order: behind one more none is under way, nor waits.
	if out, errs, status := reload(t, g); status != 0 {
		t.Errorf("a reload after all kills: status %d, %s%s", status, out, errs)
	}
	left(t, g, 3)
	inCustody(t, g)
	lossless(t, "workers killed in rolling restarts", s.Stop(), kills*inside)
	proctest.Eventually(t, time.Minute, "the supervisor has as many files open as before", func() bool { return openFiles(g.PID()) <= files })
}
