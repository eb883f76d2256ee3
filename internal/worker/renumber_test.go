package worker

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/transport"
)

// Addresses are changed on both ways, by the networks that are in force, and hints stay.
func TestAnswersAreRenumberedOnBothWays(t *testing.T) {
	l := newLawful(t)
	before := l.told(someone, "www.example.com.")
	l.configure("hints.set('box.example 192.0.2.80')")
	for _, c := range []struct{ options, prefix string }{
		{"{ { '192.0.2.0/24', '10.9.8.0' }, { '0.0.0.0/0', '!10.7.7.7' } }", "10.9.8."}, {"{ { '192.0.2.0/24', '!10.1.1.1' } }", "10.1.1.1"}, {"{}", "192.0.2."},
	} {
		l.configure("modules = { renumber = " + c.options + " }")
		first := l.told(someone, "www.example.com.")
		early := l.early(someone, "www.example.com.")
		if !sameRecords(first, early) || !strings.HasPrefix(early, "NOERROR "+c.prefix) {
			t.Errorf("%s: the driver tells %s, early is told %q", c.options, first, early)
		}
		if got := l.told(someone, "box.example."); got != "NOERROR 192.0.2.80" {
			t.Errorf("%s: a hint became %s", c.options, got)
		}
	}
	l.configure("modules.unload('renumber')")
	if got := l.early(someone, "www.example.com."); !sameRecords(got, before) {
		t.Errorf("without the module %q, before it %q", got, before)
	}
	for options, want := range map[string]string{"5": "a list of", "{ 5 }": "entry 1: { 'subnet', 'target' } expected", "{ { '10.0.0.0/8', '::1' } }": "entry 1: '10.0.0.0/8' and '::1' are not of one family"} {
		if out, failed := l.vm.Eval(t.Context(), "modules = { renumber = "+options+" }"); !failed || !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %q", options, out, want)
		}
	}
}

// Who does not ask for recursion is told nothing of the cache, on either way.
func TestQuestionsWithoutRDAreRefused(t *testing.T) {
	l := newLawful(t)
	l.ask("www.example.com.", dns.TypeA, transport.UDP)
	bare := shape{name: "without RD", edns: 1232}
	pkt := bare.message("www.example.com.", dns.TypeA)
	rcode := func(msg []byte) int { return int(msg[3] & 15) }
	if msg, v := byCache(t, l.s, pkt, someone); v != listen.Reply || rcode(msg) != dns.RcodeSuccess {
		t.Fatalf("without the module: %v", v)
	}
	l.configure("modules.unload('refuse_nord') modules.load('refuse_nord')")
	if msg, v := byCache(t, l.s, pkt, someone); v != listen.Reply || rcode(msg) != dns.RcodeRefused {
		t.Errorf("early: %v %x", v, msg)
	}
	for _, name := range []string{"www.example.com.", "unknown.example.net."} {
		l.agrees(bare, name, dns.TypeA)
		if got := rcode(byDriver(t, l.Worker, bare.message(name, dns.TypeA), someone)); got != dns.RcodeRefused {
			t.Errorf("%s: the driver answers %d", name, got)
		}
	}
	if !l.cached("www.example.com.", dns.TypeA) {
		t.Error("a question with RD is not answered")
	}
}
