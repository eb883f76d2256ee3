package worker

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// tenant is a module that keeps one client's answers apart, as a view does whose
// clients have forwarders of their own.
func tenant(of listen.Client, in resolve.Partition) module.Module {
	return module.Module{Name: "tenant", Open: func(*module.Host) (*module.Instance, error) {
		return &module.Instance{
			Layer: &resolve.Layer{Name: "tenant", Begin: func(r *resolve.Request) resolve.State {
				if r.Client.Addr() == of.Addr.Addr() {
					r.Partition = resolve.Partitions{Data: in, Answers: in}
				}
				return resolve.Produce
			}},
			Fast: &module.Fast{Begin: func(q *module.Query) module.Disposition {
				if q.Subject.Client.Addr() == of.Addr.Addr() {
					q.Partition = in
				}
				return module.Pass
			}},
		}, nil
	}}
}

// What is answered to the clients of one partition is told to no others, on either
// way, and to all of its own.
func TestAModuleKeepsItsClientsAnswersApart(t *testing.T) {
	w := laboratory(t)
	theirs, others := someone, someone
	others.Addr = netip.MustParseAddrPort("192.0.2.98:4711")
	list := append(w.modules(), listed{Module: tenant(theirs, 4711)})
	chain, err := newChain(w.host(), list)
	if err != nil {
		t.Fatal(err)
	}
	w.chain = chain
	if _, err := chain.Load("tenant < cache"); err != nil {
		t.Fatal(err)
	}
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	known := func(from listen.Client) bool {
		flush(t, w)
		_, v := byCache(t, s, shapes[1].message("www.example.com.", dns.TypeA), from)
		return v == listen.Reply
	}
	byDriver(t, w, shapes[1].message("www.example.com.", dns.TypeA), theirs)
	if !known(theirs) || known(others) {
		t.Errorf("after the tenant's question: known to it %v, to others %v", known(theirs), known(others))
	}
	byDriver(t, w, shapes[1].message("www.example.com.", dns.TypeA), others)
	if !known(others) {
		t.Error("after the others' question it is not known to them")
	}
}
