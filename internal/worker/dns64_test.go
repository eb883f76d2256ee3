package worker

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/transport"
)

// sixes are the AAAA records of an answer, with its RCODE.
func sixes(m *dns.Msg) string {
	text := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.AAAA); ok {
			text += " " + a.AAAA.String()
		}
	}
	return text
}

// Names that have IPv4 only get addresses behind the prefix, on both ways; those that have
// IPv6 do not, and who checks by himself is told what there is.
func TestAddressesForHostsThatHaveIPv4Only(t *testing.T) {
	l := newLawful(t)
	l.configure(`policy.add(policy.suffix(policy.STUB('` + answering(t, "192.0.2.33") + `'), policy.todnames({ 'four.example' })))`)
	if got := sixes(l.ask("a.four.example.", dns.TypeAAAA, transport.UDP)); got != "NOERROR" {
		t.Fatalf("without the module %s", got)
	}
	real6 := sixes(l.ask("www.example.org.", dns.TypeAAAA, transport.UDP))
	for options, want := range map[string]string{
		"'64:ff9b::'": "NOERROR 64:ff9b::c000:221", "'2001:db8::/32'": "NOERROR 2001:db8:c000:221::", "{ prefix = '2001:db8:1:2::/64', rev_ttl = 7 }": "NOERROR 2001:db8:1:2:c0:2:2100:0",
	} {
		l.configure("modules = { dns64 = " + options + " }")
		for range 2 {
			m := l.ask("a.four.example.", dns.TypeAAAA, transport.UDP)
			if got := sixes(m); got != want || m.AuthenticatedData || len(m.Answer) != 1 || m.Answer[0].Header().Ttl > 600 {
				t.Errorf("%s: %v, want %s", options, m, want)
			}
		}
		if !l.cached("a.four.example.", dns.TypeAAAA) {
			t.Errorf("%s: not cached", options)
		}
		if got := sixes(l.ask("www.example.org.", dns.TypeAAAA, transport.UDP)); got != real6 {
			t.Errorf("%s: a host with IPv6 became %s", options, got)
		}
		m := new(dns.Msg)
		if err := m.Unpack(byDriver(t, l.Worker, shapes[3].message("a.four.example.", dns.TypeAAAA), someone)); err != nil || sixes(m) != "NOERROR" {
			t.Errorf("%s: with CD %v, %v", options, m, err)
		}
		if got := sixes(l.ask("none.example.com.", dns.TypeAAAA, transport.UDP)); got != "NXDOMAIN" {
			t.Errorf("%s: a name that does not exist: %s", options, got)
		}
	}
	l.configure("modules.unload('dns64')")
	if got := sixes(l.ask("a.four.example.", dns.TypeAAAA, transport.UDP)); got != "NOERROR" {
		t.Errorf("when the module was unloaded %s", got)
	}
}

// The prefix can be found by ipv4only.arpa, addresses have names, some clients are left out,
// and so are addresses that are no host's.
func TestWhatElseDNS64Tells(t *testing.T) {
	l := newLawful(t)
	l.configure(`modules = { dns64 = { prefix = 'fd00:64::', exclude_subnets = { '2001:db8::/32' } } } modules.load('view')
		view:addr('198.51.100.0/24', policy.all(policy.FLAGS('DNS64_DISABLE')))
		policy.add(policy.suffix(policy.STUB('` + answering(t, "192.0.2.33") + `'), policy.todnames({ 'four.example' })))
		hints.set('host.example 192.0.2.9')`)
	if got := sixes(l.ask("ipv4only.arpa.", dns.TypeAAAA, transport.UDP)); got != "NOERROR fd00:64::c000:aa fd00:64::c000:ab" && got != "NOERROR fd00:64::c000:ab fd00:64::c000:aa" {
		t.Errorf("ipv4only.arpa: %s", got)
	}
	if m := l.ask("ipv4only.arpa.", dns.TypeTXT, transport.UDP); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 || len(m.Ns) != 1 {
		t.Errorf("ipv4only.arpa TXT: %v", m)
	}
	reverse, err := dns.ReverseAddr("fd00:64::192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{reverse, strings.ToUpper(reverse)} {
		m := l.ask(name, dns.TypePTR, transport.UDP)
		if len(m.Answer) != 2 || !strings.Contains(strings.ToLower(m.Answer[0].String()), "cname\t9.2.0.192.in-addr.arpa.") || !strings.Contains(m.Answer[1].String(), "PTR\thost.example.") {
			t.Errorf("%s: %v", name, m)
		}
		if _, v := byCache(t, l.s, shapes[1].message(name, dns.TypePTR), someone); v != listen.Driver {
			t.Errorf("%s is answered early though the module has the name: %v", name, v)
		}
	}
	for range 2 {
		for client, want := range map[string]string{"198.51.100.1": "NOERROR", "192.0.2.1": "NOERROR fd00:64::c000:221"} {
			m := new(dns.Msg)
			if err := m.Unpack(byDriver(t, l.Worker, shapes[1].message("a.four.example.", dns.TypeAAAA), at(client))); err != nil || sixes(m) != want {
				t.Errorf("%s is told %s, %v; want %s", client, sixes(m), err, want)
			}
			flush(t, l.Worker)
		}
	}
	if got := sixes(l.ask("www.example.org.", dns.TypeAAAA, transport.UDP)); !strings.HasPrefix(got, "NOERROR fd00:64::") {
		t.Errorf("an excluded address is told: %s", got)
	}
}

// Behind a prefix strangers named hosts of the inside, which rebinding keeps them from; the
// well-known prefix is for global addresses only. Who is allowed such addresses does not have
// others told them.
func TestNoWayRoundRebindingByDNS64(t *testing.T) {
	for _, c := range []struct{ prefix, address, alone, with, allowed string }{
		{"2001:db8:64::", "10.1.2.3", "NOERROR 2001:db8:64::a01:203", "NOERROR", "NOERROR 2001:db8:64::a01:203"},
		{"2001:db8:64::", "192.0.2.33", "NOERROR 2001:db8:64::c000:221", "NOERROR 2001:db8:64::c000:221", "NOERROR 2001:db8:64::c000:221"},
		{"64:ff9b::", "10.1.2.3", "NOERROR", "NOERROR", "NOERROR"},
		{"64:ff9b::", "240.0.0.1", "NOERROR", "NOERROR", "NOERROR"},
		{"64:ff9b::", "192.0.2.33", "NOERROR 64:ff9b::c000:221", "NOERROR 64:ff9b::c000:221", "NOERROR 64:ff9b::c000:221"},
	} {
		l := newLawful(t)
		l.configure(`option('ALLOW_LOCAL', false) modules = { dns64 = '` + c.prefix + `' } modules.load('view < policy')
			view:addr('198.51.100.0/24', policy.suffix(policy.FLAGS('ALLOW_LOCAL'), policy.todnames({ 'four.example' })))
			policy.add(policy.suffix(policy.STUB('` + answering(t, c.address) + `'), policy.todnames({ 'four.example' })))`)
		told := func(from string) string {
			m := new(dns.Msg)
			if err := m.Unpack(byDriver(t, l.Worker, shapes[1].message("a.four.example.", dns.TypeAAAA), at(from))); err != nil {
				t.Fatal(err)
			}
			flush(t, l.Worker)
			return sixes(m)
		}
		if got := told("192.0.2.98"); got != c.alone {
			t.Errorf("%s behind %s: %s, want %s", c.address, c.prefix, got, c.alone)
		}
		l.configure("modules.load('rebinding < iterate')")
		for range 2 {
			if got := told("198.51.100.1"); got != c.allowed {
				t.Errorf("%s behind %s: who is allowed it is told %s, want %s", c.address, c.prefix, got, c.allowed)
			}
			if got := told("192.0.2.98"); got != c.with {
				t.Errorf("%s behind %s with rebinding: %s, want %s", c.address, c.prefix, got, c.with)
			}
		}
	}
}
