package worker

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/listen"
)

// signedLawful is one with a signed zone example, whose names are forwarded as told.
func signedLawful(t *testing.T, rule string) *lawful {
	internet, anchor := signedInternet(t, authority.Denial{})
	l := &lawful{Worker: workerIn(t, internet), t: t}
	if err := l.rules.anchors.Add(anchor); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.s, err = l.newHandler().NewSession(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.s.Close)
	l.configure(rule)
	return l
}

// A gap of the public zone denied, on the listener's thread, names that a rule sends to other
// servers.
func TestAGapSaysNothingOfNamesThatAreForwarded(t *testing.T) {
	for _, rule := range []string{
		`policy.add(policy.suffix(policy.STUB('%s'), policy.todnames{ 'mx.example' }))`,
		`modules.load('view < cache') view:addr('0.0.0.0/0', policy.suffix(policy.STUB('%s'), policy.todnames({ 'mx.example' })))`,
	} {
		l := signedLawful(t, fmt.Sprintf(rule, answering(t, "203.0.113.7")))
		if got := l.told(someone, "m.example."); got != "NXDOMAIN" {
			t.Fatalf("a name that is not there: %s", got)
		}
		if got := l.early(someone, "my.example."); got != "NXDOMAIN" {
			t.Fatalf("a name of the gap: %q", got)
		}
		if got := l.early(someone, "mx.example."); got != "" {
			t.Errorf("%s: before it was asked for: %q", rule, got)
		}
		if got, early := l.told(someone, "www.mx.example."), l.early(someone, "www.mx.example."); got != "NOERROR 203.0.113.7" || early != got {
			t.Errorf("%s: the driver tells %q, the listener %q", rule, got, early)
		}
	}
}

// What a forwarder has denied is at hand for the same question.
func TestADenialOfAForwarderIsKeptForItsName(t *testing.T) {
	l := signedLawful(t, `policy.add(policy.suffix(policy.FORWARD('127.54.0.1'), policy.todnames{ 'mx.example' }))`)
	name := "www.mx.example."
	if got := l.told(someone, name); got != "NXDOMAIN" {
		t.Fatalf("a name that is not there: %s", got)
	}
	if got := l.early(someone, name); got != "NXDOMAIN" {
		t.Errorf("the same name: %q", got)
	}
	if _, v := byCache(t, l.s, shapes[1].message("my.example.", dns.TypeA), someone); v == listen.Reply {
		t.Error("what the forwarder said is told of a name that it was not asked about")
	}
}
