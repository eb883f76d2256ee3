package resolve

import (
	"net/netip"
	"testing"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A server that must be spoken to over TLS is spoken to like that when it is asked
// once more, and a worker that asks it keeps no other from asking in plain DNS.
func TestPeersAreKeptByTheDriver(t *testing.T) {
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	e := zonecut.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.1:853"), Peer: peer}
	queryTo := func(e zonecut.Endpoint) *Query {
		ns := zonecut.NameServer{Name: dnsname.Root, Addrs: []netip.Addr{e.Addr.Addr()}, Port: e.Addr.Port(), Peer: e.Peer}
		return &Query{
			Question: Question{Name: "\x07example\x00", Type: wire.TypeA, Class: wire.ClassIN},
			Options:  Options{Forward: true}, Cut: &zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{ns}},
		}
	}
	q := queryTo(e)
	s := &solver{Driver: NewDriver(Config{Servers: selection.New(selection.Config{Clock: clock.Real()})}), r: &Request{}}
	c, ok := s.choose(q)
	if to := serverOf(q, c); !ok || to.Endpoint != e {
		t.Errorf("asked is %v, want %v", to.Endpoint, e)
	}
	q.Server, q.run.retry.again = serverOf(q, c), e.Addr
	if c, ok := s.choose(q); !ok || c.Endpoint != e {
		t.Errorf("asked again is %v, want %v", c.Endpoint, e)
	}
	plain := queryTo(zonecut.Endpoint{Addr: e.Addr})
	if string(leaseKey(q, false)) == string(leaseKey(plain, false)) {
		t.Error("one lease for two servers")
	}
}
