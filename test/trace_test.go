package test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// storyInLog is what the log says of a question: who asked, the steps, indented,
// and the result with its time.
var storyInLog = regexp.MustCompile(`(?s)\.00\] \[plan\] mail\.example\.com\. A, asked by 127\.0\.0\.1#\d+ by UDP\n` +
	`.*\] \[cach\]   not in the cache: mail\.example\.com\. A.*\] \[resl\]   asked .*\] \[nsre\]     chosen: .*\] \[iter\]     answer: mail\.example\.com\. A` +
	`.*\] \[resl\] done: NOERROR insecure \d+\.\d\d ms, 1 question to servers\n`)

// trace() tells on the console how a name is resolved, though a rule of the
// script's has to be asked on the way, for which the console's own machine is
// needed; the log tells the same steps.
func TestTrace(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1,
		"judged = 0", "policy.add(policy.suffix(function(state, req) judged = judged + 1 return nil end, { todname('example.com.') }))"))
	got := g.Eval(t, "trace('alias.example.com', 'A')")
	for _, step := range []string{
		`^alias\.example\.com\. A +NOERROR insecure \d+\.\d\d ms, \d+ questions? to servers\n`,
		`\n[|]- cache: `,
		`\n[|]- asked \S+ \(\S+\) of example\.com\. by UDP: `,
		`\n[|]  [|]- chosen: `,
		`\n[|]  [|]- answer from \S+ by UDP: NOERROR, `,
		"\n`- result: www\\.example\\.com\\. A, ",
	} {
		if !regexp.MustCompile(step).MatchString(got) {
			t.Errorf("no %q in\n%s", step, got)
		}
	}
	if n := strings.TrimSpace(g.Eval(t, "judged")); n != "1" && n != "2" { // the group's start may have asked
		t.Errorf("the rule was asked %s times", n)
	}
	g.Eval(t, "verbose(true)")
	g.Ask(t, "udp", "mail.example.com", dns.TypeA, 1232)
	proctest.Eventually(t, 10*time.Second, "the steps are in the log", func() bool {
		log := g.Log()
		return storyInLog.MatchString(log)
	})
	if got := g.Eval(t, "resolve('www.example.org', 'A', kres.class.IN, 0, function(pkt) answers = #pkt:section(kres.section.ANSWER) end)"); strings.TrimSpace(got) != "true" {
		t.Errorf("resolve: %q", got)
	}
	proctest.Eventually(t, 20*time.Second, "resolve() calls back", func() bool { return strings.TrimSpace(g.Eval(t, "answers ~= nil and answers > 0")) == "true" })
}

// A trace that takes long holds up no other console, no timer and no map(), and
// tells of the servers that did not answer.
func TestTraceOfASlowName(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 2))
	for _, s := range []string{firstServer, secondServer} {
		n.Host(s).Play(authority.Drop())
	}
	socket := g.Worker(t, 0).Socket
	traced := make(chan string, 1)
	go func() { traced <- proctest.Eval(t, socket, "trace('mail.example.com')") }()
	proctest.Eventually(t, 10*time.Second, "a server is asked", func() bool { return n.Host(firstServer).Queries()+n.Host(secondServer).Queries() > 0 })
	proctest.Eval(t, socket, "event.after(0, function() ticked = true end)")
	proctest.Eventually(t, 5*time.Second, "a timer runs", func() bool { return proctest.Eval(t, socket, "ticked") == "true" })
	if got := proctest.Eval(t, g.Worker(t, 1).Socket, "map '6 * 7'"); strings.Count(got, "42") != 2 {
		t.Errorf("map: %q", got)
	}
	select {
	case text := <-traced:
		t.Fatalf("the trace was over before the rest:\n%s", text)
	default:
	}
	text := <-traced
	for _, step := range []string{`^mail\.example\.com\. A +SERVFAIL [1-9]\d*\.\d\d ms, \d+ questions to servers\n`, `nothing from 127\.53\.2\.\d#\d+ by UDP`, "\n`- extended error 22 \\(no reachable authority\\): no server of example\\.com\\. answer"} {
		if !regexp.MustCompile(step).MatchString(text) {
			t.Errorf("no %q in\n%s", step, text)
		}
	}
	again := g.Eval(t, "trace('mail.example.com')")
	if !regexp.MustCompile(`mail\.example\.com\. A failed \d+ seconds ago .*: no server of example\.com\. answer`).MatchString(again) {
		t.Errorf("the second time:\n%s", again)
	}
	// The other worker knows of it a moment later, and until then asks for itself.
	proctest.Eventually(t, 30*time.Second, "a client is told that it failed before", func() bool {
		r, err := proctest.Exchange("udp", g.Addr, proctest.Query("mail.example.com", dns.TypeA, 1232))
		return err == nil && r.Rcode == dns.RcodeServerFailure && slices.Equal(extendedErrors(r), []uint16{22, 13})
	})
	t.Logf("\n%s\n\n%s", text, again)
}

// extendedErrors are the codes that a response has (RFC 8914).
func extendedErrors(r *dns.Msg) (codes []uint16) {
	for _, o := range r.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			codes = append(codes, e.InfoCode)
		}
	}
	return codes
}

// Each attempt within one question to a server is told and counted: TCP after
// truncation, and after an answer in another letter case.
func TestTraceTellsEachAttempt(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 1))
	g.Ask(t, "udp", "example.com", dns.TypeNS, 1232)
	lower := func(x *authority.Exchange) {
		if x.Reply != nil {
			x.Reply.Question = []dns.Question{x.Reply.Question[0]}
			x.Reply.Question[0].Name = strings.ToLower(x.Reply.Question[0].Name)
		}
	}
	for _, tt := range []struct {
		name string
		rule authority.Rule
		told string
	}{
		{"mail.example.com", authority.Truncate(), `truncated`},
		{"n1.wild.example.com", lower, `in another letter case`},
	} {
		for _, s := range []string{firstServer, secondServer} {
			n.Host(s).Play(tt.rule)
		}
		text := g.Eval(t, "trace('"+tt.name+"')")
		steps := regexp.MustCompile(`(?s) NOERROR insecure .*, ([2-9]|\d\d) questions to servers\n.*\[?[|]- asked \S+ \(\S+\) of example\.com\. by UDP.*` + tt.told + `.*asked by TCP.*answer from \S+ by TCP: NOERROR`)
		if !steps.MatchString(text) {
			t.Errorf("%s:\n%s", tt.told, text)
		}
		t.Logf("\n%s", text)
	}
}
