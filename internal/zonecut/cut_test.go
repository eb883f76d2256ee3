package zonecut

import (
	"net/netip"
	"testing"

	"kresd/internal/dnsname"
)

func TestCloneIsIndependent(t *testing.T) {
	name, err := dnsname.Parse("ns.example.")
	if err != nil {
		t.Fatal(err)
	}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	addrs := make([]netip.Addr, 1, 4) // room, so that an append could reach into the original
	addrs[0] = a
	shared := &Cut{NS: []NameServer{{Name: name, Addrs: addrs}}}
	own := shared.Clone()
	own.AddAddr(name, b)
	own.AddAddr(name, b)
	own.AddAddr(dnsname.Root, b)
	if got := own.Find(name).Addrs; len(got) != 2 {
		t.Errorf("got %v, want both addresses once", got)
	}
	if got := shared.NS[0].Addrs; len(got) != 1 || addrs[:2][1] == b {
		t.Errorf("the shared cut was changed: %v", got)
	}
}
