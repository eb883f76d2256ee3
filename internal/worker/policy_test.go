package worker

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/script"
	"kresd/internal/transport"
)

// lawful is a laboratory that is asked on both ways and configured by scripts.
type lawful struct {
	*Worker
	t testing.TB
	s listen.Session
}

func newLawful(t testing.TB) *lawful {
	l := &lawful{Worker: laboratory(t), t: t}
	var err error
	if l.s, err = l.newHandler().NewSession(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.s.Close)
	return l
}

func (l *lawful) configure(text string) {
	l.t.Helper()
	if err := l.vm.RunText(context.Background(), "config", text); err != nil {
		l.t.Fatal(err)
	}
}

// ask takes the driver's way.
func (l *lawful) ask(name string, qtype uint16, kind transport.Kind) *dns.Msg {
	l.t.Helper()
	from := someone
	from.Kind = kind
	m := new(dns.Msg)
	if err := m.Unpack(byDriver(l.t, l.Worker, shapes[1].message(name, qtype), from)); err != nil {
		l.t.Fatal(err)
	}
	flush(l.t, l.Worker)
	return m
}

// cached tells whether the listener's thread answers by itself, and not with the
// authority that modules claim.
func (l *lawful) cached(name string, qtype uint16) bool {
	msg, v := byCache(l.t, l.s, shapes[1].message(name, qtype), someone)
	return v == listen.Reply && msg[2]&4 == 0
}

func TestARuleHoldsOnBothWays(t *testing.T) {
	l := newLawful(t)
	for _, name := range []string{"www.example.com.", "www.example.net."} {
		if l.ask(name, dns.TypeA, transport.UDP); !l.cached(name, dns.TypeA) {
			t.Fatalf("%s is not cached", name)
		}
	}
	l.configure(`rule = policy.add(policy.suffix(policy.DENY, policy.todnames{ 'example.com' }))`)
	if l.cached("www.example.com.", dns.TypeA) || !l.cached("www.example.net.", dns.TypeA) {
		t.Error("a denied name must not be answered from the cache, and only that")
	}
	if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeNameError || !m.Authoritative || len(m.Answer) != 0 || len(m.Ns) != 1 {
		t.Errorf("a denied name: %v", m)
	}
	if l.cached("www.example.com.", dns.TypeA) {
		t.Error("a denial was kept")
	}
	pkt, out := shapes[1].message("www.example.net.", dns.TypeA), make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(500, func() {
		l.s.Begin()
		l.s.Answer(pkt, &someone, out)
		l.s.End()
	}); n != 0 {
		t.Errorf("%v allocations for a cached answer beside rules", n)
	}
	l.configure(`assert(policy.del(rule.id))`)
	if !l.cached("www.example.com.", dns.TypeA) {
		t.Error("without the rule the cached answer is as good as before")
	}
}

// A failure that is remembered (RFC 9520) does not come before a rule.
func TestARuleComesBeforeARememberedFailure(t *testing.T) {
	l := newLawful(t)
	l.configure(`
		broken = policy.add(policy.suffix(policy.FORWARD('127.53.2.1'), policy.todnames{ 'www.example.net' }))`)
	if m := l.ask("www.example.net.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeServerFailure {
		t.Fatalf("a server of example.com answered for example.net: %v", m)
	}
	l.configure(`policy.del(broken.id) policy.add(policy.suffix(policy.REFUSE, policy.todnames{ 'www.example.net' }))`)
	if m := l.ask("www.example.net.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeRefused {
		t.Errorf("%v", m)
	}
}

// Answers are used only under the rules under which they were made.
func TestForwardedAnswersAreCachedApart(t *testing.T) {
	l := newLawful(t)
	l.ask("www.example.org.", dns.TypeA, transport.UDP)
	if !l.cached("www.example.org.", dns.TypeA) {
		t.Fatal("not cached")
	}
	l.configure(`rule = policy.add(policy.suffix(policy.STUB('127.53.2.3'), policy.todnames{ 'example.org' }))`)
	if l.cached("www.example.org.", dns.TypeA) {
		t.Error("an answer made without forwarding is used with it")
	}
	if m := l.ask("www.example.org.", dns.TypeAAAA, transport.UDP); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("the stub's server answered %v", m)
	}
	if !l.cached("www.example.org.", dns.TypeAAAA) {
		t.Error("a forwarded answer is not cached")
	}
	l.configure(`policy.del(rule.id)`)
	if l.cached("www.example.org.", dns.TypeAAAA) || !l.cached("www.example.org.", dns.TypeA) {
		t.Error("an answer made with forwarding is used without it")
	}
}

func TestTruncationByRule(t *testing.T) {
	l := newLawful(t)
	l.configure(`policy.add(policy.all(policy.TC))`)
	if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("by UDP: %v", m)
	}
	if m := l.ask("www.example.com.", dns.TypeA, transport.TCP); m.Truncated || len(m.Answer) != 2 {
		t.Errorf("by TCP: %v", m)
	}
}

// Only questions that meet a script's rule wait for the machine.
func TestAScriptThatIsBusyHoldsUpItsOwnNamesOnly(t *testing.T) {
	l := newLawful(t)
	l.configure(`
		local text = { [kres.type.TXT] = { ttl = 300, rdata = '\4pass' } }
		policy.add(policy.suffix(function (state, req) return policy.ANSWER(text)(state, req) end, policy.todnames{ 'lua.example' }))`)
	started, release := make(chan struct{}), make(chan struct{})
	go func() { // the machine's owner is held
		_ = l.vm.Do(context.Background(), hold(started, release))
	}()
	<-started
	if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); len(m.Answer) != 2 {
		t.Errorf("another name: %v", m)
	}
	close(release)
	if m := l.ask("x.lua.example.", dns.TypeTXT, transport.UDP); len(m.Answer) != 1 || !m.Authoritative || m.Answer[0].(*dns.TXT).Txt[0] != "pass" {
		t.Errorf("the script's name: %v", m)
	}
}

func TestPostrulesOnTheDriversWay(t *testing.T) {
	l := newLawful(t)
	l.ask("www.example.com.", dns.TypeA, transport.UDP)
	l.configure(`
		policy.add(policy.suffix(function (state, req)
			for _, rr in ipairs(req.answer:section(kres.section.ANSWER)) do
				if rr.rdata == kres.str2ip('192.0.2.80') then return policy.REFUSE(state, req) end
			end
		end, policy.todnames{ 'example.com' }), true)`)
	if l.cached("www.example.com.", dns.TypeA) {
		t.Error("a name with a postrule was answered from the cache")
	}
	if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
		t.Errorf("the postrule's answer: %v", m)
	}
	if m := l.ask("mail.example.com.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("an answer that the postrule lets go: %v", m)
	}
}

func hold(started, release chan struct{}) func(*script.Call) error {
	return func(*script.Call) error {
		close(started)
		<-release
		return nil
	}
}

// A question for everything is answered by nobody's leave but the rules'.
func TestRulesHoldForANY(t *testing.T) {
	l := newLawful(t)
	l.configure(`policy.add(policy.suffix(policy.REFUSE, policy.todnames{ 'example.com' }))`)
	if m := l.ask("example.com.", dns.TypeANY, transport.UDP); m.Rcode != dns.RcodeRefused {
		t.Errorf("a refused name: %v", m)
	}
	if m := l.ask("example.net.", dns.TypeANY, transport.UDP); len(m.Answer) != 1 || m.Answer[0].Header().Rrtype != dns.TypeHINFO {
		t.Errorf("another name: %v", m)
	}
}
