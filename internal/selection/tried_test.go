package selection

import (
	"testing"

	"kresd/internal/limits"
)

// A server that answers after all may take as many tries with the next question of
// the query as with the first, and so may its name server.
func TestAnAnswerRestoresAllTries(t *testing.T) {
	s, _ := lab()
	cut, e := cutOf(t, server, "192.0.2.9"), at(server)
	ns := cut.NS[0].Name
	tried := &Tried{}
	for range limits.FailuresInRow {
		tried.TimedOut(ns, e)
	}
	if n, ok := tried.timeouts(e); n != limits.FailuresInRow || ok != (n <= limits.RetriesPerServer) || !tried.failing(ns) {
		t.Fatalf("%d timeouts, %v: the test proves nothing", n, ok)
	}
	tried.Answered(ns, at("198.51.100.1")) // which was never asked
	if !tried.failing(ns) {
		t.Error("the answer of another server counts")
	}
	tried.Answered(ns, e)
	if n, ok := tried.timeouts(e); n != 0 || !ok || tried.failing(ns) {
		t.Errorf("%d timeouts, %v, failing %v", n, ok, tried.failing(ns))
	}
	if _, ok := s.Choose(Want{Cut: cutOf(t, server), Tried: tried}); !ok {
		t.Error("it is not asked again")
	}
}

// A server that had no place for a question is asked again when there is nobody
// else, once for each time that it was busy.
func TestBusyServersArePardoned(t *testing.T) {
	s, _ := lab()
	w := Want{Cut: cutOf(t, server), Tried: &Tried{}}
	if w.Tried.Pardon() {
		t.Error("somebody was busy before anything was asked")
	}
	w.Tried.Busy(at(server))
	if c, ok := s.Choose(w); ok {
		t.Errorf("asked at once: %+v", c)
	}
	if !w.Tried.Pardon() {
		t.Error("nobody was busy")
	}
	if _, ok := s.Choose(w); !ok {
		t.Error("a pardoned server is not asked")
	}
	if w.Tried.Pardon() {
		t.Error("pardoned twice for one time")
	}
	w.Tried.Reject(cutOf(t, server).NS[0].Name, at(server))
	if w.Tried.Pardon() {
		t.Error("a useless server was pardoned")
	}
}

// At the next zone cut a query starts anew, TCP as the last resort included.
func TestResetForgetsAll(t *testing.T) {
	s, _ := lab()
	ns := cutOf(t, server).NS[0].Name
	tried := &Tried{}
	timeOut := func() (c Choice) {
		for range limits.RetriesPerServer {
			tried.TimedOut(ns, at(server))
		}
		return chosen(t, s, tried)
	}
	if c := timeOut(); !c.Resort {
		t.Fatalf("chosen is %+v: the test proves nothing", c)
	}
	tried.Resorted()
	if c := chosen(t, s, tried); c.Resort {
		t.Error("TCP is tried twice")
	}
	tried.Reset()
	if tried.Any() || tried.failing(ns) {
		t.Error("something is remembered")
	}
	if c := timeOut(); !c.Resort {
		t.Error("TCP is not tried at the next zone cut")
	}
}
