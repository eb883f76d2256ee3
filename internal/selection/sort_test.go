package selection

import (
	"testing"
	"time"

	"kresd/internal/clock"
)

// A server that drops questions for AAAA, and for types that came later, is asked for A
// all the same, and is dead for A only after it was silent to that as well.
func TestDroppedTypesSilenceNoOther(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	alone := cutOf(t, "192.0.2.1")
	for range 4 {
		s.TimedOut(at("192.0.2.1"), ForAAAA)
		ck.Advance(time.Second)
	}
	asked := func(sort Sort) bool {
		_, ok := s.Choose(Want{Cut: alone, Tried: &Tried{}, Sort: sort})
		return ok
	}
	asked(ForAAAA) // the question that finds out whether it is back
	if asked(ForAAAA) || !asked(ForA) || !asked(ForOthers) {
		t.Fatalf("asked for AAAA %v, A %v, HTTPS %v; want the last two", asked(ForAAAA), asked(ForA), asked(ForOthers))
	}
	s.TimedOut(at("192.0.2.1"), ForOthers)
	if asked(ForOthers) || !asked(ForA) {
		t.Error("one timeout more does not silence all types that came later, or silences A")
	}
	s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond})
	if !asked(ForAAAA) || !asked(ForOthers) {
		t.Error("after an answer it is dead for some types")
	}
	for range 5 {
		s.TimedOut(at("192.0.2.1"), ForAAAA)
		ck.Advance(time.Second)
	}
	s.TimedOut(at("192.0.2.1"), ForA)
	if asked(ForA) {
		t.Error("it is silent to A, too, and asked for it")
	}
	good := cutOf(t, "192.0.2.1", "192.0.2.2")
	if got := share(s, Want{Cut: good, Sort: ForOthers}, 100); got["192.0.2.2"] != 100 {
		t.Errorf("beside another server it is asked: %v", got)
	}
}

// A server that cannot be reached is dead for all questions.
func TestUnreachableServersAreDeadForAllTypes(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	s.TimedOut(at("192.0.2.1"), ForAAAA)
	s.Unreachable(at("192.0.2.1"))
	for _, sort := range []Sort{ForA, ForAAAA, ForOthers} {
		s.TimedOut(at("192.0.2.1"), sort)
		if c, ok := s.Choose(Want{Cut: cutOf(t, "192.0.2.1"), Tried: &Tried{}, Sort: sort}); ok {
			t.Errorf("asked for sort %d: %+v", sort, c)
		}
	}
}
