package servertable

import (
	"testing"
	"time"

	"kresd/internal/limits"
)

// Between finding a place and reading it, the place may have become another's.
func TestARecordOfAnotherServerIsNotRead(t *testing.T) {
	tab := open(t, t.TempDir())
	put(t, tab, address(1), 1, 1)
	mine, others := wordsOf(address(1)), wordsOf(address(3))
	s, _ := choose(tab.set(mine), mine, tab.epoch.Load())
	if _, ok := s.settled(mine, tab.epoch.Load()); !ok {
		t.Error("the record is not read: the test proves nothing")
	}
	if im, ok := s.settled(others, tab.epoch.Load()); ok {
		t.Errorf("read %v as another server's", im.record())
	}
}

// A server that takes over the place of another takes over nothing of its record.
func TestATakenOverPlaceIsEmpty(t *testing.T) {
	tab := open(t, t.TempDir())
	list := neighbours(tab, ways+1)
	for i, k := range list[:ways] {
		put(t, tab, k, uint64(10+i), 42)
	}
	var found Record
	if !tab.Update(list[ways], func(r Record) Record { found = r; r.Priority = 99; return r }) || found != (Record{}) {
		t.Errorf("found %v", found)
	}
	wantData(t, tab, list[ways], 0)
}

// A record without any priority makes room only when no place is empty.
func TestEmptyPlacesAreTakenFirst(t *testing.T) {
	tab := open(t, t.TempDir())
	list := neighbours(tab, ways)
	for i, k := range list {
		put(t, tab, k, 0, uint64(i))
	}
	for i, k := range list {
		wantData(t, tab, k, uint64(i))
	}
}

// Who was given up for dead in the middle of a turn neither writes nor ends the turn
// of who took it over, even when both turns begin in one millisecond.
func TestATakenOverTurnIsAnothers(t *testing.T) {
	var s slot
	now := 10 * time.Hour
	mine := begun(s[0].Load(), now)
	s[0].Store(mine)
	others := begun(mine, now)
	if others == mine || !taken(others) {
		t.Fatalf("turns %#x and %#x", mine, others)
	}
	s[0].Store(others)
	if s.finish(mine); s[0].Load() != others {
		t.Errorf("the other's turn %#x became %#x", others, s[0].Load())
	}
	var im image
	if s.write(mine, now, &im, 0) || s[0].Load() != others {
		t.Error("written in the other's turn")
	}
	if s.finish(others); taken(s[0].Load()) {
		t.Error("its own turn does not end")
	}
	if next := begun(s[0].Load(), now); next == mine || next == others {
		t.Errorf("turn %#x comes twice", next)
	}
}

// Clocks of processes differ a little, and a turn must not look stuck by that. The
// milliseconds of a turn start again from zero every 49 days.
func TestSince(t *testing.T) {
	for _, tt := range []struct{ began, now, want time.Duration }{
		{time.Hour, time.Hour, 0},
		{time.Hour, time.Hour + limits.ServersStuck, limits.ServersStuck},
		{time.Hour + 999*time.Millisecond, time.Hour, 0},
		{1<<32*time.Millisecond - 5*time.Millisecond, 1<<32*time.Millisecond + 5*time.Millisecond, 10 * time.Millisecond},
	} {
		if got := since(begun(0, tt.began), tt.now); got != tt.want {
			t.Errorf("from %v to %v: %v, want %v", tt.began, tt.now, got, tt.want)
		}
	}
	for _, ahead := range []time.Duration{time.Second, time.Hour} { // before the clock was set
		if got := since(begun(0, time.Hour+ahead), time.Hour); got < limits.ServersStuck {
			t.Errorf("a turn of another time, %v ahead, lasts %v", ahead, got)
		}
	}
}
