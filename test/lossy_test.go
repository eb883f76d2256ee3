package test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// The lossy Internet: each answer takes lossyDelay, one UDP exchange in 100 /
// lossyPercent is lost, and one server in lossyDead says nothing at all.
const (
	lossyDelay   = 20 * time.Millisecond
	lossyPercent = 5
	lossyDead    = 5
	lossyZones   = 100
	lossyServers = 3 // of each zone
)

// lossyEnv is how many rounds make bench-lossy wants, with other resolvers
// beside ours; without it there is one short round of ours.
const lossyEnv = "KRESD_BENCH_LOSSY"

// TestLossyInternet measures, inside a namespace, what clients get from a
// resolver whose servers lose questions, are far away, or are dead.
func TestLossyInternet(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	proctest.Run(t, "ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
	n := lossyInternet(t)
	rounds, _ := strconv.Atoi(os.Getenv(lossyEnv))
	load := lossyLoad{rate: 200, length: 4 * time.Second}
	contenders := []contender{ourselves}
	if rounds > 0 {
		load = lossyLoad{rate: 300, length: 8 * time.Second}
		contenders = append(contenders, installedPeers()...)
	}
	all := map[string][]lossyResult{}
	for round := range max(rounds, 1) {
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			all[c.name] = append(all[c.name], load.play(t, n, c))
		}
	}
	t.Log("\n" + lossyTable(contenders, all))
	for _, r := range all["kresd"] {
		if r.wrong > 0 || r.right*1000 < r.asked*995 {
			t.Errorf("ours: %d of %d answers right, %d wrong, %d SERVFAIL, %d none", r.right, r.asked, r.wrong, r.failed, r.none)
		}
		if r.upstream > 4*float64(r.asked) {
			t.Errorf("ours asked %.0f questions for %d", r.upstream, r.asked)
		}
	}
}

// lossyInternet has a root, two TLDs, and zones with wildcards, each on its own
// servers.
func lossyInternet(t *testing.T) *authority.Internet {
	t.Helper()
	soa := func(apex string) string {
		return fmt.Sprintf("$TTL 3600\n%s SOA ns.invalid. host.invalid. 1 2 3 4 60\n", apex)
	}
	root := soa(".") + ". NS a.roots.\n. NS b.roots.\na.roots. A 198.18.0.1\nb.roots. A 198.18.0.2\n"
	var zones []*authority.Zone
	for i, tld := range lossyTLDs() {
		ns := ""
		for j := range 2 {
			ns += fmt.Sprintf("%[1]s NS %[2]c.nic.%[1]s\n%[2]c.nic.%[1]s A 198.18.1.%[3]d\n", tld, 'a'+j, 1+2*i+j)
		}
		root += ns
		text := soa(tld) + ns
		for z := i; z < lossyZones; z += len(lossyTLDs()) {
			apex, ns := lossyZone(z), ""
			for s := range lossyServers {
				ns += fmt.Sprintf("%[1]s NS ns%[2]d.%[1]s\nns%[2]d.%[1]s A 198.19.%[3]d.%[2]d\n", apex, 1+s, z)
			}
			text += ns
			zones = append(zones, authority.MustParse(apex, soa(apex)+ns+fmt.Sprintf("*.%s A 192.0.2.%d\n", apex, z)))
		}
		zones = append(zones, authority.MustParse(tld, text))
	}
	n, err := authority.New(append(zones, authority.MustParse(".", root))...)
	if err == nil {
		err = n.Start(53)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for i, h := range n.Hosts() {
		h.Play(authority.Delay(lossyDelay), lose)
		if i%lossyDead == 0 && h.Addr().As4()[1] == 19 { // neighbours differ, so no zone is all dead
			h.Play(authority.Drop())
		}
	}
	return n
}

func lossyTLDs() []string { return []string{"one.", "two."} }

func lossyZone(z int) string { return fmt.Sprintf("z%d.%s", z, lossyTLDs()[z%len(lossyTLDs())]) }

// lose is a Rule: chance decides.
func lose(x *authority.Exchange) {
	if !x.TCP && rand.IntN(100) < lossyPercent {
		x.Reply = nil
	}
}

// A contender starts a resolver on 127.0.0.1; stop ends it.
type contender struct {
	name  string
	start func(t *testing.T, dir string, at netip.AddrPort) (stop func())
}

var ourselves = contender{"kresd", func(t *testing.T, dir string, at netip.AddrPort) func() {
	g := proctest.Start(t, proctest.Config{Dir: dir, Workers: 2, Addr: at, Lua: fmt.Sprintf(
		"net.listen('%s', %d)\ncache.size = 50*MB\nmodules = { 'hints' }\nhints.root({ ['a.roots.'] = '198.18.0.1', ['b.roots.'] = '198.18.0.2' })\n", at.Addr(), at.Port())})
	return func() {
		if _, err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}}

const lossyHints = ". 3600 NS a.roots.\n. 3600 NS b.roots.\na.roots. 3600 A 198.18.0.1\nb.roots. 3600 A 198.18.0.2\n"

// installedPeers are the other resolvers that this machine has.
func installedPeers() (list []contender) {
	for _, p := range []struct{ name, path, args, config string }{
		{"unbound", "/usr/sbin/unbound", "-d -c config", `server:
 interface: %[1]s@%[2]d
 num-threads: 2
 so-reuseport: yes
 module-config: "iterator"
 root-hints: "hints"
 directory: "."
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
remote-control:
 control-enable: no
`},
		{"knot", "/usr/sbin/kresd", "-n -c config .", "net.listen('%[1]s', %[2]d)\ntrust_anchors.remove('.')\ncache.size = 50*MB\nmodules = { 'hints' }\nhints.root_file('hints')\n"},
	} {
		if _, err := os.Stat(p.path); err != nil {
			continue
		}
		list = append(list, contender{p.name, func(t *testing.T, dir string, at netip.AddrPort) func() {
			return startPeer(t, dir, at, p.path, strings.Fields(p.args), fmt.Sprintf(p.config, at.Addr(), at.Port()))
		}})
	}
	return list
}

func startPeer(t *testing.T, dir string, at netip.AddrPort, path string, args []string, config string) func() {
	t.Helper()
	for name, text := range map[string]string{"config": config, "hints": lossyHints} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 10*time.Second, path+" answers", func() bool {
		_, err := proctest.Exchange("udp", at, proctest.Query("version.bind", dns.TypeTXT, 0))
		return err == nil
	})
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// lossyLoad is questions in a steady stream, each for a new name.
type lossyLoad struct {
	rate   int // a second
	length time.Duration
}

type lossyResult struct {
	asked, right, wrong, failed, none int
	upstream                          float64 // questions that servers got
	times                             []time.Duration
}

func (l lossyLoad) play(t *testing.T, n *authority.Internet, c contender) lossyResult {
	t.Helper()
	at := proctest.FreePort(t)
	stop := c.start(t, proctest.RunDir(t), at)
	defer stop()
	var r lossyResult
	var mu sync.Mutex
	var wg sync.WaitGroup
	before := n.Queries()
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for i := range int(l.length.Seconds() * float64(l.rate)) {
		<-tick.C
		wg.Go(func() {
			z := popular()
			start := time.Now()
			m, err := proctest.Exchange("udp", at, proctest.Query(fmt.Sprintf("n%d.%s", i, lossyZone(z)), dns.TypeA, 1232))
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			r.add(m, err, z, took)
		})
	}
	wg.Wait()
	r.upstream = float64(n.Queries() - before)
	slices.Sort(r.times)
	return r
}

// popular is a zone; the first are asked most.
func popular() int {
	x := rand.Float64()
	return int(x * x * lossyZones)
}

func (r *lossyResult) add(m *dns.Msg, err error, zone int, took time.Duration) {
	r.asked++
	r.times = append(r.times, took)
	switch {
	case err != nil:
		r.none++
	case m.Rcode == dns.RcodeServerFailure:
		r.failed++
	case len(m.Answer) == 1 && strings.HasSuffix(m.Answer[0].String(), fmt.Sprintf("\t192.0.2.%d", zone)):
		r.right++
	default:
		r.wrong++
	}
}

// quantile is in milliseconds.
func (r *lossyResult) quantile(q float64) float64 {
	return float64(r.times[min(int(q*float64(len(r.times))), len(r.times)-1)].Microseconds()) / 1000
}

// lossyTable is a line for each resolver: medians over the rounds.
func lossyTable(contenders []contender, all map[string][]lossyResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %% loss, %v delay, one server in %d dead, %d zones; medians of %d rounds\n", lossyPercent, lossyDelay, lossyDead, lossyZones, len(all["kresd"]))
	fmt.Fprintf(&b, "| resolver | questions | right | wrong | SERVFAIL | none | upstream per question | p50 ms | p90 | p99 | max |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range contenders {
		m := func(f func(*lossyResult) float64) float64 {
			var v []float64
			for i := range all[c.name] {
				v = append(v, f(&all[c.name][i]))
			}
			slices.SortFunc(v, cmp.Compare[float64])
			return v[len(v)/2]
		}
		q := func(q float64) float64 { return m(func(r *lossyResult) float64 { return r.quantile(q) }) }
		count := func(f func(*lossyResult) int) float64 {
			return m(func(r *lossyResult) float64 { return float64(f(r)) })
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.2f | %.1f | %.1f | %.1f | %.1f |\n", c.name,
			count(func(r *lossyResult) int { return r.asked }), count(func(r *lossyResult) int { return r.right }),
			count(func(r *lossyResult) int { return r.wrong }), count(func(r *lossyResult) int { return r.failed }),
			count(func(r *lossyResult) int { return r.none }),
			m(func(r *lossyResult) float64 { return r.upstream / float64(r.asked) }), q(0.5), q(0.9), q(0.99), q(1))
	}
	return b.String()
}
