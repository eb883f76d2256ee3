package resolve_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// families is example.com. with name servers in net., whose addresses no delegation
// tells: addrs has those of each, as records.
func families(names map[string]string) zones {
	const own = "example.net. NS ns.example.net.\nns.example.net. A 192.0.2.11\n"
	zs := zones{"net.": own, "example.net.": own, "example.com.": "www.example.com. A 192.0.2.10\n"}
	for name, addrs := range names {
		ns := fmt.Sprintf("example.com. NS %s.example.net.\n", name)
		zs["com."] += ns
		zs["example.com."] += ns
		for addr := range strings.FieldsSeq(addrs) {
			t := "A"
			if strings.Contains(addr, ":") {
				t = "AAAA"
			}
			zs["example.net."] += fmt.Sprintf("%s.example.net. %s %s\n", name, t, addr)
		}
	}
	return zs
}

// answeredWithin asks for www.example.com. A and fails unless it is answered in time.
func (w *world) answeredWithin(most time.Duration) {
	w.t.Helper()
	start := time.Now()
	got := w.ask("www.example.com.", "A")
	if took := time.Since(start); got != "NOERROR; www.example.com. A 192.0.2.10" || took > most {
		w.t.Errorf("%s after %v, want an answer within %v; sent:\n%s", got, took, most, strings.Join(w.asked(), "\n"))
	}
}

// silence makes servers say nothing.
func (w *world) silence(addrs ...string) {
	for _, a := range addrs {
		w.net.Host(a).Play(authority.Drop())
	}
}

// One family of a zone's name servers is dead, and no delegation tells an address.
func TestADeadFamilyWithoutGlue(t *testing.T) {
	for name, dead := range map[string][]string{"IPv4": {"192.0.2.1", "192.0.2.2"}, "IPv6": {"2001:db8::1", "2001:db8::2"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 10 {
					w := newWorld(t, basic(families(map[string]string{"ns1": "192.0.2.1 2001:db8::1", "ns2": "192.0.2.2 2001:db8::2"})))
					w.silence(dead...)
					w.answeredWithin(time.Second)
				}
			})
		})
	}
}

// The glue is of a family that is dead; the other is to be looked up.
func TestGlueOfADeadFamily(t *testing.T) {
	for _, c := range []struct{ glue, other string }{{"A 192.0.2.1", "AAAA 2001:db8::1"}, {"AAAA 2001:db8::1", "A 192.0.2.1"}} {
		synctest.Test(t, func(t *testing.T) {
			glue, other := "ns.host.com. "+c.glue+"\n", "ns.host.com. "+c.other+"\n"
			const host = "host.com. NS ns2.host.com.\nns2.host.com. A 192.0.2.12\n"
			w := newWorld(t, basic(zones{
				"com.":         "example.com. NS ns.host.com.\n" + host + glue,
				"host.com.":    host + glue + other,
				"example.com.": "example.com. NS ns.host.com.\nwww.example.com. A 192.0.2.10\n",
			}))
			_, dead, _ := strings.Cut(c.glue, " ")
			w.silence(dead)
			w.answeredWithin(time.Second)
		})
	}
}

// Of four name servers without glue one is alive.
func TestThreeOfFourNameServersAreDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			w := newWorld(t, basic(families(map[string]string{"ns1": "192.0.2.1", "ns2": "192.0.2.2", "ns3": "192.0.2.3", "ns4": "192.0.2.4"})))
			w.silence("192.0.2.1", "192.0.2.2", "192.0.2.3")
			w.answeredWithin(2 * time.Second)
		}
	})
}

// Of many name servers without glue one is alive. They are looked up a few at a time, and
// the zone is not given up before all are known.
func TestOneGoodServerOfManyWithoutGlue(t *testing.T) {
	for _, c := range []struct {
		all      int
		away     bool // no route leads to the others; else they are silent
		families string
	}{
		{6, false, "192.0.2.%d"}, {6, true, "192.0.2.%d"}, {13, false, "192.0.2.%d"}, {13, true, "192.0.2.%d"},
		{13, false, "192.0.2.%[1]d 2001:db8::%[1]d"}, {13, true, "192.0.2.%[1]d 2001:db8::%[1]d"},
	} {
		t.Run(fmt.Sprintf("%d of %s, away %v", c.all, c.families, c.away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for good := range c.all {
					names, dead := map[string]string{}, map[string]bool{}
					for i := range c.all {
						names[fmt.Sprintf("ns%d", i)] = fmt.Sprintf(c.families, 100+i)
						for addr := range strings.FieldsSeq(fmt.Sprintf(c.families, 100+i)) {
							dead[addr] = addr != fmt.Sprintf("192.0.2.%d", 100+good)
						}
					}
					w := newWorld(t, basic(families(names)))
					if c.away {
						w.noRoute = func(a netip.Addr) bool { return dead[a.String()] }
					} else {
						w.silence(slices.DeleteFunc(slices.Collect(maps.Keys(dead)), func(a string) bool { return !dead[a] })...)
					}
					w.answeredWithin(2 * time.Second)
				}
			})
		})
	}
}

// The zone of one name server is dead, so that its look-up takes long; that of another
// is alive. And the same where the first has glue, which is dead as well.
func TestOneLookUpIsStuck(t *testing.T) {
	for _, glue := range []string{"", "ns.dead.com. A 192.0.2.66\n"} {
		synctest.Test(t, func(t *testing.T) {
			for range 10 {
				const dead = "dead.com. NS a.dead.com.\na.dead.com. A 192.0.2.66\n"
				const host = "host.com. NS a.host.com.\na.host.com. A 192.0.2.12\n"
				const servers = "example.com. NS ns.dead.com.\nexample.com. NS ns.host.com.\n"
				w := newWorld(t, basic(zones{
					"com.":         servers + dead + host + glue,
					"dead.com.":    dead + "ns.dead.com. A 192.0.2.66\n",
					"host.com.":    host + "ns.host.com. A 192.0.2.1\n",
					"example.com.": servers + "www.example.com. A 192.0.2.10\n",
				}))
				w.silence("192.0.2.66")
				w.answeredWithin(2 * time.Second)
			}
		})
	}
}

// This machine has no route for a family. That costs no time, ends no zone, says
// nothing about servers, and is over when the route comes.
func TestAFamilyWithoutARoute(t *testing.T) { oneFamily(t, netip.Addr{}) }

// The same holds for a family whose outgoing address the machine does not have.
func TestAFamilyWithoutItsOutgoingAddress(t *testing.T) {
	oneFamily(t, netip.MustParseAddr("192.0.2.77"))
}

func oneFamily(t *testing.T, lost netip.Addr) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, merge(zones{
			".": ". NS a.root.\na.root. A 198.51.100.1\na.root. AAAA 2001:db8:1::1\n" +
				"com. NS ns.com.\nns.com. A 198.51.100.2\nns.com. AAAA 2001:db8:1::2\n" +
				"net. NS ns.net.\nns.net. A 198.51.100.3\nns.net. AAAA 2001:db8:1::3\n",
			"com.": "com. NS ns.com.\nns.com. A 198.51.100.2\nns.com. AAAA 2001:db8:1::2\n",
			"net.": "net. NS ns.net.\nns.net. A 198.51.100.3\nns.net. AAAA 2001:db8:1::3\n" +
				"ns.example.net. AAAA 2001:db8:1::4\n",
		}, families(map[string]string{"ns1": "192.0.2.1 2001:db8::1", "ns2": "192.0.2.2 2001:db8::2"}),
			zones{"example.net.": "ns.example.net. AAAA 2001:db8:1::4\n"}))
		w.noRoute, w.lost = netip.Addr.Is4, lost
		w.answeredWithin(0)
		time.Sleep(2 * time.Second) // the route comes, and the other family goes
		w.noRoute = netip.Addr.Is6
		w.answeredWithin(0)
	})
}

// One of 13 servers is good, whatever the others do. (Where all refuse, they are taken
// for victims of who named them: limits.RefusalsPerZone.)
func TestOneGoodServerOfThirteen(t *testing.T) {
	kinds := map[string]authority.Rule{
		"silent":   authority.Drop(),
		"SERVFAIL": authority.Rcode(dns.RcodeServerFailure),
		"lame":     authority.Lame(),
		"FORMERR":  authority.Rcode(dns.RcodeFormatError),
	}
	kinds["all kinds"] = nil
	for kind, rule := range kinds {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for good := range 13 {
					zs := manyServers(13)
					zs["example.com."] += "www.example.com. A 192.0.2.10\n"
					w := newWorld(t, basic(zs))
					all := []authority.Rule{kinds["silent"], authority.Rcode(dns.RcodeRefused), kinds["SERVFAIL"], kinds["lame"], kinds["FORMERR"]}
					for i := range 13 {
						switch {
						case i == good:
						case rule == nil:
							w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(all[i%len(all)])
						default:
							w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(rule)
						}
					}
					w.answeredWithin(2 * time.Second)
				}
			})
		})
	}
}

// One of 13 servers is good, and nothing is known of it, while the others were good until
// a moment ago, in whatever way they became bad.
func TestTwelveGoodServersTurnBad(t *testing.T) {
	for kind, rule := range map[string]authority.Rule{"silent": authority.Drop(), "slow": authority.Delay(5 * time.Second), "REFUSED": authority.Rcode(dns.RcodeRefused), "lame": authority.Lame()} {
		for _, rtt := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 150 * time.Millisecond} {
			t.Run(fmt.Sprint(kind, " after ", rtt), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					zs := manyServers(13)
					zs["example.com."] += "www.example.com. A 192.0.2.10\n"
					w := newWorld(t, basic(zs))
					for i := range 12 {
						at := netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)})
						w.servers.Answered(zonecut.Endpoint{Addr: netip.AddrPortFrom(at, 53)}, selection.Answer{RTT: rtt})
						w.net.Host(at.String()).Play(rule, authority.Delay(rtt))
					}
					w.net.Host("192.0.2.113").Play(authority.Delay(rtt))
					w.answeredWithin(2 * time.Second)
				})
			})
		}
	}
}

// A request leaves no look-up behind, and look-ups cost what they may cost.
func TestLookUpsBesideEndWithTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := map[string]string{}
		for i := range 13 {
			names[fmt.Sprintf("ns%d", i)] = fmt.Sprintf("192.0.2.%d 2001:db8::%d", 100+i, 100+i)
		}
		w := newWorld(t, basic(families(names)))
		for i := range 13 {
			w.silence(fmt.Sprintf("192.0.2.%d", 100+i), fmt.Sprintf("2001:db8::%d", 100+i))
		}
		w.ask("www.example.com.", "A")
		sent := len(w.asked())
		synctest.Wait() // deadlocks the test's bubble if something goes on for ever
		time.Sleep(time.Minute)
		if more := len(w.asked()); sent > 60 || more > 0 {
			t.Errorf("%d questions, and %d afterwards", sent, more)
		}
	})
}

// NOERROR without AA, SOA and records from all servers of a zone is NODATA; one that
// knows better is believed instead.
func TestEmptyAnswersOfAllServersAreNoData(t *testing.T) {
	empty := func(x *authority.Exchange) {
		if x.Reply.Authoritative = false; x.Query.Question[0].Name == "www.example.com." {
			x.Reply.Answer, x.Reply.Ns, x.Reply.Extra = nil, nil, nil
		}
	}
	for want, servers := range map[string][]string{
		"NOERROR":                                {"192.0.2.101", "192.0.2.102"},
		"NOERROR; www.example.com. A 192.0.2.10": {"192.0.2.101"},
	} {
		synctest.Test(t, func(t *testing.T) {
			zs := manyServers(2)
			zs["example.com."] += "www.example.com. A 192.0.2.10\n"
			w := newWorld(t, basic(zs))
			for _, s := range servers {
				w.net.Host(s).Play(empty)
			}
			if got := w.ask("www.example.com.", "A"); got != want {
				t.Errorf("%d servers empty: %s, want %s", len(servers), got, want)
			}
		})
	}
}

// A server that says FORMERR with an OPT record is asked once more, without EDNS.
func TestFormErrWithOPTIsTriedWithoutEDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.net.Host("192.0.2.1").Play(func(x *authority.Exchange) {
			if x.Query.IsEdns0() != nil {
				x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns, x.Reply.Extra = dns.RcodeFormatError, nil, nil, nil
				x.Reply.SetEdns0(1232, true)
			}
		})
		w.answeredWithin(0)
	})
}
