package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A confinement is a control group with little memory.
type confinement struct{ dir, limit, kills string }

// confine makes a control group below the one of this version that exists; "" says why
// there is none.
func confine(t *testing.T, octets int) (c confinement, why string) {
	for _, v := range []confinement{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "memory.max", "memory.events"},
	} {
		dir := filepath.Join(v.dir, fmt.Sprintf("kresd-%d-%d", os.Getpid(), octets))
		if why = ""; os.Mkdir(dir, 0o700) != nil {
			why = "no control group can be made here (needs root)"
			continue
		}
		t.Cleanup(func() { // when its processes are gone
			for end := time.Now().Add(10 * time.Second); os.Remove(dir) != nil && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
		})
		c = confinement{dir, v.limit, v.kills}
		if err := os.WriteFile(filepath.Join(dir, c.limit), []byte(strconv.Itoa(octets)), 0o600); err != nil {
			why = "the control group has no limit for memory: " + err.Error()
			continue
		}
		return c, ""
	}
	return c, why
}

// under is the command that starts a program in the control group.
func (c confinement) under() []string {
	return []string{"sh", "-c", `echo $$ > "` + c.dir + `/cgroup.procs" && exec "$@"`, "sh"}
}

// killed is how many processes the system has killed for want of memory.
func (c confinement) killed(t *testing.T) int {
	text, err := os.ReadFile(filepath.Join(c.dir, c.kills))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			killed, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				t.Fatal(err)
			}
			return killed
		}
	}
	t.Fatalf("%s does not tell of kills", c.kills)
	return 0
}

// TestD8LittleMemory floods workers that have little memory with names below a zone
// whose 13 servers are silent, so that as many questions wait as may, beside benign
// clients.
func TestD8LittleMemory(t *testing.T) {
	zs := honest()
	for j := range 13 {
		ns := server("dead.com.", fmt.Sprintf("ns%d.dead.com.", j), fmt.Sprintf("127.66.30.%d", j+1))
		zs["com."] += ns
		zs["dead.com."] += ns + "*.dead.com. A 192.0.2.99\n"
	}
	for _, tc := range []struct{ workers, octets int }{{1, 64 << 20}, {2, 96 << 20}} {
		c, why := confine(t, tc.octets)
		if why != "" {
			t.Skip(why)
		}
		n := internet(t, zs)
		config := proctest.On(t, n, tc.workers)
		config.Under = c.under()
		l := &lab{t: t, net: n, g: proctest.Start(t, config)}
		l.settle()
		l.ask("www.example.com.", dns.TypeA)
		l.ask("warm.dead.com.", dns.TypeA)
		for j := range 13 {
			l.net.Host(fmt.Sprintf("127.66.30.%d", j+1)).Play(authority.Drop())
		}
		var answered, got float64
		var flooded int64
		for try := 0; try < 3 && (try == 0 || answered < 95); try++ {
			s := watchShare(t, l.g)
			f := startFlood(t, l.g.Addr, floodRate(), func(n int) string { return fmt.Sprintf("x%d-%d.dead.com.", try, n) })
			hits := proctest.Load(t, l.g.Addr, benignRate, "www.example.com")
			time.Sleep(4 * time.Second)
			got = s.got(t)
			r := hits.Stop()
			flooded, answered = f.end(), 100*float64(r.Answered-r.Failed)/float64(r.Sent)
		}
		tell(t, "D8", fmt.Sprintf("%d workers in %d MiB, %d random names beside %d benign a second", tc.workers, tc.octets>>20, flooded, benignRate),
			"0 killed, >= 95 % answered", "%d killed, %.2f %% answered, with %.0f %% of the wanted processor time", c.killed(t), answered, 100*got)
		if c.killed(t) > 0 || answered < 95 && got >= leastShare {
			t.Errorf("%d workers in %d MiB: %d killed, %.2f %% answered", tc.workers, tc.octets>>20, c.killed(t), answered)
		}
		if _, err := l.g.Stop(); err != nil {
			t.Error(err)
		}
	}
}
