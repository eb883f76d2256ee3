package daf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// book is where rules stand in tests.
type book struct {
	next      int
	pre, post *rules.Table
}

func newBook() *book {
	title := func(id int, what string) string { return fmt.Sprint(id, what) }
	return &book{pre: rules.NewTable(title, nil), post: rules.NewTable(title, nil)}
}

func (b *book) Add(r *rules.Rule, post bool) *rules.Entry {
	b.next++
	if post {
		return b.post.Add(b.next, r)
	}
	return b.pre.Add(b.next, r)
}

func (b *book) Delete(id int) bool { return b.pre.Delete(id) || b.post.Delete(id) }

func newDAF() (*DAF, *book) {
	b := newBook()
	d := New(Config{Rules: b, Peers: &rules.Peers{},
		Mirror: func(to string) (*rules.Action, error) {
			if _, _, err := rules.ParseTarget(to); err != nil {
				return nil, err
			}
			return rules.Run("MIRROR", nil, func(*rules.Hit) rules.Decision { return rules.GoOn }), nil
		},
		Data: func(text string) (uint16, []byte, error) {
			switch text {
			case "A 192.0.2.9":
				return wire.TypeA, []byte{192, 0, 2, 9}, nil
			case `TXT "a  b"`:
				return dns.TypeTXT, []byte("\x04a  b"), nil
			}
			return 0, nil, errors.New("no record")
		},
	})
	d.load(true)
	return d, b
}

func request(t *testing.T, name, client string) *resolve.Request {
	t.Helper()
	n, err := dnsname.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return &resolve.Request{
		Question: resolve.Question{Name: n, Type: wire.TypeA, Class: wire.ClassIN}, Client: netip.AddrPortFrom(netip.MustParseAddr(client), 53),
		Local: netip.MustParseAddrPort("192.0.2.53:53"), Transport: transport.Transport{Kind: transport.UDP},
	}
}

// Each rule is for the questions that it says, and for no others.
func TestFilters(t *testing.T) {
	for text, c := range map[string]struct{ yes, no string }{
		"deny":                                             {"a.example@10.0.0.1", ""},
		"qname = Bad.Example. deny":                        {"bad.example@10.0.0.1 www.bad.example@::1", "xbad.example@10.0.0.1 example@10.0.0.1"},
		"qname ~ bad deny":                                 {"bad@10.0.0.1 notbad@::1 x.bad@::1", "bad.example@::1 badx@::1"},
		"qname ~ %w+.example.com deny":                     {"a.example.com@10.0.0.1 b.a.example.com@::1", "example.com@::1 a.example.org@::1 a.example.com.x@::1"},
		"qname ~ ads%d+.x-y.com refuse":                    {"ads12.x-y.com@::1 www.ads1.x-y.com@::1", "ads.x-y.com@::1 ads1.xy.com@::1 ads1.xxy.com@::1"},
		"qname ~ a.[bc]+.d deny":                           {"a.bc.d@::1 xa.b.d@::1", "a.d@::1 a.x.d@::1"},
		"src = 10.0.0.0/8 deny":                            {"a@10.255.0.1", "a@11.0.0.1 a@::1"},
		"SRC = 2001:db8::1 DENY":                           {"a@2001:db8::1", "a@2001:db8::2"},
		"dst = 192.0.2.53 deny":                            {"a@10.0.0.1", ""},
		"dst = 192.0.2.54 deny":                            {"", "a@10.0.0.1"},
		"qname = bad.example and src = 10.0.0.0/8 deny":    {"x.bad.example@10.0.0.1", "x.bad.example@11.0.0.1 good.example@10.0.0.1"},
		"qname = a or qname = b deny":                      {"x.a@::1 b@::1", "c@::1"},
		"qname = a or src = 10.0.0.0/8 and qname = b deny": {"a@::1 b@10.0.0.1", "b@::1 c@10.0.0.1"},
		"src = 10.0.0.0/8 and qname = a and qname ~ x.a and qname = y.x.a or qname = z deny": {"y.x.a@10.0.0.1 z@::1", "x.a@10.0.0.1 y.x.a@::1"},
	} {
		d, b := newDAF()
		if _, err := d.add(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for want, list := range map[bool]string{true: c.yes, false: c.no} {
			for _, one := range strings.Fields(list) {
				name, client, _ := strings.Cut(one, "@")
				req := request(t, name, client)
				if got := b.pre.Try(req, rules.SubjectOf(req), false); (got != rules.GoOn) != want {
					t.Errorf("%s: %s is met: %v", text, one, !want)
				}
			}
		}
	}
}

// Actions are those of policy; those about answers are postrules.
func TestActions(t *testing.T) {
	for text, want := range map[string]string{
		"pass": "policy.all(policy.PASS)", "deny": "policy.all(policy.DENY)", "drop": "policy.all(policy.DROP)", "refuse": "policy.all(policy.REFUSE)",
		"tc": "policy.all(policy.TC)", "truncate": "policy.all(policy.TC)", "mirror 192.0.2.1": "policy.all(policy.MIRROR)",
		"forward 192.0.2.1": "policy.all(policy.FORWARD({ '192.0.2.1' }))", "forward 192.0.2.1@5353,2001:db8::1": "policy.all(policy.FORWARD({ '192.0.2.1@5353', '2001:db8::1' }))",
		"forward 192.0.2.1, 192.0.2.2": "policy.all(policy.FORWARD({ '192.0.2.1', '192.0.2.2' }))", "answer A 192.0.2.9": "policy.all(policy.ANSWER(A 192.0.2.9))",
		"reroute 192.0.2.1-192.0.2.2 10.0.0.0/8-11.0.0.0": "post policy.all(policy.REROUTE)", "rewrite www.example A 192.0.2.1": "post policy.all(policy.REWRITE)",
		"rewrite www.example aaaa ::1": "post policy.all(policy.REWRITE)",
	} {
		d, _ := newDAF()
		r, post, err := d.parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if r.Words != "daf.add "+rules.Quoted(text) {
			t.Errorf("%s is shown as %s", text, r.Words)
		}
		r.Words = ""
		if got := map[bool]string{true: "post "}[post] + r.Text(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"": "an action is expected at the end", "qname = a.example": "an action is expected", "qname deny": "'deny' stands behind qname, where '=' or '~' is expected",
		"src ~ 10 deny": "'~' stands behind src, where '=' is expected", "qname = deny": "an action is expected", "qname =": "nothing stands behind qname =",
		"qname = a..b deny": "'a..b' is no name: empty label", "src = 10.0.0.0/33 deny": "'10.0.0.0/33' is neither a network", "qname ~ a..b deny": "a pattern has an empty label",
		"qname ~ [ deny": "malformed pattern", "qname = a and deny": "'deny' stands where a filter is expected", "ban": "'ban' is no action", "deny all": "'all' stands behind the action",
		"forward": "an address is expected behind forward", "forward x": "'x' is not an IP address", "forward 1.1.1.1,": "an address is expected", "mirror": "an address is expected", "mirror x": "'x' is not",
		"reroute": "pairs from-to", "reroute 192.0.2.1": "'192.0.2.1' is not of the form from-to", "reroute 192.0.2.1-::1": "not of one family", "reroute x-y": "'x' is neither",
		"rewrite": "a name, a type and an address are expected", "rewrite a A ::1": "'::1' is no address of type A", "rewrite a MX 192.0.2.1": "'MX' is neither A nor AAAA",
		"rewrite a A x": "'x' is no address", "answer": "answer '': no record", "answer A x": "answer 'A x': no record",
	} {
		d, b := newDAF()
		if _, err := d.add(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if len(d.list)+len(b.pre.Entries())+len(b.post.Entries()) != 0 {
			t.Errorf("%q: something was added", text)
		}
	}
	d, _ := newDAF()
	if err := d.configure(luavalue.List("deny", "ban")); err == nil || len(d.list) != 0 {
		t.Errorf("of a list with a mistake %d rules were added: %v", len(d.list), err)
	}
}

// A text is one rule however often it is added; switches work while the module is loaded, and
// without it no rule is in force.
func TestSwitches(t *testing.T) {
	d, b := newDAF()
	for range 2 {
		if _, err := d.add("qname  =  bad.example   deny"); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.list) != 1 {
		t.Fatalf("%d rules", len(d.list))
	}
	id := float64(d.list[0].entry.ID)
	denied := func() bool {
		req := request(t, "bad.example", "::1")
		return b.pre.Try(req, rules.SubjectOf(req), false) == rules.Answered
	}
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"added", func() {}, true},
		{"toggled", func() { d.toggle(id, nil) }, false},
		{"toggled again", func() { d.toggle(id, nil) }, true},
		{"disabled", func() { d.toggle(id, false) }, false},
		{"unloaded and loaded while disabled", func() { d.load(false); d.load(true) }, false},
		{"enabled", func() { d.toggle(id, true) }, true},
		{"unloaded", func() { d.load(false) }, false},
		{"loaded", func() { d.load(true) }, true},
		{"deleted", func() { d.del(id) }, false},
		{"added anew", func() { d.add("qname = bad.example deny") }, true},
		{"cleared", func() { d.clear() }, false},
	} {
		if step.do(); denied() != step.want {
			t.Errorf("%s: denied %v", step.name, !step.want)
		}
	}
	if got, _ := d.toggle(id, nil); got[0] != false {
		t.Error("a rule that is gone was toggled")
	}
}

// FuzzRule: a text is a rule that a question can be tried by, and whose shown text is the same
// rule, or it is refused with a reason.
func FuzzRule(f *testing.F) {
	for _, text := range []string{
		"qname = a.example and src = 10.0.0.0/8 or dst = ::1 deny", "qname ~ %w+.x-y.example refuse", "reroute 10.0.0.0/8-11.0.0.0 ::1-!::2",
		"rewrite a A 192.0.2.1", "forward 192.0.2.1,::1", "answer A 192.0.2.9", "qname ~ [%]a].\x00 deny",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, b := newDAF()
		if _, err := d.add(text); err != nil {
			if len(d.list) != 0 {
				t.Errorf("%q is refused and added: %v", text, err)
			}
			return
		}
		req := request(t, "www.a.example", "10.0.0.1")
		b.pre.Try(req, rules.SubjectOf(req), false)
		b.post.Try(req, rules.SubjectOf(req), true)
		if _, err := d.add(d.list[0].text); err != nil || len(d.list) != 1 {
			t.Errorf("%q is another rule: %v", d.list[0].text, err)
		}
	})
}

// A name that was made to exhaust a pattern was let pass or forwarded: rules of the module for
// such a name fail, as those of policy do. Where something else decides, the pattern does not matter.
func TestAPatternThatCannotBeDecidedLetsNothingPass(t *testing.T) {
	const dear = "~ a*a*a*a*a*a*b.example"
	name := strings.Repeat(strings.Repeat("a", 60)+".", 3) + "example"
	for text, want := range map[string]rules.Decision{
		"qname " + dear + " pass": rules.Failed, "qname " + dear + " forward 192.0.2.1": rules.Failed, "qname " + dear + " mirror 192.0.2.1": rules.Failed, "qname " + dear + " deny": rules.Failed,
		"qname " + dear + " and src = 10.0.0.0/8 pass": rules.Failed, "src = ::1 or qname " + dear + " pass": rules.Failed, "qname = example and qname " + dear + " pass": rules.Failed,
		"qname " + dear + " and src = ::1 pass": rules.GoOn, "src = 10.0.0.0/8 or qname " + dear + " pass": rules.Stop,
	} {
		d, b := newDAF()
		if _, err := d.add(text); err != nil {
			t.Fatal(err)
		}
		req := request(t, name, "10.0.0.1")
		if got := b.pre.Try(req, rules.SubjectOf(req), false); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
		if early := b.pre.Decide(rules.SubjectOf(req)); early.Sure && early.Decision != want {
			t.Errorf("%s: %+v is foreseen", text, early)
		}
	}
}

// Of two blanks in a text one was lost.
func TestDataOfAnswersStayAsTheyWereWritten(t *testing.T) {
	d, b := newDAF()
	for _, text := range []string{`qname = a.example  answer TXT "a  b"`, `qname  =  a.example answer  TXT "a  b" `} {
		if _, err := d.add(text); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.list) != 1 || d.list[0].text != `qname = a.example answer TXT "a  b"` {
		t.Errorf("%d rules, the first is %s", len(d.list), d.list[0].text)
	}
	req := request(t, "a.example", "::1")
	req.Type = dns.TypeTXT
	if b.pre.Try(req, rules.SubjectOf(req), false) != rules.Answered || string(req.Result.Answer[0].Data[0]) != "\x04a  b" {
		t.Errorf("%+v", req.Result)
	}
}

// A rule that policy.del had taken out was still there for daf.add, and not in force.
func TestARuleThatPolicyTookOutIsAddedAnew(t *testing.T) {
	d, b := newDAF()
	const text = "qname = bad.example deny"
	denied := func() bool {
		req := request(t, "bad.example", "::1")
		return b.pre.Try(req, rules.SubjectOf(req), false) == rules.Answered
	}
	for range 2 {
		if _, err := d.add(text); err != nil || !denied() {
			t.Fatalf("added: denied %v, %v", denied(), err)
		}
		id := d.list[0].entry.ID
		b.Delete(id)
		if got, _ := d.get(float64(id)); got[0] != nil || len(d.rules().Pairs) != 0 || denied() {
			t.Errorf("taken out: %v, %v", got, d.rules())
		}
	}
}
