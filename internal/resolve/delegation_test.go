package resolve_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// delegated is an Internet in which example.com. has that many name servers, with so many
// addresses each, one of which answers.
func delegated(servers, addrs int) zones {
	var text strings.Builder
	for i := range servers {
		fmt.Fprintf(&text, "example.com. NS ns%d.example.com.\n", i)
		for k := range addrs {
			fmt.Fprintf(&text, "ns%d.example.com. A 192.0.2.%d\n", i, 1+i*addrs+k)
		}
	}
	return basic(zones{"com.": text.String(), "example.com.": text.String() + "www.example.com. A 203.0.113.1\n"})
}

// What is left out of a delegation because it is too large is counted, and nothing is while
// it is as large as it may be.
func TestWhatIsLeftOutOfADelegationIsCounted(t *testing.T) {
	for _, tt := range []struct {
		name           string
		servers, addrs int
		ns, as         uint64
	}{
		{"as many servers as may be", limits.MaxNSPerDelegation, 1, 0, 0},
		{"one server more", limits.MaxNSPerDelegation + 1, 1, 1, 0},
		{"as many addresses as may be", 1, 2 + limits.ExtraAddrs(1), 0, 0},
		{"one address more", 1, 3 + limits.ExtraAddrs(1), 0, 1},
	} {
		w := newWorld(t, delegated(tt.servers, tt.addrs))
		if got := w.ask("www.example.com.", "A"); !strings.HasPrefix(got, "NOERROR") {
			t.Errorf("%s: got %s", tt.name, got)
		}
		if ns, as := w.counters.Get(limits.NSPerDelegation), w.counters.Get(limits.AddrsPerNS); ns != tt.ns || as != tt.as {
			t.Errorf("%s: counted %d for servers and %d for addresses, want %d and %d", tt.name, ns, as, tt.ns, tt.as)
		}
	}
}

// Servers without an address in the referral are left out like others, and counted.
func TestServersWithoutGlueAreLeftOutToo(t *testing.T) {
	for extra := range 2 {
		var text strings.Builder
		for i := range limits.MaxNSPerDelegation - 1 + extra {
			fmt.Fprintf(&text, "example.com. NS ns%d.net.\n", i)
		}
		own := "example.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\n"
		w := newWorld(t, basic(zones{"com.": own + text.String(), "example.com.": own + text.String() + "www.example.com. A 203.0.113.1\n"}))
		if got, want := w.ask("www.example.com.", "A"), "NOERROR; www.example.com. A 203.0.113.1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := w.counters.Get(limits.NSPerDelegation); got != uint64(extra) {
			t.Errorf("%d servers beside one with glue: counted %d", limits.MaxNSPerDelegation-1+extra, got)
		}
	}
}

// Of a zone with more name servers than a question considers the others were never asked:
// where none of the first helped, none was ever found. Now others have their turns with the
// next questions, so many with each.
func TestAZoneWithManyServersOfWhichOneIsGood(t *testing.T) {
	for what, bad := range map[string]authority.Rule{"refuse": authority.Rcode(dns.RcodeRefused), "are lame": authority.Lame()} {
		for _, good := range []int{1, 13, 14, 30} {
			w := newWorld(t, delegated(30, 1))
			for i := range 30 {
				if i+1 != good {
					w.net.Host(fmt.Sprintf("192.0.2.%d", i+1)).Play(bad)
				}
			}
			questions := 0
			for ; questions < 3; questions++ {
				got := w.ask(fmt.Sprintf("n%d.example.com.", questions), "A")
				if asked := len(w.asked()); asked > 2*limits.MaxNSPerDelegation {
					t.Errorf("%d questions to servers", asked)
				}
				if strings.HasPrefix(got, "NXDOMAIN") {
					break
				}
			}
			if questions == 3 {
				t.Errorf("30 servers, all %s but number %d, which is not found", what, good)
			}
			if got := w.ask("www.example.com.", "A"); !strings.HasPrefix(got, "NOERROR") {
				t.Errorf("30 servers, all %s but number %d: then %s", what, good, got)
			}
		}
	}
}

// A name whose labels are shown several at a time is counted, one that is shown label by
// label is not (RFC 9156, section 2.3).
func TestNamesTooLongForOneLabelAtATimeAreCounted(t *testing.T) {
	for _, tt := range []struct {
		labels int
		want   uint64
	}{{8, 0}, {30, 1}} {
		qname := strings.Repeat("a.", tt.labels-2) + "example.com."
		zs := basic(example(""))
		for child := "a.example.com."; len(child) < len("a.a.a.a.example.com."); child = "a." + child {
			zs[child[2:]] += child + " NS ns.example.com.\n"
			zs[child] = child + " NS ns.example.com.\n"
		}
		zs["a.a.a.example.com."] += qname + " A 203.0.113.1\n"
		w := newWorld(t, zs)
		if got, want := w.ask(qname, "A"), "NOERROR; "+qname+" A 203.0.113.1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := w.counters.Get(limits.QnameSteps); got != tt.want {
			t.Errorf("%d labels: counted %d, want %d; asked %v", tt.labels, got, tt.want, w.asked())
		}
	}
}

// Of a name server with more addresses than a question considered the others were never
// asked: where none of the first was good, each question ended in SERVFAIL after ten seconds.
// The only name server of a zone may have as many addresses as many with one each, whether
// they are told with the delegation or have to be looked up; of still more others have their
// turns with the next questions.
func TestANameServerWithManyAddressesOfWhichOneIsGood(t *testing.T) {
	for what, glue := range map[string]bool{"with glue": true, "looked up": false} {
		for _, c := range []struct{ all, questions int }{{17, 1}, {60, 12}} {
			for _, good := range []int{1, 7, c.all} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, manyAddresses(c.all, glue))
					for i := range c.all {
						if i+1 != good {
							w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(authority.Drop())
						}
					}
					for n := 1; ; n++ {
						start := time.Now()
						got := w.ask(fmt.Sprintf("n%d.example.com.", n), "A")
						took := time.Since(start)
						if strings.HasPrefix(got, "NOERROR") && took < 2*time.Second {
							break
						}
						if n == c.questions {
							t.Errorf("%s, %d addresses, the good one is number %d: question %d got %s after %v", what, c.all, good, n, got, took)
							break
						}
						time.Sleep(time.Minute)
					}
				})
			}
		}
	}
}

// Of a sole name server with 17 addresses 16 that said REFUSED, or SERVFAIL, were more answers
// of no use than a question took from a zone, though the good one had not been asked. A zone
// whose only name server has as many addresses that all refuse costs a question no more than
// these, and the next one few.
func TestASoleNameServerMostOfWhoseAddressesRefuse(t *testing.T) {
	for what, does := range map[string]authority.Rule{"REFUSED": authority.Rcode(dns.RcodeRefused), "SERVFAIL": authority.Rcode(dns.RcodeServerFailure), "NOTAUTH": authority.Rcode(dns.RcodeNotAuth)} {
		for _, glue := range []bool{true, false} {
			for _, good := range []int{0, 1, 9, 17} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, manyAddresses(17, glue))
					asked := func() (n uint64) {
						for i := range 17 {
							n += w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Queries()
						}
						return n
					}
					for i := range 17 {
						if i+1 != good {
							w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(does)
						}
					}
					for n := range 3 {
						before, start := asked(), time.Now()
						got := w.ask(fmt.Sprintf("n%d.example.com.", n), "A")
						took, cost := time.Since(start), asked()-before
						switch {
						case good > 0 && (!strings.HasPrefix(got, "NOERROR") || took > 2*time.Second):
							t.Errorf("16 of 17 say %s, glue %v, the good one is number %d: question %d got %s after %v", what, glue, good, n, got, took)
						case cost > 2+uint64(limits.UselessAnswers(1)), n > 0 && good > 0 && cost > 2:
							t.Errorf("%s, glue %v, the good one is number %d: question %d cost %d", what, glue, good, n, cost)
						}
					}
				})
			}
		}
	}
}

// manyAddresses is an Internet in which the only name server of example.com. has that many
// addresses, from 192.0.2.101 on.
func manyAddresses(n int, glue bool) zones {
	name := "ns.example.net."
	if glue {
		name = "ns.example.com."
	}
	var addrs strings.Builder
	for i := range n {
		fmt.Fprintf(&addrs, "%s A 192.0.2.%d\n", name, 101+i)
	}
	own := "example.com. NS " + name + "\n*.example.com. A 203.0.113.1\n"
	net := "example.net. NS ns0.example.net.\nns0.example.net. A 192.0.2.90\n"
	if glue {
		own += addrs.String()
		return basic(zones{"com.": own, "example.com.": own})
	}
	return basic(zones{"com.": own, "example.com.": own, "net.": net, "example.net.": net + addrs.String()})
}
