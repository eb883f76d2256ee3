package limits

import (
	"net/netip"
	"testing"
)

// takeAll takes as many places for a client as there are for him.
func takeAll(s *Shares, client netip.Addr) (n int) {
	for s.Take(client) {
		n++
	}
	return n
}

// However much a client takes, and however many do, the next one finds places.
func TestWhoTakesAllPlacesLeavesSomeForTheNext(t *testing.T) {
	s := NewShares(1000)
	for i, want := range []int{200, 160, 128, 103, 82, 66, 53, 42, 34, 27, 21} {
		if got := takeAll(s, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); got != want {
			t.Errorf("client %d took %d places, want %d", i, got, want)
		}
	}
	first := netip.AddrFrom4([4]byte{192, 0, 2, 0})
	for range 200 {
		s.Give(first)
	}
	if got := takeAll(s, netip.AddrFrom4([4]byte{192, 0, 2, 200})); got != 57 {
		t.Errorf("when 200 are free again one took %d places, want 57", got)
	}
}

// Forwarders and loopback, which are counted for nobody, take what is free, and what is
// given back is nobody's.
func TestPlacesThatAreCountedForNobody(t *testing.T) {
	s := NewShares(10)
	if got := takeAll(s, netip.Addr{}); got != 10 || s.Taken() != 10 {
		t.Errorf("%d places, %d taken", got, s.Taken())
	}
	for range 10 {
		s.Give(netip.Addr{})
	}
	c := netip.MustParseAddr("2001:db8::")
	n := takeAll(s, c)
	for range n {
		s.Give(c)
	}
	if n != 2 || s.Taken() != 0 || len(s.of) != 0 {
		t.Errorf("%d places, %d left taken, %d clients", n, s.Taken(), len(s.of))
	}
}
