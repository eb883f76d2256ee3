package rules

import (
	"fmt"
	"strings"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// Rules are told as a configuration has them, with what follows from nothing else: where
// questions go, and for which names.
func TestTheTextOfRules(t *testing.T) {
	action := func(a *Action, err error) *Action {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	servers := []Server{
		{Text: "192.0.2.1"}, {Text: "192.0.2.2@5353"}, {Text: "2001:db8::1"},
		{Text: "https://dns.example/0123-mine", Addresses: []string{"192.0.2.3"}}, {Text: "tls://[2001:db8::2]:8853"}, {Text: "quic://192.0.2.5"}, {Text: "tls://[2001:db8::3]"},
	}
	proven := []Server{{Text: "192.0.2.1", Proof: zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}}}, {Text: "192.0.2.2", Proof: zonecut.PeerConfig{Names: []string{"dns.example"}, Authorities: []string{"/etc/own.pem"}}}}
	pattern, err := Pattern("\x03ad%d'")
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range limits.RuleTextNames + 3 {
		many = append(many, fmt.Sprintf("n%d.example", i))
	}
	for _, c := range []struct {
		filter Filter
		action *Action
		want   string
	}{
		{All(), Pass(), "policy.all(policy.PASS)"},
		{Domains(list(t, "One.Example", "it's.example")), Refuse(), `policy.domains(policy.REFUSE, policy.todnames({ 'one.example.', 'it\'s.example.' }))`},
		{Suffix(list(t, "ads.example"), name(t, "example")), Deny(), "policy.suffix_common(policy.DENY, policy.todnames({ 'ads.example.' }), todname('example.'))"},
		{Suffix(nil, ""), Drop(), "policy.suffix(policy.DROP, policy.todnames({}))"},
		{Suffix(list(t, many...), ""), NoAnswer(), "policy.suffix(policy.NO_ANSWER, policy.todnames({ 'n0.example.', " + "…, … 3 more }))"},
		{pattern, action(DenyMessage("it's \\ no\n", ede.Blocked)), `policy.pattern(policy.DENY_MSG('it\'s \\ no\010'), '\003ad%d\'')`},
		{All(), action(DenyMessage("no", ede.Prohibited)), "policy.all(policy.DENY_MSG('no', 18))"},
		{All(), action(Forward(servers[:4], nil)), "policy.all(policy.FORWARD({ '192.0.2.1', '192.0.2.2@5353', '2001:db8::1', 'https://192.0.2.3 (dns.example)' }))"},
		{All(), action(Forward(servers[4:], nil)), "policy.all(policy.FORWARD({ 'tls://[2001:db8::2]:8853', 'quic://192.0.2.5', 'tls://[2001:db8::3]' }))"},
		{All(), action(ForwardTLS(proven, nil)), "policy.all(policy.TLS_FORWARD({ 'tls://192.0.2.1', 'tls://192.0.2.2 (dns.example)' }))"},
		{All(), action(Stub(servers[:1], nil)), "policy.all(policy.STUB({ '192.0.2.1' }))"},
		{All(), SetOptions(resolve.Options{Stub: true}, resolve.Options{}).WithArgs("{ 'STUB' }"), "policy.all(policy.FLAGS({ 'STUB' }))"},
	} {
		r := &Rule{Filter: c.filter, Action: c.action}
		got := r.Text()
		if begin, end, cut := strings.Cut(c.want, "…, "); cut && strings.HasPrefix(got, begin) && strings.HasSuffix(got, end) {
			continue
		}
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got := (&Rule{Pick: func(*resolve.Request) *Action { return nil }}).Text(); got != "a function" {
		t.Errorf("a script's function: %s", got)
	}
}
