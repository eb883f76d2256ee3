package worker

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/wire"
)

// Who asks for it is told the name, on both ways and by every answer, and nobody else.
func TestClientsThatAskAreToldWhichServerAnswers(t *testing.T) {
	l := newLawful(t)
	question := func(name string, qtype uint16, option uint16) []byte {
		m := new(dns.Msg)
		m.SetQuestion(name, qtype)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: option}}
		pkt, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return pkt
	}
	nsid := func(msg []byte) string {
		t.Helper()
		m := new(dns.Msg)
		if err := m.Unpack(msg); err != nil || m.IsEdns0() == nil {
			t.Fatalf("%x: %v", msg, err)
		}
		for _, o := range m.IsEdns0().Option {
			if id, ok := o.(*dns.EDNS0_NSID); ok {
				text, _ := hex.DecodeString(id.Nsid)
				return string(text)
			}
		}
		return ""
	}
	l.configure("policy.add(policy.suffix(policy.DENY, policy.todnames({ 'bad.example' }))) modules.load('nsid') assert(nsid.name() == nil)")
	for _, name := range []string{"", "one", strings.Repeat("x", 255), ""} {
		switch {
		case name != "":
			l.configure("modules = { nsid = '" + name + "' } assert(nsid.name() == '" + name + "')")
		default:
			l.configure("modules.unload('nsid') modules.load('nsid')")
		}
		for _, about := range []string{"www.example.com.", "bad.example."} {
			pkt := question(about, dns.TypeA, wire.OptionNSID)
			msg := byDriver(t, l.Worker, pkt, someone)
			flush(t, l.Worker)
			if got := nsid(msg); got != name {
				t.Errorf("%s: the driver tells %q, want %q", about, got, name)
			}
			msg, v := byCache(t, l.s, pkt, someone)
			if v != listen.Reply || nsid(msg) != name {
				t.Errorf("%s: early %v %x, want %q", about, v, msg, name)
			}
			if msg, _ = byCache(t, l.s, question(about, dns.TypeA, 65001), someone); nsid(msg) != "" {
				t.Errorf("%s: who does not ask is told %q", about, nsid(msg))
			}
		}
	}
	for text, want := range map[string]string{"nsid.name(('x'):rep(256))": "a name of 256 octets is too long; at most 255", "nsid.name(5)": "a name as text expected", "modules = { nsid = 5 }": "a name expected"} {
		if out, failed := l.vm.Eval(t.Context(), text); !failed || !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %q", text, out, want)
		}
	}
}
