package iterate

import (
	"net/netip"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A name server that must be spoken to over TLS must be so too for a child zone that
// it serves.
func TestPeerOfAServerThatServesTheChild(t *testing.T) {
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	r, q := query("www.b.example.com.", wire.TypeA, "example.com.")
	q.Asked = resolve.Question{Name: name("b.example.com."), Type: wire.TypeNS, Class: wire.ClassIN}
	q.Cut.NS = []zonecut.NameServer{{Name: name("ns.net."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Peer: peer}}
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an b.example.com. 60 NS ns.net."))
	if c := q.Outcome.Cut; c == nil || len(c.NS) != 1 || len(c.NS[0].Addrs) != 1 || c.NS[0].Peer != peer {
		t.Errorf("the child's servers are %+v", c)
	}
}
