package bindings

import (
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Views are rules of policy for some clients, whose IDs no rule of policy has.
func TestViewsFromScripts(t *testing.T) {
	w := newRulesWorld(t)
	w.expect(
		step{"modules.load('view')", "true\n"},
		step{"policy.add(policy.all(policy.PASS)).id", "0\n"},
		step{"view:addr('10.1.2.3/8', policy.suffix(policy.DENY, { todname('example.cz') })).cb", "view:addr('10.0.0.0/8', policy.suffix(policy.DENY, policy.todnames({ 'example.cz.' })))\n"},
		step{"view.addr('2001:db8::1', function(req, query) return policy.REFUSE end, true).id", "2\n"},
		step{"view:tsig(todname('key.example'), policy.all(policy.DROP)).cb", "view:tsig(todname('key.example.'), policy.all(policy.DROP))\n"},
		step{"policy.add(view.rule_src(policy.REFUSE, '192.0.2.0/24')).cb", "view.rule_src(policy.REFUSE, '192.0.2.0/24')\n"},
		step{"policy.add(view.rule_dst(policy.TC, '192.0.2.7')).cb", "view.rule_dst(policy.TC, '192.0.2.7/32')\n"},
		step{"#view.rules", "3\n"},
		step{"view.rules[1].id", "1\n"},
		step{"view.del(0)", "false\n"}, // a rule of policy
		step{"view:del(view.rules[3])", "true\n"},
		step{"policy.del(1)", "true\n"}, // whoever knows policy.del alone
		step{"policy.del(1)", "false\n"},
		step{"#view.rules .. #policy.rules", "13\n"},
	)
	if log := w.log.String(); !strings.Contains(log, "view.tsig: everybody can sign with the key 'key.example.'") {
		t.Errorf("the log has no warning: %s", log)
	}
}

func TestViewRefusesMistakes(t *testing.T) {
	w := newRulesWorld(t)
	w.expect(step{"modules.load('view')", "true\n"})
	for command, want := range map[string]string{
		"view:addr('10.0.0.0/8')":                             "wrong number of arguments; usage: view.addr(subnet, rule[, destination])",
		"view:addr('10.0.0.0/33', policy.all(policy.DENY))":   "bad argument #1 to 'view.addr' ('10.0.0.0/33' is neither a network, such as 192.0.2.0/24 or 2001:db8::/32, nor an address)",
		"view:addr('::ffff:0:0/95', policy.all(policy.DENY))": "bad argument #1 to 'view.addr' ('::ffff:0:0/95' is neither",
		"view:addr('fe80::1%eth0', policy.all(policy.DENY))":  "bad argument #1 to 'view.addr' ('fe80::1%eth0' is neither",
		"view:addr('10.0.0.0/8', policy.DENY)":                "bad argument #2 to 'view.addr' (an action says not for which names",
		"view:addr('10.0.0.0/8', 'DENY')":                     "bad argument #2 to 'view.addr' (policy rule or function expected, got string)",
		"view:tsig('a..b', policy.all(policy.DENY))":          "bad argument #1 to 'view.tsig' ('a..b' is no name of a key: empty label)",
		"view.tsig_key('key', 'no base64')":                   "bad argument #2 to 'view.tsig_key' (the secret of a key in base64 expected)",
		"view.rule_src('10.0.0.0/8', policy.DENY)":            "bad argument #1 to 'view.rule_src' (policy action or function(state, req) expected, got string)",
		"view.rule_dst(policy.DENY, 'everywhere')":            "bad argument #2 to 'view.rule_dst' ('everywhere' is neither",
	} {
		w.expect(step{command, "ERROR error: " + want + "…"})
		w.expectFile("\n"+command, "config:2: error: "+want+"…")
	}
}

// A script's function under a view is called for the view's clients only.
func TestAFunctionUnderAViewIsForItsClients(t *testing.T) {
	w := newRulesWorld(t)
	w.expectFile(`
		modules.load('view')
		called = 0
		view:addr('192.0.2.0/28', function (req, query) called = called + 1 return policy.REFUSE end)`, "")
	inst, err := w.d.View.Open()
	if err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string]resolve.State{"192.0.2.9:53": resolve.Done, "192.0.2.16:53": resolve.Produce, "[::ffff:192.0.2.9]:53": resolve.Produce} {
		req := w.request("www.example.", wire.TypeA)
		req.Client = netip.MustParseAddrPort(client)
		if got := inst.Layer.Begin(req); got != want {
			t.Errorf("%s: state %d, want %d", client, got, want)
		}
	}
	internal := w.request("www.example.", wire.TypeA)
	internal.Client = netip.AddrPort{}
	if got := inst.Layer.Begin(internal); got != resolve.Produce {
		t.Errorf("a request of our own: %d", got)
	}
	w.expect(step{"called", "1\n"})
}
