package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// victims is honest with a zone that attackers would like to speak for.
func victims() zones {
	zs := honest()
	evilZone(zs, "victim.net.", "127.66.0.5", "victim.net. A 192.0.2.69\nwww.victim.net. A 192.0.2.70\nvictim.net. TXT honest\n")
	evilZone(zs, "evil.com.", "127.66.1.1", "www.evil.com. A 192.0.2.1\n*.pos.evil.com. A 192.0.2.2\n*.alias.evil.com. CNAME www.evil.com.\n*.text.evil.com. TXT x\n*.out.evil.com. CNAME www.victim.net.\nsub.evil.com. NS ns.sub.evil.com.\nns.sub.evil.com. A 127.66.1.2\n")
	zs["sub.evil.com."] = server("sub.evil.com.", "ns.sub.evil.com.", "127.66.1.2") + "*.sub.evil.com. A 192.0.2.3\n"
	return zs
}

// unsolicited are records that nobody asked evil.com for.
var unsolicited = []string{
	"victim.net. A " + evil, "www.victim.net. A " + evil, "ns.victim.net. A " + evil, "a.nic.net. A " + evil, "a.root. A " + evil,
	"net. NS ns.evil.com.", ". NS ns.evil.com.", "com. NS ns.evil.com.", "victim.net. NS ns.evil.com.", "example.com. NS ns.evil.com.",
	"www.victim.net. CNAME www.evil.com.", "net. DNAME evil.com.", "victim.net. TXT " + evil, "www.victim.net. AAAA 2001:db8::66",
	"victim.net. SOA ns. host. 66666 2 3 4 5", "nothing.victim.net. A " + evil,
	"com. DNAME victim.net.", "com. SOA ns. host. 66666 2 3 4 5", ". SOA ns. host. 66666 2 3 4 5", ". DNAME victim.net.",
}

// inject puts a record into a section of every answer.
func inject(rr dns.RR, section int) authority.Rule {
	return func(x *authority.Exchange) {
		s := []*[]dns.RR{&x.Reply.Answer, &x.Reply.Ns, &x.Reply.Extra}[section]
		*s = append([]dns.RR{dns.Copy(rr)}, *s...)
	}
}

// tainted tells whether an answer holds anything that only the attacker says.
func tainted(r *dns.Msg) bool {
	text := r.String()
	return strings.Contains(text, evil) || strings.Contains(text, "2001:db8::66") || strings.Contains(text, "ns.evil.com") ||
		strings.Contains(text, " 66666 ") || strings.Contains(text, "CNAME\twww.evil.com")
}

// spoils asks for what was injected, as clients do who want to know, and returns
// the questions whose answers are wrong.
func (l *lab) spoils() (bad []string) {
	for _, tc := range []struct {
		name  string
		qtype uint16
		want  string // in the answer
	}{
		{"victim.net.", dns.TypeA, "192.0.2.69"}, {"www.victim.net.", dns.TypeA, "192.0.2.70"}, {"victim.net.", dns.TypeTXT, "honest"},
		{"www.victim.net.", dns.TypeAAAA, ""}, {"nothing.victim.net.", dns.TypeA, ""}, {"ns.victim.net.", dns.TypeA, "127.66.0.5"},
		{"victim.net.", dns.TypeNS, "ns.victim.net."}, {"net.", dns.TypeNS, "a.nic.net."}, {"com.", dns.TypeNS, "a.nic.com."}, {".", dns.TypeNS, "a.root."},
		{"a.nic.net.", dns.TypeA, "127.66.0.3"}, {"www.example.com.", dns.TypeA, "192.0.2.80"}, {"example.com.", dns.TypeNS, "ns.example.com."},
		{"net.", dns.TypeDNAME, ""}, {"victim.net.", dns.TypeSOA, "1 2 3 4 300"},
	} {
		r, err := exchange(l.g.Addr, proctest.Query(tc.name, tc.qtype, 1232), 12*time.Second)
		if err != nil || tainted(r) || r.Rcode == dns.RcodeServerFailure || !strings.Contains(r.String(), tc.want) {
			bad = append(bad, fmt.Sprintf("%s %s: %v %v", tc.name, dns.TypeToString[tc.qtype], err, r))
		}
	}
	return bad
}

// TestA4Unsolicited injects records that nobody asked for into each section of
// answers of each kind; then clients ask for them, from a cache that was never
// cleared.
func TestA4Unsolicited(t *testing.T) {
	t.Parallel()
	l := newLab(t, victims(), 1)
	h := l.net.Host("127.66.1.1")
	kinds := []string{"pos", "alias", "none", "text", "sub", "out"}
	cases, accepted := 0, 0
	for i, text := range unsolicited {
		rr := mustRR(t, strings.Replace(text, " ", " 86400 ", 1))
		for section := range 3 {
			h.Play(inject(rr, section))
			for _, kind := range kinds {
				cases++
				r, err := exchange(l.g.Addr, newQuery(fmt.Sprintf("i%d-%d.%s.evil.com.", i, section, kind)), 12*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if kind != "alias" && tainted(r) || r.Rcode == dns.RcodeServerFailure {
					accepted++
					t.Errorf("%q in section %d of a %s answer: %v", text, section, kind, r)
				}
			}
			// A referral too: the delegation must be asked for anew.
			if section == 1 {
				l.g.Eval(t, "cache.clear('sub.evil.com.')")
			}
		}
	}
	for _, bad := range l.spoils() {
		accepted++
		t.Error(bad)
	}
	tell(t, "A4", "records that nobody asked for, then 15 questions for them", "0 accepted", "%d injections, %d accepted", cases, accepted)
}

// TestA4ForeignGlue refers to name servers of other zones and tells their
// addresses: nobody asked evil.com where they are, so not even this delegation may
// use what it says.
func TestA4ForeignGlue(t *testing.T) {
	t.Parallel()
	zs := victims()
	const trap = "127.66.1.66"
	evilZone(zs, "trap.com.", trap, "")
	foreign := []string{"ns.victim.net.", "ns.example.com.", "a.nic.net.", "a.nic.com.", "a.root.", "nobody.victim.net.", "ns.nowhere.", "ns.trap.com."}
	for i, name := range foreign[:len(foreign)-1] {
		zs["evil.com."] += fmt.Sprintf("g%d.evil.com. NS %s\n", i, name)
	}
	zs["evil.com."] += "g7.evil.com. NS ns.trap.com.\n" // whose address is the same, by its own zone
	l := newLab(t, zs, 1)
	h := l.net.Host(trap)
	h.Play(func(x *authority.Exchange) { // it answers whatever it is asked
		x.Reply.Rcode, x.Reply.Authoritative, x.Reply.Ns = dns.RcodeSuccess, true, nil
		x.Reply.Answer = []dns.RR{mustRR(t, x.Query.Question[0].Name+" 86400 A "+evil)}
	})
	var glue []dns.RR
	for _, name := range foreign {
		glue = append(glue, mustRR(t, name+" 86400 A "+trap))
	}
	l.net.Host("127.66.1.1").Play(func(x *authority.Exchange) {
		if len(x.Reply.Answer) == 0 {
			x.Reply.Extra = append(slices.Clone(glue), x.Reply.Extra...)
		}
	})
	accepted := 0
	for i, name := range foreign[:len(foreign)-1] {
		r, err := exchange(l.g.Addr, newQuery(fmt.Sprintf("www.g%d.evil.com.", i)), 12*time.Second)
		if err != nil || tainted(r) || h.Queries() > 0 {
			accepted++
			t.Errorf("glue for %s: %d questions to its address, %v %v", name, h.Queries(), err, r)
		}
	}
	for _, bad := range l.spoils() {
		accepted++
		t.Error(bad)
	}
	// The trap works, where its own zone leads there.
	if b := l.ask("www.g7.evil.com.", dns.TypeA); h.Queries() == 0 || address(b.r) != evil {
		t.Errorf("by a name server that has that address: %v", b.r)
	}
	tell(t, "A4", "glue for name servers of other zones, then 15 questions for them", "0 accepted", "%d names, %d accepted", len(foreign)-1, accepted)
}

// TestA5MaginotDNS forwards one zone to a forwarder that speaks for all others.
func TestA5MaginotDNS(t *testing.T) {
	t.Parallel()
	zs := victims()
	// The forwarder is a host like any; its zone is delegated nowhere.
	zs["corp.test."] = server("corp.test.", "ns.corp.test.", "127.66.9.9") + "*.corp.test. A 192.0.2.90\nalias.corp.test. CNAME www.victim.net.\n"
	n := internet(t, zs)
	forward := fmt.Sprintf("policy.add(policy.suffix(policy.FORWARD('127.66.9.9@%d'), policy.todnames({'corp.test.'})))", n.Port())
	l := &lab{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, 1, forward))}
	h := n.Host("127.66.9.9")
	cases, accepted := 0, 0
	for i, text := range append(unsolicited, "corp.test. NS ns.evil.com.", "test. NS ns.evil.com.") {
		rr := mustRR(t, strings.Replace(text, " ", " 86400 ", 1))
		for section := range 3 {
			h.Play(inject(rr, section))
			cases++
			if r, err := exchange(l.g.Addr, newQuery(fmt.Sprintf("i%d-%d.corp.test.", i, section)), 12*time.Second); err != nil || tainted(r) || address(r) != "192.0.2.90" {
				accepted++
				t.Errorf("%q in section %d: %v %v", text, section, err, r)
			}
		}
	}
	// A chain that leaves the zone: this client asked for it, and the operator
	// chose the forwarder; nobody else may hear of its end.
	h.Play(func(x *authority.Exchange) {
		x.Reply.Answer = append(x.Reply.Answer, mustRR(t, "www.victim.net. 86400 A "+evil))
	})
	cases++
	if b := l.ask("alias.corp.test.", dns.TypeA); b.rcode != "NOERROR" {
		t.Errorf("an alias out of the zone: %v", b.r)
	}
	h.Play(func(x *authority.Exchange) {
		x.Reply.Answer = []dns.RR{mustRR(t, "out.corp.test. 86400 CNAME nothing.victim.net.")}
		x.Reply.Rcode = dns.RcodeNameError
		x.Reply.Ns = []dns.RR{mustRR(t, "victim.net. 86400 SOA ns. host. 66666 2 3 4 4000")}
	})
	cases++
	l.ask("out.corp.test.", dns.TypeA)
	before := h.Queries()
	for _, bad := range l.spoils() {
		accepted++
		t.Error(bad)
	}
	if asked := h.Queries() - before; asked > 0 {
		t.Errorf("the forwarder was asked %d questions about other zones", asked)
	}
	tell(t, "A5", "MaginotDNS: a forwarder of one zone claims all others", "0 stored", "%d claims, %d stored", cases, accepted)
}

// ghost is a zone that its parent has withdrawn, and a way of keeping it alive.
type ghost struct {
	what string
	rule func(zone string) authority.Rule
	// refresh is what a client asks to renew the zone, n at a time.
	refresh func(zone string, n int) (string, uint16)
}

func ghosts() []ghost {
	apex := func(zone string, target func(n uint64) string) authority.Rule {
		return func(x *authority.Exchange) {
			name := target(x.N)
			ns := &dns.NS{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 86400}, Ns: name}
			a := &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400}, A: []byte{127, 66, 1, 7}}
			if q := x.Query.Question[0]; q.Qtype == dns.TypeNS && strings.EqualFold(q.Name, zone) {
				x.Reply.Answer = []dns.RR{ns}
			} else {
				x.Reply.Ns = append(x.Reply.Ns, ns)
			}
			x.Reply.Extra = append([]dns.RR{a}, x.Reply.Extra...)
		}
	}
	return []ghost{
		{"its own NS set beside every answer and when asked",
			func(zone string) authority.Rule { return apex(zone, func(uint64) string { return "ns." + zone }) },
			func(zone string, n int) (string, uint16) {
				if n%2 == 0 {
					return zone, dns.TypeNS
				}
				return fmt.Sprintf("r%d.%s", n, zone), dns.TypeA
			}},
		{"a new name server each time, whose address is asked for",
			func(zone string) authority.Rule {
				return apex(zone, func(n uint64) string { return fmt.Sprintf("ns%d.%s", n, zone) })
			},
			func(zone string, n int) (string, uint16) {
				return fmt.Sprintf("ns%d.%s", n, zone), []uint16{dns.TypeA, dns.TypeNS}[n%2]
			}},
		{"delegations below itself to the same server (Phoenix)",
			func(zone string) authority.Rule {
				return func(x *authority.Exchange) {
					name := strings.ToLower(x.Query.Question[0].Name)
					i := strings.Index(name, "deep")
					if i < 0 {
						return
					}
					cut := name[i:]
					x.Reply.Answer, x.Reply.Authoritative, x.Reply.Rcode = nil, false, dns.RcodeSuccess
					if strings.HasPrefix(name, "r") { // asked as the server of the cut
						x.Reply.Authoritative = true
						x.Reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: x.Query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: []byte{192, 0, 2, 7}}}
						return
					}
					x.Reply.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: cut, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 86400}, Ns: "ns." + cut}}
					x.Reply.Extra = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "ns." + cut, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400}, A: []byte{127, 66, 1, 7}}}
				}
			},
			func(zone string, n int) (string, uint16) { return fmt.Sprintf("r%d.deep.%s", n, zone), dns.TypeA }},
	}
}

// TestA6Ghosts withdraws a zone at its parent while its own server does what it
// can to stay known, in three ways; the clock is moved by hand.
func TestA6Ghosts(t *testing.T) {
	t.Parallel()
	const ttl = 60 // of the delegation
	zs := honest()
	all := ghosts()
	zs["com."] = "$TTL 60\n" + zs["com."]
	for i := range all {
		evilZone(zs, fmt.Sprintf("ghost%d.com.", i), "127.66.1.7", fmt.Sprintf("*.ghost%d.com. 1 A 192.0.2.7\n", i))
	}
	n := internet(t, zs)
	offset := filepath.Join(proctest.RunDir(t), "offset")
	config := proctest.On(t, n, 1)
	config.Env = append(config.Env, "KRESD_CLOCK_OFFSET_FILE="+offset)
	move := func(seconds int) {
		if err := os.WriteFile(offset+".new", []byte(fmt.Sprint(seconds)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(offset+".new", offset); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the file is read each 5 ms
	}
	move(0)
	l := &lab{t: t, net: n, g: proctest.Start(t, config)}
	com, child, now := n.Host("127.66.0.2"), n.Host("127.66.1.7"), 0
	for i, ghost := range all {
		zone := fmt.Sprintf("ghost%d.com.", i)
		com.Play()
		child.Play(ghost.rule(zone))
		alive := func(n int) bool {
			name, qtype := ghost.refresh(zone, n)
			_, _ = exchange(l.g.Addr, proctest.Query(name, qtype, 1232), 12*time.Second)
			r, err := exchange(l.g.Addr, newQuery(fmt.Sprintf("fresh%d.%s", n, zone)), 12*time.Second)
			return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0
		}
		deeper := func(n int) bool {
			r, err := exchange(l.g.Addr, newQuery(fmt.Sprintf("rf%d.deep.%s", n, zone)), 12*time.Second)
			return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0
		}
		if !alive(0) {
			t.Fatalf("%s: the zone does not work before it is withdrawn", ghost.what)
		}
		// Its parent says that it does not exist.
		com.Play(func(x *authority.Exchange) {
			if dns.IsSubDomain(zone, dns.CanonicalName(x.Query.Question[0].Name)) {
				x.Reply.Rcode, x.Reply.Authoritative = dns.RcodeNameError, true
				x.Reply.Answer, x.Reply.Ns = nil, []dns.RR{mustRR(t, "com. 60 SOA ns. host. 1 2 3 4 60")}
			}
		})
		begin, last, renewed := now, 0, 0
		for s := 5; s <= ttl+65; s += 5 {
			now = begin + s
			move(now)
			if alive(s) || deeper(s) {
				last = s
				renewed++
			}
		}
		tell(t, "A6", "ghost domain: "+ghost.what, "0 s past the parent's TTL", "last seen %d s after the delegation of %d s was learnt, %d renewals", last, ttl, renewed)
		if last > ttl+1 || renewed < 5 {
			t.Errorf("%s: the zone was alive %d s after the delegation of %d s was learnt; %d times in all", ghost.what, last, ttl, renewed)
		}
		now += 2 * ttl
		move(now)
	}
}

// TestA11Mixing asks the same questions with every combination of CD, AD and DO,
// one after the other, of data that is fresh, stale, denied by a rule, or was
// made of a wildcard: what one client was told must not colour what another is.
func TestA11Mixing(t *testing.T) {
	t.Parallel()
	zs := honest()
	n := internet(t, zs)
	offset := filepath.Join(proctest.RunDir(t), "offset")
	if err := os.WriteFile(offset, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := proctest.On(t, n, 1, "modules.load('serve_stale < cache')", "policy.add(policy.suffix(policy.DENY, policy.todnames({'denied.wild.example.com.'})))")
	config.Env = append(config.Env, "KRESD_CLOCK_OFFSET_FILE="+offset)
	l := &lab{t: t, net: n, g: proctest.Start(t, config)}
	h := n.Host("127.66.0.4")
	sign := func(x *authority.Exchange) {
		if q := x.Query.Question[0]; q.Qtype == dns.TypeA && len(x.Reply.Answer) > 0 {
			x.Reply.Answer = append(x.Reply.Answer, mustRR(t, q.Name+" 60 RRSIG A 8 4 60 20380101000000 20200101000000 1 example.com. AAAA"))
			x.Reply.AuthenticatedData = true // which nobody may take over
		}
	}
	h.Play(sign)
	type client struct{ cd, ad, do bool }
	var clients []client
	for i := range 8 {
		clients = append(clients, client{i&1 != 0, i&2 != 0, i&4 != 0})
	}
	cases, wrong := 0, 0
	check := func(state, name string, c client) {
		q := proctest.Query(name, dns.TypeA, 0)
		q.SetEdns0(1232, c.do)
		q.CheckingDisabled, q.AuthenticatedData = c.cd, c.ad
		r, err := exchange(l.g.Addr, q, 12*time.Second)
		cases++
		if err != nil {
			wrong++
			t.Errorf("%s, %+v: %v", state, c, err)
			return
		}
		sigs := strings.Contains(r.String(), "\tRRSIG\t")
		denied := state == "denied"
		ok := !r.AuthenticatedData && r.CheckingDisabled == c.cd && r.IsEdns0() != nil && r.IsEdns0().Do() == c.do && !r.Authoritative != denied
		switch {
		case denied:
			ok = ok && r.Rcode == dns.RcodeNameError && !sigs
		default:
			ok = ok && r.Rcode == dns.RcodeSuccess && sigs == c.do && firstAddress(r) == "192.0.2.81" && strings.EqualFold(r.Answer[0].Header().Name, name)
		}
		if !ok {
			wrong++
			t.Errorf("%s, %+v: %v", state, c, r)
		}
	}
	pairs := func(state string) {
		for i, first := range clients {
			for j, second := range clients {
				for _, c := range []client{first, second} {
					check(state, fmt.Sprintf("p%d%d.%s.wild.example.com.", i, j, map[bool]string{true: "denied", false: "open"}[state == "denied"]), c)
				}
			}
		}
	}
	pairs("fresh")
	pairs("denied")
	l.settle()
	if err := os.WriteFile(offset, []byte("4000"), 0o600); err != nil { // all is over
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	for _, host := range n.Hosts() {
		host.Play(authority.Rcode(dns.RcodeRefused))
	}
	pairs("stale")
	tell(t, "A11", "CD x AD x DO, each after each, fresh, denied, stale", "0 wrong", "%d answers, %d with wrong flags, signatures or data", cases, wrong)
}

// TestA11CheckingDisabled forwards to a resolver that validates and has data that
// fails: who disables checking sees it, and nobody else, in whatever order they
// ask.
func TestA11CheckingDisabled(t *testing.T) {
	t.Parallel()
	zs := honest()
	zs["corp.test."] = server("corp.test.", "ns.corp.test.", "127.66.9.9")
	n := internet(t, zs)
	forward := fmt.Sprintf("policy.add(policy.suffix(policy.FORWARD('127.66.9.9@%d'), policy.todnames({'corp.test.'})))", n.Port())
	l := &lab{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, 1, forward))}
	n.Host("127.66.9.9").Play(func(x *authority.Exchange) {
		x.Reply.Rcode, x.Reply.Ns, x.Reply.Answer = dns.RcodeServerFailure, nil, nil
		if x.Query.CheckingDisabled {
			x.Reply.Rcode = dns.RcodeSuccess
			x.Reply.Answer = []dns.RR{mustRR(t, x.Query.Question[0].Name+" 3600 A "+evil)}
		}
	})
	cases, wrong := 0, 0
	for order := range 16 {
		for do := range 4 {
			name := fmt.Sprintf("p%d-%d.corp.test.", order, do)
			for i := range 4 {
				q := proctest.Query(name, dns.TypeA, 0)
				q.SetEdns0(1232, do>>(i%2)&1 != 0)
				q.CheckingDisabled = order>>i&1 != 0
				r, err := exchange(l.g.Addr, q, 12*time.Second)
				cases++
				if err != nil || q.CheckingDisabled != (firstAddress(r) == evil) || q.CheckingDisabled != (r.Rcode == dns.RcodeSuccess) {
					wrong++
					t.Errorf("order %04b, question %d, CD %t: %v %v", order, i, q.CheckingDisabled, err, r)
				}
			}
		}
	}
	tell(t, "A11", "data that a validating forwarder shows to CD=1 only, CD in every order", "0 shown to CD=0", "%d answers, %d wrong", cases, wrong)
}

// firstAddress is the first A record of an answer.
func firstAddress(r *dns.Msg) string {
	for _, rr := range r.Answer {
		if a, ok := rr.(*dns.A); ok {
			return a.A.String()
		}
	}
	return ""
}

// TestA13BadTargets delegates zones to addresses where no name server can be, and
// counts what is sent there.
func TestA13BadTargets(t *testing.T) {
	t.Parallel()
	special := []string{
		"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "127.66.0.9", "224.0.0.1", "239.255.255.255", "255.255.255.255",
		"::", "::1", "ff02::1", "ff05::fb", "ff0e::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255", "::ffff:0.9.9.9", "127.1.2.3", "0.255.255.255",
	}
	root := server(".", "a.root", "127.66.0.1") + server("honest.", "ns.honest.", "127.66.0.9") + "own. NS ns.own.\nns.own. A 127.66.0.200\n"
	for i, a := range special {
		t4 := "A"
		if strings.Contains(a, ":") {
			t4 = "AAAA"
		}
		root += fmt.Sprintf("s%d. NS ns.s%d.\nns.s%d. %s %s\nall. NS ns.s%d.\n", i, i, i, t4, a, i)
	}
	n := internet2(t, root)
	own := fmt.Sprintf("net.listen('127.66.0.200', %d)", n.Port())
	l := &lab{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, 1, own, "option('ALLOW_LOCAL', false)"))}
	l.settle()
	total := 0
	ask := func(name string) {
		l.settle()
		before, roots := l.sent(), n.Host("127.66.0.1").Queries()
		r, err := exchange(l.g.Addr, newQuery(name), 12*time.Second)
		there := l.sent() - before - int(n.Host("127.66.0.1").Queries()-roots)
		total += there
		if err != nil || r.Rcode != dns.RcodeServerFailure || there != 0 {
			t.Errorf("%s: %d sent, %v %v", name, there, err, r)
		}
	}
	for i := range special {
		ask(fmt.Sprintf("www.s%d.", i))
	}
	ask("www.all.")
	// Our own address is out of bounds even where local ones are allowed.
	l.g.Eval(t, "option('ALLOW_LOCAL', true)")
	ask("www.own.")
	tell(t, "A13", fmt.Sprintf("glue of %d special addresses and our own", len(special)), "0 sent there", "%d sent there", total)
}
