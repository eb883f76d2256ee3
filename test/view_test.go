package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// keySecret is that of the key in the tests of views.
const keySecret = "YSBzZWNyZXQgb2YgdGVzdHM="

// A group serves its views by both transports, to who signs rightly and not to who forges,
// says so in its configuration, and keeps to them over a reload.
func TestViews(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2, "modules.load('view < policy')",
		"view.tsig_key('key.example', '"+keySecret+"')", "view:tsig(todname('key.example'), policy.suffix(policy.DENY_MSG('you have the key'), { todname('www.example.com') }))",
		"view:addr('127.0.0.0/8', policy.suffix(policy.REFUSE, { todname('example.net') }))", "view:addr('192.0.2.0/24', policy.all(policy.DROP))"))
	check := func(when string) {
		t.Helper()
		for _, network := range []string{"udp", "tcp"} {
			for range 3 {
				if r := g.Ask(t, network, "www.example.net", dns.TypeA, 1232); r.Rcode != dns.RcodeRefused {
					t.Errorf("%s: a view's client is told %s by %s", when, dns.RcodeToString[r.Rcode], network)
				}
				if r := g.Ask(t, network, "www.example.com", dns.TypeA, 1232); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 2 {
					t.Errorf("%s: without a key %v", when, r)
				}
				if got := askSigned(t, g, network, keySecret); got != "NXDOMAIN" {
					t.Errorf("%s: with the key %s by %s", when, got, network)
				}
				if got := askSigned(t, g, network, "bm90IHRoZSBzYW1lIHNlY3JldA=="); got != "NOTAUTH error 16" {
					t.Errorf("%s: with a forged signature %s by %s", when, got, network)
				}
			}
		}
	}
	check("after the start")
	shown := proctest.Run(t, proctest.Bin("kresc"), "config", g.Dir)
	for _, want := range []string{"view:tsig(todname('key.example.'), policy.suffix(policy.DENY_MSG('you have the key')", "view:addr('192.0.2.0/24', policy.all(policy.DROP))"} {
		if !strings.Contains(shown, want) {
			t.Errorf("kresc config lacks %s:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, keySecret) {
		t.Error("kresc config shows a secret")
	}
	proctest.Run(t, proctest.Bin("kresc"), "reload", g.Dir)
	check("after a reload")
}

// askSigned asks for www.example.com with a signature, and tells what comes: an answer whose
// signature is right, or the error of one.
func askSigned(t *testing.T, g *proctest.Group, network, secret string) string {
	t.Helper()
	q := proctest.Query("www.example.com", dns.TypeA, 1232)
	q.SetTsig("key.example.", dns.HmacSHA256, 300, time.Now().Unix())
	c := &dns.Client{Net: network, Timeout: 10 * time.Second, TsigSecret: map[string]string{"key.example.": secret}}
	r, _, err := c.Exchange(q, g.Addr.String())
	if r == nil {
		t.Fatal(err)
	}
	sig := r.IsTsig()
	switch {
	case sig == nil:
		return dns.RcodeToString[r.Rcode] + " without a signature"
	case sig.Error != 0:
		return fmt.Sprintf("%s error %d", dns.RcodeToString[r.Rcode], sig.Error)
	case err != nil:
		return err.Error()
	}
	return dns.RcodeToString[r.Rcode]
}
