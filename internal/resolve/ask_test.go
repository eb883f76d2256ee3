package resolve

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What the client asked is what is asked of each server, until the layers have looked; who
// is asked, and how, is noted.
func TestWhoIsAskedIsNoted(t *testing.T) {
	s, q, all := inTrouble(1)
	q.Asked = Question{example, wire.TypeNS, wire.ClassIN}
	if s.aim(q, all[0]); q.Asked != q.Question || q.Server.Addr != server(0) || q.run.ns.asked != all[0].NS || q.Server.TCP {
		t.Errorf("asked is %v of %+v", q.Asked, q.Server)
	}
	all[0].Resort = true
	if s.aim(q, all[0]); !q.Server.TCP {
		t.Error("the last resort is not TCP")
	}
}

// The servers of a zone below are asked for once for a query, of the server whose answer was
// not believed.
func TestAZoneBelowIsAskedForOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Query)
		want bool
	}{
		{"its name is known", func(*Query) {}, true},
		{"nothing points to one", func(q *Query) { q.run.retry.below = "" }, false},
		{"it was asked for already", func(q *Query) { q.run.wentBelow = true }, false},
	} {
		s, q, _ := alone()
		var told []Step
		s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
		q.Server.Addr, q.run.retry.below = server(3), www
		q.enter(phaseConsume)
		c.set(q)
		if got := s.askBelow(q); got != c.want {
			t.Errorf("%s: asked %v", c.name, got)
		}
		if c.want && (q.run.below != www || !q.run.wentBelow || q.run.retry.again != server(3) || q.run.phase != phaseAsk || !reflect.DeepEqual(told, []Step{ZoneBelowAsked{www, example}})) {
			t.Errorf("%s: asks for %q again at %v, told %v", c.name, q.run.below, q.run.retry.again, told)
		}
		if !c.want && (q.run.phase != phaseConsume || told != nil) {
			t.Errorf("%s: phase %d, told %v", c.name, q.run.phase, told)
		}
	}
}

// Going to the parent is told.
func TestAskingTheParentIsTold(t *testing.T) {
	s, q, _ := alone()
	var told []Step
	s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
	s.cfg.Cuts = parents{&zonecut.Cut{Name: dnsname.Root, NS: []zonecut.NameServer{{Name: far}}}}
	if q.run.lame = true; !s.askParent(q) || !reflect.DeepEqual(told, []Step{ParentAsked{example, dnsname.Root}}) {
		t.Errorf("told %v", told)
	}
}

// A server that could not answer is asked once more, for a client's query, where it is not
// the zone that is to blame.
func TestWhenAServerIsAskedOnceMore(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Query)
		want bool
	}{
		{"one that could not answer", func(*Query) {}, true},
		{"none", func(q *Query) { q.run.retry.erred = erred{} }, false},
		{"for a look-up", func(q *Query) { q.Depth = 1 }, false},
		{"again", func(q *Query) { q.run.retry.insisted = true }, false},
		{"there is a poor answer", func(q *Query) { q.HoldBack(Outcome{Kind: NoData}) }, false},
		{"many say so", func(q *Query) { q.run.useless = limits.RefusalsPerZone }, false},
		{"one less", func(q *Query) { q.run.useless = limits.RefusalsPerZone - 1 }, true},
		{"many were looked up", func(q *Query) { q.run.ns.fetches = limits.NSAddrFetchPerReferral }, false},
		{"one less was", func(q *Query) { q.run.ns.fetches = limits.NSAddrFetchPerReferral - 1 }, true},
	} {
		s, q, _ := alone()
		q.run.retry.erred = erred{far, zonecut.Endpoint{Addr: server(4)}}
		q.enter(phaseConsume)
		c.set(q)
		if got := s.askOnceMore(q); got != c.want {
			t.Errorf("%s: asked %v", c.name, got)
		}
		if r := &q.run.retry; c.want && (q.Server.Addr != server(4) || q.run.ns.asked != far || r.again != server(4) || r.bare != server(4) || !r.insisted || q.run.phase != phaseAsk) {
			t.Errorf("%s: %+v at %v", c.name, r, q.Server.Addr)
		}
	}
	for code, want := range map[int]bool{wire.RcodeServFail: true, wire.RcodeRefused: true, wire.RcodeFormErr: true, wire.RcodeNotImp: true, wire.RcodeNoError: false, wire.RcodeNXDomain: false} {
		if cannotAnswer(code) != want {
			t.Errorf("RCODE %d: cannot answer %v", code, !want)
		}
	}
}

// A look-up beside is waited for where the server that could be asked promises little.
func TestWhenALookUpBesideIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		choice selection.Choice
		ok     bool
		open   int
		want   bool
	}{
		{"nobody can be asked", selection.Choice{}, false, 1, true},
		{"nobody can be asked, and none is open", selection.Choice{}, false, 0, false},
		{"a good server", selection.Choice{}, true, 1, false},
		{"one that was asked once", selection.Choice{Tries: 1}, true, 1, false},
		{"one that was asked twice", selection.Choice{Tries: 2}, true, 1, true},
		{"one that was asked twice, and none is open", selection.Choice{Tries: 2}, true, 0, false},
		{"the last resort", selection.Choice{Resort: true}, true, 1, true},
		{"the last resort, and nothing to look up", selection.Choice{Resort: true}, true, 0, false},
	} {
		s, q, _ := alone()
		if q.run.beside.open = c.open; s.waitsBeside(q, c.choice, c.ok) != c.want {
			t.Errorf("%s: waited for %v", c.name, !c.want)
		}
	}
	s, q, _ := alone()
	s.cfg.Layers = func() []*Layer { return nil }
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if !s.waitsBeside(q, selection.Choice{Resort: true}, true) || q.run.beside.open != 1 {
		t.Errorf("before the last resort nothing is looked up")
	}
	q.run.quit()
	s.running.Wait()
}

// While a look-up is under way for a query, or for one that waits for it, no server is
// waited for at length.
func TestWhoIsHurried(t *testing.T) {
	s, q, _ := alone()
	sub, err := s.r.pushAddress(q, Question{far, wire.TypeA, wire.ClassIN}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name             string
		own, above       int
		waits, want, nil bool
	}{
		{"nothing is under way", 0, 0, true, false, false},
		{"one of its own", 1, 0, false, true, false},
		{"one of the query that waits for it", 0, 1, true, true, false},
		{"one of a query that waits for something else", 0, 1, false, false, false},
		{"no query, and one of what waits", 0, 1, true, true, true},
		{"no query", 0, 0, true, false, true},
	} {
		if sub.run.beside.open, q.run.beside.open, q.run.ns.fetch = c.own, c.above, nil; c.waits {
			q.run.ns.fetch = &fetch{name: far, sub: sub}
		}
		of := sub
		if c.nil {
			of = nil
		}
		if got := s.isHurried(of); got != c.want {
			t.Errorf("%s: hurried %v", c.name, got)
		}
	}
}

// A lease is for what the partition of its data holds.
func TestLeasesOfOtherPartitionsAreOthers(t *testing.T) {
	_, q, _ := alone()
	one := string(leaseKey(q, false))
	if q.Partition = 7; string(leaseKey(q, false)) == one {
		t.Error("data of two partitions have one lease")
	}
}

// Who gets no lease waits for those who have one as long as a lease lasts, and looks into
// the cache meanwhile.
func TestHowLongALeaseIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q, _ := alone()
		leases := &neverLeases{}
		s.Share(leases)
		var told []Step
		s.r.Tell = func(_ *Query, step Step) { told = append(told, step) }
		began := time.Now()
		for !s.leased(q) {
			if q.run.phase != phaseProduce {
				t.Errorf("phase %d", q.run.phase)
			}
			q.enter(phaseAsk)
		}
		if took := time.Since(began); took != limits.LeaseLife {
			t.Errorf("waited %v, want %v", took, limits.LeaseLife)
		}
		if leases.asked != 1 || len(told) != 1 || s.held != nil {
			t.Errorf("asked for %d leases, told %v", leases.asked, told)
		}
		if !s.leased(q) {
			t.Error("waits again")
		}
	})
}

// What a negative outcome denies is the end of its chain, or the question that was asked.
func TestWhatIsDenied(t *testing.T) {
	target := append([]byte(nil), far...)
	alias := Set{RRset: wire.RRset{Owner: www, Type: wire.TypeCNAME, Data: [][]byte{target}}}
	for _, c := range []struct {
		name   string
		o      Outcome
		asked  Question
		denied Question
	}{
		{"the question", Outcome{}, Question{}, Question{www, wire.TypeA, wire.ClassIN}},
		{"a minimised one", Outcome{}, Question{example, wire.TypeNS, wire.ClassIN}, Question{example, wire.TypeNS, wire.ClassIN}},
		{"the end of a chain", Outcome{Answer: []Set{alias}}, Question{example, wire.TypeNS, wire.ClassIN}, Question{far, wire.TypeA, wire.ClassIN}},
		{"the target, as the outcome says", Outcome{Answer: []Set{alias}, Target: near}, Question{}, Question{near, wire.TypeA, wire.ClassIN}},
		{"nothing behind what is no alias", Outcome{Answer: []Set{{RRset: wire.RRset{Owner: www, Type: wire.TypeDNAME, Data: [][]byte{target}}}}}, Question{}, Question{www, wire.TypeA, wire.ClassIN}},
	} {
		_, q, _ := alone()
		q.Outcome, q.Asked = c.o, c.asked
		if got := q.Denied(); got != c.denied {
			t.Errorf("%s: %v, want %v", c.name, got, c.denied)
		}
	}
}

// A query that is taken off the plan waits for nothing more.
func TestAWithdrawnQueryWaitsForNothing(t *testing.T) {
	s, q, _ := alone()
	ended := false
	q.run.late.end, q.run.late.open = func() { ended = true }, 1
	if s.r.Plan.Withdraw(q, ErrLame); !ended || q.Err != ErrLame || s.r.Plan.Current() != nil {
		t.Errorf("ended %v, %v", ended, q.Err)
	}
}

// Why a hook failed is not the reason of the next one that does not say.
func TestALayerFailsForItsOwnReason(t *testing.T) {
	s, _, _ := alone()
	s.r.Fail(ErrLame)
	if err := s.r.failedIn(&Layer{Name: "one"}); !errors.Is(err, ErrLame) {
		t.Errorf("the first: %v", err)
	}
	if err := s.r.failedIn(&Layer{Name: "two"}); errors.Is(err, ErrLame) || err.Error() != "the module two ends it" {
		t.Errorf("the second: %v", err)
	}
}

// Of servers without an answer as many are named as an operator may name.
func TestHowManyServersAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q, _ := alone()
		for i := range byte(limits.ForwardTargets + 3) {
			q.Cut.NS = append(q.Cut.NS, zonecut.NameServer{Name: far, Addrs: hosts(i)})
		}
		if got := s.cameOfAll(q); got != "" {
			t.Errorf("of servers that were not asked: %q", got)
		}
		q.run.faults.useless(server(0), wire.RcodeRefused)
		q.run.faults.failed(server(1), ErrTimeout)
		if got, want := s.cameOfAll(q), "192.0.2.1@53 did not answer"; got != want {
			t.Errorf("of one that was silent: %q, want %q", got, want)
		}
		for i := range byte(limits.ForwardTargets + 3) {
			q.run.faults.failed(server(i), ErrTimeout)
		}
		if got := strings.Count(s.cameOfAll(q), "did not answer"); got != limits.ForwardTargets {
			t.Errorf("%d servers are named, want %d", got, limits.ForwardTargets)
		}
		later := &Query{Question: q.Question, Cut: q.Cut}
		s.remember(s.cfg.Servers.Endpoint(&q.Cut.NS[0], server(0).Addr()), ErrUnreachable)
		for _, want := range []string{"just now", "1 s ago"} {
			if got := s.cameOfAll(later); got != "192.0.2.0@53 could not be reached "+want+" and is left alone for a moment" {
				t.Errorf("told %q, want %s", got, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// What a server did that was reached is told, instead of that it was not.
func TestAServerThatWasReachedIsNotOutOfReach(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("read: %w", &Unusable{"ended the connection"}), "ended the connection"},
		{ErrUnreachable, "could not be reached"},
		{fmt.Errorf("%w: %w", syscall.ECONNREFUSED, ErrUnreachable), "could not be reached (connection refused)"},
		{ErrTimeout, "did not answer"},
	} {
		if got := whyNot(tc.err); got != tc.want {
			t.Errorf("%v: it %q, want %q", tc.err, got, tc.want)
		}
	}
}

// Answers that are not believed are the reason, whatever else the servers did.
func TestWhatIsNotBelievedIsToldFirst(t *testing.T) {
	s, q, _ := alone()
	q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1, 2)}}
	q.run.faults.failed(server(1), ErrTimeout)
	q.run.faults.refused(server(2), &Failure{EDE: 6, Text: "it is not signed"})
	if f, ok := errors.AsType[*Failure](s.gaveUp(q)); !ok || f.EDE != 6 || f.Text != "it is not signed, as told by 192.0.2.2:53" {
		t.Errorf("told: %+v", f)
	}
}

// A server is mute for a look-up where it is silent at an address of the family, or, where
// many are, at any address unless that family fails everywhere; for a client's question none
// is.
func TestWhichNameServersAreMute(t *testing.T) {
	for _, c := range []struct {
		name   string
		depth  int
		asked  int
		zones  int
		avoid4 bool
		v6     bool
		want   bool
	}{
		{"silent often, at the same family", 1, limits.SilentInLookups, 1, false, false, true},
		{"silent often, at the other family", 1, limits.SilentInLookups, 1, false, true, false},
		{"silent once", 1, 1, 1, false, false, false},
		{"silent once, as those of many zones", 1, 1, limits.SilentZones, false, true, true},
		{"silent once, as those of many zones, and its family fails everywhere", 1, 1, limits.SilentZones, true, true, false},
		{"a client's question", 0, limits.SilentInLookups, limits.SilentZones, false, false, false},
	} {
		s, q, all := inTrouble(1)
		q.Depth = c.depth
		for range c.asked {
			s.r.work.silences.change(all[0].Endpoint, example, 1, 1)
		}
		for i := range c.zones - 1 {
			s.r.work.silences.change(zonecut.Endpoint{Addr: server(byte(100 + i))}, dnsname.Name([]byte{1, 'a' + byte(i), 0}), 1, 1)
		}
		if c.avoid4 {
			s.cfg.Servers.NoRoute(all[0].Endpoint)
		}
		if got := s.muteAt(q, all[0].NS, c.v6); got != c.want {
			t.Errorf("%s: mute %v", c.name, got)
		}
		if s.muteAt(q, far, c.v6) {
			t.Errorf("%s: a name server that the zone does not have is mute", c.name)
		}
	}
}

// Servers of a zone that are of no use make it one that is asked in vain: silent ones until
// one answers, those that answer with errors the second time, or at once where those of
// other zones do as well.
func TestWhichZonesAreAskedInVain(t *testing.T) {
	var v inVain
	if v.any() || v.has(example) || v.anyBad() {
		t.Error("a zone from the beginning")
	}
	v.answered(example)
	if v.any() {
		t.Error("a zone that answers")
	}
	v.troubled(example)
	if !v.has(example) || v.has(far) || v.anyBad() {
		t.Error("a silent server is no trouble")
	}
	if v.answered(example); v.has(example) {
		t.Error("a zone of which a server answers again")
	}
	v.failed(far, 1, true)
	if v.has(far) || !v.anyBad() {
		t.Error("one error is too many")
	}
	v.failed(far, 1, true)
	if !v.has(far) || v.many() || v.bad != 1 {
		t.Errorf("the second error of a zone is one of %d bad zones", v.bad)
	}
	for i := range limits.BadNSZonesTried - 1 {
		if v.many() {
			t.Errorf("%d zones are many", v.bad)
		}
		name := dnsname.Name([]byte{1, 'a' + byte(i), 0})
		v.failed(name, 1, true)
		if got, want := v.has(name), v.bad >= limits.BadNSZones; got != want {
			t.Errorf("the first error of the %dth zone counts %v, want %v", v.bad, got, want)
		}
	}
	if !v.many() {
		t.Errorf("%d zones are not many", v.bad)
	}
}

// secretly is an Exchanger that notes what it is asked.
type secretly struct {
	asked chan Exchange
	err   error
}

func (e secretly) Exchange(_ context.Context, x Exchange) (Reply, error) {
	e.asked <- x
	return Reply{Msg: &wire.Msg{}}, e.err
}

// Whether a server listens for TLS is found out beside a question, at its own expense, and
// never by more than so many at once.
func TestWhatFindingTLSCosts(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*solver, *Query, *selection.Choice)
		want bool
	}{
		{"as usual", func(*solver, *Query, *selection.Choice) {}, true},
		{"it is asked over TLS", func(_ *solver, q *Query, _ *selection.Choice) { q.Server.Encrypted = true }, false},
		{"it does TLS", func(_ *solver, _ *Query, c *selection.Choice) { c.Encrypts = true }, false},
		{"it does not", func(_ *solver, _ *Query, c *selection.Choice) { c.Cannot = selection.NoTLS }, false},
		{"it is silent", func(_ *solver, _ *Query, c *selection.Choice) { c.Silent = true }, false},
		{"the operator does not want it", func(s *solver, _ *Query, _ *selection.Choice) { s.cfg.Opportunistic = func() bool { return false } }, false},
		{"so often for a request", func(s *solver, _ *Query, _ *selection.Choice) { s.r.work.tlsProbes.Store(limits.TLSProbes) }, false},
		{"one less", func(s *solver, _ *Query, _ *selection.Choice) { s.r.work.tlsProbes.Store(limits.TLSProbes - 1) }, true},
		{"so many at once", func(s *solver, _ *Query, _ *selection.Choice) { s.exploring.Store(limits.ExploringAtOnce) }, false},
		{"one less at once", func(s *solver, _ *Query, _ *selection.Choice) { s.exploring.Store(limits.ExploringAtOnce - 1) }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, q, all := inTrouble(1)
			asked := make(chan Exchange, 1)
			s.cfg.Exchanger, s.cfg.Context = secretly{asked, nil}, t.Context()
			s.cfg.Servers = selection.New(selection.Config{Clock: clock.Real()})
			s.cfg.Opportunistic = func() bool { return true }
			c.set(s, q, &all[0])
			before, probes := s.exploring.Load(), s.r.work.tlsProbes.Load()
			s.findTLS(q, all[0])
			synctest.Wait()
			if s.exploring.Load() != before {
				t.Errorf("%s: %d are under way for ever", c.name, s.exploring.Load()-before)
			}
			if got := s.r.work.tlsProbes.Load() - probes; (got == 1) != c.want {
				t.Errorf("%s: %d are counted", c.name, got)
			}
			select {
			case x := <-asked:
				if !c.want || x.Budget == s.r.Budget || x.Timeout != limits.TLSProbe || !x.Server.Encrypted && x.Addr.Port() != 853 {
					t.Errorf("%s: asked is %+v", c.name, x)
				}
			default:
				if c.want {
					t.Errorf("%s: nobody is asked", c.name)
				}
			}
			s.findTLS(q, all[0])
			if synctest.Wait(); len(asked) > 0 {
				t.Errorf("%s: tried again at once", c.name)
			}
		})
	}
}

// A lack of the outgoing address is a lack of this machine's.
func TestALackOfASourceIsLocal(t *testing.T) {
	if !errors.Is(&NoSource{Addr: server(1).Addr()}, ErrLocal) {
		t.Error("it is the server's")
	}
}
