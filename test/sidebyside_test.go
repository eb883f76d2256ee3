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

// An opinion is what a resolver says of a question: its verdict, and why if it says so.
type opinion struct{ verdict, reason string }

// judgeAll asks a resolver everything, some questions at a time.
func judgeAll(at netip.AddrPort, questions []zonegen.Question) (out []opinion) {
	var asked []*dns.Msg
	for _, q := range questions {
		asked = append(asked, q.Msg())
	}
	for _, r := range proctest.ExchangeAll(at, asked, 12) {
		out = append(out, opinion{zonegen.Verdict(r), reason(r)})
	}
	return out
}

// reason is the extended error of an answer, "" where it has none.
func reason(r *dns.Msg) string {
	if r == nil || r.IsEdns0() == nil {
		return ""
	}
	for _, option := range r.IsEdns0().Option {
		if e, is := option.(*dns.EDNS0_EDE); is {
			return fmt.Sprintf(" (%d %s)", e.InfoCode, e.ExtraText)
		}
	}
	return ""
}

// startValidator starts another resolver below a world's root.
func startValidator(t *testing.T, p peer, w *zonegen.World, at netip.AddrPort) {
	t.Helper()
	var hints string
	for name, addrs := range w.Net.Roots() {
		hints += fmt.Sprintf(". 3600 NS %s\n%s 3600 A %s\n", name, name, addrs[0])
	}
	dir := proctest.RunDir(t)
	p.config = fmt.Sprintf(p.config, at.Addr(), at.Port(), w.AnchorText())
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
	"signed by the parent":          "RFC 4035, section 5.3.1: the signer is the zone that contains the set",
	"shape: wildcards in wildcards": "RFC 4592, section 4.9: a wildcard without records stands for a name, too",
	"data signed by a revoked key":  "RFC 5011, section 2.1: a revoked key is used for nothing but its own DNSKEY set",
}

// isSettled tells whether others may agree against us about a damage. That one bad server
// of two does not take a zone down is a promise of ours, which others keep by chance.
func isSettled(damage string) bool {
	return settled[damage] != "" || strings.HasPrefix(damage, "one of two servers ")
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
	b := &bench{t: t, w: w, said: map[string][]opinion{}, lone: map[string]int{}}
	for i, p := range validators {
		if _, err := os.Stat(p.path); err != nil {
			t.Logf("NOT RUN: %s is not installed (%s)", p.name, p.path)
			continue
		}
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(5301+i))
		startValidator(t, p, w, at)
		b.judge(p.name, at)
	}
	b.others = slices.Clone(b.names)
	ours := func(workers int) netip.AddrPort {
		return proctest.Start(t, proctest.On(t, w.Net, workers, "trust_anchors.remove('.')", "trust_anchors.add('"+w.AnchorText()+"')")).Addr
	}
	one := ours(1)
	b.judge("kresd", one)
	b.judge("kresd once more", one)
	slices.Reverse(w.Questions) // what is learnt in another order comes to the same
	b.judge("kresd backwards", ours(2))
	slices.Reverse(w.Questions)
	slices.Reverse(b.said["kresd backwards"])
	for i, q := range w.Questions {
		b.compare(i, q)
	}
	b.report()
}

// A bench has several resolvers' verdicts about one world.
type bench struct {
	t     *testing.T
	w     *zonegen.World
	names []string // of the judges, others before ours

	others []string
	said   map[string][]opinion

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
	agreed := b.agreed(i)
	if agreed != "" && !q.Holds(agreed) && !isSettled(q.Damage) {
		b.t.Errorf("the generator expects what both others do not: %s", b.line(i, q))
	}
	for _, name := range b.names[len(b.others):] {
		got := b.said[name][i].verdict
		if !q.Holds(got) || agreed != "" && got != agreed && q.Want != zonegen.Open && !isSettled(q.Damage) {
			b.wrong = append(b.wrong, b.line(i, q))
			break
		}
	}
	for _, name := range b.others {
		if !q.Holds(b.said[name][i].verdict) {
			b.lone[name+" about "+strconv.Quote(q.Damage)]++
		}
	}
}

// agreed is what all others say, "" where they differ or only one is there.
func (b *bench) agreed(i int) string {
	if len(b.others) < 2 || b.said[b.others[0]][i].verdict != b.said[b.others[1]][i].verdict {
		return ""
	}
	return b.said[b.others[0]][i].verdict
}

func (b *bench) line(i int, q zonegen.Question) string {
	var said []string
	for _, name := range b.names {
		said = append(said, name+": "+b.said[name][i].verdict+b.said[name][i].reason)
	}
	return fmt.Sprintf("%q | %s %s | expected %s | %s | %s", q.Damage, q.Name, dns.Type(q.Type), q.Wanted(), strings.Join(said, ", "), q.About)
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
