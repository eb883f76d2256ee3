package test

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
	"kresd/internal/safe"
)

// names are cached ones: what is measured is kresd's processes, not its recursion.
var names = []string{"www.example.com", "mail.example.com", "example.com", "www.example.net", "www.example.org"}

// warm makes the cache know the names.
func warm(t *testing.T, g *proctest.Group) {
	t.Helper()
	for _, name := range names {
		g.Ask(t, "udp", name, dns.TypeA, 1232)
	}
}

// lossless fails the test when a stream lost or failed more than allowed.
func lossless(t *testing.T, what string, r proctest.Report, allowed int) {
	t.Helper()
	if len(r.Lost) > allowed || r.Failed > 0 || r.Sent == 0 {
		t.Errorf("%s: of %d queries %d were lost (%d allowed), %d failed; lost were sent at %v; failed: %v",
			what, r.Sent, len(r.Lost), allowed, r.Failed, r.Lost[:min(len(r.Lost), 5)], r.Failure)
	}
}

func pids(workers []proctest.Worker) (out []int) {
	for _, w := range workers {
		out = append(out, w.PID)
	}
	return out
}

// A worker that is killed costs at most what was inside of it, and comes back
// under its id.
func TestKilledWorkersComeBack(t *testing.T) {
	const rate = 2000
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 4))
	warm(t, g)
	s := proctest.Load(t, g.Addr, rate, names...)
	for id := range 4 {
		old := g.Worker(t, id)
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		proctest.Eventually(t, 10*time.Second, fmt.Sprintf("worker %d is back", id), func() bool {
			ws := g.Workers()
			return len(ws) == 4 && ws[id].PID != old.PID
		})
		took := time.Since(killed)
		t.Logf("worker %d was back after %v", id, took)
		if took > 3*time.Second {
			t.Errorf("worker %d took %v to come back, want about 1 s", id, took)
		}
		if _, err := net.Dial("unix", old.Socket); err == nil {
			t.Errorf("the control socket of the dead worker %d answers", old.PID)
		}
	}
	// Inside a killed process is what its socket's queue held: milliseconds' worth.
	lossless(t, "four workers killed", s.Stop(), rate/10)
	if z := g.Zombies(); len(z) > 0 {
		t.Errorf("zombies %v", z)
	}
}

// Two groups share a run directory, port and cache, and live apart.
func TestTwoGroupsLiveApart(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 4)
	config.Dir = proctest.RunDir(t)
	four := proctest.Start(t, config)
	warm(t, four)
	config.Workers = 2
	two := proctest.Start(t, config)
	if a, b := proctest.ProcessGroup(four.PID()), proctest.ProcessGroup(two.PID()); a != four.PID() || b != two.PID() {
		t.Errorf("process groups %d and %d, want %d and %d", a, b, four.PID(), two.PID())
	}
	for _, w := range append(four.Workers(), two.Workers()...) {
		if g := proctest.ProcessGroup(w.PID); g != four.PID() && g != two.PID() {
			t.Errorf("worker %d is in process group %d", w.PID, g)
		}
	}
	s := proctest.Load(t, four.Addr, 2000, names...)
	if status, err := two.Stop(); status != 0 || err != nil {
		t.Errorf("stopping a group by PID: status %d, %v", status, err)
	}
	lossless(t, "one of two groups ended by its PID", s.Stop(), 0)
	if len(four.Workers()) != 4 || len(two.Workers()) != 0 {
		t.Errorf("left are %v and %v", four.Workers(), two.Workers())
	}

	two = proctest.Start(t, config)
	s = proctest.Load(t, four.Addr, 2000, names...)
	if err := syscall.Kill(-two.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := two.Wait(6 * time.Second); status != 0 || err != nil {
		t.Errorf("stopping a group by its process group: status %d, %v", status, err)
	}
	lossless(t, "one of two groups ended by its process group", s.Stop(), 0)
	if len(four.Workers()) != 4 {
		t.Errorf("of the other group are left %v", four.Workers())
	}
}

// SIGTERM drains: queries that were accepted are answered, over UDP and TCP, also
// those that wait for a slow name server.
func TestSIGTERMAnswersWhatWasAccepted(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 2))
	warm(t, g)
	for _, host := range []string{"127.53.2.1", "127.53.2.2"} {
		n.Host(host).Play(authority.Delay(150 * time.Millisecond))
	}
	before := n.Queries()
	type outcome struct {
		r   *dns.Msg
		err error
	}
	answers := make(chan outcome, 8)
	for i := range 8 {
		safe.Go("client", nil, func() {
			r, err := proctest.Exchange([]string{"udp", "tcp"}[i%2], g.Addr, proctest.Query(fmt.Sprintf("x%d.wild.example.com", i), dns.TypeA, 0))
			answers <- outcome{r, err}
		})
	}
	proctest.Eventually(t, 5*time.Second, "all eight are asked upstream", func() bool { return n.Queries()-before >= 8 })
	status, err := g.Stop()
	if status != 0 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
	for range 8 {
		if o := <-answers; o.err != nil || o.r.Rcode != dns.RcodeSuccess {
			t.Errorf("accepted query: %v, %v", o.r, o.err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*")); len(left) > 0 {
		t.Errorf("control sockets left: %v", left)
	}
}

// A connection that is idle does not hold up the end.
func TestIdleConnectionsDoNotDelayTheEnd(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	for range 10 {
		c, err := net.Dial("tcp", g.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	console, err := proctest.Dial(g.Worker(t, 1).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	g.Signal(syscall.SIGTERM)
	if status, err := g.Wait(6 * time.Second); status != 0 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
}

// Restarting one worker by SIGTERM loses nothing that another could take.
func TestRestartOfOneWorkerLosesNothing(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	warm(t, g)
	s := proctest.Load(t, g.Addr, 2000, names...)
	for id := range 3 {
		old := g.Worker(t, id)
		if err := syscall.Kill(old.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, 10*time.Second, "the worker is back", func() bool {
			ws := g.Workers()
			return len(ws) == 3 && ws[id].PID != old.PID
		})
	}
	lossless(t, "each worker ended by SIGTERM", s.Stop(), 0)
}

// A frozen supervisor costs no answer.
func TestFrozenSupervisorCostsNothing(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	warm(t, g)
	g.Signal(syscall.SIGSTOP)
	s := proctest.Load(t, g.Addr, 1000, names...)
	time.Sleep(time.Second)
	if got := g.Eval(t, "map 'worker.id'"); got != "[1] => 0\n[2] => 1" {
		t.Errorf("map with a frozen supervisor: %q", got)
	}
	g.Ask(t, "udp", "fresh.wild.example.com", dns.TypeA, 0)
	lossless(t, "supervisor frozen", s.Stop(), 0)
	g.Signal(syscall.SIGCONT)
}

// Workers do not outlive their supervisor.
func TestKilledSupervisorEndsItsWorkers(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	workers := pids(g.Workers())
	g.Signal(syscall.SIGKILL)
	proctest.Eventually(t, 7*time.Second, "the workers are gone", func() bool {
		return !slices.ContainsFunc(workers, proctest.Running)
	})
	if left, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*")); len(left) > 0 {
		t.Errorf("control sockets left: %v", left)
	}
}

// The socket of a process that was killed is removed by the next start.
func TestStaleControlSocketsAreRemoved(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	config.Dir = proctest.RunDir(t)
	g := proctest.Start(t, config)
	socket := g.Worker(t, 0).Socket
	g.Signal(syscall.SIGKILL)
	if _, err := g.Wait(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	proctest.Start(t, config)
	if left, _ := filepath.Glob(socket); len(left) > 0 {
		t.Errorf("%s of a dead process is still there", socket)
	}
}

// A group whose workers cannot start ends with an error instead of trying for ever.
func TestAGroupThatCannotStartEnds(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2, "os.exit(7)")
	g := proctest.Launch(t, config)
	if status, err := g.Wait(30 * time.Second); status == 0 || err != nil {
		t.Errorf("status %d, %v; log:\n%s", status, err, g.Log())
	}
}

// kresd-supervisor is the same as a program of its own, and says READY and
// STOPPING to a service manager.
func TestSupervisorNotifies(t *testing.T) {
	path := filepath.Join(proctest.RunDir(t), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Program = "kresd-supervisor"
	config.Env = append(config.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=2000000")
	g := proctest.Start(t, config)
	expect(t, notify, "READY=1")
	expect(t, notify, "WATCHDOG=1")
	g.Signal(syscall.SIGTERM)
	expect(t, notify, "STOPPING=1")
	if status, err := g.Wait(6 * time.Second); status != 0 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
}

// expect reads messages until one contains the line.
func expect(t *testing.T, c *net.UnixConn, line string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("no %s: %v", line, err)
		}
		if slices.Contains(strings.Split(strings.TrimSpace(string(buf[:n])), "\n"), line) {
			return
		}
	}
}

// pstree shows the group as the manual does, with the supervisor on top.
func TestPstreeShowsTheGroup(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 4))
	out := proctest.Run(t, "pstree", "-cgT", strconv.Itoa(g.PID()))
	if got := strings.Count(out, "kresd("+strconv.Itoa(g.PID())+")"); got != 5 {
		t.Errorf("pstree shows %d processes of group %d, want 5:\n%s", got, g.PID(), out)
	}
}

// A wildcard socket answers from the address that was asked.
func TestWildcardAnswersFromTheAskedAddress(t *testing.T) {
	n := proctest.SmallInternet(t)
	config := proctest.On(t, n, 2)
	config.Lua = strings.Replace(config.Lua, "'127.0.0.1'", "'0.0.0.0'", 1)
	g := proctest.Start(t, config)
	for i := 2; i < 12; i++ {
		// a connected socket takes answers from the asked address only
		c, err := net.Dial("udp", net.JoinHostPort(fmt.Sprintf("127.0.0.%d", i), strconv.Itoa(int(g.Addr.Port()))))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		client := &dns.Conn{Conn: c}
		if err := client.WriteMsg(proctest.Query("www.example.com", dns.TypeA, 0)); err != nil {
			t.Fatal(err)
		}
		if r, err := client.ReadMsg(); err != nil || len(r.Answer) != 2 {
			t.Errorf("asked at 127.0.0.%d: %v, %v", i, r, err)
		}
		c.Close()
	}
}
