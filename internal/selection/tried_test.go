package selection

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kresd/internal/dnsname"
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

// Nonsense may be a forger's once. A server that talks nonsense again, or surely did so
// itself, is asked no more; an answer restores its good name.
func TestNonsenseIsTheServersTheSecondTime(t *testing.T) {
	s, _ := lab()
	e, ns := at(server), cutOf(t, server).NS[0].Name
	w := Want{Cut: cutOf(t, server), Tried: &Tried{}}
	asked := func() bool { _, ok := s.Choose(w); return ok }
	if w.Tried.Nonsense(ns, e, false); !asked() {
		t.Error("nonsense that may be a forger's ends it")
	}
	w.Tried.Answered(ns, e)
	if w.Tried.Nonsense(ns, e, false); !asked() {
		t.Error("nonsense before an answer counts")
	}
	if w.Tried.Nonsense(ns, e, false); asked() {
		t.Error("asked a third time")
	}
	w.Tried = &Tried{}
	if w.Tried.Nonsense(ns, e, true); asked() {
		t.Error("asked again though the nonsense was its own")
	}
}

// A server whose answer by TCP is waited for is not asked again, until it has answered.
func TestAnOverdueAnswerIsNotAskedForTwice(t *testing.T) {
	s, _ := lab()
	e, ns := at(server), cutOf(t, server).NS[0].Name
	w := Want{Cut: cutOf(t, server), Tried: &Tried{}}
	w.Tried.Overdue(ns, e)
	if _, ok := s.Choose(w); ok {
		t.Error("asked while its answer is waited for")
	}
	w.Tried.Answered(ns, e)
	if _, ok := s.Choose(w); !ok {
		t.Error("not asked the next question")
	}
}

// Other addresses of a name server that answered uselessly come after all that belong to
// others, so that 13 answers are enough to hear all 13 name servers.
func TestOtherAddressesOfAUselessNameServerComeLast(t *testing.T) {
	s, _ := lab()
	cut := cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	for i := range cut.NS {
		cut.NS[i].Addrs = append(cut.NS[i].Addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)}))
	}
	tried := &Tried{}
	var heard []dnsname.Name
	for range cut.NS {
		c, _ := s.Choose(Want{Cut: cut, Tried: tried})
		if slices.Contains(heard, c.NS) {
			t.Errorf("%s is asked again before others", c.NS)
		}
		heard = append(heard, c.NS)
		tried.Useless(c.NS, c.Endpoint)
	}
	if c, ok := s.Choose(Want{Cut: cut, Tried: tried}); !ok {
		t.Error("the other addresses are not asked at all")
	} else if tried.Useless(c.NS, c.Endpoint); len(heard) != 3 {
		t.Errorf("heard %v", heard)
	}
}

// The second address of a name server in trouble comes after others of which as little is
// known.
func TestOtherNameServersComeFirstInTrouble(t *testing.T) {
	s, _ := lab()
	cut := cutOf(t, "192.0.2.1", "192.0.2.2")
	cut.NS[0].Addrs = append(cut.NS[0].Addrs, netip.MustParseAddr("192.0.2.101"))
	for range 50 {
		tried := &Tried{}
		tried.TimedOut(cut.NS[0].Name, at("192.0.2.1"))
		if c, _ := s.Choose(Want{Cut: cut, Tried: tried}); c.Endpoint != at("192.0.2.2") {
			t.Fatalf("chosen: %v", c.Endpoint)
		}
	}
}

// Where several servers are in trouble, those that were good before get no more time than
// others, and whoever has not been asked comes before them.
func TestGoodNamesDoNotCountAmongManyInTrouble(t *testing.T) {
	s, _ := lab()
	cut := cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6")
	for i := range 5 {
		s.Answered(at(fmt.Sprintf("192.0.2.%d", i+1)), Answer{RTT: 300 * time.Millisecond})
	}
	tried := &Tried{}
	for i := range cut.NS {
		c, ok := s.Choose(Want{Cut: cut, Tried: tried})
		if !ok || c.Tries > 0 {
			t.Fatalf("choice %d: %+v", i, c)
		}
		if c.Hurried != (i >= limits.ServersInTrouble && i < 5) || c.Hurried && c.Timeout != limits.UDPRound/6 {
			t.Errorf("choice %d: hurried %v, %v", i, c.Hurried, c.Timeout)
		}
		s.TimedOut(c.Endpoint, 0)
		tried.TimedOut(c.NS, c.Endpoint)
	}
}

// A server that is believed dead gets its one try where all others proved to be of no
// use: it may be back.
func TestADeadServerIsTriedWhereOthersAreUseless(t *testing.T) {
	s, ck := lab()
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}}
	s.Unreachable(at("192.0.2.2"))
	ck.Advance(2 * limits.DeadProbe)
	c, _ := s.Choose(w)
	if c.Endpoint != at("192.0.2.1") {
		t.Fatalf("chosen: %v", c.Endpoint)
	}
	w.Tried.Useless(c.NS, c.Endpoint)
	if c, ok := s.Choose(w); !ok || c.Endpoint != at("192.0.2.2") || !c.Silent {
		t.Errorf("chosen: %+v, %v", c, ok)
	}
	ck.Advance(2 * limits.DeadProbe)
	if c, ok := s.Choose(w); ok {
		t.Errorf("chosen once more: %+v", c)
	}
}

// Whatever two servers did to be in trouble, the others have their turns in a hurry.
func TestAllKindsOfTroubleCount(t *testing.T) {
	one, other := cutOf(t, server).NS[0].Name, at("192.0.2.9")
	for name, trouble := range map[string]func(*Tried){
		"silence":   func(x *Tried) { x.TimedOut(one, other) },
		"an error":  func(x *Tried) { x.Reject(one, other) },
		"long TCP":  func(x *Tried) { x.Overdue(one, other) },
		"nonsense":  func(x *Tried) { x.Nonsense(one, other, false) },
		"uselessly": func(x *Tried) { x.Useless(one, other) },
	} {
		tried := &Tried{}
		if trouble(tried); tried.many() {
			t.Errorf("%s: one is many", name)
		}
		if tried.TimedOut(one, at(server)); !tried.many() {
			t.Errorf("%s: two are not many", name)
		}
	}
	tried := &Tried{}
	tried.Busy(other)
	if tried.TimedOut(one, at(server)); tried.many() {
		t.Error("who had no place is in no trouble")
	}
}
