package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/wire"
)

// asking is a request with all that a transcript shows of it.
func asking(t *testing.T) *resolve.Request {
	return &resolve.Request{
		Question: resolve.Question{Name: name(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN}, ID: 7,
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Result: resolve.Result{EDE: ede.None},
	}
}

// A client's question is told with its flags, and by whom it came where that is wanted.
func TestAQuestionIsToldInALine(t *testing.T) {
	for _, c := range []struct {
		rd, cd, do, own, origin bool
		want                    string
	}{
		{false, false, false, false, false, "[00007] question www.example. A; flags: "},
		{true, false, false, false, false, "[00007] question www.example. A; flags: rd"},
		{false, true, true, false, false, "[00007] question www.example. A; flags: cd do"},
		{true, true, true, false, true, "[00007] question www.example. A; flags: rd cd do; from 192.0.2.9:5353 by UDP"},
		{true, false, false, true, true, "[00007] question www.example. A; flags: rd; internal"},
	} {
		req := asking(t)
		if req.RD, req.CD, req.DO = c.rd, c.cd, c.do; c.own {
			req.Client = netip.AddrPort{}
		}
		if got := describe(req, c.origin); !strings.EqualFold(got, c.want) {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
		r := newRules(t)
		r.on(rules.All(), r.RequestTrace("REQTRACE", c.origin))
		if r.inst.Layer.Begin(req); len(r.logged) != 1 || r.logged[0] != describe(req, c.origin) {
			t.Errorf("logged %q", r.logged)
		}
	}
}

// A result is told with its RCODE, its extended error and its records.
func TestAResultIsToldInWords(t *testing.T) {
	req := asking(t)
	if got, want := outcomeText(req), "[00007] answer NOERROR"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	req.Result.Rcode, req.Result.EDE, req.Result.EDEText = 4000, ede.Blocked, "no"
	req.Result.Authority = []resolve.Set{{RRset: wire.RRset{Owner: req.Name, Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, Data: [][]byte{{192, 0, 2, 1}, {192}}}}}
	want := fmt.Sprintf("[00007] answer RCODE4000, extended error %d no\nwww.example.\t60\tIN\tA\t192.0.2.1\nwww.example.\t60\tTYPE1\t\\# 1 c0", ede.Blocked)
	if got := outcomeText(req); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// step is one of which there are words.
func step(t *testing.T) resolve.Step { return resolve.CacheMiss{Question: asking(t).Question} }

// A transcript has a line for each step, by the query and how deep that is, as long as there
// is room; the steps go on to who was told before. Each request has one, however many rules
// want it, and is resolved for itself.
func TestATranscriptHasALineForEachStep(t *testing.T) {
	r := newRules(t)
	for range 2 {
		r.on(rules.All(), Debug("DEBUG", Always))
	}
	req, before := asking(t), 0
	req.Tell = func(*resolve.Query, resolve.Step) { before++ }
	req.Vars = map[any]any{"another module's": 1}
	if r.inst.Layer.Begin(req); !req.Alone || req.Vars["another module's"] == nil {
		t.Errorf("alone %v, the Vars are %v", req.Alone, req.Vars)
	}
	root, begun := &resolve.Query{ID: 1}, before
	for _, q := range []*resolve.Query{nil, root, {ID: 2, Parent: root}} {
		req.Tell(q, step(t))
	}
	r.inst.Layer.Finish(req)
	if before-begun != 3 || len(r.logged) != 1 {
		t.Fatalf("%d steps went on, %d texts were logged", before-begun, len(r.logged))
	}
	lines := strings.Split(r.logged[0], "\n")
	if len(lines) < 5 || lines[0] != describe(req, false) || lines[len(lines)-1] != "[00007] answer NOERROR" {
		t.Fatalf("logged %q", lines)
	}
	lines = lines[len(lines)-5:] // before them stand the rules that matched
	for i, want := range []string{"[00007.00][", "[00007.01][", "[00007.02]["} {
		_, text, _ := strings.Cut(lines[i+1], "] ")
		if depth := len(text) - len(strings.TrimLeft(text, " ")); !strings.HasPrefix(lines[i+1], want) || depth != []int{2, 2, 4}[i] {
			t.Errorf("step %d: %q", i, lines[i+1])
		}
	}
	for range limits.RequestTrace / 20 {
		req.Tell(nil, step(t))
	}
	if r.inst.Layer.Finish(req); len(r.logged) != 2 || len(r.logged[1]) < limits.RequestTrace/2 || len(r.logged[1]) > limits.RequestTrace+200 {
		t.Errorf("a long transcript has %d octets, at most %d are kept", len(r.logged[len(r.logged)-1]), limits.RequestTrace)
	}
}

// A transcript is as long as it may be, to the octet.
func TestTheRoomOfATranscript(t *testing.T) {
	req := asking(t)
	var s transcript
	line := func(n int) { s.step(req, nil, "x", strings.Repeat("x", n)) }
	line(0)
	bare := s.text.Len()
	line(limits.RequestTrace - 2*bare + 1)
	if s.text.Len() != bare {
		t.Errorf("a line that is too long by an octet was taken: %d octets", s.text.Len())
	}
	if line(limits.RequestTrace - 2*bare); s.text.Len() != limits.RequestTrace {
		t.Errorf("a line that just fits was left out: %d octets", s.text.Len())
	}
}

// What servers say is logged for QTRACE, and for nobody else.
func TestWhatServersSayIsLoggedWhereItIsWanted(t *testing.T) {
	rr := wire.RR{Owner: name(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, RData: []byte{192, 0, 2, 1}}
	msg := &wire.Msg{Rcode: 4000, Answer: []wire.RR{rr, rr}, Additional: []wire.RR{rr}}
	const line = "\nwww.example.\t60\tIN\tA\t192.0.2.1"
	for action, want := range map[*rules.Action]bool{QueryTrace(): true, Debug("DEBUG", func(*resolve.Request) bool { return false }): false, rules.Pass(): false} {
		r := newRules(t)
		r.on(rules.All(), action)
		req := asking(t)
		r.inst.Layer.Begin(req)
		q := &resolve.Query{ID: 3, Asked: req.Question}
		q.Server.Addr = netip.MustParseAddrPort("192.0.2.1:53")
		r.inst.Layer.Consume(req, q, nil)
		if len(r.logged) != 0 {
			t.Errorf("%s: without a message: %q", action, r.logged)
		}
		r.inst.Layer.Consume(req, q, msg)
		text := "[00007.03] 192.0.2.1:53 says to www.example. A: RCODE4000\n;; answer" + line + line + "\n;; additional" + line
		if logged := len(r.logged) == 1; logged != want || logged && r.logged[0] != text {
			t.Errorf("%s: logged %q", action, r.logged)
		}
		if r.inst.Layer.Finish(req); len(r.logged) > 1 || !want && len(r.logged) > 0 {
			t.Errorf("%s: at the end: %q", action, r.logged)
		}
	}
}

// The reverse zones of private addresses are denied, and their neighbours are not (RFC 6303,
// section 4; RFC 7793, section 3).
func TestWhichReverseZonesArePrivate(t *testing.T) {
	r := newRules(t)
	private := func(format string, i int) bool {
		_, state := r.ask(fmt.Sprintf(format, i), wire.TypePTR)
		return state == resolve.Done
	}
	for i := range 256 {
		if got, want := private("1.%d.172.in-addr.arpa.", i), i >= 16 && i <= 31; got != want {
			t.Errorf("172.%d: %v", i, got)
		}
		if got, want := private("1.%d.100.in-addr.arpa.", i), i >= 64 && i <= 127; got != want {
			t.Errorf("100.%d: %v", i, got)
		}
	}
}

// Who is told of changes hears of the module's end, too; a Policy of which nobody wants to
// hear is as good.
func TestTheEndOfTheModuleIsAChange(t *testing.T) {
	r := newRules(t)
	a, err := rules.Forward([]rules.Server{{Text: "192.0.2.1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.on(rules.All(), a)
	r.inst.Close()
	want := []uint64{r.prints[0], r.prints[1], 0}
	if r.prints[1] == 0 || !slices.Equal(r.prints, want) || r.Fingerprint() != 0 {
		t.Errorf("told %v", r.prints)
	}
	deaf := New(func(string) {}, nil)
	if _, err := deaf.Open(); err != nil {
		t.Error(err)
	}
	deaf.Add(&rules.Rule{Filter: rules.All(), Action: a}, false)
	if deaf.Fingerprint() != r.prints[1] {
		t.Errorf("the fingerprint is %x, and another's with the same rules %x", deaf.Fingerprint(), r.prints[1])
	}
}

// Postrules are for what clients are told, and not for what one request tells another; a rule
// that fails leaves nothing of the answer.
func TestPostrulesAreForAnswersToClients(t *testing.T) {
	for _, c := range []struct{ inner, itself bool }{{false, false}, {false, true}, {true, true}} {
		inner, r, seen := c.inner, newRules(t), 0
		r.Add(&rules.Rule{Filter: rules.All(), Action: rules.Run("COUNT", nil, func(h *rules.Hit) rules.Decision {
			if seen++; !h.Post || h.Subject.Result != &h.Req.Result {
				t.Error("the rule does not see the answer")
			}
			if c.itself { // a script's, which failed before it could say anything
				return rules.Failed
			}
			return h.Fail(&resolve.Failure{EDE: ede.Prohibited, Text: "why"})
		})}, true)
		req := asking(t)
		req.Inner, req.Result.Answer = inner, []resolve.Set{{}}
		r.inst.Layer.Finalize(req)
		if failed := req.Result.Rcode == wire.RcodeServFail && req.Result.NoCache && len(req.Result.Answer) == 0; (seen > 0) == inner || failed == inner {
			t.Errorf("inner %v: seen %d times, %+v", inner, seen, req.Result)
		}
	}
}

// What is said about names of special use gives way to the operator's rules.
func TestARuleBeforeTheSpecialNames(t *testing.T) {
	r := newRules(t)
	if _, state := r.ask("www.test.", wire.TypeA); state != resolve.Done {
		t.Fatalf("www.test. is not special: %v", state)
	}
	r.on(rules.Suffix(names(t, "test."), ""), rules.Pass())
	if _, state := r.ask("www.test.", wire.TypeA); state != resolve.Produce {
		t.Errorf("a rule that lets it pass does not count: %v", state)
	}
}

// A request has one transcript, whichever rules want something of it.
func TestRulesShareATranscript(t *testing.T) {
	r := newRules(t)
	r.on(rules.All(), QueryTrace())
	r.on(rules.All(), Debug("DEBUG", Always))
	req := asking(t)
	r.inst.Layer.Begin(req)
	r.inst.Layer.Consume(req, &resolve.Query{ID: 1}, &wire.Msg{})
	if r.inst.Layer.Finish(req); len(r.logged) != 2 {
		t.Errorf("logged %q, want what a server says, then the transcript", r.logged)
	}
}

// Only the apex of a zone of special use has the sets of an apex.
func TestTheApexOfASpecialZone(t *testing.T) {
	r := newRules(t)
	for _, qtype := range []uint16{wire.TypeSOA, wire.TypeNS} {
		r.expect("localhost.", qtype, "rcode 0, 1/0/0 aa")
		r.expect("www.localhost.", qtype, "rcode 0, 0/1/0 aa")
		r.expect("127.in-addr.arpa.", qtype, "rcode 0, 1/0/0 aa")
		r.expect("0.127.in-addr.arpa.", qtype, "rcode 0, 0/1/0 aa")
		r.expect("2.127.in-addr.arpa.", qtype, "rcode 3, 0/1/0 aa")
	}
}
