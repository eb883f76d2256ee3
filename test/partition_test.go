package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A partitions test is two groups with different configurations on one cache
// file, in front of two Internets: the true one, and another whose only servers
// say something else about everything. Whoever forwards to those, or has them for
// the root's servers, is told the other story; nobody else may hear it.
type partitions struct {
	t     *testing.T
	truth *authority.Internet
	other *authority.Internet
	cache string // where the cache is
	want  map[string]string
}

// otherServer is the other Internet's only server.
const otherServer = "127.54.0.1"

// otherZone is what it says: other addresses, and other names that do not exist.
const otherZone = `$TTL 3600
@ SOA a.other. hostmaster.other. 1 7200 3600 1209600 900
@ NS a.other.
a.other. A 127.54.0.1
example.com. A 198.51.100.66
www.example.com. A 198.51.100.67
nothing.example.com. A 198.51.100.68
short.example.com. CNAME www.example.net.
www.example.net. A 198.51.100.69
*.wild.example.com. A 198.51.100.70
`

// asked are the questions of every client: data, an alias that leads elsewhere,
// what does not exist on one side only, and types that do not.
var asked = []struct {
	name  string
	qtype uint16
}{
	{"example.com", dns.TypeA}, {"example.com", dns.TypeMX}, {"example.com", dns.TypeNS},
	{"www.example.com", dns.TypeA}, {"www.example.com", dns.TypeAAAA}, {"www.example.com", dns.TypeTXT},
	{"mail.example.com", dns.TypeA}, {"nothing.example.com", dns.TypeA}, {"below.nothing.example.com", dns.TypeA},
	{"shop.example.com", dns.TypeA}, {"short.example.com", dns.TypeA}, {"n1.wild.example.com", dns.TypeA},
	{"www.example.net", dns.TypeA}, {"www.example.org", dns.TypeA}, {"example.org", dns.TypeSOA},
}

func newPartitions(t *testing.T) *partitions {
	t.Helper()
	p := &partitions{t: t, truth: proctest.SmallInternet(t), cache: proctest.RunDir(t)}
	other, err := authority.New(authority.MustParse(".", otherZone))
	if err == nil {
		err = other.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	p.other = other
	p.want = p.answers(p.group(p.truth, proctest.RunDir(t)))
	return p
}

// group starts a group that resolves from n, on the cache in a directory, with
// extra lines in its configuration.
func (p *partitions) group(n *authority.Internet, cache string, lines ...string) *proctest.Group {
	p.t.Helper()
	config := proctest.On(p.t, n, 1, lines...)
	config.Lua = strings.Replace(config.Lua, "cache.size = 20 * MB", "cache.open(20 * MB, 'lmdb://"+cache+"')", 1)
	return proctest.Start(p.t, config)
}

// answers is what a group's clients are told, by question.
func (p *partitions) answers(g *proctest.Group) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, q := range asked {
		for range 2 { // the second time it may be a whole answer that is told
			out[q.name+" "+dns.TypeToString[q.qtype]] = proctest.Shape(g.Ask(p.t, "udp", q.name, q.qtype, 1232))
		}
	}
	return out
}

// same demands that the clients of g hear what they would if nobody else used the
// cache.
func (p *partitions) same(when string, got, want map[string]string) {
	p.t.Helper()
	for q, shape := range want {
		if got[q] != shape {
			p.t.Errorf("%s: %s\n%s\nwant\n%s", when, q, got[q], shape)
		}
	}
}

// apart starts a group with its lines, whose clients ask; what they brought is told
// to no client of a group without such lines, while the first lives or when it has
// ended. It returns what the first group's clients were told.
func (p *partitions) apart(n *authority.Internet, lines ...string) map[string]string {
	p.t.Helper()
	first := p.group(n, p.cache, lines...)
	told := p.answers(first)
	count(p.t, first)
	p.same("while both live", p.answers(p.group(p.truth, p.cache)), p.want)
	p.same("to the first again", p.answers(first), told)
	if _, err := first.Stop(); err != nil {
		p.t.Fatal(err)
	}
	p.same("when the first has ended", p.answers(p.group(p.truth, p.cache)), p.want)
	return told
}

// differs demands that the first group's clients were told another story: else
// the test would see no leak.
func (p *partitions) differs(told map[string]string, questions ...string) {
	p.t.Helper()
	for _, q := range questions {
		if told[q] == p.want[q] {
			p.t.Errorf("%s: the first group's clients were told the truth, so that nothing could leak:\n%s", q, told[q])
		}
	}
}

func (p *partitions) target() string { return fmt.Sprintf("'%s@%d'", otherServer, p.other.Port()) }

func TestWhatAForwarderSaysIsForItsGroupOnly(t *testing.T) {
	for name, rule := range map[string]string{
		"FORWARD everything": "policy.add(policy.all(policy.FORWARD({%s})))",
		"FORWARD a subtree":  "policy.add(policy.suffix(policy.FORWARD({%s}), {todname('example.com')}))",
		"STUB a subtree":     "policy.add(policy.suffix(policy.STUB({%s}), {todname('example.com')}))",
		"a function":         "policy.add(function(req, query) return policy.FORWARD({%s}) end)",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPartitions(t)
			p.differs(p.apart(p.truth, fmt.Sprintf(rule, p.target())), "example.com A", "www.example.com A", "nothing.example.com A", "mail.example.com A")
		})
	}
}

func TestOtherRootServersAreForTheirGroupOnly(t *testing.T) {
	t.Run("hints.root", func(t *testing.T) {
		p := newPartitions(t)
		p.differs(p.apart(p.other), "example.com A", "nothing.example.com A", "www.example.org A", "example.com NS")
	})
	t.Run("hints.root_file", func(t *testing.T) {
		p := newPartitions(t)
		file := filepath.Join(proctest.RunDir(t), "root.hints")
		if err := os.WriteFile(file, []byte(". 3600 NS a.other.\na.other. 3600 A "+otherServer+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.differs(p.apart(p.other, "hints.root_file('"+file+"')"), "example.com A", "nothing.example.com A", "www.example.org A")
	})
}

func TestFailuresAreForTheirGroupOnly(t *testing.T) {
	dead := proctest.FreePort(t)
	for name, lines := range map[string][]string{
		"a forwarder that is dead": {fmt.Sprintf("policy.add(policy.all(policy.FORWARD('%s@%d')))", dead.Addr(), dead.Port())},
		"a function that forwards to a dead one": {fmt.Sprintf(
			"policy.add(function(req, query) return policy.FORWARD('%s@%d') end)", dead.Addr(), dead.Port())},
		"no IPv4":       {"net.ipv4 = false"},
		"no addresses":  {"net.ipv4 = false", "net.ipv6 = false"},
		"local ones":    {"option('ALLOW_LOCAL', false)"},
		"flags by rule": {"policy.add(policy.all(policy.FLAGS('NO_IPV4')))"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPartitions(t)
			first := p.launched(lines...)
			for _, q := range asked[:2] {
				for range 2 {
					if r := first.Ask(t, "udp", q.name, q.qtype, 1232); r.Rcode != dns.RcodeServerFailure {
						t.Fatalf("%s: %s, so that there is no failure to leak", q.name, proctest.Shape(r))
					}
				}
			}
			p.same("to the second", p.answers(p.group(p.truth, p.cache)), p.want)
		})
	}
}

// launched is group for one whose questions all fail, for which Start would wait
// in vain.
func (p *partitions) launched(lines ...string) *proctest.Group {
	p.t.Helper()
	g := p.group(p.truth, p.cache)
	for _, line := range lines {
		if out := g.Eval(p.t, line); strings.Contains(out, "ERROR") {
			p.t.Fatalf("%s: %s", line, out)
		}
	}
	g.Eval(p.t, "cache.clear()")
	return g
}

// A name may meet another rule when the same rules stand in another order. What is
// not forwarded is asked of the root's servers of the hints: what a forwarder says
// of the root is no priming. An alias out of it meets the rule for its target.
func TestTheOrderOfRulesTellsGroupsApart(t *testing.T) {
	p := newPartitions(t)
	pass := "policy.add(policy.suffix(policy.PASS, {todname('example.com')}))"
	forward := "policy.add(policy.all(policy.FORWARD({" + p.target() + "})))"
	first := p.answers(p.group(p.truth, proctest.RunDir(t), pass, forward))
	second := p.answers(p.group(p.truth, proctest.RunDir(t), forward, pass))
	if first["www.example.com A"] == second["www.example.com A"] {
		t.Fatal("the order of these rules makes no difference")
	}
	if got := first["www.example.com A"]; got != p.want["www.example.com A"] {
		t.Errorf("what is not forwarded: %s; are the root's servers those that a forwarder named?", got)
	}
	if got := first["shop.example.com A"]; got == p.want["shop.example.com A"] {
		t.Errorf("the target of an alias out of what is not forwarded was not forwarded: %s", got)
	}
	a, b := p.group(p.truth, p.cache, pass, forward), p.group(p.truth, p.cache, forward, pass)
	for range 2 {
		p.same("the first order", p.answers(a), first)
		p.same("the second order", p.answers(b), second)
	}
}

// When a rule that forwards is gone, so is what its servers said.
func TestNothingIsToldOfAFormerForwarder(t *testing.T) {
	p := newPartitions(t)
	g := p.group(p.truth, p.cache, "forwarding = policy.add(policy.all(policy.FORWARD({"+p.target()+"})))")
	p.differs(p.answers(g), "www.example.com A", "nothing.example.com A")
	g.Eval(t, "policy.del(forwarding.id)")
	p.same("after policy.del", p.answers(g), p.want)
	g.Eval(t, "again = policy.add(policy.all(policy.FORWARD({"+p.target()+"})))")
	p.differs(p.answers(g), "www.example.com A", "nothing.example.com A")
	g.Eval(t, "again.suspended = true policy.del(again.id)")
	p.same("after another policy.del", p.answers(g), p.want)
}

// A forwarder for some names follows their aliases out of them, and may say what it likes
// of others on the way: nobody is told that, in its own group neither, by whichever way a
// question is answered.
func TestNothingIsToldOfNamesThatAForwarderIsNotFor(t *testing.T) {
	p := newPartitions(t)
	g := p.group(p.truth, p.cache, "policy.add(policy.suffix(policy.FORWARD({"+p.target()+"}), {todname('example.com')}))")
	const alias = "short.example.com A"
	for range 3 {
		told := p.answers(g)
		p.differs(told, "www.example.com A", alias)
		for _, q := range []string{"www.example.net A", "www.example.org A", "example.org SOA"} {
			if told[q] != p.want[q] {
				t.Errorf("%s, which the forwarder is not for:\n%s\nwant\n%s", q, told[q], p.want[q])
			}
		}
		if target := strings.TrimPrefix(p.want["www.example.net A"], "NOERROR"); !strings.HasSuffix(told[alias], target) || !strings.Contains(told[alias], "CNAME www.example.net.") {
			t.Errorf("of an alias out of its names:\n%s\nwant at the end%s", told[alias], target)
		}
	}
	g.Eval(t, "policy.del(policy.rules[1].id)")
	p.same("after policy.del", p.answers(g), p.want)
}

// What one group's trust anchors will make of answers is not what another's will;
// groups that are configured alike share all that is known.
func TestEqualConfigurationsShareAndOtherAnchorsDoNot(t *testing.T) {
	const anchor = `trust_anchors.add('elsewhere.test. 3600 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D')`
	p := newPartitions(t)
	questions := func(lines ...string) uint64 {
		before := p.truth.Queries()
		g := p.group(p.truth, p.cache, lines...)
		p.same("with "+strings.Join(lines, ", "), p.answers(g), p.want)
		count(t, g)
		if _, err := g.Stop(); err != nil {
			t.Fatal(err)
		}
		return p.truth.Queries() - before
	}
	const few = 3 // priming, and what explores
	cold := questions()
	if warm := questions(); warm > few {
		t.Errorf("%d questions to servers by an equal group, %d by the first", warm, cold)
	}
	for _, lines := range [][]string{{anchor}, {"trust_anchors.set_insecure({'example.com'})"}, {"mode('permissive')"}} {
		if n := questions(lines...); n < cold/2 {
			t.Errorf("%s: %d questions to servers, so it shares what others know; the first asked %d", lines, n, cold)
		}
		if warm := questions(lines...); warm > few {
			t.Errorf("%s: %d questions to servers by an equal group", lines, warm)
		}
	}
	// Who forwards to the same servers shares what they say, whatever its other rules.
	forward := "policy.add(policy.suffix(policy.FORWARD({" + p.target() + "}), {todname('example.org')}))"
	var first uint64
	for i, other := range []string{"", "policy.add(policy.suffix(policy.STUB({" + p.target() + "}), {todname('example.net')}))"} {
		before := p.other.Queries()
		g := p.group(p.truth, p.cache, forward, other)
		for range 2 {
			g.Ask(t, "udp", "www.example.org", dns.TypeA, 1232)
		}
		count(t, g)
		if n := p.other.Queries() - before; i == 0 {
			first = n
		} else if n > 0 || first == 0 {
			t.Errorf("%d questions to the forwarder of two groups, %d of them by the second", first+n, n)
		}
	}
}
