package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// The two servers of example.com.
const (
	firstServer  = "127.53.2.1"
	secondServer = "127.53.2.2"
)

// upstreams is a group of two in front of the small Internet.
type upstreams struct {
	t   *testing.T
	net *authority.Internet
	g   *proctest.Group
	n   int
}

func newUpstreams(t *testing.T) *upstreams {
	n := proctest.SmallInternet(t)
	return &upstreams{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, 2).Exploring())}
}

// field is what a worker knows of a server: "nil" when nothing.
func (u *upstreams) field(worker int, server, field string) string {
	u.t.Helper()
	at := fmt.Sprintf("%s@%d", server, u.net.Port())
	return proctest.Eval(u.t, u.g.Worker(u.t, worker).Socket, fmt.Sprintf("(worker.upstreams(512)['%s'] or {})['%s']", at, field))
}

// both demands that both workers know the same.
func (u *upstreams) both(server, field, want string) {
	u.t.Helper()
	for id := range 2 {
		if got := u.field(id, server, field); got != want {
			u.t.Errorf("%s of %s in worker %d: %s, want %s", field, server, id, got, want)
		}
	}
}

// ask resolves a name that nobody asked for before.
func (u *upstreams) ask() time.Duration {
	u.t.Helper()
	u.n++
	start := time.Now()
	r := u.g.Ask(u.t, "udp", fmt.Sprintf("n%d.wild.example.com", u.n), dns.TypeA, 1232)
	if r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
		u.t.Fatalf("question %d: %s", u.n, proctest.Shape(r))
	}
	return time.Since(start)
}

// cost is how many questions servers get for twenty of clients.
func (u *upstreams) cost() int {
	u.t.Helper()
	before := u.net.Queries()
	for range 20 {
		u.ask()
	}
	return int(u.net.Queries() - before)
}

func (u *upstreams) timeouts() (sum int) {
	for id := range 2 {
		n := 0
		fmt.Sscan(proctest.Eval(u.t, u.g.Worker(u.t, id).Socket, "worker.stats().timeout"), &n)
		sum += n
	}
	return sum
}

func TestWorkersLearnServersOnce(t *testing.T) {
	u := newUpstreams(t)
	u.ask()
	rtt := u.field(0, firstServer, "rtt") + u.field(0, secondServer, "rtt")
	if rtt == "nilnil" {
		t.Fatal("nothing is known of the servers that were just asked")
	}
	if other := u.field(1, firstServer, "rtt") + u.field(1, secondServer, "rtt"); other != rtt {
		t.Errorf("round-trip times %s in one worker, %s in the other", rtt, other)
	}

	// A worker that was killed comes back with all that is known.
	before := u.g.Worker(t, 1)
	syscall.Kill(before.PID, syscall.SIGKILL)
	proctest.Eventually(t, 20*time.Second, "a new worker 1", func() bool {
		for _, w := range u.g.Workers() {
			if w.ID == 1 && w.PID != before.PID {
				return true
			}
		}
		return false
	})
	if again := u.field(1, firstServer, "rtt") + u.field(1, secondServer, "rtt"); again == "nilnil" {
		t.Error("a new worker begins to learn anew")
	}

	proctest.Eval(t, u.g.Worker(t, 1).Socket, "cache.clear()")
	u.both(firstServer, "rtt", "nil")
	u.both(secondServer, "rtt", "nil")
	if st, err := os.Stat(filepath.Join(u.g.Dir, "servers.tab")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the table's file: %v, %v", st, err)
	}
}

// A dead server costs the group a few waits, not each worker as many.
func TestDeadServersAreFoundOnce(t *testing.T) {
	u := newUpstreams(t)
	u.ask()
	u.net.Host(firstServer).Play(authority.Drop())
	proctest.Eventually(t, 60*time.Second, "the silent server counts as dead", func() bool {
		u.ask()
		time.Sleep(20 * time.Millisecond) // let some be found lost one after the other
		return u.field(0, firstServer, "dead") == "true"
	})
	u.both(firstServer, "dead", "true")
	at := fmt.Sprintf("%s@%d", firstServer, u.net.Port())
	if got := u.g.Eval(t, fmt.Sprintf("local s = worker.upstreams(512)['%s'] return tostring(s['until'].dead > 0 and s.age >= 0 and s.age < 60)", at)); strings.TrimSpace(got) != "true" {
		t.Errorf("how long it is dead for, and since when that is known: %s", got)
	}
	asked, waited := u.net.Host(firstServer).Queries(), u.timeouts()
	for range 60 {
		u.ask()
	}
	if n := u.net.Host(firstServer).Queries() - asked; n > 2 {
		t.Errorf("it was asked %d more times", n)
	}
	if n := u.timeouts() - waited; n > 2 {
		t.Errorf("%d more timeouts in 60 questions", n)
	}
	t.Logf("%d questions to the dead server, %d timeouts, %d questions of clients", u.net.Host(firstServer).Queries(), u.timeouts(), u.n)
}

func TestServersWithoutEDNS(t *testing.T) {
	u := newUpstreams(t)
	usual := u.cost()
	for _, s := range []string{firstServer, secondServer} {
		u.net.Host(s).Play(authority.NoEDNS())
	}
	proctest.Eventually(t, 30*time.Second, "it is known that they lack EDNS", func() bool {
		u.ask()
		return u.field(0, firstServer, "edns") == "false" && u.field(0, secondServer, "edns") == "false"
	})
	u.both(firstServer, "edns", "false")
	if n := u.cost(); n > usual+4 {
		t.Errorf("%d questions for 20 names, want about %d", n, usual)
	}
}

func TestServersThatDestroyCase(t *testing.T) {
	u := newUpstreams(t)
	usual := u.cost()
	lower := func(x *authority.Exchange) {
		if x.Reply != nil {
			x.Reply.Question = []dns.Question{x.Reply.Question[0]}
			x.Reply.Question[0].Name = strings.ToLower(x.Reply.Question[0].Name)
		}
	}
	for _, s := range []string{firstServer, secondServer} {
		u.net.Host(s).Play(lower)
	}
	for range 40 { // both are asked
		u.ask()
	}
	u.both(firstServer, "0x20", "false")
	u.both(secondServer, "0x20", "false")
	if n := u.cost(); n > usual+4 {
		t.Errorf("%d questions for 20 names, want about %d", n, usual)
	}
}

func TestServersThatOnlySpeakTCP(t *testing.T) {
	u := newUpstreams(t)
	for _, s := range []string{firstServer, secondServer} {
		u.net.Host(s).Play(authority.DropUDP())
	}
	var last time.Duration
	for range 12 {
		last = u.ask()
	}
	if first, second := u.field(1, firstServer, "tcp"), u.field(1, secondServer, "tcp"); first != "true" && second != "true" {
		t.Errorf("neither is known to need TCP after twelve questions; the last took %v", last)
	}
	waited := u.timeouts()
	for range 20 {
		u.ask()
	}
	if n := u.timeouts() - waited; n > 4 {
		t.Errorf("%d timeouts in 20 questions", n)
	}
}

// A table that nobody can use is replaced, and one line says so.
func TestForeignTable(t *testing.T) {
	n := proctest.SmallInternet(t)
	c := proctest.On(t, n, 2)
	c.Dir = proctest.RunDir(t)
	if err := os.WriteFile(filepath.Join(c.Dir, "servers.tab"), []byte("my own notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := &upstreams{t: t, net: n, g: proctest.Start(t, c)}
	u.ask()
	if got := strings.Count(u.g.Log(), "servers.tab is replaced"); got != 1 {
		t.Errorf("%d lines about the table in:\n%s", got, u.g.Log())
	}
	if a, b := u.field(0, firstServer, "rtt")+u.field(0, secondServer, "rtt"), u.field(1, firstServer, "rtt")+u.field(1, secondServer, "rtt"); a != b || a == "nilnil" {
		t.Errorf("workers know %s and %s", a, b)
	}
}
