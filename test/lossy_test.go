package test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
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

// lossyRatio is how much longer than the best of the others ours may take for the
// slowest of a hundred questions, from so many rounds on as make a median.
const (
	lossyRatio  = 1.2
	lossyRounds = 5
)

// TestLossyInternet measures, inside a namespace, what clients get from a
// resolver whose servers lose questions, are far away, or are dead. In one round
// all resolvers are asked the same, and the same is lost.
func TestLossyInternet(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	proctest.Run(t, "ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
	rounds, _ := strconv.Atoi(os.Getenv(lossyEnv))
	load := lossyLoad{rate: 200, length: 4 * time.Second}
	contenders := []contender{ourselves}
	if rounds > 0 {
		load = lossyLoad{rate: 300, length: 8 * time.Second}
		contenders = append(contenders, installedPeers(t)...)
	}
	fate := &fate{}
	n := lossyInternet(t, fate)
	all := map[string][]lossyResult{}
	for round := range max(rounds, 1) {
		load.seed = uint64(round)
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			fate.decide(load.seed)
			all[c.name] = append(all[c.name], load.play(t, n, c))
		}
	}
	t.Log("\n" + lossyTable(contenders, all))
	for _, r := range all[ourselves.name] {
		if r.wrong > 0 || r.right*1000 < r.asked*995 {
			t.Errorf("ours: %d of %d answers right, %d wrong, %d SERVFAIL, %d none", r.right, r.asked, r.wrong, r.failed, r.none)
		}
		if r.upstream > 1.8*float64(r.asked) {
			t.Errorf("ours asked %.0f questions for %d", r.upstream, r.asked)
		}
	}
	if best := bestPeer(contenders, all); best > 0 && rounds >= lossyRounds {
		ours := median(all[ourselves.name], p99)
		t.Logf("p99: ours takes %.2f of the best peer's", ours/best)
		if ours > lossyRatio*best {
			t.Errorf("p99 is %.1f ms, the best peer's %.1f", ours, best)
		}
	}
}

// lossyInternet has a root, two TLDs, and zones with wildcards, each on its own
// servers.
func lossyInternet(t *testing.T, fate *fate) *authority.Internet {
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
		h.Play(authority.Delay(lossyDelay), fate.lose)
		if i%lossyDead == 0 && h.Addr().As4()[1] == 19 { // neighbours differ, so no zone is all dead
			h.Play(authority.Drop())
		}
	}
	return n
}

func lossyTLDs() []string { return []string{"one.", "two."} }

func lossyZone(z int) string { return fmt.Sprintf("z%d.%s", z, lossyTLDs()[z%len(lossyTLDs())]) }

// fate decides what is lost. What one resolver asks a server for the first time,
// the second time and so on has the same fate as the same question of another
// resolver in that round, whenever it comes.
type fate struct {
	mu    sync.Mutex
	seed  uint64
	asked map[string]int
}

// decide starts a round anew.
func (f *fate) decide(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seed, f.asked = seed, map[string]int{}
}

// lose is a Rule: fate decides.
func (f *fate) lose(x *authority.Exchange) {
	if !x.TCP && f.lost(x) {
		x.Reply = nil
	}
}

func (f *fate) lost(x *authority.Exchange) bool {
	q := x.Query.Question[0]
	what := fmt.Sprint(x.Host, strings.ToLower(q.Name), dns.Type(q.Qtype))
	f.mu.Lock()
	f.asked[what]++
	what = fmt.Sprint(what, f.asked[what])
	seed := f.seed
	f.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(what))
	return rand.New(rand.NewPCG(seed, h.Sum64())).IntN(100) < lossyPercent
}
