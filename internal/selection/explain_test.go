package selection

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"kresd/internal/clock"
)

// Explain says what decided, in every case that decides.
func TestExplain(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3"), Tried: &Tried{}}
	expect := func(addr string, ground Ground, of int, left ...LeftOut) {
		t.Helper()
		why, out := s.Explain(w, Choice{Endpoint: at(addr)})
		if why.Ground != ground || why.Of != of || !slices.Equal(out, left) {
			t.Errorf("%s: %+v, left %v; want ground %d of %d, left %v", addr, why, out, ground, of, left)
		}
	}
	out := func(addr string, f Fault) LeftOut { return LeftOut{netip.MustParseAddr(addr), f} }
	expect("192.0.2.1", NothingKnown, 3)
	s.Answered(at("192.0.2.1"), Answer{RTT: 10 * time.Millisecond})
	s.Answered(at("192.0.2.2"), Answer{RTT: 300 * time.Millisecond})
	expect("192.0.2.1", Fastest, 3)
	expect("192.0.2.2", ToLearn, 3)
	s.Lame(w.Cut.Name, at("192.0.2.3"))
	s.Unreachable(at("192.0.2.2"))
	expect("192.0.2.1", OnlyServer, 1, out("192.0.2.2", IsSilent), out("192.0.2.3", UselessInZone))
	expect("192.0.2.3", BestLeft, 1, out("192.0.2.2", IsSilent))
	expect("192.0.2.2", SilentTried, 1)
	expect("192.0.2.99", AskedAgain, 0)
	w.Tried.Reject("\x02ns\x00", at("192.0.2.3"))
	expect("192.0.2.1", OnlyLeft, 1, out("192.0.2.2", IsSilent))
}

// What is expected of a server is said of one that has answered only, and how it is
// asked is that of the choice.
func TestAReasonSaysWhatIsExpected(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}}
	if why, _ := s.Explain(w, Choice{Endpoint: at("192.0.2.1"), Resort: true}); why.Known || !why.Resort || why.Confirm {
		t.Errorf("a strange server: %+v", why)
	}
	s.Answered(at("192.0.2.1"), Answer{RTT: 10 * time.Millisecond})
	if why, _ := s.Explain(w, Choice{Endpoint: at("192.0.2.1"), Confirm: true}); !why.Known || why.Expected <= 0 || why.Expected > time.Second || why.Resort || !why.Confirm {
		t.Errorf("a known server: %+v", why)
	}
}

// Each class below the best is a fault of its own.
func TestFaults(t *testing.T) {
	for class, want := range map[int]Fault{failing: FailedQuery, lame: UselessInZone, brokenFamily: FamilyBroken, resort: IsSilent, silent: IsSilent} {
		if got := faultOf(class); got != want {
			t.Errorf("class %d: fault %d, want %d", class, got, want)
		}
	}
}
