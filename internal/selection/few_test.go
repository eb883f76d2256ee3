package selection

import (
	"fmt"
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
