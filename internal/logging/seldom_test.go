package logging

import (
	"strconv"
	"testing"
	"time"

	"kresd/internal/limits"
)

func TestSeldomTellsEachKindOnceInAWhile(t *testing.T) {
	var s Seldom
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		kind, more string
		ok         bool
		later      time.Duration
	}{
		{"a", "", true, 0},
		{"a", "", false, time.Second},
		{"b", "", true, 0},
		{"a", "", false, limits.LuaErrorPause - 2*time.Second},
		{"a", " (2 more times since it was last told)", true, time.Second},
		{"a", "", false, 0},
	} {
		now = now.Add(c.later)
		if more, ok := s.may(c.kind, now); more != c.more || ok != c.ok {
			t.Errorf("%d: %q %v", i, more, ok)
		}
	}
}

// Who causes lines of ever new kinds gets one of them told.
func TestSeldomKeepsFewKinds(t *testing.T) {
	var s Seldom
	now, told := time.Unix(1000, 0), 0
	for i := range 10 * limits.LogKinds {
		if _, ok := s.may(strconv.Itoa(i), now); ok {
			told++
		}
	}
	if told != limits.LogKinds+1 || len(s.kinds) != limits.LogKinds+1 {
		t.Errorf("%d told, %d kept", told, len(s.kinds))
	}
	if _, ok := s.may("later", now.Add(limits.LuaErrorPause)); !ok || len(s.kinds) != 1 {
		t.Errorf("told %v later, %d kept", ok, len(s.kinds))
	}
}
