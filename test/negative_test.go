package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A negative anchor with an end is over then; one that says more than a name is also
// over when its zone can be validated. While it is in force clients are told why
// (RFC 7646; extended error 33).
func TestNegativeAnchorsLookAfterThemselves(t *testing.T) {
	now := time.Now().Unix()
	const soa = " 60 IN SOA ns.%[1]s host. 1 3600 600 86400 60\n%[1]s 60 IN NS ns.%[1]s\nns.%[1]s 60 IN A 127.53.31.2\nwww.%[1]s 60 IN A 192.0.2.1\n"
	root := authority.MustParse(".", ". 60 IN SOA a.root. host. 1 3600 600 86400 60\n. 60 IN NS a.root.\na.root. 60 IN A 127.53.31.1\n"+
		"mended. 60 IN NS ns.mended.\nns.mended. 60 IN A 127.53.31.2\nbroken. 60 IN NS ns.broken.\nns.broken. 60 IN A 127.53.31.2\n")
	var mended atomic.Bool
	zones := []*authority.Zone{root}
	for _, name := range []string{"mended.", "broken."} {
		z := authority.MustParse(name, name+fmt.Sprintf(soa, name))
		z.Play(func(x *authority.Exchange) {
			if x.Reply != nil && (name == "broken." || !mended.Load()) {
				unsigned := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
				x.Reply.Answer, x.Reply.Ns = slices.DeleteFunc(x.Reply.Answer, unsigned), slices.DeleteFunc(x.Reply.Ns, unsigned)
			}
		})
		zones = append(zones, z)
	}
	n, err := authority.New(zones...)
	if err != nil {
		t.Fatal(err)
	}
	anchor := n.Secure(authority.Security{From: uint32(now - 86400), Until: uint32(now + 10*86400)})
	if err := n.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	offset := filepath.Join(t.TempDir(), "offset")
	pass := func(seconds int) {
		if err := os.WriteFile(offset+".new", fmt.Appendf(nil, "%+d\n", seconds), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(offset+".new", offset); err != nil {
			t.Fatal(err)
		}
	}
	pass(0)
	c := proctest.On(t, n, 1, "trust_anchors.add('"+anchor+"')",
		"trust_anchors.set_insecure { { name = 'mended', reason = 'lost keys' }, { name = 'broken', expires = 2 * hour } }")
	c.Env = append(c.Env, "KRESD_CLOCK_OFFSET_FILE="+offset, "KRESD_CLOCK_OFFSET_TIMERS=1")
	g := proctest.Start(t, c)

	// judged is RCODE, AD and the extended error of a name.
	judged := func(name string) string {
		q := proctest.Query(name, dns.TypeA, 1232)
		q.IsEdns0().SetDo()
		m, err := proctest.Exchange("udp", g.Addr, q)
		if err != nil {
			t.Fatal(err)
		}
		text := dns.RcodeToString[m.Rcode]
		if m.AuthenticatedData {
			text += " AD"
		}
		for _, o := range m.IsEdns0().Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				text += fmt.Sprintf(" %d: %s", e.InfoCode, e.ExtraText)
			}
		}
		return text
	}
	for name, want := range map[string]string{
		"www.mended": "NOERROR 33: nothing at and below mended. is validated: lost keys", "www.broken": "NOERROR 33: nothing at and below broken. is validated",
	} {
		if got := judged(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	pass(61)
	proctest.Eventually(t, 20*time.Second, "a server of the zones is asked for SOA", func() bool {
		return slices.ContainsFunc(n.Host("127.53.31.2").Seen(), func(q dns.Question) bool { return strings.EqualFold(q.Name, "mended.") && q.Qtype == dns.TypeSOA })
	})
	if got := strings.TrimSpace(g.Eval(t, "#trust_anchors.insecure")); got != "2" {
		t.Errorf("%s negative anchors are left of zones that cannot be validated", got)
	}
	mended.Store(true)
	pass(3 * 61)
	proctest.Eventually(t, 20*time.Second, "the mended zone is validated again", func() bool { return strings.TrimSpace(g.Eval(t, "#trust_anchors.insecure")) == "1" })
	if got := judged("www.mended"); got != "NOERROR AD" {
		t.Errorf("www.mended: %s", got)
	}
	pass(2*3600 + 61)
	proctest.Eventually(t, 20*time.Second, "the broken zone's entry has ended", func() bool { return strings.TrimSpace(g.Eval(t, "#trust_anchors.insecure")) == "0" })
	if got := judged("www.broken"); !strings.HasPrefix(got, "SERVFAIL") {
		t.Errorf("www.broken: %s", got)
	}
	for _, line := range []string{"the negative trust anchor mended. is not needed any more", "the negative trust anchor broken. has ended"} {
		proctest.Eventually(t, 10*time.Second, "the log has "+line, func() bool { return strings.Contains(g.Log(), "[ ta ] "+line) })
	}
}
