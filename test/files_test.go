package test

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// With 64 descriptors 128 questions that are under way at once are all answered, later
// rather than by SERVFAIL, while connections over TCP take what they can get.
func TestFewDescriptorsCostTimeAndNoAnswer(t *testing.T) {
	n := proctest.SmallInternet(t)
	c := proctest.On(t, n, 1)
	c.Under = []string{"sh", "-c", `ulimit -n 64; exec "$@"`, "sh"}
	g := proctest.Start(t, c)
	for _, server := range []string{firstServer, secondServer} {
		n.Host(server).Play(authority.Delay(300 * time.Millisecond))
	}
	const questions = 128
	var clients sync.WaitGroup
	for i := range questions {
		clients.Go(func() {
			network := "udp"
			if i%8 == 0 {
				network = "tcp"
			}
			r, err := proctest.Exchange(network, g.Addr, proctest.Query(fmt.Sprintf("few%d.wild.example.com", i), dns.TypeA, 1232))
			if network == "udp" && (err != nil || r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1) {
				t.Errorf("question %d: %s, %v", i, proctest.Shape(r), err)
			}
		})
	}
	clients.Wait()
	t.Logf("limits: %s", g.Eval(t, "tojson(worker.limits())"))
}

// atLeast is a number of a limit.
func atLeast(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return math.MaxInt // unlimited
	}
	return n
}

// What may be raised is raised: the soft limit on descriptors goes up to the hard one.
func TestDescriptorsAreRaisedToTheHardLimit(t *testing.T) {
	c := proctest.On(t, proctest.SmallInternet(t), 2)
	c.Under = []string{"sh", "-c", `ulimit -S -n 64; exec "$@"`, "sh"}
	g := proctest.Start(t, c)
	for _, w := range g.Workers() {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", w.PID))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max open files") && atLeast(f[4])-atLeast(f[3]) > 1 {
				t.Errorf("worker %d: %s", w.ID, line)
			}
		}
	}
}

// When memory is out the system ends a worker before the supervisor.
func TestWorkersAreOfferedBeforeTheSupervisor(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	score := func(pid int) int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
		if err != nil {
			t.Fatal(err)
		}
		return atLeast(strings.TrimSpace(string(text)))
	}
	for _, w := range g.Workers() {
		if score(w.PID) <= score(g.PID()) {
			t.Errorf("worker %d has %d, the supervisor %d", w.ID, score(w.PID), score(g.PID()))
		}
	}
}
