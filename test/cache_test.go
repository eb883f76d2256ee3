package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// count is cache.count() on worker 0, once the writers are done.
func count(t *testing.T, g *proctest.Group) int {
	t.Helper()
	last := -1
	proctest.Eventually(t, 10*time.Second, "cache.count() holds still", func() bool {
		n, err := strconv.Atoi(strings.TrimSpace(g.Eval(t, "cache.count()")))
		if err != nil {
			t.Fatal(err)
		}
		same := n == last
		last = n
		time.Sleep(100 * time.Millisecond)
		return same
	})
	return last
}

// What is cached survives the end of everything, and needs no name server then.
func TestCacheSurvivesRestart(t *testing.T) {
	n := proctest.SmallInternet(t)
	config := proctest.On(t, n, 2)
	config.Dir = proctest.RunDir(t)
	g := proctest.Start(t, config)
	warm(t, g)
	g.Ask(t, "udp", "nothing.example.com", dns.TypeA, 0)
	before := count(t, g)
	if before == 0 {
		t.Fatal("cache.count() is 0 after queries")
	}
	if status, err := g.Stop(); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	asked := n.Queries()
	g = proctest.Start(t, config)
	if after := count(t, g); after < before {
		t.Errorf("cache.count() %d after the restart, %d before", after, before)
	}
	for _, name := range append(names, "nothing.example.com") {
		g.Ask(t, "udp", name, dns.TypeA, 1232)
	}
	if more := n.Queries() - asked; more > 0 {
		t.Errorf("%d queries to name servers for what was cached", more)
	}
}

// cache.clear of a subtree in one worker is seen by all, and touches nothing else.
func TestClearOfASubtreeIsSeenByAll(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 3))
	tree := n.Host("127.53.2.9")
	ask := func(name string) {
		// many source ports, so that every worker is asked
		for range 24 {
			g.Ask(t, "udp", name, dns.TypeA, 0)
		}
	}
	below := []string{"tree.sub.example.com", "a.tree.sub.example.com", "b.tree.sub.example.com"}
	for _, name := range append(below, "www.sub.example.com") {
		ask(name)
	}
	count(t, g) // all is written
	asked := tree.Queries()
	ask("tree.sub.example.com")
	if more := tree.Queries() - asked; more > 0 {
		t.Fatalf("%d queries upstream for a cached name", more)
	}
	if got := proctest.Eval(t, g.Worker(t, 2).Socket, "cache.clear('tree.sub.example.com.')"); !strings.Contains(got, "[count] => ") {
		t.Errorf("cache.clear: %q", got)
	}
	for _, name := range below {
		asked = tree.Queries()
		ask(name)
		if more := tree.Queries() - asked; more == 0 {
			t.Errorf("%s was still cached in every worker", name)
		}
	}
	asked = tree.Queries()
	ask("www.sub.example.com")
	if more := tree.Queries() - asked; more > 0 {
		t.Errorf("%d queries for a name beside the subtree that was cleared", more)
	}
}

func TestClearOfEverything(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	warm(t, g)
	before := count(t, g)
	got := g.Eval(t, "cache.clear()")
	if got != fmt.Sprintf("[count] => %d", before) {
		t.Errorf("cache.clear() printed %q, want the %d entries before", got, before)
	}
	if got := strings.TrimSpace(proctest.Eval(t, g.Worker(t, 1).Socket, "cache.count()")); got != "0" {
		t.Errorf("cache.count() in the other worker: %s", got)
	}
}

// Damaged cache files are put aside or emptied; the group starts and answers.
func TestDamagedCacheFiles(t *testing.T) {
	n := proctest.SmallInternet(t)
	for what, damage := range map[string]func(path string) error{
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"cut short": func(p string) error { return os.Truncate(p, 6000) },
		"text":      func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("not a cache\n", 5000)), 0o600) },
		"zeros":     func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) },
		"broken pages": func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			for page := int64(2); page < 30; page++ {
				if _, err := f.WriteAt([]byte(strings.Repeat("\xff\x13\x77\x00", 512)), page*4096+64); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			config := proctest.On(t, n, 2)
			config.Dir = proctest.RunDir(t)
			g := proctest.Start(t, config)
			warm(t, g)
			count(t, g)
			if _, err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := damage(filepath.Join(config.Dir, "data.mdb")); err != nil {
				t.Fatal(err)
			}
			g = proctest.Start(t, config)
			for _, name := range names {
				if r := g.Ask(t, "udp", name, dns.TypeA, 1232); r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
					t.Errorf("%s: %v", name, r)
				}
			}
			s := proctest.Load(t, g.Addr, 500, names...)
			time.Sleep(500 * time.Millisecond)
			lossless(t, "with a cache file that was "+what, s.Stop(), 0)
		})
	}
}

// Workers that die of one file put it aside once. Each of them used to put aside
// what its sibling had begun, and again whatever it opened later, without an end.
func TestACondemnedCacheIsPutAsideOnce(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 3)
	config.Dir = proctest.RunDir(t)
	g := proctest.Start(t, config)
	warm(t, g)
	before := pids(g.Workers())
	for _, pid := range before {
		if err := syscall.Kill(pid, syscall.SIGBUS); err != nil {
			t.Fatal(err)
		}
	}
	proctest.Eventually(t, 10*time.Second, "three new workers", func() bool {
		now := pids(g.Workers())
		return len(now) == 3 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) })
	})
	warm(t, g)
	time.Sleep(1500 * time.Millisecond) // the files are looked at every half second
	if n := count(t, g); n == 0 {
		t.Error("the cache is emptied again and again")
	}
	aside, err := filepath.Glob(filepath.Join(config.Dir, "data.mdb.bad-*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("put aside: %q, %v", aside, err)
	}
	if n := strings.Count(g.Log(), "opening the cache again"); n > 2 {
		t.Errorf("the cache was opened again %d times:\n%s", n, g.Log())
	}
}

// A full cache gives way in the background: no query fails, and it is never
// emptied as a whole.
func TestFullCache(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Lua = strings.Replace(config.Lua, "20 * MB", "1 * MB", 1)
	g := proctest.Start(t, config)
	for i := range 4000 {
		if r := g.Ask(t, "udp", fmt.Sprintf("full%d.wild.example.com", i), dns.TypeA, 0); r.Rcode != dns.RcodeSuccess {
			t.Fatalf("query %d: %s", i, dns.RcodeToString[r.Rcode])
		}
	}
	if got := count(t, g); got < 100 {
		t.Errorf("cache.count() is %d after 4000 names in 1 MB", got)
	}
}

// A full disk under the cache fails no query and kills no worker.
func TestFullDisk(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	disk := proctest.RunDir(t)
	proctest.Run(t, "mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", disk)
	defer proctest.Run(t, "umount", "-l", disk)
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Lua = strings.Replace(config.Lua, "cache.size = 20 * MB", "cache.open(64 * MB, 'lmdb://"+disk+"')", 1)
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proctest.Start(t, config)
	workers := pids(g.Workers())
	for i := range 3000 {
		if r := g.Ask(t, "udp", fmt.Sprintf("disk%d.wild.example.com", i), dns.TypeA, 0); r.Rcode != dns.RcodeSuccess {
			t.Fatalf("query %d: %s", i, dns.RcodeToString[r.Rcode])
		}
	}
	if now := pids(g.Workers()); fmt.Sprint(now) != fmt.Sprint(workers) {
		t.Errorf("workers %v became %v", workers, now)
	}
	for _, want := range []string{"the cache in " + disk + " cannot be written to: no space left on device (its file system is full: make room there, 'df -h " + disk + "' shows it"} {
		if n := strings.Count(g.Log(), want); n < 1 || n > 2 { // once for each worker that meets it
			t.Errorf("the log says %d times %q:\n%s", n, want, g.Log())
		}
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	i := 0
	proctest.Eventually(t, 3*time.Minute, "the log says that there is room", func() bool {
		i++
		g.Ask(t, "udp", fmt.Sprintf("room%d.wild.example.com", i), dns.TypeA, 0)
		return strings.Contains(g.Log(), "the cache in "+disk+" can be written to again")
	})
}

// A file system that was mounted read-only ends the start with a sentence that helps.
func TestReadOnlyFileSystem(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	disk := proctest.RunDir(t)
	proctest.Run(t, "mount", "-t", "tmpfs", "-o", "ro,size=4m,mode=0700", "tmpfs", disk)
	defer proctest.Run(t, "umount", "-l", disk)
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	config.Lua = strings.Replace(config.Lua, "cache.size = 20 * MB", "cache.open(8 * MB, 'lmdb://"+disk+"')", 1)
	g := proctest.Launch(t, config)
	if status, err := g.Wait(20 * time.Second); err != nil || status != 1 {
		t.Errorf("status %d, %v", status, err)
	}
	if want := "read-only file system (its file system is mounted read-only, perhaps by the system after an error of the disk"; strings.Count(g.Log(), want) != 1 {
		t.Errorf("the log does not say once %q:\n%s", want, g.Log())
	}
}

// What a running group exports is what another one begins with.
func TestACacheIsHandedOver(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 2))
	for i := range 200 {
		g.Ask(t, "udp", fmt.Sprintf("hand%d.wild.example.com", i), dns.TypeA, 0)
	}
	copied := filepath.Join(proctest.RunDir(t), "data.mdb")
	entries, err := strconv.Atoi(g.Eval(t, "cache.checkpoint('"+copied+"')"))
	if err != nil || entries < 200 {
		t.Fatalf("%d entries, %v", entries, err)
	}
	if got := g.Eval(t, "cache.fssize() > cache.size"); got != "true" {
		t.Errorf("cache.fssize() > cache.size is %s", got)
	}
	next := proctest.On(t, n, 1)
	next.Dir = filepath.Dir(copied)
	heir := proctest.Start(t, next)
	before := n.Queries()
	for i := range 200 {
		if r := heir.Ask(t, "udp", fmt.Sprintf("hand%d.wild.example.com", i), dns.TypeA, 0); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
			t.Errorf("question %d: %s", i, proctest.Shape(r))
		}
	}
	if asked := n.Queries() - before; asked > 100 { // the root is asked who its servers are
		t.Errorf("%d questions to servers, for 200 names that were handed over", asked)
	}
}

// Bounds of TTLs are applied on insertion and to the first answer too.
func TestTTLBounds(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1, "cache.max_ttl(100)", "cache.min_ttl(50)")
	g := proctest.Start(t, config)
	for name, want := range map[string][2]uint32{"mail.example.com": {95, 100}, "short.example.com": {45, 50}} {
		for range 2 {
			if ttl := g.Ask(t, "udp", name, dns.TypeA, 0).Answer[0].Header().Ttl; ttl < want[0] || ttl > want[1] {
				t.Errorf("%s: TTL %d, want %d to %d", name, ttl, want[0], want[1])
			}
		}
	}
}

// The clock can be moved for tests; TTLs follow it.
func TestShiftedClock(t *testing.T) {
	dir := proctest.RunDir(t)
	offset := filepath.Join(dir, "offset")
	set := func(text string) {
		if err := os.WriteFile(offset+".new", []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(offset+".new", offset); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	set("+0")
	n := proctest.SmallInternet(t)
	config := proctest.On(t, n, 1)
	config.Env = append(config.Env, "KRESD_CLOCK_OFFSET_FILE="+offset)
	g := proctest.Start(t, config)
	if !strings.Contains(g.Log(), "KRESD_CLOCK_OFFSET_FILE") {
		t.Error("the log does not warn of the shifted clock")
	}
	g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0)
	set("+3000")
	if ttl := g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0).Answer[0].Header().Ttl; ttl > 600 || ttl < 590 {
		t.Errorf("TTL %d after 3000 of 3600 s, want 600", ttl)
	}
	set("+4000")
	if ttl := g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0).Answer[0].Header().Ttl; ttl < 3590 {
		t.Errorf("TTL %d after the entry's end, want a fresh 3600", ttl)
	}
	set("-100000")
	if ttl := g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0).Answer[0].Header().Ttl; ttl > 3600 {
		t.Errorf("TTL %d with the clock turned back, more than the original 3600", ttl)
	}
}
