package attack

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/limits"
	"kresd/internal/proctest"
)

// glueless is a delegation of zone to n name servers without addresses; name
// makes their names.
func glueless(zone string, n int, name func(int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s NS %s\n", zone, name(i))
	}
	return b.String()
}

// TestB4Delegations plays delegations that make a resolver work for its attacker:
// NXNSAttack (CVE-2020-8616 and its kin), NRDelegationAttack (CVE-2022-3204),
// chains of name servers, TsuNAME, and CAMP, which multiplies aliases, name
// servers and minimised questions.
func TestB4Delegations(t *testing.T) {
	t.Parallel()
	// 1,500 records are more than a message may have; 250 are not.
	const many, fewer = 1500, 250
	zs := honest()
	// NXNS: evil.com refers to names of a victim, which do not exist.
	evilZone(zs, "victim.net.", "127.66.1.2", "*.real.victim.net. A 127.66.1.2\n")
	evilZone(zs, "evil.com.", "127.66.1.1",
		glueless("many.evil.com.", many, func(i int) string { return fmt.Sprintf("n%d.victim.net.", i) })+
			glueless("nx.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.victim.net.", i) })+
			glueless("refusing.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.real.victim.net.", i) })+
			glueless("failing.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.fails.net.", i) })+
			glueless("silent.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.silent.net.", i) })+
			glueless("lame.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.lame.net.", i) })+
			glueless("nr.evil.com.", fewer, func(i int) string { return fmt.Sprintf("ns.nr%d.evil.com.", i) })+
			nonResponding(fewer)+apart())
	// The same of victims whose servers are in trouble.
	for i, zone := range []string{"fails.net.", "silent.net.", "lame.net."} {
		evilZone(zs, zone, fmt.Sprintf("127.66.2.%d", i+1), "")
	}
	// NXNS over many victims: each name server in a zone of its own, which is delegated.
	for i := range 30 {
		evilZone(zs, fmt.Sprintf("v%d.net.", i), "127.66.1.3", "")
	}
	zs["evil.com."] += glueless("wide.evil.com.", fewer, func(i int) string { return fmt.Sprintf("n%d.v%d.net.", i, i%30) })
	// Every name server of deep0 lies in deep1, and so on.
	for i := range 10 {
		zs["com."] += glueless(fmt.Sprintf("deep%d.com.", i), 10, func(j int) string { return fmt.Sprintf("ns%d.deep%d.com.", j, i+1) })
	}
	zs["com."] += "tsu.com. NS ns.tsu.net.\nself.com. NS a.self.com.\nself.com. NS b.self.com.\n"
	zs["net."] += "tsu.net. NS ns.tsu.com.\n"
	circles(zs)
	l := newLab(t, zs, 1)
	l.net.Host("127.66.1.3").Play(authority.Rcode(dns.RcodeRefused))
	l.net.Host("127.66.1.97").Play(authority.Drop())
	for k, kind := range apartKinds {
		for i := range serversApart {
			l.net.Host(fmt.Sprintf("127.66.%d.%d", 3+k, i+1)).Play(kind.rule)
		}
	}
	l.net.Host("127.66.2.1").Play(authority.Rcode(dns.RcodeServerFailure))
	l.net.Host("127.66.2.2").Play(authority.Drop())
	l.net.Host("127.66.2.3").Play(authority.Lame())

	var all []int
	for _, tc := range []struct {
		attack, name string
		bound        int
		limit        string // that must have been met
	}{
		{"NXNSAttack, 1,500 NS that do not exist", "www.many.evil.com.", 12, "ns_per_delegation"},
		{"NXNSAttack, 250 NS that do not exist", "www.nx.evil.com.", 12, "ns_per_delegation"},
		{"NXNSAttack, 250 NS that lead to a server that refuses", "www.refusing.evil.com.", 12, "ns_per_delegation"},
		{"NXNSAttack, 250 NS of a zone whose server answers SERVFAIL", "www.failing.evil.com.", 12, "unresolvable_ns"},
		{"NXNSAttack, 250 NS of a zone whose server is silent", "www.silent.evil.com.", 12, "ns_per_delegation"},
		{"NXNSAttack, 250 NS of a zone whose server is lame", "www.lame.evil.com.", 12, "ns_per_delegation"},
		{"NXNSAttack, 250 NS in 30 zones of victims", "www.wide.evil.com.", 12, "unresolvable_ns"},
		{"NRDelegation, 250 NS behind a server that is silent", "www.nr.evil.com.", 11, "unresolvable_ns"},
		{"NRDelegation, 20 NS behind a silent server each", "www.silentapart.evil.com.", 11, "unresolvable_ns"},
		{"NXNSAttack, 20 NS behind a server each that answers SERVFAIL", "www.failingapart.evil.com.", 12, "unresolvable_ns"},
		{"NXNSAttack, 20 NS behind a server each that refuses", "www.refusingapart.evil.com.", 12, "unresolvable_ns"},
		{"NXNSAttack, 20 NS behind a server each that is lame", "www.lameapart.evil.com.", 12, "unresolvable_ns"},
		{"10 levels of 10 NS that depend on each other", "www.deep0.com.", 12, "recursion_depth"},
		{"TsuNAME, two zones that wait for each other", "www.tsu.com.", 6, "cycle"},
		{"name servers below themselves without glue", "www.self.com.", 4, ""},
		{"aliases in a circle over two zones", "a.circle1.com.", 20, ""},
		{"DNAME that leads to itself", "x.into.circle1.com.", 20, "cname_chain"},
		{"CAMP: 13 aliases x 3 NS x 9 labels", "a.b.c.d.e.f.g.h.camp0.com.", mostUpstream, ""},
		{"CAMP: the same with name servers that need aliases", "a.b.c.d.e.f.g.h.maze0.com.", mostUpstream, ""},
	} {
		l.clear()
		l.settle()
		met := 0
		if tc.limit != "" {
			met = -l.hits(tc.limit)
		}
		b := l.ask(tc.name, dns.TypeA)
		if tc.limit != "" {
			if met += l.hits(tc.limit); met <= 0 {
				t.Errorf("%s: worker.limits().%s has not risen", tc.attack, tc.limit)
			}
		}
		all = append(all, b.sent)
		tell(t, "B4", tc.attack, fmt.Sprintf("<= %d", tc.bound), "%d upstream, %d octets, %s in %v", b.sent, b.octets, b.rcode, b.took.Round(time.Millisecond))
		if b.rcode != "SERVFAIL" || b.sent > tc.bound || b.sent == 0 {
			t.Errorf("%s: %s after %d questions upstream, want SERVFAIL after at most %d", tc.attack, b.rcode, b.sent, tc.bound)
		}
		if b.octets > mostOctets+0xffff || b.took > mostTime+3*time.Second {
			t.Errorf("%s: %d octets, %v", tc.attack, b.octets, b.took)
		}
	}
	slices.Sort(all)
	median := all[len(all)/2]
	tell(t, "B4", "median of these", "< 30", "%d", median)
	if median >= 30 {
		t.Errorf("the median attack costs %d questions", median)
	}
}

// nonResponding delegates the zones that nr.evil.com's servers lie in to an
// address where nobody is, and those of apart.evil.com's to one such address each.
func nonResponding(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "nr%d.evil.com. NS d.evil.com.\n", i)
	}
	return b.String() + "d.evil.com. A 127.66.1.97\n"
}

// serversApart is how many name servers a delegation has whose zones have a server each, and
// apartKinds is what these are like.
const serversApart = 20

var apartKinds = []struct {
	name string
	rule authority.Rule
}{
	{"silent", authority.Drop()},
	{"failing", func(x *authority.Exchange) {
		authority.Rcode(dns.RcodeServerFailure)(x)
		x.Reply.SetEdns0(1232, false)
	}},
	{"refusing", authority.Rcode(dns.RcodeRefused)},
	{"lame", authority.Lame()},
}

// apart are such delegations of evil.com, one of each kind.
func apart() string {
	var b strings.Builder
	for k, kind := range apartKinds {
		b.WriteString(glueless(kind.name+"apart.evil.com.", serversApart, func(i int) string { return fmt.Sprintf("ns.%s%d.evil.com.", kind.name, i) }))
		for i := range serversApart {
			fmt.Fprintf(&b, "%[1]s%[2]d.evil.com. NS %[1]sd%[2]d.evil.com.\n%[1]sd%[2]d.evil.com. A 127.66.%[3]d.%[4]d\n", kind.name, i, 3+k, i+1)
		}
	}
	return b.String()
}

// circles adds chains of aliases that multiply with name servers and labels.
func circles(zs zones) {
	evilZone(zs, "circle1.com.", "127.66.1.4", "a.circle1.com. CNAME b.circle2.com.\ninto.circle1.com. DNAME x.into.circle1.com.\n")
	evilZone(zs, "circle2.com.", "127.66.1.5", "b.circle2.com. CNAME a.circle1.com.\n")
	for i := range 14 {
		zone := fmt.Sprintf("camp%d.com.", i)
		evilZone(zs, zone, fmt.Sprintf("127.66.1.%d", 20+i),
			fmt.Sprintf("%s NS n1.camp%d.com.\n%s NS n2.camp%d.com.\n", zone, (i+5)%14, zone, (i+9)%14)+
				fmt.Sprintf("a.b.c.d.e.f.g.h.%s CNAME a.b.c.d.e.f.g.h.camp%d.com.\n", zone, i+1)+
				fmt.Sprintf("n1.%s A 127.66.1.99\nn2.%s A 127.66.1.98\n", zone, zone))
		zs["com."] += fmt.Sprintf("%s NS n1.camp%d.com.\n%s NS n2.camp%d.com.\n", zone, (i+5)%14, zone, (i+9)%14)
	}
	// The servers of maze0 have names that are aliases into maze1, and so on.
	for i := range 14 {
		zone := fmt.Sprintf("maze%d.com.", i)
		zs["com."] += glueless(zone, 13, func(j int) string { return fmt.Sprintf("a.b.c.d.n%d.hall%d.com.", j, i) })
		evilZone(zs, fmt.Sprintf("hall%d.com.", i), fmt.Sprintf("127.66.1.%d", 40+i),
			fmt.Sprintf("*.hall%d.com. CNAME a.b.c.d.e.f.maze%d.com.\n", i, i+1))
	}
}

// TestB4Repeated asks for many names of zones that cannot work: what is known of
// them must not be found out for every client, even where no answer says so that
// could be cached.
func TestB4Repeated(t *testing.T) {
	t.Parallel()
	zs := honest()
	zs["com."] += "tsu.com. NS ns.tsu.net.\n"
	zs["net."] += "tsu.net. NS ns.tsu.com.\n"
	evilZone(zs, "silent.com.", "127.66.1.1", "")
	evilZone(zs, "victim.net.", "127.66.1.2", "")
	zs["com."] += glueless("hollow.com.", 250, func(i int) string { return fmt.Sprintf("n%d.victim.net.", i) })
	l := newLab(t, zs, 1)
	l.net.Host("127.66.1.1").Play(authority.Drop())
	l.net.Host("127.66.1.2").Play(func(x *authority.Exchange) { x.Reply.Ns = nil }) // denials without SOA
	const questions = 200
	for _, tc := range []struct {
		attack, zone string
		bound        int
		limit        string
	}{
		{"TsuNAME, 200 names of one zone", "tsu.com.", 6, "cycle"},
		{"200 names of a zone whose server is silent", "silent.com.", 12, ""},
		{"NXNSAttack, 200 names of a zone whose 250 NS are denied in ways not to be cached", "hollow.com.", 50, "throttled_ns"},
	} {
		before := l.sent()
		first := l.ask("first."+tc.zone, dns.TypeA)
		var names []string
		for i := range questions - 1 {
			names = append(names, fmt.Sprintf("n%d.%s", i, tc.zone))
		}
		out := burst(t, l.g.Addr, names, 20, 12*time.Second)
		sent := l.sent() - before
		tell(t, "B4", tc.attack, fmt.Sprintf("<= %d", tc.bound), "%d upstream, %d of them for the first", sent, first.sent)
		if sent > tc.bound || out.answered < questions-1 {
			t.Errorf("%s: %d questions upstream, %d of %d answered", tc.attack, sent, out.answered, questions-1)
		}
		if tc.limit != "" && l.hits(tc.limit) == 0 {
			t.Errorf("%s: worker.limits().%s is 0", tc.attack, tc.limit)
		}
	}
}

// bad is a way of answering that makes a resolver try again.
type bad struct {
	kind   string
	rule   authority.Rule
	writer authority.Writer
	most   uint64 // questions
}

func endless(c net.Conn, framed []byte) error {
	other := slices.Clone(framed)
	other[2] ^= 0xff // of another ID
	for range 10000 {
		if _, err := c.Write(other); err != nil {
			return err
		}
	}
	return nil
}

func drip(c net.Conn, framed []byte) error {
	for i := range framed {
		if _, err := c.Write(framed[i : i+1]); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	return nil
}

var errHangUp = fmt.Errorf("hang up: %w", net.ErrClosed)

func badServers() []bad {
	// Wrong answers end no wait and prove nothing, so servers that give no others
	// are silent ones that have TCP: only the limit for one look-up ends it.
	// Each of a zone's 13 servers may be the one good server, so that each that answers
	// uselessly is asked; but not for ever, if they refuse, nor if they refuse though they
	// know the zone. Some are asked without EDNS, too, where that may be why.
	const resent, refused, useless, doubted, perFetch = 30, 7, 15, 15 + limits.FailuresInRow, 32
	tc := authority.Truncate()
	rcode := func(n int) authority.Rule {
		return func(x *authority.Exchange) {
			authority.Rcode(n)(x)
			x.Reply.SetEdns0(1232, true)
			x.Reply.Rcode = n
		}
	}
	return []bad{
		{"closes every connection", tc, func(net.Conn, []byte) error { return errHangUp }, resent},
		{"sends one octet each 300 ms over TCP", tc, drip, resent},
		{"sends other messages without end over TCP", tc, endless, resent},
		{"sends half a message over TCP", tc, func(c net.Conn, b []byte) error { _, err := c.Write(b[:len(b)/2]); return err }, resent},
		{"truncates over TCP too", func(x *authority.Exchange) { x.Reply.Truncated, x.Reply.Answer = true, nil }, nil, resent},
		{"accepts and says nothing", func(x *authority.Exchange) {
			if tc(x); x.TCP {
				x.Reply = nil
			}
		}, nil, resent},
		{"answers BADCOOKIE", rcode(dns.RcodeBadCookie), nil, useless},
		{"answers BADVERS", rcode(dns.RcodeBadVers), nil, doubted},
		{"refuses", rcode(dns.RcodeRefused), nil, useless},
		{"refuses as an authority", func(x *authority.Exchange) {
			rcode(dns.RcodeRefused)(x)
			x.Reply.Authoritative = true
		}, nil, refused},
		{"alternates FORMERR, lame, SERVFAIL, silence", func(x *authority.Exchange) {
			[]authority.Rule{authority.Rcode(dns.RcodeFormatError), authority.Lame(), authority.Rcode(dns.RcodeServerFailure), authority.Drop()}[x.N%4](x)
		}, nil, resent},
		{"answers another question", func(x *authority.Exchange) { x.Reply.Question[0].Name = "other.example." }, nil, perFetch + 4},
	}
}

// TestB5Resends plays servers, thirteen of each kind, that always want to be asked
// again, or keep a connection busy without an answer (CVE-2026-5950,
// CVE-2023-46317), all at the same time.
func TestB5Resends(t *testing.T) {
	t.Parallel()
	zs := honest()
	kinds := badServers()
	for i := range kinds {
		for j := range 13 {
			zone := fmt.Sprintf("bad%d.com.", i)
			ns := server(zone, fmt.Sprintf("ns%d.%s", j, zone), fmt.Sprintf("127.66.%d.%d", 10+i, j+1))
			zs["com."] += ns
			zs[zone] += ns
		}
		zs[fmt.Sprintf("bad%d.com.", i)] += fmt.Sprintf("a.b.c.bad%d.com. A %s\n", i, evil)
	}
	l := newLab(t, zs, 1)
	for i := range kinds {
		for j := range 13 {
			h := l.net.Host(fmt.Sprintf("127.66.%d.%d", 10+i, j+1))
			h.Play(kinds[i].rule)
			h.WriteTCP(kinds[i].writer)
		}
	}
	var wg sync.WaitGroup
	for i := range kinds {
		wg.Go(func() {
			start := time.Now()
			r, err := exchange(l.g.Addr, proctest.Query(fmt.Sprintf("a.b.c.bad%d.com.", i), dns.TypeA, 1232), 15*time.Second)
			took := time.Since(start)
			var asked, conns uint64
			for j := range 13 {
				h := l.net.Host(fmt.Sprintf("127.66.%d.%d", 10+i, j+1))
				asked, conns = asked+h.Queries(), conns+h.Connections()
			}
			if err != nil {
				t.Errorf("13 servers, each %s: %v", kinds[i].kind, err)
				return
			}
			tell(t, "B5", "13 servers, each "+kinds[i].kind, fmt.Sprintf("<= %d questions, 8 connections, 10 s", kinds[i].most), "%d questions, %d connections, %s in %v", asked, conns, dns.RcodeToString[r.Rcode], took.Round(10*time.Millisecond))
			if r.Rcode != dns.RcodeServerFailure || asked > kinds[i].most || conns > mostConns || took > mostTime+3*time.Second {
				t.Errorf("13 servers, each %s: %s, %d questions, %d connections, %v", kinds[i].kind, dns.RcodeToString[r.Rcode], asked, conns, took)
			}
		})
	}
	wg.Wait()
	if l.hits("useless_servers") == 0 {
		t.Error("worker.limits().useless_servers is 0")
	}
	// The worker serves others as before.
	if b := l.ask("www.example.com.", dns.TypeA); address(b.r) != "192.0.2.80" {
		t.Errorf("afterwards: %v", b.r)
	}
}
