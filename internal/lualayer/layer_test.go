package lualayer

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kresd/internal/dnslua"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/wire"
)

// loaded is a module of a script that returns its table, and what it warns of.
func loaded(t *testing.T, text string) (m *mod, warned *strings.Builder) {
	t.Helper()
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	warned = &strings.Builder{}
	l := &Loader{VM: vm.VM, Views: requests.NewViews(vm.VM), Warn: func(line string) { warned.WriteString(line + "\n") }}
	if err := vm.Do(context.Background(), func(*script.Call) error { dnslua.Install(vm.VM, l.Views, nil, &terms.MissedConstant{}); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := vm.RunText(context.Background(), "config", "package.preload.mine = function() "+text+" end"); err != nil {
		t.Fatal(err)
	}
	if err := vm.Do(context.Background(), func(*script.Call) error {
		src, _, ok := l.Find("mine")
		table, err := vm.Require(src.required)
		if !ok || err != nil {
			return fmt.Errorf("found %t: %w", ok, err)
		}
		m = &mod{loader: l, name: "mine", table: table}
		return m.open()
	}); err != nil {
		t.Fatal(err)
	}
	return m, warned
}

// asked is a request with its own query, which has an answer.
func asked(kind resolve.Kind) (*resolve.Request, *resolve.Query) {
	question := resolve.Question{Name: name("x.test."), Type: wire.TypeA, Class: wire.ClassIN}
	r := &resolve.Request{Question: question, RD: true, Result: resolve.Result{EDE: ede.None}}
	q := &resolve.Query{Question: question, Outcome: resolve.Outcome{Kind: kind}}
	if kind == resolve.Positive {
		q.Outcome.Answer = []resolve.Set{{Rank: rank.Secure | rank.Auth, RRset: wire.RRset{Owner: question.Name, Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, Data: [][]byte{{192, 0, 2, 1}}}}}
	}
	_ = r.Plan.Push(q)
	return r, q
}

// What a script has changed is not proven, and is kept for nobody; what it only looked at is.
func TestWhatIsChangedIsNotProven(t *testing.T) {
	for code, changed := range map[string]bool{
		"answer:rcode()": false, "answer:section(0)": false, "answer:rcode(3)": true,
		"answer:begin(2) answer:put('\\1y\\0', 0, 1, 16, '\\1z')": true, "answer:clear_payload()": true,
	} {
		m, warned := loaded(t, "return { layer = { finish = function(state, req, answer) "+code+" end } }")
		r, _ := asked(resolve.Positive)
		r.Result.Rank = rank.Secure | rank.Auth
		m.begin(r)
		r.Result.Rank = rank.Secure | rank.Auth
		m.layer().Finish(r)
		if warned.String() != "" || r.Result.NoCache != changed || r.Result.Rank.IsSecure() == changed {
			t.Errorf("%s: kept for nobody %t, rank %d, %s", code, r.Result.NoCache, r.Result.Rank, warned)
		}
	}
}

// The end of a request is shown to those modules that have seen its beginning, and that
// are still loaded.
func TestTheEndIsForThoseWhoSawTheBeginning(t *testing.T) {
	m, _ := loaded(t, "return { layer = { answer_finalize = function(state, req) req.answer:rcode(5) end } }")
	end := func(begin func(*resolve.Request)) int {
		r, _ := asked(resolve.Positive)
		begin(r)
		m.layer().Finalize(r)
		return r.Result.Rcode
	}
	saw := func(r *resolve.Request) { m.layer().Begin(r) }
	if got := end(saw); got != wire.RcodeRefused {
		t.Errorf("began: RCODE %d", got)
	}
	if got := end(func(r *resolve.Request) { m.layer().Decided(r, resolve.Done) }); got != wire.RcodeRefused {
		t.Errorf("decided by another module: RCODE %d", got)
	}
	if got := end(func(*resolve.Request) {}); got != wire.RcodeNoError {
		t.Errorf("not seen: RCODE %d", got)
	}
	m.close()
	if got := end(saw); got != wire.RcodeNoError {
		t.Errorf("unloaded: RCODE %d", got)
	}
}

// A request shares its resolution unless a hook may change what comes of it, and there are
// only the hooks that the script has.
func TestHooksAreThoseOfTheScript(t *testing.T) {
	for _, hook := range hookNames() {
		m, _ := loaded(t, "return { other = 5, layer = { name = 'mine', "+hook+" = function() end } }")
		r, _ := asked(resolve.Pending)
		l := m.layer()
		l.Begin(r)
		if want := hook == "reset" || hook == "produce" || hook == "consume"; r.Alone != want {
			t.Errorf("%s: alone %t, want %t", hook, r.Alone, want)
		}
		var has []string
		for name, there := range map[string]bool{
			"reset": l.Reset != nil, "produce": l.Produce != nil, "checkout": l.Checkout != nil, "consume": l.Consume != nil, "answer_finalize": l.Finalize != nil, "finish": l.Finish != nil,
		} {
			if there {
				has = append(has, name)
			}
		}
		if got := strings.Join(has, " "); got != hook && hook != "begin" || hook == "begin" && got != "" {
			t.Errorf("%s: the layer has %s", hook, got)
		}
		if inst := m.instance(); inst.Sees != m.hooks.sight() || inst.Config != nil {
			t.Errorf("%s: sees %v", hook, inst.Sees)
		}
	}
	if m, _ := loaded(t, "return { layer = {} }"); m.layer() != nil {
		t.Error("a layer without hooks is one")
	}
}

// begin decides by its state; without, nothing of what it put into the answer stays but an
// extended error.
func TestWhatBeginDecides(t *testing.T) {
	for code, want := range map[string]string{
		"return state":     "0 rcode 0 ede 5",
		"":                 "0 rcode 0 ede 5",
		"return kres.DONE": "4 rcode 5 ede 5",
		"return bit.bor(kres.DONE, kres.CONSUME)": "4 rcode 5 ede 5",
		"return kres.FAIL":                        "8 rcode 5 ede 5",
		"error('no')":                             "8 rcode 5 ede 5 a function of a script failed",
		"return 32":                               "8 rcode 5 ede 5 a function of a script failed",
		"return -1":                               "8 rcode 5 ede 5 a function of a script failed",
		"return 1.5":                              "8 rcode 5 ede 5 a function of a script failed",
		"return {}":                               "8 rcode 5 ede 5 a function of a script failed",
	} {
		m, _ := loaded(t, "return { layer = { begin = function(state, req) req.answer:rcode(5) req:set_extended_error(5, 'why') "+code+" end } }")
		r, _ := asked(resolve.Pending)
		got := fmt.Sprintf("%d rcode %d ede %d", m.layer().Begin(r), r.Result.Rcode, r.Result.EDE)
		if err := r.Failed(); err != nil {
			_, text := resolve.Explain(err)
			got += " " + text
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", code, got, want)
		}
	}
	m, _ := loaded(t, "return { layer = { begin = function(state, req) return state == kres.DONE and kres.FAIL or kres.DONE end } }")
	r, _ := asked(resolve.Pending)
	if one, other := m.layer().Decided(r, resolve.Done), m.layer().Decided(r, resolve.Fail); one != resolve.Fail || other != resolve.Done {
		t.Errorf("decided otherwise: %v, %v", one, other)
	}
}

// What consume returns and changes, for answers that end the request and others.
func TestWhatConsumeMeans(t *testing.T) {
	for _, c := range []struct {
		code string
		kind resolve.Kind
		want string // its state, the outcome, and the RCODE of the client's answer
	}{
		{"", resolve.Positive, "1 positive 0"},
		{"return state", resolve.Positive, "1 positive 0"},
		{"return kres.DONE", resolve.Positive, "1 positive 0"},
		{"return kres.CONSUME", resolve.Positive, "1 positive 0"},
		{"return kres.FAIL", resolve.Positive, "8 positive 0"},
		{"return bit.bor(state, kres.FAIL)", resolve.Positive, "8 positive 0"},
		{"return kres.PRODUCE", resolve.Positive, "2 pending 0"},
		{"return state", resolve.Referral, "1 referral 0"},
		{"return kres.PRODUCE", resolve.Referral, "1 referral 0"},
		{"return kres.PRODUCE", resolve.Pending, "2 pending 0"},
		{"error('no')", resolve.Positive, "8 positive 0"},
		{"req.answer:rcode(5) return state", resolve.Positive, "1 positive 5"},
		{"req.answer:rcode(5) return kres.DONE", resolve.Pending, "1 nodata 5"},
		{"req.answer:rcode(5) return state", resolve.Pending, "1 pending 5"},
		{"return kres.YIELD", resolve.Positive, "8 positive 0"},
		{"pkt:clear_payload() return state", resolve.Positive, "1 nodata 0"},
		{"pkt:rcode(3) pkt:clear_payload() return state", resolve.Positive, "1 nxdomain 0"},
		{"pkt:rcode(3) return state", resolve.Pending, "1 pending 0"},
	} {
		kinds := map[resolve.Kind]string{resolve.Pending: "pending", resolve.Positive: "positive", resolve.NoData: "nodata", resolve.NXDomain: "nxdomain", resolve.Referral: "referral"}
		m, _ := loaded(t, "return { layer = { consume = function(state, req, pkt) "+c.code+" end } }")
		r, q := asked(c.kind)
		m.begin(r)
		got := fmt.Sprintf("%d %s %d", m.layer().Consume(r, q, nil), kinds[q.Outcome.Kind], r.Result.Rcode)
		if got != c.want {
			t.Errorf("%q of %s: got %s, want %s", c.code, kinds[c.kind], got, c.want)
		}
	}
}

// The states that a hook sees, the packet that it gets, and what is left of the answer
// that it only looked at.
func TestWhatConsumeSees(t *testing.T) {
	m, warned := loaded(t, `return { layer = { consume = function(state, req, pkt)
		seen = state .. ' ' .. #pkt:section(0) .. ' ' .. #req.answer:section(0) .. ' ' .. kres.dname2str(pkt:qname()) .. ' ' .. tostring(req:current().parent)
	end } }`)
	for kind, want := range map[resolve.Kind]string{
		resolve.Pending: "1 0 0 x.test. nil", resolve.Referral: "2 0 0 x.test. nil", resolve.Positive: "4 1 1 x.test. nil", resolve.NXDomain: "4 0 0 x.test. nil",
	} {
		r, q := asked(kind)
		m.begin(r)
		m.layer().Consume(r, q, nil)
		if got := strings.TrimSpace(evaluate(m, "seen")); got != want || warned.String() != "" {
			t.Errorf("%d: got %s, want %s\n%s", kind, got, want, warned)
		}
		if len(r.Result.Answer) != 0 || r.Result.NoCache {
			t.Errorf("%d: the result is %+v", kind, r.Result)
		}
	}
}

func evaluate(m *mod, expr string) string {
	value := ""
	_ = m.loader.VM.Do(context.Background(), func(c *script.Call) error {
		results, err := m.loader.VM.Global("loadstring").Call("return tostring(" + expr + ")")
		if err != nil {
			return err
		}
		results, err = results[0].(*script.Ref).Call()
		if err == nil {
			value = results[0].(string)
		}
		return err
	})
	return value
}

// A hook that was called again after it has waited may leave the state as it is, and may
// wait for another query.
func TestAHookWaitsForWhatItPushes(t *testing.T) {
	for again, want := range map[string]resolve.State{"return state": resolve.Consume, "req:push(kres.str2dname('z.test'), 1, 1, 0) return kres.YIELD": resolve.Yield} {
		m, _ := loaded(t, "return { layer = { consume = function(state, req, pkt) if state == kres.YIELD then "+again+" end req:push(kres.str2dname('y.test'), 1, 1, 0) return kres.YIELD end } }")
		r, q := asked(resolve.Positive)
		l := m.layer()
		l.Begin(r)
		if got := l.Consume(r, q, nil); got != resolve.Yield || r.Plan.Current().Name != name("y.test.") {
			t.Fatalf("got %v with %v on top", got, r.Plan.Current().Question)
		}
		r.Plan.Pop(r.Plan.Current())
		if got := l.Consume(r, q, nil); got != want {
			t.Errorf("%s: got %v, want %v", again, got, want)
		}
	}
}

// produce answers with what it has put into the packet or the answer, when it says that it
// is done.
func TestWhatProduceMeans(t *testing.T) {
	const put = "pkt:begin(0) pkt:put(pkt:qname(), 60, 1, 1, '\\192\\0\\2\\1') "
	for code, want := range map[string]string{
		"return state":                         "2 0 0 0",
		put + "return state":                   "2 0 0 0",
		put + "return kres.DONE":               "4 1 1 0",
		"return kres.DONE":                     "4 3 0 0",
		"pkt:rcode(3) return kres.DONE":        "4 4 0 0",
		"pkt:rcode(5) return kres.DONE":        "4 3 0 0",
		"return kres.FAIL":                     "8 0 0 0",
		"req.answer:rcode(5) return kres.DONE": "4 3 0 5",
		"error('no')":                          "8 0 0 0",
	} {
		m, _ := loaded(t, "return { layer = { produce = function(state, req, pkt) "+code+" end } }")
		r, q := asked(resolve.Pending)
		m.begin(r)
		if got := fmt.Sprint(m.layer().Produce(r, q), " ", q.Outcome.Kind, " ", len(q.Outcome.Answer), " ", r.Result.Rcode); got != want {
			t.Errorf("%q: got %s, want %s", code, got, want)
		}
	}
}
