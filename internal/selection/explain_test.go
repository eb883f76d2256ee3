package selection

import (
	"strings"
	"testing"
	"time"

	"kresd/internal/clock"
)

// Explain says what decided, in every case that decides.
func TestExplain(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3"), Tried: &Tried{}}
	expect := func(addr string, why, left string) {
		t.Helper()
		gotWhy, gotLeft := s.Explain(w, Choice{Endpoint: at(addr)})
		if !strings.HasPrefix(gotWhy, why) || gotLeft != left {
			t.Errorf("%s: %q, left %q; want %q, left %q", addr, gotWhy, gotLeft, why, left)
		}
	}
	expect("192.0.2.1", "one of 3 of which nothing is known", "")
	s.Answered(at("192.0.2.1"), Answer{RTT: 10 * time.Millisecond})
	s.Answered(at("192.0.2.2"), Answer{RTT: 300 * time.Millisecond})
	expect("192.0.2.1", "the fastest of 3; it is expected in", "")
	expect("192.0.2.2", "not the fastest of 3, to learn about it; it is expected in", "")
	s.Lame(w.Cut.Name, at("192.0.2.3"))
	s.Unreachable(at("192.0.2.2"))
	expect("192.0.2.1", "the only one; it is expected in", "192.0.2.2 is silent, 192.0.2.3 is of no use for the zone")
	expect("192.0.2.3", "the best that is left", "192.0.2.2 is silent")
	expect("192.0.2.2", "it was silent lately and is tried once more", "")
	expect("192.0.2.99", "asked again", "")
	w.Tried.Reject("\x02ns\x00", at("192.0.2.3"))
	expect("192.0.2.1", "the only one that is left; it is expected in", "192.0.2.2 is silent")
	why, _ := s.Explain(w, Choice{Endpoint: at("192.0.2.1"), Resort: true})
	if !strings.Contains(why, "by TCP since nothing came by UDP") {
		t.Error(why)
	}
}
