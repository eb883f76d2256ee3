package test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// lowPort is port 53 of an address of this machine on which nobody listens.
func lowPort(t *testing.T) netip.AddrPort {
	t.Helper()
	for i := range 250 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 53, byte(os.Getpid()%250 + 1), byte(i + 1)}), 53)
		tcp, err := net.Listen("tcp", at.String())
		if err != nil {
			continue
		}
		tcp.Close()
		udp, err := net.ListenPacket("udp", at.String())
		if err == nil {
			udp.Close()
			return at
		}
	}
	t.Fatal("port 53 is free nowhere")
	return netip.AddrPort{}
}

// onLowPort is a group of two on such a port whose run directory belongs to nobody.
func onLowPort(t *testing.T, lines ...string) proctest.Config {
	t.Helper()
	c := proctest.On(t, proctest.SmallInternet(t), 2)
	at := lowPort(t)
	c.Lua = strings.Replace(c.Lua, fmt.Sprintf("net.listen('%s', %d)", c.Addr.Addr(), c.Addr.Port()), fmt.Sprintf("net.listen('%s')\n%s", at.Addr(), strings.Join(lines, "\n")), 1)
	c.Addr, c.Dir = at, proctest.RunDir(t)
	if err := os.Chown(c.Dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return c
}

const nobody = 65534

// thread has the fields of a thread's status.
func thread(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // it has ended
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// powerless fails unless no thread of any worker may do more than an ordinary user.
func powerless(t *testing.T, g *proctest.Group) {
	t.Helper()
	workers := g.Workers()
	if len(workers) != 2 {
		t.Fatalf("workers %v", workers)
	}
	for _, w := range workers {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.PID))
		if len(threads) < 3 {
			t.Errorf("threads %v", threads)
		}
		for _, path := range threads {
			fields := thread(t, path)
			if fields == nil {
				continue
			}
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
				if strings.Trim(fields[set], "0") != "" {
					t.Errorf("%s: %s is %s", path, set, fields[set])
				}
			}
			if fields["NoNewPrivs"] != "1" || fields["Uid"] != "65534 65534 65534 65534" {
				t.Errorf("%s: NoNewPrivs %s, Uid %s", path, fields["NoNewPrivs"], fields["Uid"])
			}
		}
		hasNoImage(t, w.PID)
	}
}

// hasNoImage fails unless nobody gets to see the memory of a process: its core is not
// written, and its files in /proc are root's (proc(5), /proc/pid).
func hasNoImage(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(strings.TrimPrefix(line, "Max core file size")); strings.HasPrefix(line, "Max core") && (f[0] != "0" || f[1] != "0") {
			t.Errorf("process %d: %s", pid, line)
		}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/mem", pid), &st); err != nil || st.Uid != 0 {
		t.Errorf("the memory of process %d is a file of user %d, %v", pid, st.Uid, err)
	}
}

// outlives fails unless the group's workers can be replaced and killed, and the next ones
// bind port 53 and are as powerless.
func outlives(t *testing.T, g *proctest.Group) {
	t.Helper()
	powerless(t, g)
	before := pids(g.Workers())
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, time.Minute, "all workers are new", func() bool {
		now := pids(g.Workers())
		return len(now) == 2 && now[0] != before[0] && now[1] != before[1] && strings.Contains(g.Log(), "rolling restart is complete")
	})
	powerless(t, g)
	victim := g.Worker(t, 1).PID
	kill(t, victim)
	proctest.Eventually(t, time.Minute, "a worker follows the one that was killed", func() bool {
		now := g.Workers()
		return len(now) == 2 && now[1].PID != victim
	})
	powerless(t, g)
	for range 20 {
		g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
		g.Ask(t, "tcp", "www.example.com", dns.TypeA, 0)
	}
	if strings.Contains(g.Log(), "serves as root") {
		t.Errorf("log:\n%s", g.Log())
	}
}

// Root binds port 53 and becomes another user: nothing of root is left in any thread of
// any worker, also after a rolling restart and a death.
func TestNothingOfRootIsLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	outlives(t, proctest.Start(t, onLowPort(t, "user('nobody', 'nogroup')")))
}

// asNobody has a group run by an ordinary user who may bind port 53, as a service manager
// starts it, by a program of its own.
func asNobody(t *testing.T, c proctest.Config) (_ proctest.Config, program string) {
	t.Helper()
	bin := proctest.RunDir(t) // the programs under test lie where only root gets
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(bin, "kresd")
	if out, err := exec.Command("install", "-m755", proctest.Bin("kresd"), program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "config"), []byte(c.Lua), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Lua = ""
	c.Under = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service", "--bounding-set=-all,+net_bind_service",
		"sh", "-c", "shift; exec " + program + ` "$@"`, "sh"}
	return c, program
}

// A group that a service manager starts as an ordinary user who may bind port 53.
func TestAmbientCapabilitiesAreGivenUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	c, program := asNobody(t, onLowPort(t))
	g := proctest.Start(t, c)
	outlives(t, g)
	// A new program that takes over may bind the port for its workers, too.
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, program, append(text, 'x'))
	if out, errs, status := reload(t, g); status != 0 || !runs(t, g.PID(), program) {
		t.Errorf("an upgrade: status %d, %q, %q", status, out, errs)
	}
	outlives(t, g)
}

// A worker that still runs its configuration, and for which the supervisor binds any port,
// cannot be traced by a sibling of its user that has been taken over.
func TestAWorkerThatStartsHidesItsMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	c, _ := asNobody(t, onLowPort(t, "while not io.open('go') do os.execute('sleep 0.05') end"))
	g := proctest.Launch(t, c)
	starting := 0
	proctest.Eventually(t, time.Minute, "a worker starts", func() bool {
		for _, pid := range g.Children() {
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/comm", pid, pid)); string(comm) == "kresd\n" {
				starting = pid
			}
		}
		return starting != 0
	})
	memory := fmt.Sprintf("/proc/%d/mem", starting)
	proctest.Eventually(t, 10*time.Second, "its memory is hidden", func() bool {
		var st syscall.Stat_t
		return syscall.Stat(memory, &st) == nil && st.Uid == 0
	})
	if len(g.Workers()) != 0 {
		t.Errorf("it serves already: %v", g.Workers())
	}
	if out, err := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "dd", "if="+memory, "of=/dev/null", "count=0").CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
		t.Errorf("its user opens its memory: %v, %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, "the group serves", func() bool { return len(g.Workers()) == 2 })
	powerless(t, g)
}

// Root that stays root is told so once, by the whole group, and keeps only what it takes
// to become another user on a console, which then leaves nothing.
func TestRootThatStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	c := onLowPort(t)
	if err := os.Chown(c.Dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	g := proctest.Start(t, c)
	if n := strings.Count(g.Log(), "kresd serves as root"); n != 1 || !strings.Contains(g.Log(), "user('knot-resolver')") {
		t.Errorf("said %d times:\n%s", n, g.Log())
	}
	const allowed = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<6 | 1<<7 | 1<<10
	for _, w := range g.Workers() {
		fields := thread(t, fmt.Sprintf("/proc/%d/status", w.PID))
		if held, err := strconv.ParseUint(fields["CapPrm"], 16, 64); err != nil || held&^allowed != 0 || fields["NoNewPrivs"] != "1" {
			t.Errorf("worker %d: CapPrm %s, NoNewPrivs %s, %v", w.ID, fields["CapPrm"], fields["NoNewPrivs"], err)
		}
		hasNoImage(t, w.PID)
	}
	if err := os.Chown(c.Dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data.mdb", "lock.mdb"} {
		if err := os.Chown(filepath.Join(c.Dir, name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.Eval(t, "map \"user('nobody', 'nogroup')\""); strings.Count(got, "true") != 2 {
		t.Errorf("user() on the console: %s", got)
	}
	powerless(t, g)
}
