package test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A kept socket is bound to the outgoing address that it was made with. When the machine has
// that address no more, the first question says so: by IPv4 the system takes the question for
// one without a route, and by IPv6 no answer comes to what it sends. When the address is back
// it is used again.
func TestAVanishedOutgoingAddressIsNamedAtOnce(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	outgoing := map[string]string{"127.0.0.1": "net.outgoing_v4", "::1": "net.outgoing_v6"}
	for _, c := range []struct{ server, source string }{{"127.0.0.1", "192.0.2.7"}, {"::1", "2001:db8::7"}} {
		l, err := net.ListenPacket("udp", net.JoinHostPort(c.server, "5300"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := &dns.Server{PacketConn: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			r := new(dns.Msg).SetReply(q)
			r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 99)}}
			_ = w.WriteMsg(r)
		})}
		go func() { _ = s.ActivateAndServe() }()
		address := func(what string) {
			t.Helper()
			args := []string{"addr", what, c.source, "dev", "lo"}
			if c.server == "::1" && what == "add" {
				args = append(args, "nodad")
			}
			proctest.Run(t, "ip", args...)
		}
		address("add")
		g := proctest.Start(t, proctest.Config{Addr: netip.MustParseAddrPort("127.0.0.1:53"), Lua: "trust_anchors.remove('.')\nnet.ipv6 = true\n" + outgoing[c.server] + "('" + c.source + "')\n" +
			"modules.load('policy')\npolicy.add(policy.all(policy.FORWARD('" + c.server + "@5300')))\n"})
		ask := func(name string) (*dns.Msg, string) {
			t.Helper()
			r := g.Ask(t, "udp", name, dns.TypeA, 1232)
			for _, o := range r.IsEdns0().Option {
				if e, ok := o.(*dns.EDNS0_EDE); ok {
					return r, e.ExtraText
				}
			}
			return r, ""
		}
		if r, text := ask("before.example."); len(r.Answer) != 1 {
			t.Errorf("from %s: %s, %q", c.source, dns.RcodeToString[r.Rcode], text)
		}
		address("del")
		want := "no socket can be bound to " + c.source + ", the outgoing address"
		if r, text := ask("without.example."); r.Rcode != dns.RcodeServerFailure || text != want {
			t.Errorf("%s, %q, want %q", dns.RcodeToString[r.Rcode], text, want)
		}
		proctest.Eventually(t, 20*time.Second, "the log has it", func() bool { return strings.Contains(g.Log(), want) })
		address("add")
		proctest.Eventually(t, 20*time.Second, "questions leave from "+c.source+" again", func() bool {
			r, _ := ask("after.example.")
			return len(r.Answer) == 1
		})
		if _, err := g.Stop(); err != nil {
			t.Error(err)
		}
		address("del")
	}
}
