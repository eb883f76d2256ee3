package zonecut

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
)

func mustPeer(t *testing.T, c PeerConfig) Peer {
	t.Helper()
	p, err := NewPeer(c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return p
}

// Each field makes another peer: a server that is trusted by one configuration is
// not the one that another means.
func TestPeersDifferInEachField(t *testing.T) {
	a, b := Pin{1}, Pin{2}
	configs := []PeerConfig{
		{Protocol: DoT, Names: []string{"dns.example"}},
		{Protocol: DoQ, Names: []string{"dns.example"}},
		{Protocol: DoT, Names: []string{"dns.test"}},
		{Protocol: DoT, Names: []string{"dns.example", "dns.test"}},
		{Protocol: DoT, Names: []string{"dns.test", "dns.example"}}, // the first is sent
		{Protocol: DoT, Names: []string{"dns.example"}, Authorities: []string{"one"}},
		{Protocol: DoT, Names: []string{"dns.example"}, Authorities: []string{"on", "two"}},
		{Protocol: DoT, Pins: []Pin{a}},
		{Protocol: DoT, Pins: []Pin{b}},
		{Protocol: DoT, Pins: []Pin{a, b}},
		{Protocol: DoT, Pins: []Pin{a}, Names: []string{"dns.example"}},
		{Protocol: DoT, Pins: []Pin{a}, Host: "dns.example"},
		{Protocol: DoT, Insecure: true},
		{Protocol: DoH, Insecure: true, Path: "/dns-query"},
		{Protocol: DoH, Insecure: true, Path: "/q"},
	}
	seen := map[Peer]int{{}: -1}
	kinds := map[uint32]int{0: -1}
	for i, c := range configs {
		p := mustPeer(t, c)
		if j, ok := seen[p]; ok {
			t.Errorf("%d and %d are one peer", i, j)
		}
		if j, ok := kinds[p.Kind()]; ok {
			t.Errorf("%d and %d have one kind", i, j)
		}
		seen[p], kinds[p.Kind()] = i, i
		if p.Plain() || p.Protocol() != c.Protocol || ProtocolOfKind(p.Kind()) != c.Protocol {
			t.Errorf("%d: plain %v, protocol %v, of its kind %v", i, p.Plain(), p.Protocol(), ProtocolOfKind(p.Kind()))
		}
		if got := p.Config(); !reflect.DeepEqual(got, c) {
			t.Errorf("%d: the configuration is %+v, want %+v", i, got, c)
		}
		if again := mustPeer(t, c); again != p || again.Kind() != p.Kind() {
			t.Errorf("%d: an equal configuration made another peer", i)
		}
	}
	var plain Peer
	if !plain.Plain() || plain.Protocol() != Do53 || plain.Kind() != 0 || !reflect.DeepEqual(plain.Config(), PeerConfig{}) {
		t.Error("the zero peer is not plain DNS")
	}
	// Other processes on this machine, and those after a restart, have to agree.
	if got := mustPeer(t, configs[0]).Kind(); got != 0x102be13f {
		t.Errorf("kind %#x, want the same in every process", got)
	}
}

// A server that may be anybody is not asked in the clear all the same.
func TestAnybodyIsAskedOverTLS(t *testing.T) {
	if p := Anybody(); p.Plain() || p != mustPeer(t, PeerConfig{Protocol: DoT, Insecure: true}) {
		t.Errorf("it is %+v", p.Config())
	}
}

// The order of pins and authorities means nothing, nor does the letter case of names.
func TestPeersAreComparedByWhatTheySay(t *testing.T) {
	pins, authorities := []Pin{{2}, {1}, {2}}, []string{"b", "a", "b"}
	p := mustPeer(t, PeerConfig{Protocol: DoT, Pins: pins})
	if p != mustPeer(t, PeerConfig{Protocol: DoT, Pins: []Pin{{1}, {2}}}) {
		t.Error("pins in another order make another peer")
	}
	q := mustPeer(t, PeerConfig{Protocol: DoT, Names: []string{"DNS.example"}, Authorities: authorities})
	if q != mustPeer(t, PeerConfig{Protocol: DoT, Names: []string{"dns.example"}, Authorities: []string{"a", "b"}}) {
		t.Error("authorities in another order make another peer")
	}
	// A peer does not change with what it was made of, or with what it gave out.
	pins[0][0], authorities[0] = 9, "c"
	p.Config().Pins[0][0] = 9
	q.Config().Authorities[0] = "c"
	if p.Config().Pins[0] != (Pin{1}) || q.Config().Authorities[0] != "a" {
		t.Error("a peer was changed")
	}
	if !slices.Equal(pins[1:], []Pin{{1}, {2}}) {
		t.Error("the caller's list was sorted")
	}
}

func TestPeersThatWouldTrustTheWrongServer(t *testing.T) {
	for _, tt := range []struct {
		c    PeerConfig
		want string
	}{
		{PeerConfig{}, "plain DNS has nothing to authenticate"},
		{PeerConfig{Names: []string{"dns.example"}}, "plain DNS has"},
		{PeerConfig{Protocol: 9, Insecure: true}, "protocol 9"},
		{PeerConfig{Protocol: DoT}, "nothing says how"},
		{PeerConfig{Protocol: DoT, Names: []string{"dns.example"}, Insecure: true}, "has no use for names and pins"},
		{PeerConfig{Protocol: DoT, Pins: []Pin{{}}, Insecure: true}, "has no use for names and pins"},
		{PeerConfig{Protocol: DoT, Names: []string{""}}, "is empty"},
		{PeerConfig{Protocol: DoT, Pins: []Pin{{}}, Authorities: []string{"a"}}, "without a name"},
		{PeerConfig{Protocol: DoT, Insecure: true, Authorities: []string{"a"}}, "without a name"},
		{PeerConfig{Protocol: DoT, Insecure: true, Path: "/dns-query"}, "a path is for"},
		{PeerConfig{Protocol: DoH, Insecure: true}, "begins with a slash"},
		{PeerConfig{Protocol: DoH, Insecure: true, Path: "dns-query"}, "begins with a slash"},
	} {
		if p, err := NewPeer(tt.c); err == nil || !strings.Contains(err.Error(), tt.want) || p != (Peer{}) {
			t.Errorf("%+v: %v, want an error with %q", tt.c, err, tt.want)
		}
	}
}

func TestEndpointsInWords(t *testing.T) {
	e := Endpoint{Addr: netip.MustParseAddrPort("[2001:db8::1]:853")}
	if got := e.String(); got != "2001:db8::1@853" {
		t.Errorf("got %q", got)
	}
	e.Peer = mustPeer(t, PeerConfig{Protocol: DoT, Insecure: true})
	if got := e.String(); got != "2001:db8::1@853 by DNS over TLS" {
		t.Errorf("got %q", got)
	}
	for p, want := range map[Protocol]uint16{Do53: 53, DoT: 853, DoH: 443, DoQ: 853} {
		if p.Port() != want {
			t.Errorf("%v: port %d, want %d", p, p.Port(), want)
		}
	}
}

// A server stays the one that was configured when it gains addresses or is copied.
func TestCutsKeepPeers(t *testing.T) {
	peer := mustPeer(t, PeerConfig{Protocol: DoT, Insecure: true})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	cut := &Cut{Name: dnsname.Root, NS: []NameServer{{Name: dnsname.Root, Addrs: []netip.Addr{a}, Peer: peer}}}
	own := cut.Clone()
	own.AddAddr(dnsname.Root, b)
	if own.NS[0].Peer != peer || len(own.NS[0].Addrs) != 2 || own.Plain() {
		t.Errorf("the copy is %+v", own.NS[0])
	}
	plain := &Cut{Name: dnsname.Root, NS: []NameServer{{Name: dnsname.Root, Addrs: []netip.Addr{a}}}}
	if !plain.Plain() {
		t.Error("a cut without peers is not plain")
	}
	others := []*Cut{cut, plain, own, {NS: []NameServer{{Addrs: []netip.Addr{a}, Port: 5353}}}}
	seen := map[string]int{}
	for i, c := range others {
		key := string(c.AppendEndpoints(nil))
		if j, ok := seen[key]; ok {
			t.Errorf("the servers of cuts %d and %d are told apart by nothing", i, j)
		}
		seen[key] = i
	}
}
