package selection

import (
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/servertable"
	"kresd/internal/zonecut"
)

// withPeer is an endpoint that must be spoken to over TLS, with a pin.
func withPeer(t *testing.T, addr string, port uint16, pin byte) zonecut.Endpoint {
	t.Helper()
	p, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{{pin}}})
	if err != nil {
		t.Fatal(err)
	}
	return zonecut.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), port), Peer: p}
}

// cutAt is an operator's cut to some endpoints.
func cutAt(endpoints ...zonecut.Endpoint) *zonecut.Cut {
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for _, e := range endpoints {
		cut.NS = append(cut.NS, zonecut.NameServer{Name: dnsname.Root, Addrs: []netip.Addr{e.Addr.Addr()}, Port: e.Addr.Port(), Peer: e.Peer})
	}
	return cut
}

// One address that is asked in plain DNS and over TLS, with two pins, is three
// servers: what one of them did is not held for or against the others.
func TestPeersAreServersOfTheirOwn(t *testing.T) {
	const addr, port = "192.0.2.1", 853
	endpoints := []zonecut.Endpoint{{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), port)}, withPeer(t, addr, port, 1), withPeer(t, addr, port, 2)}
	ck := &clock.NewFake(time.Unix(1e9, 0)).Clock
	table, err := servertable.Open(t.TempDir(), ck, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for what, memory := range map[string]Memory{"alone": NewMemory(), "shared": NewShared(table, ck)} {
		s := New(Config{Clock: ck, Memory: memory})
		s.Answered(endpoints[1], Answer{RTT: 7 * time.Millisecond, TCP: true})
		s.Learn(endpoints[2], NoEDNS)
		for i, want := range []time.Duration{0, 7 * time.Millisecond, 0} {
			if h := s.Host(endpoints[i]); h.SRTT != want || (h.Cannot(s.now()) == NoEDNS) != (i == 2) {
				t.Errorf("%s: of endpoint %d is known %+v", what, i, h)
			}
		}
		protocols := map[zonecut.Protocol]int{}
		for _, k := range s.Latest(9) {
			protocols[k.Protocol]++
		}
		if protocols[zonecut.DoT] != 2 || protocols[zonecut.Do53] != 0 {
			t.Errorf("%s: protocols of the servers listed: %v", what, protocols)
		}
	}
	cut := cutAt(endpoints...)
	for i, bad := range endpoints {
		for what, spoil := range map[string]func(*Selector, *Tried){
			"rejected": func(_ *Selector, t *Tried) { t.Reject(dnsname.Root, bad) },
			"busy":     func(_ *Selector, t *Tried) { t.Busy(bad) },
			"lame":     func(s *Selector, _ *Tried) { s.Lame(cut.Name, bad) },
			"dead":     func(s *Selector, _ *Tried) { s.Unreachable(bad) },
		} {
			s, tried := New(Config{Clock: ck}), &Tried{}
			spoil(s, tried)
			got := map[zonecut.Endpoint]int{}
			for range 200 {
				c, ok := s.Choose(Want{Cut: cut, Tried: tried})
				if !ok {
					t.Fatalf("endpoint %d %s: none is left", i, what)
				}
				got[c.Endpoint]++
			}
			if len(got) != 2 || got[bad] > 0 {
				t.Errorf("endpoint %d %s: chosen were %v", i, what, got)
			}
		}
	}
}

// TCP is no other way to ask a server that must be spoken to over TLS, and no proof
// of what its answers show anyway.
func TestPeersAreNotAskedInPlainTCP(t *testing.T) {
	e := withPeer(t, "192.0.2.1", 853, 1)
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	for range signsNeeded {
		s.Answered(e, Answer{RTT: time.Millisecond, EDNS: EDNSRefused})
	}
	tried := &Tried{}
	for range limits.RetriesPerServer {
		tried.TimedOut(dnsname.Root, e)
	}
	c, ok := s.Choose(Want{Cut: cutAt(e), Tried: tried})
	if !ok || c.Resort || c.Confirm || c.Endpoint != e {
		t.Errorf("chosen is %+v, %v", c, ok)
	}
	plain := zonecut.Endpoint{Addr: e.Addr}
	for range signsNeeded {
		s.Answered(plain, Answer{RTT: time.Millisecond, EDNS: EDNSRefused})
	}
	for range limits.RetriesPerServer {
		tried.TimedOut(dnsname.Root, plain)
	}
	if c, ok = s.Choose(Want{Cut: cutAt(plain), Tried: tried}); !ok || !c.Resort || !c.Confirm {
		t.Errorf("in plain DNS chosen is %+v, %v: the test proves nothing", c, ok)
	}
}

// A server without a configured port is asked at its protocol's.
func TestPortOfAPeer(t *testing.T) {
	e := withPeer(t, "192.0.2.1", 0, 1)
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	if c, _ := s.Choose(Want{Cut: cutAt(e), Tried: &Tried{}}); c.Addr.Port() != 853 || c.Peer != e.Peer {
		t.Errorf("asked at port %d", c.Addr.Port())
	}
	if c := s.Again(dnsname.Root, e); c.Endpoint != e {
		t.Errorf("asked again is %v", c.Endpoint)
	}
}
