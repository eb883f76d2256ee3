package test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority/zonegen"
	"kresd/internal/proctest"
)

// validators are Unbound and Knot Resolver as they come, with the root of a
// generated world. %[3]s is its trust anchor.
var validators = []peer{
	{"unbound", "/usr/sbin/unbound", "-d -c config", `server:
 interface: %[1]s@%[2]d
 module-config: "validator iterator"
 trust-anchor: "%[3]s"
 do-not-query-localhost: no
 root-hints: "hints"
 directory: "."
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
remote-control:
 control-enable: no
`, 1},
	{"knot", "/usr/sbin/kresd", "-n -c config .", "net.listen('%[1]s', %[2]d)\ntrust_anchors.remove('.')\ntrust_anchors.add('%[3]s')\n" +
		"option('ALLOW_LOCAL', true)\ncache.size = 50*MB\nmodules = { 'hints' }\nhints.root_file('hints')\n", 1},
}

// verdict is what a client sees of a validator's opinion.
func verdict(r *dns.Msg, err error) string {
	switch {
	case err != nil:
		return "no answer"
	case r.Rcode == dns.RcodeServerFailure:
		return "bogus"
	case r.AuthenticatedData:
		return "secure " + dns.RcodeToString[r.Rcode]
	}
	return "insecure " + dns.RcodeToString[r.Rcode]
}

// expected tells whether a verdict is the one that the generator knows; where that
// knows none, any will do.
func expected(q zonegen.Question, got string) bool {
	switch {
	case q.Want == zonegen.Unclear || q.Want == zonegen.Open:
		return true
	case q.Want == zonegen.Bogus || q.Rcode >= 0:
		return got == wanted(q)
	}
	return got == q.Want.String()+" NOERROR" || got == q.Want.String()+" NXDOMAIN"
}

func wanted(q zonegen.Question) string {
	switch {
	case q.Want > zonegen.Insecure || q.Rcode < 0:
		return q.Want.String()
	}
	return q.Want.String() + " " + dns.RcodeToString[q.Rcode]
}

// judgeAll asks a resolver everything, some questions at a time.
func judgeAll(at netip.AddrPort, questions []zonegen.Question) []string {
	out := make([]string, len(questions))
	next := make(chan int)
	var asking sync.WaitGroup
	for range 12 {
		asking.Go(func() {
			for i := range next {
				q := proctest.Query(questions[i].Name, questions[i].Type, 4096)
				q.AuthenticatedData = true
				c := &dns.Client{Timeout: 20 * time.Second, UDPSize: 4096}
				r, _, err := c.Exchange(q, at.String())
				if err == nil && r.Truncated {
					c.Net = "tcp"
					r, _, err = c.Exchange(q, at.String())
				}
				out[i] = verdict(r, err)
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	asking.Wait()
	return out
}

// anchor is the trust anchor of a world's root, as text.
func anchor(w *zonegen.World) string { return strings.ReplaceAll(w.Anchor.String(), "\t", " ") }

// startValidator starts another resolver below a world's root.
func startValidator(t *testing.T, p peer, w *zonegen.World, at netip.AddrPort) {
	t.Helper()
	var hints string
	for name, addrs := range w.Net.Roots() {
		hints += fmt.Sprintf(". 3600 NS %s\n%s 3600 A %s\n", name, name, addrs[0])
	}
	dir := proctest.RunDir(t)
	p.config = fmt.Sprintf(p.config, at.Addr(), at.Port(), anchor(w))
	if err := os.WriteFile(filepath.Join(dir, "hints"), []byte(hints), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.run(t, dir, at))
}

// sideBySide says how many zones are made, from which seed on, as
// KRESD_SIDEBYSIDE=SEED,ZONES; ZONES above the number of damages make each of them
// more than once.
func sideBySide(t *testing.T) (seed uint64, zones int) {
	seed, zones = 1, len(zonegen.Damages())
	if text := os.Getenv("KRESD_SIDEBYSIDE"); text != "" {
		first, second, _ := strings.Cut(text, ",")
		n, err1 := strconv.ParseUint(first, 10, 64)
		m, err2 := strconv.Atoi(second)
		if err1 != nil || err2 != nil {
			t.Fatalf("KRESD_SIDEBYSIDE=%q is not SEED,ZONES", text)
		}
		seed, zones = n, m
	}
	return seed, zones
}

// settled are damages whose verdict is ours by an RFC although both others think
// otherwise.
var settled = map[string]string{
	"signed by the parent":         "RFC 4035, section 5.3.1: the signer is the zone that contains the set",
	"data signed by a revoked key": "RFC 5011, section 2.1: a revoked key is used for nothing but its own DNSKEY set",
}

// Unbound, Knot Resolver and kresd judge a generated world: each name has the status
// that its zone was made to have, and where RFCs leave that open the one that the
// others agree upon.
func TestSideBySideOnDamagedZones(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	seed, zones := sideBySide(t)
	w := zonegen.New(seed, 0, zones, time.Now().Unix())
	if err := w.Net.Start(53); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Net.Close)
	b := &bench{t: t, w: w, said: map[string][]string{}}
	for i, p := range validators {
		if _, err := os.Stat(p.path); err != nil {
			t.Logf("NOT RUN: %s is not installed (%s)", p.name, p.path)
			continue
		}
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(5301+i))
		startValidator(t, p, w, at)
		b.judge(p.name, at)
	}
	g := proctest.Start(t, proctest.On(t, w.Net, 1, "trust_anchors.remove('.')", "trust_anchors.add('"+anchor(w)+"')"))
	b.judge("kresd", g.Addr)
	for i, q := range w.Questions {
		b.compare(i, q)
	}
	b.report()
}

// A bench has several resolvers' verdicts about one world.
type bench struct {
	t     *testing.T
	w     *zonegen.World
	names []string
	said  map[string][]string

	wrong []string       // of ours
	lone  map[string]int // disagreements of one of the others, by damage
}

func (b *bench) judge(name string, at netip.AddrPort) {
	start := time.Now()
	b.names = append(b.names, name)
	b.said[name] = judgeAll(at, b.w.Questions)
	b.t.Logf("%s: %d questions in %v", name, len(b.w.Questions), time.Since(start).Round(time.Millisecond))
}

// compare takes note of what disagrees about one question.
func (b *bench) compare(i int, q zonegen.Question) {
	unbound, knot, ours := b.said["unbound"], b.said["knot"], b.said["kresd"]
	together := unbound != nil && knot != nil && unbound[i] == knot[i]
	if together && !expected(q, unbound[i]) && settled[q.Damage] == "" {
		b.t.Errorf("the generator expects what both others do not: %s", b.line(i, q))
	}
	if !expected(q, ours[i]) || together && ours[i] != unbound[i] && q.Want != zonegen.Open && settled[q.Damage] == "" {
		b.wrong = append(b.wrong, b.line(i, q))
	}
	for _, name := range b.names[:len(b.names)-1] {
		if !expected(q, b.said[name][i]) {
			if b.lone == nil {
				b.lone = map[string]int{}
			}
			b.lone[name+" about "+strconv.Quote(q.Damage)]++
		}
	}
}

func (b *bench) line(i int, q zonegen.Question) string {
	var said []string
	for _, name := range b.names {
		said = append(said, name+": "+b.said[name][i])
	}
	return fmt.Sprintf("%q | %s %s | expected %s | %s | %s", q.Damage, q.Name, dns.Type(q.Type), wanted(q), strings.Join(said, ", "), q.About)
}

func (b *bench) report() {
	for _, what := range slices.Sorted(maps.Keys(b.lone)) {
		b.t.Logf("%s: %d verdicts that are not the expected ones", what, b.lone[what])
	}
	slices.Sort(b.wrong)
	for _, line := range b.wrong {
		b.t.Error(line)
	}
	b.t.Logf("kresd: %d wrong verdicts of %d", len(b.wrong), len(b.w.Questions))
}
