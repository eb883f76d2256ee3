package selection

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Of many name servers a question considers those that are known to be good, then unknown
// ones, each now and then, and the others only where these are too few.
func TestTheFewOfManyServers(t *testing.T) {
	const all, good, bad = 30, 3, 20
	addr := func(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }
	var addrs []string
	for i := range all {
		addrs = append(addrs, addr(i))
	}
	s, _ := lab()
	cut := cutOf(t, addrs...)
	before := cut.Clone()
	for i := range good {
		s.Answered(at(addr(i)), Answer{RTT: time.Millisecond})
	}
	met := map[string]int{}
	for range 200 {
		few := s.Few(Want{Cut: cut})
		if len(few.NS) != limits.MaxNSPerDelegation {
			t.Fatalf("%d servers", len(few.NS))
		}
		for i := range few.NS {
			met[few.NS[i].Addrs[0].String()]++
		}
	}
	for i := range all {
		if n := met[addr(i)]; n == 0 || i < good && n != 200 {
			t.Errorf("server %d is considered %d times of 200", i, n)
		}
	}
	for i := range bad {
		s.Lame(cut.Name, at(addr(all-1-i)))
	}
	met = map[string]int{}
	for range 200 {
		few := s.Few(Want{Cut: cut})
		for i := range few.NS {
			met[few.NS[i].Addrs[0].String()]++
		}
	}
	for i := range all - bad {
		if n := met[addr(i)]; n != 200 {
			t.Errorf("server %d, which is not lame, is considered %d times of 200", i, n)
		}
	}
	if !reflect.DeepEqual(cut, before) {
		t.Error("the cut was changed, which is others' too")
	}
}

// As many as a question may consider are left as they are, and those that the operator has
// named, however many.
func TestFewServersAreLeftAsTheyAre(t *testing.T) {
	var addrs []string
	for i := range limits.MaxNSPerDelegation {
		addrs = append(addrs, fmt.Sprintf("192.0.2.%d", i+1))
	}
	s, _ := lab()
	few, many := cutOf(t, addrs...), cutOf(t, append(addrs, "192.0.2.77")...)
	many.Hints = true
	for _, cut := range []*zonecut.Cut{few, many} {
		if got := s.Few(Want{Cut: cut}); got != cut {
			t.Errorf("%d servers of %d", len(got.NS), len(cut.NS))
		}
	}
}

// A server of a family that is not used stands behind all others, and one without an address
// counts as one of which nothing is known.
func TestTheFewCanBeAsked(t *testing.T) {
	var addrs []string
	for i := range limits.MaxNSPerDelegation {
		addrs = append(addrs, fmt.Sprintf("192.0.2.%d", i+1), fmt.Sprintf("2001:db8::%d", i+1))
	}
	s, _ := lab()
	cut := cutOf(t, addrs...)
	cut.NS[0].Addrs = nil
	few := s.Few(Want{Cut: cut, NoIPv6: true})
	for i := range few.NS {
		if ns := &few.NS[i]; len(ns.Addrs) > 0 && ns.Addrs[0].Is6() {
			t.Errorf("%s is considered", ns.Addrs[0])
		}
	}
}

// Of the addresses of a name server a question considered the first six, always the same: the
// other family, or the good one among dead ones, was never asked. Now it considers those that
// are known to be good, and of the others each now and then, of both families.
func TestTheFewOfManyAddresses(t *testing.T) {
	const all, good = 60, 57
	s, _ := lab()
	cut := cutOf(t, "192.0.2.250")
	for i := range all {
		a := fmt.Sprintf("192.0.2.%d", i+1)
		if i%2 == 1 {
			a = fmt.Sprintf("2001:db8::%d", i+1)
		}
		cut.AddAddr(cut.NS[0].Name, netip.MustParseAddr(a))
	}
	addrs := cut.NS[0].Addrs
	before := cut.Clone()
	want := 2 + limits.ExtraAddrs(1)
	met := func() map[netip.Addr]int {
		n := map[netip.Addr]int{}
		for range 200 {
			few := s.Few(Want{Cut: cut}).NS[0].Addrs
			if len(few) != want {
				t.Fatalf("%d addresses, want %d", len(few), want)
			}
			v4 := 0
			for _, a := range few {
				n[a]++
				if a.Is4() {
					v4++
				}
			}
			if v4 < want/2-1 || v4 > want/2+1 {
				t.Fatalf("%d of %d addresses are of IPv4", v4, want)
			}
		}
		return n
	}
	n := met()
	for _, a := range addrs {
		if n[a] == 0 {
			t.Errorf("%s is never considered", a)
		}
	}
	s.Answered(at(addrs[good].String()), Answer{RTT: time.Millisecond})
	if n = met(); n[addrs[good]] != 200 {
		t.Errorf("the one that answers is considered %d times of 200", n[addrs[good]])
	}
	if got := s.Promising(Want{Cut: cut}, &cut.NS[0], addrs); got[0] != addrs[good] || len(got) != len(addrs) {
		t.Errorf("%s comes first of %d", got[0], len(got))
	}
	if !reflect.DeepEqual(cut, before) {
		t.Error("the cut was changed, which is others' too")
	}
}

// Name servers share the room for addresses, by turns.
func TestNameServersShareTheRoomForAddresses(t *testing.T) {
	s, _ := lab()
	cut := cutOf(t, "192.0.2.1", "198.51.100.1", "203.0.113.1")
	for i := 2; i <= 30; i++ {
		cut.AddAddr(cut.NS[0].Name, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i)))
		cut.AddAddr(cut.NS[1].Name, netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i)))
	}
	few := s.Few(Want{Cut: cut})
	extra := limits.ExtraAddrs(3)
	for i := range few.NS {
		ns := &few.NS[i]
		want := 2 + extra/2
		if ns.Name == cut.NS[2].Name {
			want = 1
		}
		if len(ns.Addrs) != want {
			t.Errorf("%s has %d addresses, want %d", ns.Name, len(ns.Addrs), want)
		}
	}
}

// Of very many addresses that were looked up, the one that answers was often not among those
// that were kept.
func TestTheOneThatAnswersIsKeptOfVeryMany(t *testing.T) {
	const all = 4 * limits.ExtraAddrsKept
	s, _ := lab()
	cut := cutOf(t, "192.0.2.250")
	var addrs []netip.Addr
	for i := range all {
		addrs = append(addrs, netip.AddrFrom4([4]byte{198, 51, 100 + byte(i>>8), byte(i)}))
	}
	good := addrs[all-1]
	s.Answered(at(good.String()), Answer{RTT: time.Millisecond})
	for range 50 {
		if got := s.Promising(Want{Cut: cut}, &cut.NS[0], addrs); len(got) != limits.ExtraAddrsKept || got[0] != good {
			t.Fatalf("%s comes first of %d", got[0], len(got))
		}
	}
}
