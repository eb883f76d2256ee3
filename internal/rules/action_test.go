package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// done is what an action does about a question: its decision, and what the client gets.
func done(t *testing.T, a *Action, kind transport.Kind, client string, qtype uint16) string {
	t.Helper()
	req := &resolve.Request{Question: resolve.Question{Name: name(t, "www.example.com."), Type: qtype, Class: wire.ClassIN}}
	req.Transport.Kind = kind
	if client != "" {
		req.Client = netip.MustParseAddrPort(client)
	}
	req.Result.EDE = ede.None
	h := &Hit{Req: req, Subject: SubjectOf(req), Zone: name(t, "example.com."), Scope: name(t, "example.com.")}
	d := a.run(h)
	out := [...]string{"goes on", "stops", "answers", "fails"}[d]
	if r := &req.Result; d == Answered {
		out += fmt.Sprintf(" %s", wire.RcodeText(r.Rcode))
		for flag, on := range map[string]bool{" AA": r.AA, " TC": r.TC, " dropped": r.Drop, " for all": !r.NoCache} {
			if on {
				out += flag
			}
		}
		if r.EDE != ede.None {
			out += fmt.Sprintf(" EDE %d", r.EDE)
		}
		for i, sets := range [3][]resolve.Set{r.Answer, r.Authority, r.Additional} {
			for _, s := range sets {
				out += fmt.Sprintf(" %s:%s %s %d", []string{"an", "ns", "ar"}[i], s.Owner, wire.TypeText(s.Type), s.TTL)
			}
		}
	}
	if d == Failed {
		code, _ := resolve.Explain(req.Failed())
		out += fmt.Sprintf(" EDE %d", code)
	}
	if a.foresee != nil { // which must say the same
		foreseen, answer, sure := a.foresee(h.Subject, len("\x03www"))
		if sure && (foreseen != d || (answer != nil) != (d == Answered && !req.Result.Drop)) {
			t.Errorf("%s: foreseen %d, answer %t, and done: %s", a, foreseen, answer != nil, out)
		}
	}
	return out
}

// What each action does about a question, by UDP, by TCP, and about one that no client
// asked.
func TestWhatActionsDo(t *testing.T) {
	ttl := uint32(60)
	denied, err := DenyMessage("no", ede.Prohibited)
	if err != nil {
		t.Fatal(err)
	}
	a := map[uint16]Data{wire.TypeA: NewData([][]byte{{192, 0, 2, 1}}, nil)}
	withSOA := map[uint16]Data{wire.TypeA: NewData([][]byte{{192, 0, 2, 1}}, &ttl), wire.TypeSOA: NewData([][]byte{[]byte(SOA("\x00", "\x00", 0).Data[0])}, &ttl)}
	for _, c := range []struct {
		action          *Action
		text            string
		udp, tcp, other string // where they differ from udp
		qtype           uint16
	}{
		{Pass(), "PASS", "stops", "", "", wire.TypeA},
		{Drop(), "DROP", "fails EDE 18", "", "", wire.TypeA},
		{NoAnswer(), "NO_ANSWER", "answers NOERROR dropped", "", "", wire.TypeA},
		{Refuse(), "REFUSE", "answers REFUSED EDE 18", "", "", wire.TypeA},
		{Truncate(), "TC", "answers NOERROR TC", "stops", "stops", wire.TypeA},
		{Deny(), "DENY", "answers NXDOMAIN AA EDE 15 ns:www.example.com. SOA 10800", "", "", wire.TypeA},
		{denied, "DENY_MSG", "answers NXDOMAIN AA EDE 18 ns:www.example.com. SOA 10800 ar:explanation.invalid. TXT 10800", "", "", wire.TypeA},
		{Answer(a, false), "ANSWER", "answers NOERROR AA EDE 4 an:www.example.com. A 1", "", "", wire.TypeA},
		{Answer(a, false), "ANSWER", "goes on", "", "", wire.TypeTXT},
		{Answer(a, true), "ANSWER", "answers NOERROR AA EDE 4 ns:www.example.com. SOA 1", "", "", wire.TypeTXT},
		{Answer(withSOA, true), "ANSWER", "answers NOERROR AA EDE 4 an:www.example.com. A 60", "", "", wire.TypeA},
		{Answer(withSOA, true), "ANSWER", "answers NOERROR AA EDE 4 ns:www.example.com. SOA 60", "", "", wire.TypeTXT},
		{Run("FLAGS", "mine", func(*Hit) Decision { return GoOn }), "FLAGS", "goes on", "", "", wire.TypeA},
	} {
		or := func(text string) string {
			if text == "" {
				return c.udp
			}
			return text
		}
		for what, want := range map[string]string{"udp": c.udp, "tcp": or(c.tcp), "nobody": or(c.other)} {
			kind, client := transport.UDP, "192.0.2.9:5353"
			switch what {
			case "tcp":
				kind = transport.TCP
			case "nobody":
				client = ""
			}
			if got := done(t, c.action, kind, client, c.qtype); got != want || c.action.String() != c.text {
				t.Errorf("%s by %s: %s, want %s", c.action, what, got, want)
			}
		}
	}
	if got := Run("FLAGS", "mine", nil).Origin(); got != "mine" {
		t.Errorf("the origin of a script's action is %v", got)
	}
	if _, err := DenyMessage(strings.Repeat("x", limits.DenyMessage), ede.Blocked); err != nil {
		t.Error(err)
	}
	if _, err := DenyMessage(strings.Repeat("x", limits.DenyMessage+1), ede.Blocked); err == nil {
		t.Error("a message that is too long is taken")
	}
}

// A failure of a rule for answers takes the place of the answer.
func TestAFailureOfARuleForAnswers(t *testing.T) {
	why := &resolve.Failure{EDE: ede.Prohibited, Text: "why"}
	for _, post := range []bool{false, true} {
		req := &resolve.Request{}
		req.Result.EDE = ede.None
		h := &Hit{Req: req, Post: post}
		if d := h.Fail(why); d != Failed {
			t.Errorf("post %t: %d", post, d)
		}
		if got := req.Result.Rcode == wire.RcodeServFail && req.Result.EDE == ede.Prohibited && req.Result.NoCache; got != post {
			t.Errorf("post %t: the result is %+v", post, req.Result)
		}
		if got := errors.Is(req.Failed(), why); got == post {
			t.Errorf("post %t: the failure is %v", post, req.Failed())
		}
	}
}

// Options are set and cleared for the request.
func TestSetOptions(t *testing.T) {
	req := &resolve.Request{Options: resolve.Options{TCPOnly: true, KeepCase: true}}
	if d := SetOptions(resolve.Options{WholeName: true}, resolve.Options{TCPOnly: true}).run(&Hit{Req: req}); d != GoOn {
		t.Errorf("it %d", d)
	}
	if want := (resolve.Options{WholeName: true, KeepCase: true}); req.Options != want {
		t.Errorf("the options are %+v", req.Options)
	}
}

// plainly are servers that are asked in plain DNS.
func plainly(texts ...string) (list []Server) {
	for _, text := range texts {
		list = append(list, Server{Text: text})
	}
	return list
}

// What forwards changes the request, unless there is an answer already, and what it refuses
// it says why.
func TestForwarding(t *testing.T) {
	for _, c := range []struct {
		make            func([]Server, *Peers) (*Action, error)
		forward, stub   bool
		post, picked    bool
		named, changing bool
	}{
		{Forward, true, false, false, false, true, true}, {Stub, false, true, false, false, true, true},
		{Forward, false, false, true, false, false, false}, {Stub, false, true, false, true, false, true},
	} {
		a, err := c.make(plainly("192.0.2.1", "2001:db8::1@5353", "::ffff:192.0.2.2#54"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req := &resolve.Request{Options: resolve.Options{KeepCase: true}}
		if d := a.run(&Hit{Req: req, Scope: "\x03com\x00", Post: c.post, Picked: c.picked}); d != Stop {
			t.Errorf("%s: %d", a, d)
		}
		if o := req.Options; o.Forward != c.forward || o.Stub != c.stub || !o.KeepCase || o.WholeName != c.changing || (req.Cut != nil) != c.changing || req.ByName != c.named || c.changing && req.Scope != "\x03com\x00" {
			t.Errorf("%s, post %t, picked %t: %+v", a, c.post, c.picked, req)
		}
		if c.changing {
			for i, want := range []struct {
				addr string
				port uint16
			}{{"192.0.2.1", 0}, {"2001:db8::1", 5353}, {"192.0.2.2", 54}} {
				if ns := req.Cut.NS[i]; ns.Addrs[0].String() != want.addr || ns.Port != want.port || !req.Cut.Hints || !req.Cut.Name.IsRoot() {
					t.Errorf("server %d is %+v", i, ns)
				}
			}
		}
	}
	many := make([]string, limits.ForwardTargets+1)
	for i := range many {
		many[i] = fmt.Sprintf("192.0.2.%d", i+1)
	}
	if _, err := Forward(plainly(many[1:]...), nil); err != nil {
		t.Error(err)
	}
	for why, targets := range map[string][]string{
		"no address given": {}, "at most": many, "address 2": {"192.0.2.1", "x"}, "'192.0.2.1@' has no port": {"192.0.2.1@"}, "has no port": {"192.0.2.1@0"},
		"from 1 to 65535": {"192.0.2.1@65536"}, "given twice": {"192.0.2.1@5", "192.0.2.1#5"}, "of no server": {"0.0.0.0"}, "policy.FORWARD": {"::"},
	} {
		if _, err := Forward(plainly(targets...), nil); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %v, want %s", targets, err, why)
		}
	}
}

// A server that cannot be found at its address, because the address is every machine's, or one
// on every link, is refused where it is named, in a URL too.
func TestAddressesOfNoServerAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"::ffff:0.0.0.0":      "'::ffff:0.0.0.0' is the address of no server",
		"https://0.0.0.0/dns": "'https://0.0.0.0/dns' is the address of no server",
		"tls://[::]":          "'tls://[::]' is the address of no server",
		"fe80::1":             "'fe80::1' is link-local, and needs its interface, as in fe80::1%eth0",
		"fe80::1@5353":        "'fe80::1@5353' is link-local, and needs its interface, as in fe80::1%eth0",
		"tls://[fe80::1]":     "'tls://[fe80::1]' is link-local, and needs its interface, as in fe80::1%eth0",
	} {
		if _, err := Forward(plainly(text), nil); err == nil || !strings.HasSuffix(err.Error(), why) {
			t.Errorf("%s: %v, want %s", text, err, why)
		}
	}
	if _, err := Forward(plainly("fe80::1%eth0", "169.254.1.1", "tls://192.0.2.1"), nil); err != nil {
		t.Error(err)
	}
}

// tried is what a table does about a name: the decision, how often each rule was counted,
// and what a reader is told.
func tried(tab *Table, qname dnsname.Name, post bool) (d Decision, counts []uint64, told []resolve.RuleMatched) {
	req := &resolve.Request{Question: resolve.Question{Name: qname, Type: wire.TypeA, Class: wire.ClassIN}}
	req.Tell = func(_ *resolve.Query, step resolve.Step) {
		if s, ok := step.(resolve.RuleMatched); ok {
			told = append(told, s)
		}
	}
	s := SubjectOf(req)
	d = tab.Try(req, s, post)
	for _, e := range tab.Entries() {
		counts = append(counts, e.Count())
	}
	if s.Shown() != (len(told) > 0) {
		told = nil
	}
	return d, counts, told
}

// The first rule that decides ends the search; those before it are counted and told.
func TestTheFirstRuleThatDecidesEndsTheSearch(t *testing.T) {
	tab := NewTable(func(id int, what string) string { return fmt.Sprintf("rule %d (%s)", id, what) }, func() {})
	if !tab.Empty() {
		t.Error("a table without rules is not empty")
	}
	goOn := Run("FLAGS", nil, func(*Hit) Decision { return GoOn })
	entries := []*Entry{
		tab.Add(0, &Rule{Filter: Suffix(list(t, "com."), ""), Action: goOn}),
		tab.Add(1, &Rule{Filter: Suffix(list(t, "example.com."), ""), Action: Refuse()}),
		tab.Add(2, &Rule{Filter: All(), Action: Drop()}),
	}
	if tab.Empty() {
		t.Error("a table with rules is empty")
	}
	d, counts, told := tried(tab, name(t, "www.example.com."), false)
	if d != Answered || fmt.Sprint(counts) != "[1 1 0]" || len(told) != 2 || told[0].Then != resolve.NextRule || told[1].Then != resolve.RuleAnswers || told[0].Action.String() != "FLAGS" || told[1].Rule.String() != entries[1].String() {
		t.Errorf("%d, counted %v, told %v", d, counts, told)
	}
	d, counts, told = tried(tab, name(t, "www.example.net."), false)
	if d != Failed || fmt.Sprint(counts) != "[1 1 1]" || len(told) != 1 || told[0].Then != resolve.RuleFails {
		t.Errorf("%d, counted %v, told %v", d, counts, told)
	}
	entries[2].Suspend(true)
	d, counts, told = tried(tab, name(t, "www.example.net."), false)
	if d != GoOn || fmt.Sprint(counts) != "[1 1 1]" || len(told) != 0 || !entries[2].Suspended() {
		t.Errorf("suspended: %d, counted %v, told %v", d, counts, told)
	}
	entries[2].Suspend(false)
	entries[2].Hit()
	if entries[2].Count() != 2 {
		t.Errorf("an answer that was foreseen and given is not counted: %d", entries[2].Count())
	}
	pass := tab.Add(3, &Rule{Filter: All(), Action: Pass()})
	tab.Delete(entries[2].ID)
	if _, _, told = tried(tab, name(t, "www.example.net."), false); len(told) != 1 || told[0].Then != resolve.NoMoreRules {
		t.Errorf("%s: told %v", pass, told)
	}
	if got := pass.String(); got != "rule 3 (all)" {
		t.Errorf("the rule is called %q", got)
	}
}

// A function of a script that finds a rule not to be for a request leaves it to the next
// one.
func TestAFunctionThatPicksNothing(t *testing.T) {
	tab := NewTable(func(id int, what string) string { return what }, func() {})
	var asked int
	e := tab.Add(0, &Rule{Pick: func(*resolve.Request) *Action { asked++; return nil }})
	tab.Add(1, &Rule{Filter: All(), Action: Refuse()})
	if d, counts, told := tried(tab, name(t, "www.example.com."), false); d != Answered || asked != 1 || fmt.Sprint(counts) != "[0 1]" || len(told) != 1 || e.String() != "a function" {
		t.Errorf("%d, asked %d times, counted %v, told %v", d, asked, counts, told)
	}
}

// A pattern of which nobody can tell whether it is for a name sends nothing elsewhere, and
// lets nothing slip through.
func TestAPatternThatCannotBeJudged(t *testing.T) {
	hard, err := Pattern(strings.Repeat("a.-", 8) + "never")
	if err != nil {
		t.Fatal(err)
	}
	long := name(t, strings.Repeat(strings.Repeat("a", 62)+".", 4))
	if _, sure := hard.holds(func() *Subject { s := &Subject{}; s.SetName([]byte(long)); return s }()); sure {
		t.Fatal("the pattern is judged")
	}
	forward, err := Forward(plainly("192.0.2.1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tab := NewTable(func(id int, what string) string { return what }, func() {})
	tab.Add(0, &Rule{Filter: hard, Action: forward})
	req := &resolve.Request{Question: resolve.Question{Name: name(t, "www.example.com."), Type: wire.TypeA, Class: wire.ClassIN}}
	if r := tab.Route(req, resolve.Question{Name: long, Type: wire.TypeA, Class: wire.ClassIN}); r != nil {
		t.Errorf("it is sent to %v", r.Cut)
	}
	if d, _, _ := tried(tab, long, false); d != Failed {
		t.Errorf("a client's question: %d", d)
	}
}

// What forwards takes the place of what other rules chose.
func TestForwardAndStubExcludeEachOther(t *testing.T) {
	for _, c := range []struct {
		make func([]Server, *Peers) (*Action, error)
		want resolve.Options
	}{{Forward, resolve.Options{Forward: true, WholeName: true}}, {Stub, resolve.Options{Stub: true, WholeName: true}}} {
		a, err := c.make(plainly("192.0.2.1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req := &resolve.Request{Options: resolve.Options{Forward: true, Stub: true}}
		if a.run(&Hit{Req: req}); req.Options != c.want {
			t.Errorf("%s: %+v", a, req.Options)
		}
	}
}

// A subject that is given what is no name has none.
func TestWhatIsNoNameIsNone(t *testing.T) {
	s := subject(t, "www.example.com.")
	for _, bad := range []string{"", "\x03www", "\x05www\x00", strings.Repeat("\x01a", 128) + "\x00"} {
		if s.SetName([]byte("\x03www\x00")); s.SetName([]byte(bad)) || len(s.Name()) != 0 {
			t.Errorf("%q: the name is %q", bad, s.Name())
		}
	}
	if !s.SetName([]byte("\x03WwW\x00")) || string(s.Name()) != "\x03www\x00" {
		t.Errorf("the name is %q", s.Name())
	}
}
