package servestale

import (
	"fmt"
	"math"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What is dropped, old already, or no failure stays as it is; an answer that the cache has
// after all, and that is not over, is told as one.
func TestWhatStaysAsItIs(t *testing.T) {
	for name, change := range map[string]func(*resolve.Request){
		"dropped":     func(r *resolve.Request) { r.Result.Drop = true },
		"old already": func(r *resolve.Request) { r.Result.Stale = true },
	} {
		b := newBench(t)
		req := b.request()
		req.Result = resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.NoReachableAuthority, Failure: resolve.ErrNoServer}
		change(req)
		if b.Layer.Finalize(req); req.Result.Rcode != wire.RcodeServFail || req.Result.EDE != ede.NoReachableAuthority {
			t.Errorf("%s: %+v", name, req.Result)
		}
	}
	b := newBench(t)
	b.over = 0
	if res := b.failed(b.request(), resolve.ErrNoServer, 22); res.Rcode != wire.RcodeNoError || res.Stale || res.EDE != ede.None || res.EDEText != "" || !res.NoCache || !res.Cached {
		t.Errorf("an answer that is not over: %+v", res)
	}
}

// Whoever follows a request reads what is told instead of a failure, and who was asked.
func TestWhatIsOldIsToldToReaders(t *testing.T) {
	b := newBench(t)
	req := b.request()
	var told []resolve.Step
	req.Tell = func(_ *resolve.Query, s resolve.Step) { told = append(told, s) }
	b.failed(req, resolve.ErrNoServer, 22)
	if s, ok := told[0].(resolve.StaleAnswered); len(told) != 1 || !ok || s.Reason != "no authority could be reached" || s.Outcome.Kind != resolve.Positive {
		t.Errorf("told %+v", told)
	}
	b.known, b.cut, told = resolve.Outcome{}, &zonecut.Cut{Name: "\x07example\x00"}, nil
	go func() {
		own := <-b.asked
		own.Result = resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.None}
		b.goOn <- struct{}{}
	}()
	b.failed(req, resolve.ErrNoServer, 22)
	if s, ok := told[0].(resolve.StaleServersAsked); len(told) != 1 || !ok || s.Zone != b.cut.Name || s.Reason != "no authority could be reached" {
		t.Errorf("told %+v", told)
	}
}

// The delegation of old that is looked for is that of the zone which has the type, and no
// older than answers may be.
func TestWhoseDelegationIsLookedFor(t *testing.T) {
	for qtype, parent := range map[uint16]bool{wire.TypeA: false, wire.TypeDNSKEY: false, wire.TypeDS: true} {
		b := newBench(t)
		b.known = resolve.Outcome{}
		req := b.request()
		req.Type = qtype
		b.Layer.Accept(req)
		want := www(t)
		if parent {
			want = want.Parent()
		}
		if b.cutOf != want || b.cutAge != int64(limits.StaleAge.Seconds()) {
			t.Errorf("type %d: that of %s, over for %d s at most", qtype, b.cutOf, b.cutAge)
		}
	}
}

// A callback may tell any number of seconds that is one, and is what scripts read back.
func TestWhatACallbackMayTell(t *testing.T) {
	b := newBench(t)
	if v, err := b.Get("callback"); v != nil || err != nil {
		t.Errorf("without one: %v, %v", v, err)
	}
	var says float64
	fn := func(*resolve.Request, ...any) ([]any, error) { return []any{says}, nil }
	if err := b.Set("callback", fn); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get("callback"); v == nil || err != nil {
		t.Errorf("it is read back as %v, %v", v, err)
	}
	for in, want := range map[float64]int64{0: 0, 1: 1, 7.9: 7, math.MaxInt32: math.MaxInt32, 1e18: math.MaxInt32, math.Inf(1): math.MaxInt32, -0.5: -1, -1: -1, math.Inf(-1): -1} {
		says = in
		res := b.failed(b.request(), resolve.ErrNoServer, 22)
		switch {
		case want < 0 && res.Stale:
			t.Errorf("told although the callback says %v", in)
		case want >= 0 && (!res.Stale || int64(res.Answer[0].TTL) != want):
			t.Errorf("the callback says %v: %+v", in, res)
		}
	}
	if says = math.NaN(); b.failed(b.request(), resolve.ErrNoServer, 22).Stale {
		t.Error("told although the callback says no number")
	}
}

// What is noted of failures has bounded room.
func TestWhatIsNotedIsBounded(t *testing.T) {
	s := &serveStale{reasons: map[question]string{}, told: map[question]told{}, further: map[question]int64{}}
	for i := range 2*limits.StaleTold + 5 {
		name, err := www(t).Prepend(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		req := &resolve.Request{Question: resolve.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN}}
		req.Result = resolve.Result{EDE: ede.NetworkError, EDEText: fmt.Sprint(i)}
		if why, ok := s.reason(req); !ok || why != fmt.Sprint(i) {
			t.Fatalf("reason %d: %q %v", i, why, ok)
		}
		s.remember(questionOf(req), told{until: 5})
		if _, ok := s.toldLately(questionOf(req), 4); !ok {
			t.Fatalf("what was told as %d is not noted", i)
		}
		if len(s.reasons) > limits.StaleTold || len(s.told) > limits.StaleTold {
			t.Fatalf("%d reasons and %d results are kept", len(s.reasons), len(s.told))
		}
	}
	if len(s.reasons) != 5 || len(s.told) != 5 {
		t.Errorf("%d reasons and %d results are kept, want those since they were cleared", len(s.reasons), len(s.told))
	}
}

// What servers of old said is at hand for its time; a clock that goes back ends it.
func TestHowLongWhatServersOfOldSaidIsAtHand(t *testing.T) {
	s := &serveStale{told: map[question]told{}}
	q := question{}
	s.remember(q, told{until: 1000 + limits.ServfailTTL})
	for now, want := range map[int64]bool{1000: true, 999: false, 1000 + limits.ServfailTTL - 1: true, 1000 + limits.ServfailTTL: false} {
		if _, ok := s.toldLately(q, now); ok != want {
			t.Errorf("at %d: %v", now, ok)
		}
	}
}
