package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// silentForForeign answers for one zone after a while and says nothing about others.
func silentForForeign(zone string, after time.Duration) authority.Rule {
	return func(x *authority.Exchange) {
		if !dns.IsSubDomain(zone, strings.ToLower(x.Query.Question[0].Name)) {
			x.Reply = nil
			return
		}
		x.Delay = after
	}
}

// coldly asks for names that nobody has asked for yet, so many at a time and a tenth of a
// second apart, and sums up what they come to.
func coldly(t *testing.T, l *lab, zone string, each int, d, limit time.Duration) (asked int, all outcome) {
	t.Helper()
	all.rcodes = map[int]int{}
	for end := time.Now().Add(d); time.Now().Before(end); {
		var names []string
		for range each {
			names = append(names, fmt.Sprintf("c%d.%s", asked, zone))
			asked++
		}
		o := burst(t, l.g.Addr, names, 2, limit)
		all.answered += o.answered
		all.waits = append(all.waits, o.waits...)
		for rcode, n := range o.rcodes {
			all.rcodes[rcode] += n
		}
		time.Sleep(100 * time.Millisecond)
	}
	return asked, all
}

// TestB6StarvedByDelegations delegates 200 zones a second to the server of a victim,
// which is silent for names that are not its own, while the victim's own names are
// asked for that nobody has asked for yet.
func TestB6StarvedByDelegations(t *testing.T) {
	t.Parallel()
	const zonesPerSecond, during = 200, 8 * time.Second
	zs := honest()
	evilZone(zs, "victim.com.", "127.66.1.1", "*.victim.com. A 192.0.2.99\n")
	var b strings.Builder
	for i := range zonesPerSecond * int(during/time.Second) * 2 {
		fmt.Fprintf(&b, "z%d.evil.com. NS ns.victim.com.\n", i)
	}
	evilZone(zs, "evil.com.", "127.66.1.2", b.String())
	l := newLab(t, zs, 1)
	l.ask("www.victim.com.", dns.TypeA)
	l.net.Host("127.66.1.1").Play(silentForForeign("victim.com.", 20*time.Millisecond))
	f := startFlood(t, l.g.Addr, zonesPerSecond, func(n int) string { return fmt.Sprintf("www.z%d.evil.com.", n) })
	time.Sleep(2 * time.Second)
	asked, o := coldly(t, l, "victim.com.", 10, during-2*time.Second, 12*time.Second)
	flooded := f.end()
	tell(t, "B6", fmt.Sprintf("%d zones, %d a second, delegated to a server that is silent for them, beside %d cold names of its own zone", flooded, zonesPerSecond, asked),
		"0 fail", "%d fail, slowest %v; outstanding_per_server %d", asked-o.rcodes[dns.RcodeSuccess], o.p99(), l.hits("outstanding_per_server"))
	if o.rcodes[dns.RcodeSuccess] < asked {
		t.Errorf("%d asked, answers %v", asked, o.rcodes)
	}
}

// TestB6ManyColdQuestions asks for as many cold names at once as a resolver gets that has
// been restarted, of one zone whose one server is far away.
func TestB6ManyColdQuestions(t *testing.T) {
	t.Parallel()
	const all, far = 2250, 150 * time.Millisecond
	zs := honest()
	evilZone(zs, "far.com.", "127.66.1.1", "*.far.com. A 192.0.2.99\n")
	l := newLab(t, zs, 1)
	l.ask("www.far.com.", dns.TypeA)
	l.net.Host("127.66.1.1").Play(authority.Delay(far))
	var names []string
	for i := range all {
		names = append(names, fmt.Sprintf("c%d.far.com.", i))
	}
	o := burst(t, l.g.Addr, names, 20, 12*time.Second)
	tell(t, "B6", fmt.Sprintf("%d cold names at once of a zone whose server takes 150 ms", all), "0 fail", "%d fail, slowest %v", all-o.rcodes[dns.RcodeSuccess], o.p99())
	if o.rcodes[dns.RcodeSuccess] < all {
		t.Errorf("%d asked, answers %v", all, o.rcodes)
	}
}
