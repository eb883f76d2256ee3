package test

import (
	"encoding/hex"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A server is known by its name on every transport, whether it knew the answer or not.
func TestNSID(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2, "modules = { nsid = 'worker ' .. worker.id }"))
	for _, network := range []string{"udp", "tcp"} {
		for range 4 {
			q := proctest.Query("www.example.com", dns.TypeA, 1232)
			q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
			r, err := proctest.Exchange(network, g.Addr, q)
			if err != nil {
				t.Fatal(err)
			}
			name := ""
			for _, o := range r.IsEdns0().Option {
				if id, ok := o.(*dns.EDNS0_NSID); ok {
					octets, _ := hex.DecodeString(id.Nsid)
					name = string(octets)
				}
			}
			if name != "worker 0" && name != "worker 1" {
				t.Errorf("by %s the server is called %q", network, name)
			}
		}
		if r := g.Ask(t, network, "www.example.com", dns.TypeA, 1232); len(r.IsEdns0().Option) != 0 {
			t.Errorf("by %s who does not ask is told %v", network, r.IsEdns0().Option)
		}
	}
}
