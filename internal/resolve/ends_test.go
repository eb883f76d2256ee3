package resolve

import (
	"context"
	"errors"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A layer that waits for nothing ends the query at once, and one that fails ends it for its
// reason, whether it answers or sees an answer.
func TestHowLayersEndAQuery(t *testing.T) {
	for says, want := range map[State]error{Yield: errYield, Fail: ErrLame} {
		for _, phase := range []phase{phaseProduce, phaseConsume} {
			s, q, _ := alone()
			hook := func(r *Request) State { r.failure = ErrLame; return says }
			s.layers = []*Layer{{Name: "ends it", Produce: func(r *Request, _ *Query) State { return hook(r) }, Consume: func(r *Request, _ *Query, _ *wire.Msg) State { return hook(r) }}}
			q.enter(phase)
			q.run.msg = &wire.Msg{}
			if err := s.step(q); !errors.Is(err, want) {
				t.Errorf("phase %d, state %d: %v, want %v", phase, says, err, want)
			}
		}
	}
}

// What is waited for of earlier questions is nothing where there were none: nobody is told of
// a wait, and the reception is kept.
func TestNothingIsWaitedForWhereNothingIsLate(t *testing.T) {
	s, q, _ := alone()
	var p passes
	s.r.Reception = &p
	s.r.Tell = func(_ *Query, step Step) { t.Errorf("told %v", step) }
	if s.await(q) || p != 0 {
		t.Error("it was waited for")
	}
}

// A name server that was not looked up does not count as looked up in vain.
func TestANameServerThatWasNotLookedUpIsNotInVain(t *testing.T) {
	s, q, _ := alone()
	if s.unresolvable(q, &fetch{name: far}); s.r.work.unresolvable.Load() != 0 || s.leftAlone(far) {
		t.Error("it counts")
	}
}

// The next family of a name server is looked up only where its zone has not failed meanwhile.
func TestWhenTheNextFamilyIsLookedUp(t *testing.T) {
	for _, c := range []struct {
		types          []uint16
		pushed, futile bool
		want           bool
	}{
		{[]uint16{wire.TypeA}, false, false, true}, {[]uint16{wire.TypeA}, false, true, true}, {[]uint16{wire.TypeA}, true, false, true},
		{[]uint16{wire.TypeA}, true, true, false}, {nil, false, false, false}, {nil, true, false, false},
	} {
		s, q, _ := alone()
		s.cfg.Cuts = parents{&zonecut.Cut{Name: www}}
		if c.futile {
			s.r.work.inVain.failed(www, limits.ZoneInVain, false)
		}
		f := &fetch{name: far, types: c.types, pushed: c.pushed}
		if got := s.look(q, f); got != c.want || (f.sub != nil) != c.want {
			t.Errorf("%+v: looked up %t", c, got)
		}
	}
}

// What is at the end of a chain without data is the question itself.
func TestAnAliasWithoutATargetDeniesTheQuestion(t *testing.T) {
	_, q, _ := alone()
	q.Outcome.Answer = []Set{{RRset: wire.RRset{Owner: www, Type: wire.TypeCNAME}}}
	if got := q.Denied(); got != q.Question {
		t.Errorf("denied is %v", got)
	}
}

// A server that turns out late not to be the one that was meant is left alone by all.
func TestAStrangerThatComesLate(t *testing.T) {
	s, q, all := inTrouble(1)
	why := &Unauthenticated{Server: all[0].Endpoint}
	if !s.failedLate(q, lateReply{attempt{choice: all[0]}, Reply{}, why}) || s.asks(q, all[0]) {
		t.Error("it is asked again")
	}
	if got, _ := s.strangers.Get(all[0].Endpoint); got != why {
		t.Errorf("others hear %v", got)
	}
}

// A delegation that a request learns under a configuration that is in force no more is not
// kept for others.
func TestADelegationOfAnotherConfigurationIsNotKept(t *testing.T) {
	for _, in := range []bool{true, false} {
		s, q, _ := alone()
		cuts := &keeper{}
		s.cfg.Cuts = cuts
		s.r.inForce = func() Partitions { return Partitions{} }
		if !in {
			s.r.began = Partitions{Data: 7}
		}
		q.run.msg = &wire.Msg{}
		q.Outcome = Outcome{Kind: Referral, Cut: &zonecut.Cut{Name: www, NS: []zonecut.NameServer{{Name: far}}}}
		if err := s.descend(q); err != nil || (len(cuts.kept) == 1) != in || q.Cut.Name != www {
			t.Errorf("in force %t: %v, kept %v", in, err, cuts.kept)
		}
	}
}

// What servers have said is fresh, at once or held back, and nothing else is.
func TestWhichOutcomesAreFresh(t *testing.T) {
	for origin, want := range map[Origin]bool{FromModule: false, FromServer: true, HeldBack: true, FromCache: false} {
		if origin.Fresh() != want {
			t.Errorf("origin %d: fresh %t", origin, !want)
		}
	}
}

// A proof that costs too much by itself may be given up for another; where all proofs of a
// request do, that is said, and only where there is no other reason for not believing.
func TestWhichProofCostsTooMuch(t *testing.T) {
	p := NewBudget(&limits.Counters{}).Proof()
	for _, c := range []struct {
		response, request bool
		proof, proofs     bool
	}{{true, true, false, false}, {false, true, true, false}, {true, false, true, true}, {false, false, true, false}} {
		err := p.within(limits.HashUnits, c.response, c.request)
		if errors.Is(err, ErrProof) != c.proof || errors.Is(err, ErrProofs) != c.proofs {
			t.Errorf("%+v: %v", c, err)
		}
	}
	first, second := &Failure{EDE: ede.Bogus, Text: "bogus"}, &Failure{Text: "dear", Err: ErrProofs}
	for _, whys := range [][]*Failure{{first, second}, {second, first}} {
		var b faults
		b.refused(server(1), whys[0])
		b.refused(server(2), whys[1])
		if got := b.unbelieved(); got.EDE != ede.Bogus || got.Text != "bogus, as told by 192.0.2.1:53, 192.0.2.2:53" {
			t.Errorf("%v is told as %+v", whys, got)
		}
	}
}

// What a script has said to the client stays when the request fails.
func TestAnExtendedErrorOfAScriptStays(t *testing.T) {
	res := Result{EDE: ede.Filtered, EDEText: "by a rule"}
	if res.Fail(ErrLame); res.EDE != ede.Filtered || res.EDEText != "by a rule" || res.Failure != ErrLame {
		t.Errorf("told is %+v", res)
	}
}

// What all may be told is not copied.
func TestNothingIsCopiedToWithholdNothing(t *testing.T) {
	s, q, _ := alone()
	q.Cut, q.Scope, q.Options.Forward, s.r.ByName = &zonecut.Cut{Hints: true}, example, true, true
	q.Outcome = Outcome{Kind: Positive, Origin: FromServer, Answer: []Set{setOf(www, wire.TypeA)}, Authority: []Set{setOf(example, wire.TypeNS)}}
	if n := testing.AllocsPerRun(100, func() { s.r.withhold(q) }); n != 0 || len(q.Outcome.Answer) != 1 || len(q.Outcome.Authority) != 1 {
		t.Errorf("%v allocations; left are %+v", n, q.Outcome)
	}
}

// A look-up beside that ends leaves nothing that waits for a late answer.
func TestALookUpBesideThatEndsWaitsForNothing(t *testing.T) {
	s, q, _ := alone()
	ended := false
	s.layers = []*Layer{{Name: "asks", Produce: func(r *Request, q *Query) State {
		if q.Name == near {
			return r.Fail(ErrBudget)
		}
		q.run.late.end = func() { ended = true }
		if _, err := r.Push(q, Question{near, wire.TypeA, wire.ClassIN}, Options{}); err != nil {
			return r.Fail(err)
		}
		return Yield
	}}}
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if !s.lookBeside(q) {
		t.Fatal("nothing is looked up")
	}
	s.running.Wait()
	if sub := <-q.run.beside.got; !errors.Is(sub.Err, ErrBudget) || !ended {
		t.Errorf("%v; ended %t", sub.Err, ended)
	}
	q.run.quit()
}

// Nobody needs to read along for a zone below, or the parent, to be asked.
func TestOtherZonesAreAskedWithoutAReader(t *testing.T) {
	s, q, _ := alone()
	if q.run.retry.below = www; !s.askBelow(q) {
		t.Error("the zone below is not asked")
	}
	s, q, _ = alone()
	s.cfg.Cuts = parents{&zonecut.Cut{NS: []zonecut.NameServer{{Name: far}}}}
	if q.run.lame = true; !s.askParent(q) {
		t.Error("the parent is not asked")
	}
}

// A late answer is waited for only with a place of the zone, and where the time is over
// nothing else begins.
func TestWhenALateAnswerIsNotWaitedFor(t *testing.T) {
	late := func() (*solver, *Query) {
		s, q, _ := alone()
		q.Cut.NS = []zonecut.NameServer{{Name: far}}
		q.run.late.begin(s.r.ctx, attempt{})
		q.run.late.Overdue()
		return s, q
	}
	s, q := late()
	for range s.mayWait(q.Cut) {
		s.enter(q.Cut)
	}
	if s.await(q) {
		t.Error("without a place")
	}
	s, q = late()
	ctx, end := context.WithCancel(context.Background())
	end()
	if s.r.ctx = ctx; s.await(q) || q.run.beside.open > 0 || s.zones.Taken(q.Cut.Name) != 0 {
		t.Errorf("when the time is over: %d look-ups are under way, %d places taken", q.run.beside.open, s.zones.Taken(q.Cut.Name))
	}
	s.close()
}

// A layer that fails at the last look sends nothing.
func TestALayerThatFailsAtCheckoutSendsNothing(t *testing.T) {
	s, q, _ := inTrouble(1)
	asked := make(chan Exchange, 1)
	s.cfg.Exchanger = secretly{asked, nil}
	s.layers = []*Layer{{Name: "looks", Checkout: func(r *Request, _ *Query) State { return r.Fail(ErrLame) }}}
	if err := s.ask(q); !errors.Is(err, ErrLame) || len(asked) > 0 || s.zones.Taken(q.Cut.Name) != 0 {
		t.Errorf("%v, %d questions, %d places are taken", err, len(asked), s.zones.Taken(q.Cut.Name))
	}
}

// What exploring shows of a server is noted as what it is: an error without a meaning of its
// own says nothing.
func TestWhatExploringShows(t *testing.T) {
	for _, c := range []struct {
		err  error
		asks bool
	}{{ErrUnreachable, false}, {errors.New("something else"), true}, {ErrBudget, true}, {ErrLocal, true}} {
		s, q, all := inTrouble(2)
		x := s.exchangeOf(q, serverOf(q, all[0]), all[0])
		s.found(&x, all[0], Reply{}, c.err)
		if got := s.asks(q, all[0]); got != c.asks {
			t.Errorf("%v: asked by others %t", c.err, got)
		}
	}
}

// A look-up that a referral answers has left the plan.
func TestALookUpThatAReferralAnswersIsSolved(t *testing.T) {
	s, q, _ := alone()
	q.run.beneath = true
	q.run.msg = &wire.Msg{}
	q.Outcome = Outcome{Kind: Referral, Cut: &zonecut.Cut{Name: www, NS: []zonecut.NameServer{{Name: www, Addrs: hosts(1)}}}}
	if err := s.decide(q); err != nil || !q.Solved || s.r.Plan.Current() != nil || q.Outcome.Kind != Positive {
		t.Errorf("%v, solved %t, kind %d", err, q.Solved, q.Outcome.Kind)
	}
}

// An answer that is not believed counts against its server, and what a layer answers is no
// message of a server's.
func TestWhatCountsAgainstAServer(t *testing.T) {
	s, q, all := inTrouble(2)
	q.Server.Endpoint, q.run.ns.asked, q.run.msg = all[0].Endpoint, all[0].NS, &wire.Msg{}
	q.Refuse(&Failure{EDE: ede.Bogus}, "")
	if err := s.decide(q); err != nil || q.run.refusedBy != 1 || q.run.phase != phaseAsk || s.asks(q, all[0]) {
		t.Errorf("%v, %d are not believed, phase %d", err, q.run.refusedBy, q.run.phase)
	}
	s.layers = []*Layer{{Name: "answers", Produce: func(_ *Request, q *Query) State { q.Outcome.Kind = NoData; return Done }}}
	q.enter(phaseProduce)
	if err := s.produce(q); err != nil || q.run.msg != nil || q.run.phase != phaseConsume {
		t.Errorf("%v, message %v, phase %d", err, q.run.msg, q.run.phase)
	}
}

// A server is silent only where it has left a question, and a zone that has answered is noted
// once; that no look-up begins for silence is counted.
func TestWhatIsNotedOfSilence(t *testing.T) {
	s, _, counters := alone()
	l := &s.r.work.silences
	for i := range byte(limits.SilentZonesTried + 1) {
		l.change(zonecut.Endpoint{Addr: server(i)}, dnsname.Name([]byte{1, 'a' + i, 0}), 1, 1)
	}
	asked := zonecut.Endpoint{Addr: server(200)}
	if l.change(asked, example, 1, 0); l.mute(asked) {
		t.Error("who has left nothing is mute")
	}
	if !s.silence() || counters.Get(limits.UnresolvableNS) != 1 {
		t.Errorf("counted %d times", counters.Get(limits.UnresolvableNS))
	}
	for range 2 {
		l.over(asked, example)
	}
	if len(l.answers) != 1 {
		t.Errorf("noted are %v", l.answers)
	}
}

// A look-up beside that runs into a bug has come to nothing, and the query goes on.
func TestALookUpBesideThatPanics(t *testing.T) {
	s, q, _ := alone()
	s.layers = []*Layer{{Produce: func(*Request, *Query) State { panic("a bug") }}}
	q.Cut.NS = []zonecut.NameServer{{Name: far}}
	if !s.lookBeside(q) {
		t.Fatal("nothing is looked up")
	}
	s.panics.Wait() // which ends later than s.running: the panic is counted last
	if sub := <-q.run.beside.got; sub.Err != errJoined || s.Panics() != 1 || s.r.work.beside.Load() != 0 {
		t.Errorf("%v, %d panics, %d are under way", sub.Err, s.Panics(), s.r.work.beside.Load())
	}
	q.run.quit()
}

// EDNS is doubted but where it was in vain often, or where a zone behind a bad one fails.
func TestWhenEDNSIsDoubted(t *testing.T) {
	for _, c := range []struct {
		behindBad bool
		msg       *wire.Msg
		vain      int
		want      bool
	}{
		{false, &wire.Msg{Rcode: wire.RcodeServFail}, 0, true},
		{true, &wire.Msg{Rcode: wire.RcodeServFail}, 0, false},
		{true, &wire.Msg{Rcode: wire.RcodeFormErr}, 0, true},
		{true, nil, 0, true},
		{false, &wire.Msg{Rcode: wire.RcodeFormErr}, limits.FailuresInRow, false},
	} {
		_, q, _ := alone()
		q.run.behindBad, q.run.msg, q.run.retry.vain = c.behindBad, c.msg, c.vain
		if got := q.RetryWithoutEDNS(); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

// Layers hear once that a request will be resolved, and not of one that a layer has answered.
func TestWhoHearsThatARequestIsResolved(t *testing.T) {
	for answers, want := range map[State]int{Produce: 1, Done: 0} {
		s, _, _ := alone()
		heard := 0
		s.cfg.Layers = func() []*Layer {
			return []*Layer{{Begin: func(*Request) State { return answers }}, {Accept: func(*Request) { heard++ }, Produce: func(r *Request, _ *Query) State { return r.Fail(ErrLame) }}}
		}
		s.Resolve(t.Context(), &Request{Question: Question{www, wire.TypeA, wire.ClassIN}})
		if heard != want || s.Panics() != 0 {
			t.Errorf("a layer says %d: heard %d times", answers, heard)
		}
	}
}
