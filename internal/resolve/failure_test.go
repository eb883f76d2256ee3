package resolve_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/resolve"
)

// What a client is told about a failure (RFC 8914, section 4).
func TestFailuresAreExplained(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*world)
		ede  uint16
		text string
	}{
		{"lame", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Lame()) }, 22, "lame delegation of example.com."},
		{"refusing", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Rcode(dns.RcodeRefused)) }, 22, "lame delegation of example.com."},
		{"silent", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Drop()) }, 22, "no server of example.com. answers"},
		{"silent root", func(w *world) { w.net.Host("198.51.100.1").Play(authority.Drop()) }, 22, "no server of . answers"},
		{"unreachable", func(w *world) { w.unreachable = netip.MustParseAddr("192.0.2.1") }, 23, "no server of example.com. can be reached"},
		{"no root known", func(w *world) { delete(w.cuts.m, "\x00") }, 14, "no root servers are known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
				tt.set(w)
				r := w.request("www.example.com.", "A")
				w.driver.Resolve(context.Background(), r)
				res := &r.Result
				if res.Rcode != dns.RcodeServerFailure || res.EDE != tt.ede || res.EDEText != tt.text || res.Failure == nil {
					t.Errorf("rcode %d, extended error %d %q, failure %v; want SERVFAIL, %d %q", res.Rcode, res.EDE, res.EDEText, res.Failure, tt.ede, tt.text)
				}
				if ede, text := resolve.Explain(res.Failure); ede != tt.ede || text != tt.text {
					t.Errorf("explained as %d %q", ede, text)
				}
			})
		})
	}
}
