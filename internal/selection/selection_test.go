package selection

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

func cutOf(t *testing.T, addrs ...string) *zonecut.Cut {
	t.Helper()
	cut := &zonecut.Cut{Name: name(t, "example.")}
	for i, a := range addrs {
		cut.NS = append(cut.NS, zonecut.NameServer{Name: name(t, fmt.Sprintf("ns%d.example.", i)), Addrs: []netip.Addr{netip.MustParseAddr(a)}})
	}
	return cut
}

func name(t *testing.T, text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func at(a string) zonecut.Endpoint {
	return zonecut.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr(a), 53)}
}

// share is how often each address was chosen out of n times.
func share(s *Selector, w Want, n int) map[string]int {
	got := map[string]int{}
	for range n {
		w.Tried = &Tried{}
		if c, ok := s.Choose(w); ok {
			got[c.Addr.Addr().String()]++
		}
	}
	return got
}

func TestTheFastestIsAskedMostly(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	s.Answered(at("192.0.2.1"), Answer{RTT: 10 * time.Millisecond})
	s.Answered(at("192.0.2.2"), Answer{RTT: 100 * time.Millisecond})
	got := share(s, Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")}, 4000)
	if got["192.0.2.1"] < 3600 {
		t.Errorf("the fastest was asked %d times of 4000", got["192.0.2.1"])
	}
}

// Others are asked beside the fastest, which answers for the client meanwhile.
func TestExploring(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3"), Tried: &Tried{}}
	known := []time.Duration{}
	besides := func(n int) map[string]int {
		got := map[string]int{}
		for range n {
			for i, rtt := range known {
				s.Answered(at(fmt.Sprintf("192.0.2.%d", 1+i)), Answer{RTT: rtt})
			}
			c, _ := s.Choose(w)
			if b, ok := s.Beside(w, c); ok {
				got[b.Addr.Addr().String()]++
			}
			ck.Advance(probeInterval)
		}
		return got
	}
	if got := besides(1000); len(got) > 0 {
		t.Errorf("where nothing is known yet: %v", got)
	}
	known = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}
	if got := besides(4000); got["192.0.2.3"] < 800 || got["192.0.2.3"] > 1200 || len(got) > 1 {
		t.Errorf("one of which nothing is known should be tried soon: %v of 4000", got)
	}
	known = append(known, 100*time.Millisecond)
	if got := besides(4000); got["192.0.2.2"] < 40 || got["192.0.2.3"] < 40 || got["192.0.2.1"] > 0 {
		t.Errorf("each should be tried now and then: %v of 4000", got)
	}
	w.Tried.TimedOut("ns", at("192.0.2.1"))
	if got := besides(1000); len(got) > 0 {
		t.Errorf("in the middle of a query: %v", got)
	}
	w.Tried.Reset()
	n := 0
	for range 1000 { // all at once
		c, _ := s.Choose(w)
		if _, ok := s.Beside(w, c); ok {
			n++
		}
	}
	if n > 2 {
		t.Errorf("two servers were tried %d times at once", n)
	}
}

// A query that waited for a good server in vain asks it again, then another.
func TestAfterALoss(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}}
	for range 20 {
		s.Answered(at("192.0.2.1"), Answer{RTT: 20 * time.Millisecond})
	}
	var got []string
	for range 3 {
		c, _ := s.Choose(w)
		got = append(got, fmt.Sprint(c.Addr.Addr(), " ", c.Timeout))
		w.Tried.TimedOut(c.NS, c.Endpoint)
		s.TimedOut(c.Endpoint, 0)
	}
	if want := "[192.0.2.1 50ms 192.0.2.1 400ms 192.0.2.2 400ms]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTimeouts(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	cut := cutOf(t, "192.0.2.1")
	tried := &Tried{}
	var got []time.Duration
	for {
		c, ok := s.Choose(Want{Cut: cut, Tried: tried})
		if !ok {
			break
		}
		got = append(got, c.Timeout)
		tried.TimedOut(c.NS, c.Endpoint)
	}
	if want := fmt.Sprint([]time.Duration{400e6, 800e6, 1600e6}); fmt.Sprint(got) != want {
		t.Errorf("waits for a server that never answers: got %v, want %v", got, want)
	}
	h := Host{}
	for range 50 {
		h.measured(20*time.Millisecond, 1)
	}
	if d := h.Timeout(0); d != limits.UDPMinTimeout {
		t.Errorf("a steady 20 ms: got %v, want %v", d, limits.UDPMinTimeout)
	}
	h.measured(400*time.Millisecond, 1)
	if d := h.Timeout(9); d != limits.UDPMaxTimeout {
		t.Errorf("after many timeouts: got %v, want %v", d, limits.UDPMaxTimeout)
	}
}

func TestDeadServersAreLeftAlone(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	cut := cutOf(t, "192.0.2.1", "192.0.2.2")
	s.Answered(at("192.0.2.2"), Answer{RTT: time.Second})
	for range 4 {
		s.TimedOut(at("192.0.2.1"), 0)
		ck.Advance(time.Second)
	}
	if got := share(s, Want{Cut: cut}, 1000); got["192.0.2.1"] != 0 {
		t.Errorf("a dead server was asked %d times", got["192.0.2.1"])
	}
	// When it is the only one, one question a second finds out whether it is back.
	alone := cutOf(t, "192.0.2.1")
	asked := 0
	for range 100 {
		asked += share(s, Want{Cut: alone}, 1)["192.0.2.1"]
		ck.Advance(100 * time.Millisecond)
	}
	if asked < 9 || asked > 11 {
		t.Errorf("got %d questions in 10 s, want one a second", asked)
	}
	if got := share(s, Want{Cut: alone, AskDead: true}, 10); got["192.0.2.1"] != 10 {
		t.Errorf("without throttle: got %v", got)
	}
	ck.Advance(s.DeadTime())
	if got := share(s, Want{Cut: alone}, 10); got["192.0.2.1"] != 10 {
		t.Errorf("after %v: got %v", s.DeadTime(), got)
	}
}

func TestManyLossesAtOnceCountAsOne(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	s.Answered(at("192.0.2.1"), Answer{RTT: time.Millisecond})
	for range 100 {
		s.TimedOut(at("192.0.2.1"), 0)
	}
	if h := s.Host(at("192.0.2.1")); h.Timeouts != 1 || h.DeadUntil != 0 {
		t.Errorf("got %+v, want one timeout", h)
	}
}

func TestLameServersComeLast(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	cut := cutOf(t, "192.0.2.1", "192.0.2.2")
	s.Lame(cut.Name, at("192.0.2.1"))
	if got := share(s, Want{Cut: cut}, 200); got["192.0.2.1"] != 0 {
		t.Errorf("got %v", got)
	}
	other := cutOf(t, "192.0.2.1")
	other.Name = name(t, "other.")
	if got := share(s, Want{Cut: other}, 10); got["192.0.2.1"] != 10 {
		t.Errorf("for another zone: got %v", got)
	}
	ck.Advance(s.DeadTime())
	if got := share(s, Want{Cut: cut}, 200); got["192.0.2.1"] == 0 {
		t.Error("it stays lame for ever")
	}
}

func TestWornNameServersWait(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	cut := cutOf(t, "192.0.2.1", "192.0.2.9")
	for i := range 3 {
		cut.NS[0].Addrs = append(cut.NS[0].Addrs, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 2+i)))
	}
	tried := &Tried{}
	for i := range limits.FailuresInRow {
		tried.Reject(cut.NS[0].Name, at(fmt.Sprintf("192.0.2.%d", 1+i)))
	}
	if c, ok := s.Choose(Want{Cut: cut, Tried: tried}); !ok || c.NS != cut.NS[1].Name {
		t.Errorf("got %+v, want the other name server", c)
	}
}

// TestForbiddenTargets asks for 20 special addresses that glue may name (HARDENING,
// row A13) and counts those that would be asked.
func TestForbiddenTargets(t *testing.T) {
	special := []string{
		"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.255.255.255", "255.255.255.255",
		"::", "::1", "ff02::1", "ff05::fb", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255",
		"::ffff:0.9.9.9", "127.1.2.3", "ff0e::1", "198.51.100.7", "2001:db8::7",
	}
	own := func(a netip.AddrPort) bool { return a == at("198.51.100.7").Addr || a == at("2001:db8::7").Addr }
	s := New(Config{Clock: clock.Real(), Own: own})
	asked := 0
	for _, a := range special {
		cut := cutOf(t, a)
		for _, n := range share(s, Want{Cut: cut}, 5) {
			asked += n
			t.Errorf("%s would be asked", a)
		}
		if cut.Hints = true; len(share(s, Want{Cut: cut}, 1)) != 1 {
			t.Errorf("%s is refused though the operator configured it", a)
		}
	}
	t.Logf("%d special addresses, %d questions sent there", len(special), asked)
	if got := share(s, Want{Cut: cutOf(t, "127.0.0.1"), AnyAddress: true}, 3); got["127.0.0.1"] != 3 {
		t.Error("ALLOW_LOCAL does not allow loopback")
	}
	if got := share(s, Want{Cut: cutOf(t, "10.0.0.1")}, 3); got["10.0.0.1"] != 3 {
		t.Error("a private address is refused")
	}
}

func TestFamilies(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	s := New(Config{Clock: &ck.Clock})
	cut := cutOf(t, "192.0.2.1", "2001:db8::1")
	if got := share(s, Want{Cut: cut, NoIPv6: true}, 20); got["192.0.2.1"] != 20 {
		t.Errorf("without IPv6: got %v", got)
	}
	if got := share(s, Want{Cut: cut, NoIPv4: true}, 20); got["2001:db8::1"] != 20 {
		t.Errorf("without IPv4: got %v", got)
	}
	for i := range familyPatience {
		s.Unreachable(at(fmt.Sprintf("2001:db8::%d", 100+i)))
	}
	if got := share(s, Want{Cut: cut}, 100); got["192.0.2.1"] != 100 {
		t.Errorf("where IPv6 does not work: got %v", got)
	}
}

func TestPorts(t *testing.T) {
	s := New(Config{Clock: clock.Real(), Port: 5300})
	cut := cutOf(t, "192.0.2.1")
	if c, _ := s.Choose(Want{Cut: cut, Tried: &Tried{}}); c.Addr.Port() != 5300 {
		t.Errorf("got port %d, want 5300", c.Addr.Port())
	}
	cut.NS[0].Port = 853
	if c, _ := s.Choose(Want{Cut: cut, Tried: &Tried{}}); c.Addr.Port() != 853 {
		t.Errorf("got port %d, want the configured one", c.Addr.Port())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newLRU[int, int]()
	for i := range 4 * shards * perShard {
		m.update(i, func(v *int) { *v = i })
	}
	n := 0
	for i := range m.shards {
		n += len(m.shards[i].byKey)
		if len(m.shards[i].byKey) != m.shards[i].order.Len() {
			t.Fatal("map and list disagree")
		}
	}
	if n > shards*perShard {
		t.Errorf("got %d entries, want at most %d", n, shards*perShard)
	}
	if v, ok := m.load(4*shards*perShard - 1); !ok || v != 4*shards*perShard-1 {
		t.Error("the last entry was forgotten")
	}
}

func BenchmarkChoose(b *testing.B) { benchmarkChoose(b, New(Config{Clock: clock.Real()})) }

// benchmarkChoose picks one of 13 servers.
func benchmarkChoose(b *testing.B, s *Selector) {
	cut := &zonecut.Cut{Name: dnsname.Root}
	for i := range 13 {
		cut.NS = append(cut.NS, zonecut.NameServer{Name: dnsname.Root, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}})
		s.Answered(at(fmt.Sprintf("192.0.2.%d", i)), Answer{RTT: time.Duration(i+1) * time.Millisecond})
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Choose(Want{Cut: cut, Tried: &Tried{}})
	}
}

// A server that took longer than usual was silenced for a minute by the questions
// that came until its first answer did.
func TestASlowServerIsNotDead(t *testing.T) {
	for _, known := range []bool{true, false} {
		ck := clock.NewFake(time.Unix(1e9, 0))
		s := New(Config{Clock: &ck.Clock})
		slow := at("192.0.2.1")
		if known {
			s.Answered(slow, Answer{RTT: 20 * time.Millisecond})
		}
		for waited := time.Duration(0); waited < limits.SilentTime; waited += 300 * time.Millisecond {
			s.TimedOut(slow, 0)
			if h := s.Host(slow); h.DeadUntil != 0 {
				t.Fatalf("known %v: dead after %v", known, waited)
			}
			ck.Advance(300 * time.Millisecond)
		}
		ck.Advance(300 * time.Millisecond)
		s.TimedOut(slow, 0)
		if h := s.Host(slow); h.DeadUntil == 0 {
			t.Errorf("known %v: %+v is not dead after %v", known, h, limits.SilentTime)
		}
		s.Answered(slow, Answer{RTT: 3 * time.Second})
		if h := s.Host(slow); h.DeadUntil != 0 || h.Silent != 0 || h.Timeouts != 0 {
			t.Errorf("known %v: after an answer: %+v", known, h)
		}
	}
}

// The first server of a zone that nobody asked before cost 400 ms when it was
// dead, although servers that are asked for the first time answer in 20.
func TestUnknownServersAreNotWaitedForLong(t *testing.T) {
	s := New(Config{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock})
	wait := func(addrs ...string) time.Duration {
		c, _ := s.Choose(Want{Cut: cutOf(t, addrs...), Tried: &Tried{}})
		return c.Timeout
	}
	if got := wait("192.0.2.1", "192.0.2.2"); got != limits.UDPFirstTimeout {
		t.Errorf("nothing is known: %v", got)
	}
	for i := range 20 {
		s.Answered(at(fmt.Sprintf("198.51.100.%d", i)), Answer{RTT: 20 * time.Millisecond, First: true})
	}
	if got := wait("192.0.2.1", "192.0.2.2"); got != limits.UDPHurry {
		t.Errorf("others take 20 ms: %v, want %v", got, limits.UDPHurry)
	}
	if got := wait("192.0.2.1"); got != limits.UDPFirstTimeout {
		t.Errorf("there is nobody else to ask: %v", got)
	}
	for i := range 4 {
		s.Answered(at(fmt.Sprintf("203.0.113.%d", i)), Answer{RTT: 300 * time.Millisecond, First: true})
	}
	if got := wait("192.0.2.1", "192.0.2.2"); got != limits.UDPFirstTimeout {
		t.Errorf("others take up to 300 ms: %v, want %v", got, limits.UDPFirstTimeout)
	}
	s.Forget()
	if got := s.firstAnswers.timeout(); got != 0 {
		t.Errorf("after Forget: %v", got)
	}
}
