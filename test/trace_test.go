package test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

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
		return strings.Contains(log, "=> not in the cache: mail.example.com. A") && strings.Contains(log, " chosen: ") && strings.Contains(log, "answer: mail.example.com. A")
	})
	if got := g.Eval(t, "resolve('www.example.org', 'A', kres.class.IN, 0, function(pkt) answers = #pkt:section(kres.section.ANSWER) end)"); strings.TrimSpace(got) != "true" {
		t.Errorf("resolve: %q", got)
	}
	proctest.Eventually(t, 20*time.Second, "resolve() calls back", func() bool { return strings.TrimSpace(g.Eval(t, "answers ~= nil and answers > 0")) == "true" })
}
