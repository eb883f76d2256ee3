package stats

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// bench is a loaded module with a clock and dice that the test holds.
type bench struct {
	*testing.T
	*module.Instance
	mono time.Duration
	dice int
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t}
	b.Instance = instance(&stats{mono: func() time.Duration { return b.mono }, intn: func(int) int { return b.dice }})
	return b
}

// call calls a function of the module.
func (b *bench) call(name string, args ...any) any {
	b.Helper()
	i := slices.IndexFunc(b.Functions, func(f module.Function) bool { return f.Name == name })
	if i < 0 {
		b.Fatalf("no function %s", name)
	}
	out, err := b.Functions[i].Fn(args)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

// want checks counters; all others must be 0.
func (b *bench) want(want map[string]float64) {
	b.Helper()
	list := b.call("list").(*luavalue.Table)
	for _, p := range list.Pairs {
		if p.Value != want[p.Key.(string)] {
			b.Errorf("%s is %v, want %v", p.Key, p.Value, want[p.Key.(string)])
		}
	}
	for name := range maps.Keys(want) {
		if list.Get(name) == nil {
			b.Errorf("%s is not in the list", name)
		}
	}
}

func dname(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answered is a client's question and the message for it.
func answered(t testing.TB, flags uint16, edns uint16, do bool, res resolve.Result) *module.Answered {
	t.Helper()
	pkt := wire.AppendQuery(nil, 1, flags, []byte(dname(t, "www.example.com.")), wire.TypeA, wire.ClassIN, edns, do, nil)
	q := &wire.Question{}
	if p := q.Parse(pkt); p != wire.Fine {
		t.Fatalf("problem %d", p)
	}
	return &module.Answered{Question: q, Msg: reply.Build(nil, q, &res, reply.Shape{Bufsize: 4096})}
}

func oneRecord(t testing.TB) []resolve.Set {
	set := resolve.Set{Rank: rank.Auth | rank.Insecure}
	set.Owner, set.Type, set.Class, set.TTL, set.Data = dname(t, "www.example.com."), wire.TypeA, wire.ClassIN, 60, [][]byte{{192, 0, 2, 1}}
	return []resolve.Set{set}
}

var (
	udp4 = transport.Transport{}
	udp6 = transport.Transport{Family: transport.IPv6}
	tcp4 = transport.Transport{Kind: transport.TCP}
	tcp6 = transport.Transport{Kind: transport.TCP, Family: transport.IPv6}
)

// by returns how a request is told of on the driver's way.
func by(a *module.Answered, res resolve.Result, took time.Duration, from transport.Transport) *module.Answered {
	a.Request = &resolve.Request{Client: netip.MustParseAddrPort("192.0.2.7:53535"), Result: res}
	a.Took, a.Transport = took, from
	return a
}

func TestACachedAnswerCountsByItsMessage(t *testing.T) {
	b := newBench(t)
	tally := b.NewTally()
	good := resolve.Result{EDE: ede.None, Answer: oneRecord(t)}
	tally.Answered(answered(t, wire.FlagRD, 0, false, good))
	a := answered(t, wire.FlagRD|wire.FlagCD, 1232, true, good)
	a.Transport = tcp6
	tally.Answered(a)
	tally.Answered(answered(t, 0, 1232, true, resolve.Result{EDE: ede.None, Answer: oneRecord(t), Rank: rank.Secure | rank.Auth}))
	tally.Answered(answered(t, 0, 0, false, resolve.Result{EDE: ede.None, Answer: oneRecord(t), AA: true}))
	tally.Answered(answered(t, 0, 1232, false, resolve.Result{EDE: ede.None}))
	tally.Answered(answered(t, 0, 0, false, resolve.Result{EDE: ede.None, Rcode: wire.RcodeNXDomain}))
	tally.Answered(answered(t, 0, 0, false, resolve.Result{EDE: ede.None, TC: true}))
	tally.Answered(answered(t, 0, 0, false, resolve.Result{EDE: ede.None, Rcode: wire.RcodeNotImp}))
	want := map[string]float64{
		"answer.total": 8, "answer.noerror": 5, "answer.nodata": 1, "answer.nxdomain": 1, "answer.cached": 7, "answer.1ms": 8,
		"answer.ra": 8, "answer.rd": 2, "answer.cd": 1, "answer.do": 2, "answer.edns0": 3, "answer.tc": 1, "answer.ad": 1, "answer.aa": 1,
		"query.edns": 3, "query.dnssec": 2, "request.total": 8, "request.udp4": 7, "request.tcp6": 1,
	}
	b.want(want)
	tally.Close()
	b.want(want) // what a thread counted outlives it
	tally.Close()
	b.want(want)
}

// Each transport has a counter for each family, HTTP with TLS and without have one
// together, and all count in the total.
func TestEveryTransportCounts(t *testing.T) {
	b := newBench(t)
	tally := b.NewTally()
	good := resolve.Result{EDE: ede.None, Answer: oneRecord(t)}
	for i := range transport.Count {
		a := answered(t, 0, 0, false, good)
		a.Transport = transport.At(i)
		tally.Answered(a)
		b.Observe(by(answered(t, 0, 0, false, good), good, 0, transport.At(i)))
	}
	tally.Close()
	n := float64(2 * transport.Count)
	b.want(map[string]float64{
		"answer.total": n, "answer.noerror": n, "answer.cached": n / 2, "answer.1ms": n, "answer.ra": n, "request.total": n,
		"request.udp4": 2, "request.udp6": 2, "request.tcp4": 2, "request.tcp6": 2,
		"request.dot4": 2, "request.dot6": 2, "request.doh4": 4, "request.doh6": 4, "request.doq4": 2, "request.doq6": 2,
	})
}

func TestTheDriversWayAddsTime(t *testing.T) {
	b := newBench(t)
	good := resolve.Result{EDE: ede.None, Answer: oneRecord(t)}
	cached, stale := good, good
	cached.Cached, stale.Stale = true, true
	fail := resolve.Result{EDE: ede.None, Rcode: wire.RcodeServFail}
	for _, a := range []*module.Answered{
		by(answered(t, wire.FlagRD, 0, false, good), good, 30*time.Millisecond, udp4),
		by(answered(t, 0, 0, false, cached), cached, time.Millisecond, udp6),
		by(answered(t, 0, 0, false, stale), stale, 3*time.Second, tcp4),
		by(answered(t, 0, 512, true, fail), fail, 1500*time.Millisecond, udp4),
	} {
		b.Observe(a)
	}
	dropped := by(answered(t, 0, 0, false, good), good, time.Second, udp4)
	dropped.Msg = nil
	b.Observe(dropped)
	b.want(map[string]float64{
		"answer.total": 4, "answer.noerror": 3, "answer.servfail": 1, "answer.cached": 1, "answer.stale": 1, "answer.ra": 4,
		"answer.50ms": 1, "answer.1ms": 1, "answer.slow": 1, "answer.1500ms": 1, "answer.sum_ms": 4531,
		"answer.rd": 1, "answer.do": 1, "answer.edns0": 1, "query.edns": 1, "query.dnssec": 1,
		"request.total": 5, "request.udp4": 3, "request.udp6": 1, "request.tcp4": 1,
	})
}

func TestRequestsOfOurOwnCount(t *testing.T) {
	b := newBench(t)
	req := &resolve.Request{RD: true, DO: true}
	b.Layer.Begin(req)
	b.mono += 120 * time.Millisecond
	req.Result = resolve.Result{Answer: oneRecord(t), Cached: true}
	b.Layer.Finish(req)
	ofClient := &resolve.Request{Client: netip.MustParseAddrPort("192.0.2.7:53535")}
	b.Layer.Begin(ofClient)
	b.Layer.Finish(ofClient) // counted with its message
	b.want(map[string]float64{
		"answer.total": 1, "answer.noerror": 1, "answer.cached": 1, "answer.ra": 1, "answer.rd": 1, "answer.250ms": 1, "answer.sum_ms": 120,
		"answer.do": 1, "answer.edns0": 1, "query.edns": 1, "query.dnssec": 1, "request.total": 1, "request.internal": 1,
	})
}

func TestScriptsHaveCountersOfTheirOwn(t *testing.T) {
	b := newBench(t)
	if v := b.call("get", "filter.match"); v != nil {
		t.Errorf("an unknown counter is %v", v)
	}
	if err := b.Set("filter.match", 5.0); err != nil {
		t.Fatal(err)
	}
	b.call("set", "filter.other 7")
	if v, _ := b.Get("filter.match"); v != 5.0 {
		t.Errorf("stats['filter.match'] is %v, want 5", v)
	}
	if got := b.call("list", "filter").(*luavalue.Table); len(got.Pairs) != 2 || got.Get("filter.other") != 7.0 {
		t.Errorf("list of filter: %v", got.Pairs)
	}
	b.call("set", "answer.total 100")
	tally := b.NewTally()
	tally.Answered(answered(t, 0, 0, false, resolve.Result{EDE: ede.None}))
	if v := b.call("get", "answer.total"); v != 101.0 {
		t.Errorf("answer.total is %v after it was set to 100 and one answer", v)
	}
	if err := b.Set("filter.match", "many"); err == nil {
		t.Error("a counter was set to a text")
	}
	for _, line := range []string{"", "name", "name x", "a b 1", "name nan"} {
		i := slices.IndexFunc(b.Functions, func(f module.Function) bool { return f.Name == "set" })
		if _, err := b.Functions[i].Fn([]any{line}); err == nil {
			t.Errorf("set(%q) was taken", line)
		}
	}
}

// asked plays an answer of another server.
func (b *bench) asked(name string, kind resolve.Kind, rtt time.Duration) {
	q := &resolve.Query{Question: resolve.Question{Name: dname(b, name), Type: wire.TypeAAAA, Class: wire.ClassIN}, RTT: rtt}
	q.Server.Addr = netip.MustParseAddrPort("[2001:db8::1]:53")
	q.Outcome.Kind = kind
	b.Layer.Consume(&resolve.Request{}, q, &wire.Msg{})
}

func TestFrequentQuestionsAreSampled(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.asked("often.example.", resolve.Positive, 0)
	}
	b.asked("once.example.", resolve.NXDomain, 0)
	b.asked("referred.example.", resolve.Referral, 0)
	b.dice = 1
	b.asked("unlucky.example.", resolve.Positive, 0)
	rows := b.call("frequent").(*luavalue.Table).Values()
	if len(rows) != 2 {
		t.Fatalf("%d names, want 2", len(rows))
	}
	first := rows[0].(*luavalue.Table)
	if first.Get("name") != "often.example." || first.Get("count") != 3.0 || first.Get("type") != "AAAA" {
		t.Errorf("the most frequent is %v", first.Pairs)
	}
	b.call("clear_frequent")
	if rows := b.call("frequent").(*luavalue.Table).Values(); len(rows) != 0 {
		t.Errorf("%d names after they were forgotten", len(rows))
	}
	b.dice = 0
	for i := range limits.FrequentNames + 10 {
		b.asked(fmt.Sprintf("n%d.example.", i), resolve.Positive, 0)
	}
	rows = b.call("frequent").(*luavalue.Table).Values()
	if len(rows) != limits.FrequentNames || rows[0].(*luavalue.Table).Get("name") != fmt.Sprintf("n%d.example.", limits.FrequentNames+9) {
		t.Errorf("%d names are kept, the first of them %v", len(rows), rows[0].(*luavalue.Table).Pairs)
	}
}

func TestUpstreamsAreTheLatestRoundTrips(t *testing.T) {
	b := newBench(t)
	b.asked("a.example.", resolve.Referral, 1500*time.Microsecond)
	b.asked("a.example.", resolve.Positive, 20*time.Millisecond)
	trips := b.call("upstreams").(*luavalue.Table).Get("2001:db8::1").(*luavalue.Table).Values()
	if !slices.Equal(trips, []any{20.0, 1.5}) {
		t.Errorf("round trips %v, want 20 and 1.5", trips)
	}
	for range limits.UpstreamTrips {
		b.asked("a.example.", resolve.Positive, time.Millisecond)
	}
	trips = b.call("upstreams").(*luavalue.Table).Get("2001:db8::1").(*luavalue.Table).Values()
	if len(trips) != limits.UpstreamTrips || slices.Contains(trips, any(20.0)) {
		t.Errorf("%d round trips are kept", len(trips))
	}
}

// Threads count while others come and go and somebody looks.
func TestNoAnswerIsLostBetweenThreads(t *testing.T) {
	b := newBench(t)
	a := answered(t, 0, 0, false, resolve.Result{EDE: ede.None})
	const threads, rounds, each = 4, 20, 50
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			for range rounds {
				tally := b.NewTally()
				for range each {
					tally.Answered(a)
				}
				tally.Close()
			}
		})
	}
	for range 20 {
		b.call("list")
	}
	all.Wait()
	if v := b.call("get", "answer.total"); v != float64(threads*rounds*each) {
		t.Errorf("%v answers were counted, %d given", v, threads*rounds*each)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	b := newBench(t)
	tally := b.NewTally()
	a := answered(t, wire.FlagRD, 1232, true, resolve.Result{EDE: ede.None, Answer: oneRecord(t)})
	if n := testing.AllocsPerRun(100, func() { tally.Answered(a) }); n != 0 {
		t.Errorf("%v allocations for one answer", n)
	}
}

func BenchmarkTally(b *testing.B) {
	inst := instance(&stats{})
	tally := inst.NewTally()
	a := answered(b, wire.FlagRD, 1232, true, resolve.Result{EDE: ede.None, Answer: oneRecord(b)})
	for b.Loop() {
		tally.Answered(a)
	}
}

// An empty answer with TC is the work of a rule: it has no data. What did not fit
// into a datagram has.
func TestATruncatedAnswerByRule(t *testing.T) {
	cut := resolve.Result{EDE: ede.None, TC: true}
	if got := shapeOf(by(answered(t, 0, 0, false, cut), cut, 0, udp4)).class(); got != noData {
		t.Errorf("by a rule: class %d", got)
	}
	if got := shapeOf(by(answered(t, 0, 0, false, cut), resolve.Result{Answer: oneRecord(t)}, 0, udp4)).class(); got != noError {
		t.Errorf("for its size: class %d", got)
	}
}

// A page of metrics has the counters of the list, but for the latency, which is
// one histogram, until the module is unloaded.
func TestTheRegistryHasTheCounters(t *testing.T) {
	registry := &metrics.Registry{}
	fake := clock.NewFake(time.Unix(1e9, 0))
	inst, err := Module().Open(&module.Host{Clock: &fake.Clock, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, Instance: inst}
	good := resolve.Result{EDE: ede.None, Answer: oneRecord(t)}
	b.Observe(by(answered(t, wire.FlagRD, 0, false, good), good, 30*time.Millisecond, udp4))
	tally := b.NewTally()
	tally.Answered(answered(t, 0, 0, false, good))
	list, seen := b.call("list").(*luavalue.Table), 0
	for _, s := range registry.Read("stats") {
		if s.Help == "" {
			t.Errorf("%s has no help", s.Name)
		}
		if s.Spread == nil {
			if seen++; list.Get(s.Name) != s.Value {
				t.Errorf("%s is %v, in the list %v", s.Name, s.Value, list.Get(s.Name))
			}
			continue
		}
		if s.Kind != metrics.Histogram || !slices.Equal(s.Spread.Counts, []uint64{1, 0, 1, 0, 0, 0, 0, 0, 0}) || s.Spread.Sum != 30*time.Millisecond {
			t.Errorf("%s: %+v", s.Name, s.Spread)
		}
	}
	if want := len(list.Pairs) - len(latencies) - 1; seen != want { // and the sum
		t.Errorf("%d counters, want %d", seen, want)
	}
	if inst.Close(); registry.Read("stats") != nil {
		t.Error("an unloaded module has figures")
	}
}

// All counters are there from the beginning, with what they mean in words, in order.
func TestEveryCounterIsThereFromTheBeginning(t *testing.T) {
	registry := &metrics.Registry{}
	fake := clock.NewFake(time.Unix(1e9, 0))
	inst, err := Module().Open(&module.Host{Clock: &fake.Clock, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	help := map[string]string{}
	var order []string
	for _, s := range registry.Read("stats") {
		if help[s.Name] = s.Help; s.Spread == nil {
			order = append(order, s.Name)
		}
	}
	if !slices.IsSorted(order) {
		t.Errorf("not in order: %q", order)
	}
	for name, want := range map[string]string{
		"answer.total": "answers to clients and to the resolver's own questions", "answer.noerror": "answers with data", "answer.servfail": "failures",
		"answer.tc": "answers with the flag TC", "answer.ad": "answers with the flag AD", "answer.do": "answers with the flag DO", "query.dnssec": "questions with DO",
		"request.udp4": "questions by UDP4", "request.tcp6": "questions by TCP6", "request.dot4": "questions by TLS4", "request.doh6": "questions by HTTPS6", "request.doq4": "questions by QUIC4",
		"answer.stale": "answers of which some was over", "answer.cached": "answers of which all was known", "request.internal": "questions of the resolver's own",
	} {
		if got, ok := help[name]; !ok || !strings.HasPrefix(got, want) {
			t.Errorf("%s means %q, want %q", name, got, want)
		}
	}
}

// What a module decided on the listener's thread is an answer, but none of the cache; a
// question that was dropped there is a question.
func TestWhatIsDecidedOrDroppedOnTheListenersThread(t *testing.T) {
	b := newBench(t)
	for range 2 {
		tally := b.NewTally()
		a := answered(t, 0, 0, false, resolve.Result{EDE: ede.None, Answer: oneRecord(t)})
		tally.Answered(a)
		a.Decided = true
		tally.Answered(a)
		tally.Answered(&module.Answered{Transport: tcp6, Msg: make([]byte, wire.HeaderLen-1)})
		tally.Close()
		tally.Close() // once too often
	}
	for name, want := range map[string]float64{"answer.total": 4, "answer.cached": 2, "request.total": 6, "request.tcp6": 2, "request.udp4": 4} {
		if got := b.call("get", name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// What the cache says is none of a server's answers.
func TestAnswersOfTheCacheAreNoServers(t *testing.T) {
	b := newBench(t)
	q := &resolve.Query{Question: resolve.Question{Name: dname(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN}, RTT: time.Millisecond}
	q.Server.Addr = netip.MustParseAddrPort("192.0.2.1:53")
	q.Outcome = resolve.Outcome{Kind: resolve.Positive, Cached: true}
	b.Layer.Consume(&resolve.Request{}, q, &wire.Msg{})
	q.Outcome.Cached = false
	b.Layer.Consume(&resolve.Request{}, q, nil)
	if got := b.call("upstreams").(*luavalue.Table); len(got.Pairs) != 0 {
		t.Errorf("servers: %+v", got.Pairs)
	}
	if got := b.call("frequent").(*luavalue.Table); len(got.Pairs) != 0 {
		t.Errorf("questions: %+v", got.Pairs)
	}
}

// Only requests of the resolver's own are timed by the layer, and their Vars stay.
func TestWhichRequestsTheLayerTimes(t *testing.T) {
	b := newBench(t)
	client := &resolve.Request{Client: netip.MustParseAddrPort("192.0.2.7:53535")}
	b.Layer.Begin(client)
	if b.Layer.Finish(client); client.Vars != nil {
		t.Errorf("a client's request has %v", client.Vars)
	}
	own := &resolve.Request{Vars: map[any]any{"a": 1}}
	b.Layer.Begin(own)
	b.mono += 40 * time.Millisecond
	if b.Layer.Finish(own); own.Vars["a"] != 1 {
		t.Errorf("a request of our own lost what others keep there: %v", own.Vars)
	}
	b.Layer.Finish(&resolve.Request{}) // which began before the module was loaded
	for name, want := range map[string]float64{"request.internal": 2, "request.total": 2, "answer.50ms": 1, "answer.1ms": 1} {
		if got := b.call("get", name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
