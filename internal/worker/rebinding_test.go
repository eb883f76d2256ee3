package worker

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/transport"
)

// What a stranger's name says of private addresses is refused, whether it was known before the
// module was loaded or not; what the operator says of them is told, and nobody hears what
// another was allowed.
func TestStrangersNameNoPrivateAddresses(t *testing.T) {
	for address, local := range map[string]bool{
		"0.1.2.3": true, "10.1.2.3": true, "100.64.0.1": true, "100.127.255.255": true, "127.9.9.9": true, "169.254.0.1": true, "172.16.0.0": true, "172.31.255.255": true,
		"192.168.3.8": true, "100.128.0.0": false, "100.63.255.255": false, "172.32.0.0": false, "11.0.0.0": false, "192.0.2.7": false,
	} {
		l := newLawful(t)
		server := answering(t, address)
		l.configure("option('ALLOW_LOCAL', false) policy.add(policy.suffix(policy.STUB('" + server + "'), policy.todnames({ 'example.com' })))")
		if got := l.told(someone, "www.example.com."); got != "NOERROR "+address {
			t.Fatalf("%s without the module: %s", address, got)
		}
		l.configure("modules.load('rebinding < iterate')")
		want := map[bool]string{false: "NOERROR " + address, true: "REFUSED"}[local]
		for _, name := range []string{"www.example.com.", "new.example.com.", "new.example.com."} {
			if early := l.early(someone, name); local && early != "" {
				t.Errorf("%s: %s is told early: %s", address, name, early)
			}
			if got := l.told(someone, name); got != want {
				t.Errorf("%s: %s is told %s, want %s", address, name, got, want)
			}
		}
		if early := l.early(someone, "new.example.com."); !local && early != want {
			t.Errorf("%s: not cached: %q", address, early)
		}
	}
}

func TestPrivateAddressesOnTheOperatorsWord(t *testing.T) {
	l := newLawful(t)
	l.configure(`option('ALLOW_LOCAL', false) modules.load('rebinding < iterate') modules.load('view < policy')
		hints.set('box.example 10.0.0.7') hints.set('www.example.net 10.0.0.8')
		policy.add(policy.suffix(policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('10.0.0.9') } }), policy.todnames({ 'rule.example' })))
		view:addr('198.51.100.0/24', policy.suffix(policy.FLAGS('ALLOW_LOCAL'), policy.todnames({ 'corp.example' })))
		policy.add(policy.suffix(policy.STUB('` + answering(t, "10.0.0.10") + `'), policy.todnames({ 'corp.example' })))`)
	for name, want := range map[string]string{"box.example.": "NOERROR 10.0.0.7", "www.example.net.": "NOERROR 10.0.0.8", "rule.example.": "NOERROR 10.0.0.9"} {
		if got := l.told(someone, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for range 2 {
		if got := l.told(at("198.51.100.1"), "a.corp.example."); got != "NOERROR 10.0.0.10" {
			t.Errorf("who is allowed it is told %s", got)
		}
		if got := l.told(someone, "a.corp.example."); got != "REFUSED" {
			t.Errorf("who is not allowed it is told %s", got)
		}
		if got := l.early(someone, "a.corp.example."); got != "" {
			t.Errorf("early: %s", got)
		}
	}
	m := l.ask("b.corp.example.", dns.TypeA, transport.UDP)
	if len(m.Extra) != 2 || !strings.Contains(m.String(), "blocked by DNS rebinding protection") {
		t.Errorf("the client is not told why: %v", m)
	}
}
