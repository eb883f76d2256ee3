package selection

import (
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/servertable"
	"kresd/internal/zonecut"
)

// sharing is a Selector over the table in dir.
func sharing(t testing.TB, dir string, ck *clock.Clock) *Selector {
	t.Helper()
	table, err := servertable.Open(dir, ck, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return New(Config{Clock: ck, Memory: NewShared(table, ck)})
}

func TestWorkersLearnOnce(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	dir := t.TempDir()
	a, b := sharing(t, dir, &ck.Clock), sharing(t, dir, &ck.Clock)
	a.Answered(at("192.0.2.1"), Answer{RTT: 20 * time.Millisecond, CaseLost: true})
	a.Learn(at("2001:db8::1"), NeedTCP)
	for range 4 {
		a.TimedOut(at("192.0.2.2"), 0)
		ck.Advance(time.Second)
	}
	if h := b.Host(at("192.0.2.1")); h.SRTT != 20*time.Millisecond || h.RTTVar != 10*time.Millisecond || h.Cannot(b.now()) != NoCase {
		t.Errorf("the other worker knows %+v", h)
	}
	if got := share(b, Want{Cut: cutOf(t, "192.0.2.2", "192.0.2.1")}, 200); got["192.0.2.2"] != 0 {
		t.Errorf("a server that one worker knows to be dead was asked by the other: %v", got)
	}
	if c, _ := b.Choose(Want{Cut: cutOf(t, "2001:db8::1"), Tried: &Tried{}}); c.Cannot != NeedTCP {
		t.Errorf("got %+v", c)
	}
	// One probe a second for all of them together.
	dead := Want{Cut: cutOf(t, "192.0.2.2")}
	ck.Advance(time.Second)
	if n := share(a, dead, 5)["192.0.2.2"] + share(b, dead, 5)["192.0.2.2"]; n != 1 {
		t.Errorf("%d probes, want one", n)
	}
	list := b.Latest(10)
	if len(list) != 3 || list[0].Addr != at("192.0.2.2").Addr || !list[0].Dead || list[0].Timeouts != 4 || list[1].SRTT != 20*time.Millisecond {
		t.Errorf("Latest: %+v", list)
	}
	if d := list[0].DeadFor(); d <= 0 || d > limits.DeadAtMost || list[1].DeadFor() != 0 || list[0].CannotFor(NoEDNS) != 0 {
		t.Errorf("dead for %v", d)
	}
	b.Forget()
	if h := a.Host(at("192.0.2.1")); h != (Host{}) {
		t.Errorf("after Forget: %+v", h)
	}
}

func TestAddressesWithZonesStayHere(t *testing.T) {
	dir := t.TempDir()
	a, b := sharing(t, dir, clock.Real()), sharing(t, dir, clock.Real())
	zoned := zonecut.Endpoint{Addr: netip.MustParseAddrPort("[fe80::1%eth7]:53")}
	a.Answered(zoned, Answer{RTT: time.Millisecond})
	if h := a.Host(zoned); !h.Known() {
		t.Error("nothing was learnt")
	}
	if b.Host(zoned) != (Host{}) || b.Host(zonecut.Endpoint{Addr: netip.MustParseAddrPort("[fe80::1]:53")}) != (Host{}) {
		t.Error("an address of one interface is taken for another's")
	}
	if n := len(a.Latest(9)); n != 1 {
		t.Errorf("%d addresses are listed", n)
	}
}

// A record holds all that is known of a host, and one of a host that answered is
// kept for longer: strangers can name many addresses that never will.
func TestRecordsHoldAllOfAHost(t *testing.T) {
	now := 10 * time.Hour
	h := Host{
		SRTT: 20 * time.Millisecond, RTTVar: 3 * time.Millisecond, Seen: now - 5, Timeouts: 3, Counted: now - 4, Silent: 100 * tick,
		DeadUntil: now + time.Minute, Probe: now + probeInterval, unheard: ForA | ForOthers,
		cannot: [abilities]time.Duration{1000 * tick, 2000 * tick, 3000 * tick, 4000 * tick, 5000 * tick}, Encrypted: 6000 * tick, signs: signs{1, 2, 1},
	}
	if got := fromRecord(toRecord(h), now); got != h {
		t.Errorf("%+v became %+v", h, got)
	}
	never := Host{Timeouts: 1, Counted: now}
	if lately := (Host{SRTT: 1, Seen: now - answeredPriority/2}); toRecord(lately).Priority <= toRecord(never).Priority {
		t.Error("a server that answered makes room for one that never did")
	}
	if before := (Host{SRTT: 1, Seen: now - 2*answeredPriority}); toRecord(before).Priority >= toRecord(never).Priority {
		t.Error("a server that answered long ago stays for ever")
	}
}

func TestSharedMemoryAllocatesNothing(t *testing.T) {
	s := sharing(t, t.TempDir(), clock.Real())
	want := Want{Cut: cutOf(t, "192.0.2.1", "192.0.2.2"), Tried: &Tried{}}
	if n := testing.AllocsPerRun(100, func() {
		c, _ := s.Choose(want)
		s.Answered(c.Endpoint, Answer{RTT: time.Millisecond})
		s.TimedOut(c.Endpoint, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRecord reads hosts from any octets: what comes out could have been learnt
// just now, and goes through the table unchanged.
func FuzzRecord(f *testing.F) {
	f.Add(uint64(1e9), uint64(20_000_000<<32|5_000_000), uint64(5e8), uint64(1), uint64(3e9), uint64(0x0102), uint64(1<<63))
	// A dead server, one that lacks everything, one of a later time and one that counted too much.
	f.Add(uint64(4e12), uint64(0), uint64(9e11), uint64(999e9), uint64(1060e9), uint64(5|900<<32), uint64(0))
	f.Add(uint64(4e12), uint64(300e6<<32|1), uint64(999e9), uint64(1000e9), uint64(1001e9), uint64(1<<8|2<<16|1<<24), uint64(1030e9))
	f.Add(uint64(4e9), uint64(1<<32), uint64(2e9), uint64(3e9), uint64(1e18), uint64(0xffffffffffff), uint64(3700e9))
	f.Add(uint64(1<<62), uint64(1<<63|1), uint64(1<<61), uint64(1<<62), uint64(1<<63), uint64(255|3<<8|3<<16|3<<24), uint64(1<<61))
	f.Add(uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, clock, a, b, c, d, e, g uint64) {
		now := time.Duration(clock >> 2)
		h := fromRecord(servertable.Record{Data: [10]uint64{a, b, c, d, e, g, a, b, c, d}}, now)
		if h.SRTT < 0 || h.RTTVar < 0 || h.Seen > now+skew || h.Counted > now+skew || h.DeadUntil > now+limits.DeadAtMost ||
			h.Probe > now+probeInterval+skew || h.Silent > now+skew ||
			max(h.signs.FormErrUDP, h.signs.FormErrTCP, h.signs.OnlyTCP) > signsNeeded {
			t.Errorf("at %v: %+v", now, h)
		}
		for i, until := range h.cannot {
			if until > now+Ability(1<<i).life()+skew || Ability(1<<i) == NoEDNS && until > now+limits.NoEDNSLife+skew {
				t.Errorf("at %v ability %d is lost until %v", now, i, until)
			}
		}
		used := h.faded(now)
		for lost := range 4 {
			if w := used.Timeout(lost); w < limits.UDPMinTimeout || w > limits.UDPMaxTimeout {
				t.Errorf("waits %v", w)
			}
		}
		if score := used.score(now); score < 0 {
			t.Errorf("score %v", score)
		}
		if again := fromRecord(toRecord(h), now); again != h {
			t.Errorf("%+v became %+v", h, again)
		}
	})
}

func BenchmarkChooseShared(b *testing.B) {
	s := sharing(b, b.TempDir(), clock.Real())
	benchmarkChoose(b, s)
}
