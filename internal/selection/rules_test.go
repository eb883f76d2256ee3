package selection

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/servertable"
	"kresd/internal/zonecut"
)

const ms = time.Millisecond

// first is the server that is asked first, "" for none.
func first(s *Selector, w Want) string {
	if w.Tried == nil {
		w.Tried = &Tried{}
	}
	c, ok := s.Choose(w)
	if !ok {
		return ""
	}
	return c.Addr.Addr().String()
}

// Round trips are smoothed as those of TCP are (RFC 6298, section 2), and an answer counts
// as one however soon it comes.
func TestRoundTripsAreSmoothed(t *testing.T) {
	s, _ := lab()
	s.Answered(at(server), Answer{RTT: 100 * ms})
	s.Answered(at(server), Answer{RTT: 180 * ms})
	if h := s.Host(at(server)); h.SRTT != 110*ms || h.RTTVar != 57500*time.Microsecond {
		t.Errorf("after 100 and 180 ms: %v and %v", h.SRTT, h.RTTVar)
	}
	for range 200 {
		s.Answered(at("192.0.2.2"), Answer{RTT: 0})
	}
	if h := s.Host(at("192.0.2.2")); !h.Known() {
		t.Errorf("a server that answers at once: %+v", h)
	}
}

// Servers that are up to near slower than the fastest share the questions with it.
func TestServersThatAreNearlyAsFastShareTheQuestions(t *testing.T) {
	s, _ := lab()
	s.Answered(at("192.0.2.1"), Answer{RTT: 10 * ms})
	s.Answered(at("192.0.2.2"), Answer{RTT: 10*ms + near})
	s.Answered(at("192.0.2.3"), Answer{RTT: 10*ms + near + 1})
	cut := cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	if got := share(s, Want{Cut: cut}, 400); got["192.0.2.1"] < 100 || got["192.0.2.2"] < 100 || got["192.0.2.3"] > 0 {
		t.Errorf("got %v", got)
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2"} {
		if r, _ := s.Explain(Want{Cut: cut, Tried: &Tried{}}, Choice{Endpoint: at(a)}); r.Ground != Fastest {
			t.Errorf("%s is asked because of %d, want %d", a, r.Ground, Fastest)
		}
	}
}

// What is wrong with a server decides before how fast it is: it may be its name server's
// failures in this query, its answers for the zone, its family, UDP to it, or its silence,
// from the least to the worst.
func TestTheOrderOfFaults(t *testing.T) {
	s, ck := lab()
	const fine, ofFailing, useless, noFamily, overTCP, dead = "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::4", "192.0.2.5", "192.0.2.6"
	want := []string{fine, ofFailing, useless, noFamily, overTCP, dead}
	cut := cutOf(t, dead, overTCP, noFamily, useless, ofFailing, fine)
	w := Want{Cut: cut, Tried: &Tried{}}
	s.Unreachable(at(dead))
	ck.Advance(limits.DeadProbe)
	for i, a := range want {
		s.Answered(at(a), Answer{RTT: time.Duration(10*(10-i)) * ms}) // the worse, the faster
	}
	s.Unreachable(at(dead))
	ck.Advance(limits.DeadProbe)
	s.NoRoute(at(noFamily))
	s.Lame(cut.Name, at(useless))
	for i := range limits.FailuresInRow {
		w.Tried.Reject(cut.NS[4].Name, at(fmt.Sprintf("198.51.100.%d", i)))
	}
	for range limits.RetriesPerServer {
		w.Tried.TimedOut(cut.NS[1].Name, at(overTCP))
	}
	var got []string
	for range want {
		c, ok := s.Choose(w)
		if !ok {
			break
		}
		got = append(got, c.Addr.Addr().String())
		w.Tried.Reject("\x05other\x00", c.Endpoint)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Where several servers of the zone are in trouble, those that are not are asked before a good
// one that has lost a question is asked again.
func TestInTroubleTheOthersComeFirst(t *testing.T) {
	for bad := 1; bad <= limits.ServersInTrouble; bad++ {
		s, _ := lab()
		addrs := []string{"192.0.2.9"}
		for i := range bad {
			addrs = append(addrs, fmt.Sprintf("192.0.2.%d", i+1))
		}
		w := Want{Cut: cutOf(t, addrs...), Tried: &Tried{}}
		for i, a := range addrs[1:] {
			s.Answered(at(a), Answer{RTT: 20 * ms})
			w.Tried.TimedOut(w.Cut.NS[i+1].Name, at(a))
		}
		if got := first(s, w); (got == "192.0.2.9") != (bad >= limits.ServersInTrouble) {
			t.Errorf("%d good servers have lost a question each: %s is asked", bad, got)
		}
	}
}

// Each kind of failure counts against a name server, at all its addresses, and a useless
// answer counts at once.
func TestEachFailureCountsAgainstTheNameServer(t *testing.T) {
	for what, c := range map[string]struct {
		fail func(*Tried, dnsname.Name, zonecut.Endpoint)
		n    int
	}{
		"timeouts":         {(*Tried).TimedOut, limits.FailuresInRow},
		"overdue answers":  {(*Tried).Overdue, limits.FailuresInRow},
		"nonsense":         {func(tr *Tried, ns dnsname.Name, e zonecut.Endpoint) { tr.Nonsense(ns, e, false) }, limits.FailuresInRow},
		"rejections":       {(*Tried).Reject, limits.FailuresInRow},
		"a useless answer": {(*Tried).Useless, 1},
	} {
		var tried Tried
		for i := range c.n {
			if tried.failing("\x02ns\x00") {
				t.Errorf("%s: failing after %d", what, i)
			}
			c.fail(&tried, "\x02ns\x00", at(fmt.Sprintf("192.0.2.%d", i)))
		}
		if !tried.failing("\x02ns\x00") || tried.failing("\x02mx\x00") {
			t.Errorf("%s: after %d the name server is not failing, or another is", what, c.n)
		}
	}
}

// A query that begins anew may try TCP and a silent server once more.
func TestAfterAResetEachLastTryIsThereAgain(t *testing.T) {
	s, ck := lab()
	w := Want{Cut: cutOf(t, server), Tried: &Tried{}}
	worn := func() Choice {
		for range limits.RetriesPerServer {
			w.Tried.TimedOut(w.Cut.NS[0].Name, at(server))
		}
		c, _ := s.Choose(w)
		return c
	}
	if c := worn(); !c.Resort {
		t.Fatalf("got %+v, want TCP", c)
	}
	w.Tried.Resorted()
	if w.Tried.Reset(); !worn().Resort {
		t.Error("after a reset TCP is not tried any more")
	}
	w.Tried.Reset()
	for range 3 {
		s.Unreachable(at(server))
		ck.Advance(limits.DeadProbe)
		if first(s, w) != server {
			t.Error("after a reset a silent server is not tried any more")
		}
		w.Tried.Reset()
	}
}

// One question at a time finds out whether a silent server is back, the first one a while
// after it fell silent; where several are silent each has its own.
func TestEachSilentServerIsProbedOnceAtATime(t *testing.T) {
	for range 30 { // where it begins is chance
		s, ck := lab()
		cut := cutOf(t, "192.0.2.1", "192.0.2.2")
		s.Unreachable(at("192.0.2.1"))
		s.Unreachable(at("192.0.2.2"))
		if got := first(s, Want{Cut: cut}); got != "" {
			t.Fatalf("%s is asked as soon as it is silent", got)
		}
		ck.Advance(limits.DeadProbe)
		got := []string{first(s, Want{Cut: cut}), first(s, Want{Cut: cut}), first(s, Want{Cut: cut})}
		if slices.Sort(got); !slices.Equal(got, []string{"", "192.0.2.1", "192.0.2.2"}) {
			t.Fatalf("three questions at once: %q", got)
		}
	}
}

// What is believed for a time is believed until then and no longer.
func TestBeliefsEndInTime(t *testing.T) {
	for what, c := range map[string]struct {
		learn func(*Selector)
		life  time.Duration
	}{
		"silence":       {func(s *Selector) { s.Unreachable(at(server)) }, limits.DefaultNSTimeout},
		"a dead family": {func(s *Selector) { s.NoRoute(at(server)) }, limits.NoRoutePause},
		"uselessness":   {func(s *Selector) { s.Lame("\x07example\x00", at(server)) }, limits.DefaultNSTimeout},
	} {
		s, ck := lab()
		w := Want{Cut: cutOf(t, server, "192.0.2.2"), Tried: &Tried{}}
		if what == "a dead family" {
			w.Cut = cutOf(t, server, "2001:db8::1")
		}
		s.Answered(zonecut.Endpoint{Addr: netip.AddrPortFrom(w.Cut.NS[1].Addrs[0], 53)}, Answer{RTT: 300 * ms})
		s.Answered(at(server), Answer{RTT: ms})
		c.learn(s)
		if ck.Advance(c.life - 1); first(s, w) == server {
			t.Errorf("%s is forgotten too early", what)
		}
		if ck.Advance(1); first(s, w) != server {
			t.Errorf("%s is believed for too long", what)
		}
	}
}

// An answer shows that its family works, whatever was believed of it.
func TestAnAnswerEndsTheDoubtAboutItsFamily(t *testing.T) {
	s, _ := lab()
	s.NoRoute(at(server))
	if !s.Avoids(true) || s.Avoids(false) {
		t.Fatal("the family without a route is not avoided, or the other is")
	}
	if s.Answered(at(server), Answer{RTT: ms}); s.Avoids(true) {
		t.Error("a family that works is avoided")
	}
}

// An address that two name servers have is one server.
func TestAnAddressOfTwoNamesIsOneServer(t *testing.T) {
	s, _ := lab()
	w := Want{Cut: cutOf(t, server, server), Tried: &Tried{}}
	c, _ := s.Choose(w)
	if r, _ := s.Explain(w, c); r.Ground != OnlyServer || r.Of != 1 {
		t.Errorf("got %+v", r)
	}
}

// Beside a good server those are tried first of which nothing is known, wherever they stand;
// others seldom.
func TestWhoIsTriedBesideAGoodServer(t *testing.T) {
	besides := func(s *Selector, ck *clock.Fake, w Want) map[string]int {
		got := map[string]int{}
		for range 4000 {
			s.Answered(at("192.0.2.2"), Answer{RTT: 10 * ms})
			s.Answered(at("192.0.2.3"), Answer{RTT: 100 * ms})
			c, _ := s.Choose(w)
			if b, ok := s.Beside(w, c); ok {
				got[b.Addr.Addr().String()]++
			}
			ck.Advance(probeInterval)
		}
		return got
	}
	s, ck := lab()
	w := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2", "192.0.2.3"), Tried: &Tried{}}
	if got := besides(s, ck, w); got["192.0.2.1"] < 800 || len(got) != 1 {
		t.Errorf("of the first nothing is known: %v of 4000", got)
	}
	s, ck = lab()
	w.Cut = cutOf(t, "192.0.2.2", "192.0.2.3")
	if got := besides(s, ck, w); got["192.0.2.3"] < 120 || got["192.0.2.3"] > 300 || len(got) != 1 {
		t.Errorf("all are known: %v of 4000, want about %d", got, 4000/newOneIn/otherOneIn)
	}
}

// How long the first answers of others took says how long an unknown server is waited for
// beside another.
func TestOneFirstAnswerIsEnoughToGoBy(t *testing.T) {
	s, _ := lab()
	s.Answered(at("198.51.100.1"), Answer{RTT: 60 * ms, First: true})
	c, _ := s.Choose(Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}})
	if want := (60 + 4*30) * ms; c.Timeout != want {
		t.Errorf("got %v, want %v", c.Timeout, want)
	}
}

// A server that has lost enough is left alone as soon as it has been silent for long enough.
func TestWhenAServerIsSilent(t *testing.T) {
	const start = 1000 * tick
	for after, dead := range map[time.Duration]bool{limits.SilentTime - 1: false, limits.SilentTime: true} {
		var h Host
		for i := range limits.RetriesPerServer {
			h.timedOut(start+time.Duration(i)*limits.LostTogether, time.Minute, ForA)
		}
		if h.timedOut(start+after, time.Minute, ForA); (h.DeadUntil > 0) != dead {
			t.Errorf("after %v: %+v", after, h)
		}
	}
}

// Losses within a moment are one, counted from the last that counted; a loss after an answer
// is one of its own; what is too old does not count.
func TestWhichLossesCount(t *testing.T) {
	const start = 1000 * time.Hour
	for _, c := range []struct {
		what  string
		after []time.Duration // of each loss since the one before; 0 means that an answer came between
		want  uint8
	}{
		{"at once", []time.Duration{1, 1, 1}, 1},
		{"just within a moment", []time.Duration{limits.LostTogether - 1}, 1},
		{"a moment apart", []time.Duration{limits.LostTogether, limits.LostTogether}, 3},
		{"after an answer", []time.Duration{limits.LostTogether, 0}, 1},
		{"long ago", []time.Duration{limits.LostTogether, limits.TimeoutsLife + 1}, 1},
		{"not so long ago", []time.Duration{limits.LostTogether, limits.TimeoutsLife}, 3},
	} {
		now := start
		h, _ := Event{kind: timedOut, now: now}.Apply(Host{})
		for _, d := range c.after {
			if now += d; d == 0 {
				h, _ = Event{kind: answered, now: now, answer: Answer{RTT: ms}}.Apply(h)
			}
			h, _ = Event{kind: timedOut, now: now}.Apply(h)
		}
		if h.Timeouts != c.want {
			t.Errorf("%s: %d timeouts, want %d", c.what, h.Timeouts, c.want)
		}
	}
}

// What a server can do it shows by doing it; signs of the contrary are counted from there.
func TestAnAnswerShowsWhatAServerCan(t *testing.T) {
	const now = 1000 * time.Hour
	all := Host{signs: signs{FormErrUDP: 1, FormErrTCP: 1, OnlyTCP: 1}}
	all.lacks(NoEDNS|NeedTCP|NoTCP|NoTLS|NoCase, now)
	for _, c := range []struct {
		what   string
		answer Answer
		lacks  Ability
		signs  signs
	}{
		{"over UDP", Answer{}, NoEDNS | NoTCP | NoTLS | NoCase, signs{1, 1, 0}},
		{"over TCP", Answer{TCP: true}, NoEDNS | NeedTCP | NoTLS | NoCase, signs{1, 1, 1}},
		{"over TLS", Answer{TLS: true, TCP: true}, NoEDNS | NeedTCP | NoTCP | NoCase, signs{1, 1, 1}},
		{"with OPT", Answer{TCP: true, EDNS: EDNSWorks}, NeedTCP | NoTLS | NoCase, signs{0, 0, 1}},
	} {
		h, _ := Event{kind: answered, now: now, answer: c.answer}.Apply(all)
		if h.Cannot(now) != c.lacks || h.signs != c.signs {
			t.Errorf("%s: lacks %05b, signs %v; want %05b, %v", c.what, h.Cannot(now), h.signs, c.lacks, c.signs)
		}
	}
	if h, _ := (Event{kind: tcpFailed, now: now}).Apply(all); h.Cannot(now) != NoEDNS|NoTCP|NoTLS|NoCase || h.signs != (signs{1, 1, 0}) {
		t.Errorf("without TCP: lacks %05b, signs %v", h.Cannot(now), h.signs)
	}
	refused := Answer{TCP: true, EDNS: EDNSRefused}
	e, _ := Event{kind: answered, now: now, answer: refused}.Apply(Host{})
	e, _ = Event{kind: answered, now: now, answer: refused}.Apply(e)
	if e.Cannot(now) != NoEDNS || e.signs.FormErrTCP != 0 {
		t.Errorf("no EDNS over TCP, twice: lacks %05b, signs %v", e.Cannot(now), e.signs)
	}
	twice := Answer{Resort: true, TCP: true}
	h, _ := Event{kind: answered, now: now, answer: twice}.Apply(Host{})
	h, _ = Event{kind: answered, now: now, answer: twice}.Apply(h)
	if h.Cannot(now) != NeedTCP || h.signs.OnlyTCP != 0 {
		t.Errorf("only over TCP, twice: lacks %05b, signs %v", h.Cannot(now), h.signs)
	}
}

// A server is asked over TLS at once where it answered so lately, and has not failed since.
func TestWhoIsAskedOverTLSAtOnce(t *testing.T) {
	const now = 1000 * time.Hour
	failed := Host{Encrypted: now - 1}
	failed.lacks(NoTLS, now)
	for _, c := range []struct {
		what string
		h    Host
		now  time.Duration
		want bool
	}{
		{"never", Host{}, now, false},
		{"never, soon after the start", Host{}, time.Second, false},
		{"lately", Host{Encrypted: now - time.Hour}, now, true},
		{"just not too long ago", Host{Encrypted: now - limits.TLSPersistence + 1}, now, true},
		{"too long ago", Host{Encrypted: now - limits.TLSPersistence}, now, false},
		{"lately, and failed since", failed, now, false},
	} {
		if got := c.h.encrypts(c.now); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// A list of servers says for how much longer each lacks what it lacks, and forgets what is
// too old.
func TestTheListOfServersIsOfNow(t *testing.T) {
	s, ck := lab()
	s.Learn(at(server), NeedTCP)
	s.Learn(at(server), NoEDNS)
	s.Answered(at("192.0.2.2"), Answer{RTT: ms})
	s.Unreachable(at("192.0.2.3"))
	ck.Advance(10 * time.Second)
	find := func(a string) *Known {
		for _, k := range s.Latest(9) {
			if k.Addr == at(a).Addr {
				return &k
			}
		}
		t.Fatalf("%s is not listed", a)
		return nil
	}
	k := find(server)
	for a, life := range map[Ability]time.Duration{NeedTCP: limits.AbilityLife, NoEDNS: limits.NoEDNSLife, NoCase: 10 * time.Second} {
		if got, want := k.CannotFor(a), life-10*time.Second; got > want || got < want-2*tick {
			t.Errorf("lacks %05b for %v, want %v", a, got, want)
		}
	}
	if got := find("192.0.2.3"); !got.Dead {
		t.Errorf("silent, and listed as %+v", got)
	}
	ck.Advance(limits.DefaultNSTimeout - 10*time.Second)
	if got := find("192.0.2.3"); got.Dead {
		t.Errorf("to be asked again, and listed as %+v", got)
	}
	ck.Advance(limits.RTTLife)
	if got := find("192.0.2.2"); got.Host.Known() {
		t.Errorf("known by an answer of long ago: %+v", got)
	}
}

// What was forgotten is gone from lists, too, and what comes in its place has all the room.
func TestAMemoryThatWasClearedIsEmpty(t *testing.T) {
	m := NewMemory()
	fill := func() (n int) {
		for i := range 3 * shards * perShard / 2 {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			m.Update(servertable.Key{Addr: netip.AddrPortFrom(a, 53)}, Event{kind: probed, now: time.Hour})
		}
		m.Each(func(servertable.Key, Host) bool { n++; return true })
		return n
	}
	if n := fill(); n != shards*perShard {
		t.Errorf("%d hosts, want %d", n, shards*perShard)
	}
	m.Clear()
	m.Each(func(k servertable.Key, _ Host) bool { t.Fatalf("%v is left", k.Addr); return false })
	if n := fill(); n != shards*perShard {
		t.Errorf("after Clear: %d hosts, want %d", n, shards*perShard)
	}
}

// Forget is for addresses with a zone, too, and who has seen enough is shown no more.
func TestSharedMemoryIsOneWithAddressesOfAnInterface(t *testing.T) {
	s := sharing(t, t.TempDir(), clock.Real())
	zoned := zonecut.Endpoint{Addr: netip.MustParseAddrPort("[fe80::1%eth7]:53")}
	s.Answered(zoned, Answer{RTT: ms})
	s.Answered(at(server), Answer{RTT: ms})
	for stop := 1; stop <= 2; stop++ {
		n := 0
		s.known().Each(func(servertable.Key, Host) bool { n++; return n < stop })
		if n != stop {
			t.Errorf("%d hosts were shown to who wants %d", n, stop)
		}
	}
	if s.Forget(); len(s.Latest(9)) != 0 {
		t.Errorf("after Forget: %+v", s.Latest(9))
	}
}

// What another process notes at this moment, by a clock that is a little ahead, is kept.
func TestTheLatestRecordsAreKeptWhole(t *testing.T) {
	now := 100 * time.Hour &^ (tick - 1)
	h := Host{SRTT: ms, Seen: now + skew, Timeouts: 1, Counted: now + skew, Silent: now, Encrypted: now}
	if got := fromRecord(toRecord(h), now); got != h {
		t.Errorf("%+v became %+v", h, got)
	}
	h.Seen = now + skew + 1
	if got := fromRecord(toRecord(h), now); got.Seen != 0 {
		t.Errorf("a time that has not come: %+v", got)
	}
	for _, at := range []time.Duration{tick, now, 1<<32*tick + 5*tick} {
		if got := ofTicks(ticks(at), at); got != at {
			t.Errorf("%v became %v", at, got)
		}
	}
}

// Which ports are the usual ones can be set, and has a default.
func TestPortsOfServers(t *testing.T) {
	for _, c := range []struct{ set, want uint16 }{{0, 853}, {8853, 8853}} {
		s := New(Config{Clock: clock.Real(), TLSPort: c.set})
		if got := s.Encrypted(at(server)).Addr.Port(); got != c.want {
			t.Errorf("TLSPort %d: TLS at %d, want %d", c.set, got, c.want)
		}
	}
}

// No two resolvers choose alike, or an outsider could tell what one will do.
func TestChanceDiffersBetweenResolvers(t *testing.T) {
	a, b := New(Config{Clock: clock.Real()}), New(Config{Clock: clock.Real()})
	same := true
	for range 4 {
		same = same && a.Intn(1<<30) == b.Intn(1<<30)
	}
	if same {
		t.Error("two resolvers draw the same numbers")
	}
}

// Special addresses are so in whatever form they are written.
func TestForbiddenInEitherForm(t *testing.T) {
	for _, a := range []string{"0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"} {
		four := netip.MustParseAddr(a)
		if !Forbidden(four) || !Forbidden(netip.AddrFrom16(four.As16())) {
			t.Errorf("%s may be asked", a)
		}
	}
}
