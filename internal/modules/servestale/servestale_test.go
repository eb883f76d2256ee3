package servestale

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"kresd/internal/cache"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// bench is a loaded module over a cache that holds one old answer at most.
type bench struct {
	*testing.T
	*module.Instance
	group safe.Group
	known resolve.Outcome
	over  uint32       // seconds ago; 0: not over
	grace int64        // that was asked for
	cut   *zonecut.Cut // a delegation that is over
	asked chan *resolve.Request
	goOn  chan struct{}
	warns []string
	ask   cache.Ask // that the cache was given

	cutOf  dnsname.Name // whose delegation was asked for,
	cutAge int64        // and for how long it may be over
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, asked: make(chan *resolve.Request, 1000), goOn: make(chan struct{})}
	set := resolve.Set{Rank: rank.Auth | rank.Secure}
	set.Owner, set.Type, set.Class, set.Data = www(t), wire.TypeA, wire.ClassIN, [][]byte{{192, 0, 2, 1}}
	b.known, b.over = resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{set}}, 60
	inst, err := Module().Open(&module.Host{
		Cache: b, Tasks: &b.group, Context: t.Context(),
		Resolve: func(_ context.Context, req *resolve.Request) { b.asked <- req; <-b.goOn },
		Callback: func(v any) (module.Callback, bool) {
			fn, ok := v.(func(req *resolve.Request, args ...any) ([]any, error))
			return fn, ok
		},
		Warn: func(line string) { b.warns = append(b.warns, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Instance = inst
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(b.goOn) }); b.group.Wait() })
	return b
}

func (b *bench) StaleCut(_ resolve.Partition, name dnsname.Name, _, age int64) *zonecut.Cut {
	b.cutOf, b.cutAge = name, age
	return b.cut
}

func (b *bench) Clear() (int, error) { return 0, nil }

func www(t testing.TB) dnsname.Name {
	n, err := dnsname.Parse("www.example.com.")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stale plays cache.Cache.
// Stale and StaleCut make b a module's cache.
func (b *bench) Stale(req *resolve.Request, grace int64, allow cache.Allow, ask cache.Ask) (resolve.Outcome, bool) {
	b.grace, b.ask = grace, ask
	o := b.known
	if o.Kind == resolve.Pending || b.over == 0 {
		return o, false
	}
	ttl, ok := allow(req.Question, b.over)
	if !ok {
		return resolve.Outcome{}, false
	}
	o.Answer = append([]resolve.Set(nil), o.Answer...)
	for i := range o.Answer {
		o.Answer[i].TTL = ttl
	}
	return o, true
}

func (b *bench) request() *resolve.Request {
	return &resolve.Request{
		Question: resolve.Question{Name: www(b), Type: wire.TypeA, Class: wire.ClassIN},
		Client:   netip.MustParseAddrPort("192.0.2.9:1234"), Result: resolve.Result{EDE: ede.None},
	}
}

// failed finalizes a request that came to nothing.
func (b *bench) failed(req *resolve.Request, err error, code ede.Code) *resolve.Result {
	req.Result = resolve.Result{Rcode: wire.RcodeServFail, NoCache: true, EDE: code, Failure: err}
	b.Layer.Finalize(req)
	return &req.Result
}

func TestAnOldAnswerTakesThePlaceOfAFailureToReachAnybody(t *testing.T) {
	for _, tt := range []struct {
		name string
		ede  ede.Code
		set  func(*bench, *resolve.Request)
		told bool
	}{
		{"no reachable authority", 22, nil, true},
		{"network error", 23, nil, true},
		{"no root", 14, nil, true},
		{"bogus", 6, nil, false},
		{"a policy's failure", 15, nil, false},
		{"a failure without a reason", ede.None, nil, false},
		{"another error", 0, nil, false},
		{"nothing is known", 22, func(b *bench, _ *resolve.Request) { b.known = resolve.Outcome{} }, false},
		{"the client wants fresh data", 22, func(_ *bench, r *resolve.Request) { r.Options.BypassCache = true }, false},
		{"a request of our own", 22, func(_ *bench, r *resolve.Request) { r.Client = netip.AddrPort{} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			req := b.request()
			if tt.set != nil {
				tt.set(b, req)
			}
			res := b.failed(req, resolve.ErrNoServer, tt.ede)
			if !tt.told {
				if res.Rcode != wire.RcodeServFail || res.Stale || res.EDE != tt.ede {
					t.Errorf("%+v, want the failure", res)
				}
				return
			}
			if res.Rcode != wire.RcodeNoError || !res.Stale || !res.NoCache || res.EDE != 3 || res.EDEText == "" || len(res.Answer) != 1 || res.Answer[0].TTL != 1 {
				t.Errorf("%+v, want the answer of old", res)
			}
			if res.Rank.IsSecure() {
				t.Error("an answer of old is called secure")
			}
			if !errors.Is(res.Failure, resolve.ErrNoServer) {
				t.Errorf("the failure behind it is %v", res.Failure)
			}
		})
	}
}

func TestAnOldDenialSaysSo(t *testing.T) {
	b := newBench(t)
	b.known = resolve.Outcome{Kind: resolve.NXDomain, Rcode: wire.RcodeNXDomain}
	if res := b.failed(b.request(), resolve.ErrTimeout, 22); res.Rcode != wire.RcodeNXDomain || res.EDE != 19 {
		t.Errorf("%+v, want a stale NXDOMAIN", res)
	}
}

func TestOnlyWhoCanBeToldSomethingHasLessPatience(t *testing.T) {
	b := newBench(t)
	begin := func(change func(*resolve.Request)) time.Duration {
		req := b.request()
		if change != nil {
			change(req)
		}
		b.Layer.Accept(req)
		return req.Patience
	}
	if p := begin(nil); p != 3*time.Second {
		t.Errorf("patience %v, want 3 s", p)
	}
	if v, _ := b.Get("timeout"); v != 3000.0 {
		t.Errorf("timeout is %v ms", v)
	}
	if err := b.Set("timeout", 1800.0); err != nil {
		t.Fatal(err)
	}
	if p := begin(nil); p != 1800*time.Millisecond {
		t.Errorf("patience %v, want 1.8 s", p)
	}
	if p := begin(func(r *resolve.Request) { r.Options.BypassCache = true }); p != 0 {
		t.Errorf("patience %v for NO_CACHE", p)
	}
	if p := begin(func(r *resolve.Request) { r.Client = netip.AddrPort{} }); p != 0 {
		t.Errorf("patience %v for a request of our own", p)
	}
	b.over = 0
	if p := begin(nil); p != 0 {
		t.Errorf("patience %v where all is fresh", p)
	}
	b.known = resolve.Outcome{}
	if p := begin(nil); p != 0 {
		t.Errorf("patience %v where nothing is known", p)
	}
	for _, bad := range []any{nil, "1", -1.0, 10001.0} {
		if err := b.Set("timeout", bad); err == nil {
			t.Errorf("timeout = %v was taken", bad)
		}
	}
	if err := b.Set("timeuot", 1.0); err == nil {
		t.Error("an unknown option was taken")
	}
}

func TestACallbackDecides(t *testing.T) {
	b := newBench(t)
	var args []any
	answer := []any{30.0}
	var shown *resolve.Request
	err := b.Set("callback", func(req *resolve.Request, a ...any) ([]any, error) {
		args, shown = a, req
		if answer == nil {
			return nil, errors.New("oh dear")
		}
		return answer, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	req := b.request()
	res := b.failed(req, resolve.ErrNoServer, 22)
	if shown != req {
		t.Error("the callback is not shown the request")
	}
	if !res.Stale || res.Answer[0].TTL != 30 {
		t.Errorf("%+v, want the callback's TTL", res)
	}
	if len(args) != 3 || args[0] != -60.0 || args[1] != string(www(t)) || args[2] != 1.0 {
		t.Errorf("called with %v", args)
	}
	if b.grace != int64(limits.StaleAgeAtMost/time.Second) {
		t.Errorf("entries of %d s were looked at", b.grace)
	}
	for _, no := range [][]any{{-1.0}, {}, {"x"}, nil} {
		answer = no
		if res := b.failed(b.request(), resolve.ErrNoServer, 22); res.Stale {
			t.Errorf("told although the callback said %v", no)
		}
	}
	if len(b.warns) != 1 {
		t.Errorf("warnings %q, want one about the error", b.warns)
	}
	if err := b.Set("callback", 5.0); err == nil {
		t.Error("a number was taken as a function")
	}
	if err := b.Set("callback", nil); err != nil {
		t.Fatal(err)
	}
	if res := b.failed(b.request(), resolve.ErrNoServer, 22); !res.Stale || res.Answer[0].TTL != limits.StaleTTL || b.grace != 86400 {
		t.Errorf("%+v, want the default after the callback is gone", res)
	}
}

// Where the parent cannot be reached, the servers that it named are asked.
func TestADelegationThatIsOverLeadsToTheZonesServers(t *testing.T) {
	b := newBench(t)
	known := b.known
	b.known, b.cut = resolve.Outcome{}, &zonecut.Cut{Name: "\x07example\x00"}
	req := b.request()
	if b.Layer.Accept(req); req.Patience != 3*time.Second {
		t.Errorf("patience %v", req.Patience)
	}
	go func() {
		own := <-b.asked
		if own.Cut != b.cut || !own.Options.BypassCache || own.Client.IsValid() || own.Patience == 0 || !own.Alone || !own.RD || !own.DO || own.CD {
			t.Errorf("asked %+v", own)
		}
		own.Result = resolve.Result{Answer: known.Answer, EDE: ede.None}
		b.goOn <- struct{}{}
	}()
	if res := b.failed(b.request(), resolve.ErrNoServer, 22); len(res.Answer) != 1 || res.Rcode != 0 || !res.Stale || !res.NoCache || res.EDE != 3 {
		t.Errorf("got %+v", res)
	}
	forwarded := b.request()
	forwarded.Cut = b.cut
	if res := b.failed(forwarded, resolve.ErrNoServer, 22); res.Rcode != wire.RcodeServFail {
		t.Errorf("beside the operator's servers others were asked: %+v", res)
	}
}

// What was given up early is tried further once, and told to others meanwhile.
func TestWhatWasGivenUpEarlyIsTriedFurther(t *testing.T) {
	b := newBench(t)
	req := b.request()
	req.CD, req.Options = true, resolve.Options{NoIPv6: true}
	res := b.failed(req, resolve.ErrPatience, 22)
	if !res.Stale || !errors.Is(res.Failure, resolve.ErrPatience) {
		t.Errorf("%+v", res)
	}
	own := <-b.asked
	if own.Question != req.Question || !own.CD || own.Options != req.Options || own.Client.IsValid() || own.Patience != 0 || !own.RD || !own.DO || own.Asker().Client != req.Client || !own.Judged {
		t.Errorf("tried further: %+v", own)
	}
	again := b.request()
	again.CD = true
	if res := b.failed(again, resolve.ErrPatience, 22); len(b.asked) != 0 || !errors.Is(res.Failure, resolve.ErrPatience) {
		t.Errorf("one question is tried twice at a time, or has failed: %v", res.Failure)
	}
	next := b.request()
	next.CD = true
	q := &resolve.Query{Question: next.Question}
	if s := b.Layer.Produce(next, q); s != resolve.Fail || why(next) != ede.NoReachableAuthority {
		t.Errorf("while it is tried a client waits: state %d, %+v", s, next.Result)
	}
	if s := b.Layer.Produce(b.request(), q); s != resolve.Produce {
		t.Errorf("without CD it is another question: state %d", s)
	}
	if s := b.Layer.Produce(own, q); s != resolve.Produce {
		t.Errorf("what is tried stands in its own way: state %d", s)
	}
	later := b.request()
	later.CD, later.Now = true, int64(limits.RequestDeadline/time.Second)+1
	if s := b.Layer.Produce(later, q); s != resolve.Produce {
		t.Errorf("longer than any request takes a client is kept from asking: state %d", s)
	}
	b.goOn <- struct{}{}
	b.group.Wait()
	if s := b.Layer.Produce(next, q); s != resolve.Produce {
		t.Errorf("after it ended: state %d", s)
	}
}

func TestNotTooManyAreTriedFurther(t *testing.T) {
	b := newBench(t)
	for i := range limits.StaleRefreshing + 1 {
		req := b.request()
		req.Type = uint16(i + 1)
		res := b.failed(req, resolve.ErrPatience, 22)
		if tried := errors.Is(res.Failure, resolve.ErrPatience); tried != (i < limits.StaleRefreshing) {
			t.Errorf("question %d: tried further %v", i, tried)
		}
	}
}

// Only what cannot be refreshed is told although it is old: others are asked for the
// target of an alias, as for a question that no rule judges again.
func TestWhatAnAliasOfOldLeadsToIsAskedFor(t *testing.T) {
	b := newBench(t)
	target := resolve.Question{Name: www(t).Parent(), Type: wire.TypeA, Class: wire.ClassIN}
	ask := func(result resolve.Result) (o resolve.Outcome, ok bool, own *resolve.Request) {
		req := b.request()
		req.CD, req.DO, req.Options = true, true, resolve.Options{NoIPv6: true}
		b.failed(req, resolve.ErrNoServer, 22)
		done := make(chan bool)
		go func() {
			o, ok = b.ask(target)
			done <- true
		}()
		own = <-b.asked
		if own.Question != target || !own.Inner || !own.RD || !own.CD || !own.DO || own.Options != req.Options || own.Client.IsValid() || own.Asker().Client != req.Client || own.Patience <= 0 || own.Patience > limits.StaleTimeout/4 {
			t.Errorf("asked for %+v", own)
		}
		own.Result = result
		b.goOn <- struct{}{}
		<-done
		return o, ok, own
	}
	if o, ok, _ := ask(resolve.Result{Rcode: wire.RcodeNXDomain, EDE: ede.None}); !ok || o.Kind != resolve.NXDomain {
		t.Errorf("a denial: %v %+v", ok, o)
	}
	if o, ok, _ := ask(resolve.Result{Answer: b.known.Answer, NoCache: true, EDE: ede.None}); !ok || o.Kind != resolve.Positive || len(o.Answer) != 1 || !o.Own {
		t.Errorf("an answer: %v %+v", ok, o)
	}
	if _, ok, own := ask(resolve.Result{Rcode: wire.RcodeServFail, Failure: resolve.ErrNoServer}); ok || b.Layer.Produce(own, &resolve.Query{Question: target}) != resolve.Produce {
		t.Errorf("a failure: taken %v, or tried further", ok)
	}
	_, ok, own := ask(resolve.Result{Rcode: wire.RcodeServFail, Failure: resolve.ErrPatience})
	further := <-b.asked
	if ok || further.Question != target || !further.Inner || further.Patience != 0 {
		t.Errorf("no time left: taken %v, tried further %+v", ok, further)
	}
	q := &resolve.Query{Question: target}
	if s := b.Layer.Produce(own, q); s != resolve.Fail {
		t.Errorf("while it is tried a client waits: state %d", s)
	}
	if s := b.Layer.Produce(further, q); s != resolve.Produce {
		t.Errorf("what is tried stands in its own way: state %d", s)
	}
	b.goOn <- struct{}{}
}

func TestTheTimeForAllTargetsTogetherIsLimited(t *testing.T) {
	b := newBench(t)
	b.failed(b.request(), resolve.ErrNoServer, 22)
	for range 2 {
		done := make(chan bool)
		go func() {
			b.ask(resolve.Question{Name: www(t), Type: wire.TypeA, Class: wire.ClassIN})
			done <- true
		}()
		select {
		case <-b.asked:
			time.Sleep(limits.StaleTimeout / 2)
			b.goOn <- struct{}{}
			<-done
		case <-done:
			return
		}
	}
	t.Error("asked again though the time is over")
}

func TestTheReasonToldStays(t *testing.T) {
	b := newBench(t)
	told := func(text string, code ede.Code) string {
		req := b.request()
		req.Result = resolve.Result{Rcode: wire.RcodeServFail, NoCache: true, EDE: code, EDEText: text, Failure: resolve.ErrNoServer}
		b.Layer.Finalize(req)
		return req.Result.EDEText
	}
	first := told("no server answered in time", 22)
	if first != "no server answered in time" || told("", 22) != first || told("refused", 23) != first {
		t.Errorf("first %q, then %q and %q", first, told("", 22), told("refused", 23))
	}
	req := b.request()
	req.Result.EDE = ede.None
	b.Layer.Finalize(req)
	if got := told("refused", 23); got != "refused" {
		t.Errorf("after an answer: %q", got)
	}
}

// why is the extended error of a request whose hook has failed.
func why(req *resolve.Request) ede.Code {
	code, _ := resolve.Explain(req.Failed())
	return code
}

// toPass is a Reception that may be passed on.
type toPass struct{ passed bool }

func (*toPass) Await(int, time.Duration) (readable, held bool) { return false, false }

func (r *toPass) Pass() { r.passed = true }

// A client's request that waits for others to be asked cannot receive meanwhile.
func TestWhoAsksAroundPassesItsReception(t *testing.T) {
	for what, wait := range map[string]func(*bench, *resolve.Request){
		"for servers that a delegation named": func(b *bench, req *resolve.Request) {
			b.known, b.cut = resolve.Outcome{}, &zonecut.Cut{Name: "\x07example\x00"}
			b.failed(req, resolve.ErrNoServer, 22)
		},
		"for the target of an alias": func(b *bench, req *resolve.Request) {
			b.failed(req, resolve.ErrNoServer, 22)
			b.ask(resolve.Question{Name: www(b).Parent(), Type: wire.TypeA, Class: wire.ClassIN})
		},
	} {
		b := newBench(t)
		r := &toPass{}
		req := b.request()
		req.Reception = r
		done := make(chan bool)
		go func() {
			wait(b, req)
			done <- true
		}()
		if <-b.asked; !r.passed {
			t.Errorf("who waits %s keeps it", what)
		}
		b.goOn <- struct{}{}
		<-done
	}
}
