package worker

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A trace tells, in order: what the cache knew, each zone cut, each server with
// transport, reason and time, what came back and what it means.
func TestTrace(t *testing.T) {
	w := laboratory(t)
	trace := func(name string, qtype uint16) string {
		return resolver{w}.Trace(context.Background(), resolve.Question{Name: parse(t, name), Type: qtype, Class: wire.ClassIN})
	}
	cold := trace("www.example.com.", dns.TypeA)
	inOrder(t, cold,
		`^www\.example\.com\. A +NOERROR insecure \d+\.\d\d ms, 3 questions to servers\n`,
		`\n\|- cache: not in the cache: www\.example\.com\. A`,
		`\n\|- zcut: found cut: \., \d+ servers?, from the hints: \S+ \(127\.`,
		`\n\|- asked \S+ \(\S+\) of \. by UDP: com\. NS, waiting \d+ms`,
		`\n\|  \|- chosen: `,
		`\n\|  \|- answer from \S+ by UDP: NOERROR, \d+ answer, \d+ authority, \d+ additional, \d+ octets in \S+ +\d+\.\d\d ms\n`,
		"\n\\|  `- referral to com\\. with ",
		`of com\. by UDP: example\.com\. NS`, `of example\.com\. by UDP: www\.example\.com\. A`,
		"`- answer: www.example.com. A",
		"\n`- result: www.example.com. A, 2 with TTL \\d+$",
	)
	flush(t, w)
	inOrder(t, trace("www.example.com.", dns.TypeA), "0 questions to servers", "satisfied from the cache", "result: www")
	flush(t, w)
	inOrder(t, trace("nothing.example.com.", dns.TypeA), `^nothing\.example\.com\. A +NXDOMAIN`, `found cut: example\.com\., .*, from the cache for \d+ more seconds`, "no such name, says example.com.")
	inOrder(t, trace("alias.example.com.", dns.TypeA), "answer: alias.example.com. CNAME to ", "result: alias")
}

// inOrder tells what of the patterns is not there behind those before it.
func inOrder(t *testing.T, text string, patterns ...string) {
	t.Helper()
	rest := text
	for _, p := range patterns {
		at := regexp.MustCompile(p).FindStringIndex(rest)
		if at == nil {
			t.Errorf("no %q, or not in its place, in\n%s", p, text)
			return
		}
		rest = rest[max(at[0], at[1]-1):] // line ends may be shared
	}
}

// A request that does very much is told in part.
func TestTraceIsBounded(t *testing.T) {
	w := laboratory(t)
	s := newStory(w.clock.Mono)
	s.keep = true
	for range 100000 {
		s.tell(nil, "iter", "%s", strings.Repeat("x", 100))
	}
	req := &resolve.Request{Question: resolve.Question{Name: parse(t, "x."), Type: 1, Class: 1}, Budget: resolve.NewBudget(nil)}
	if text := s.over(req); len(text) > 200000 || !strings.Contains(text, "the rest is not told") {
		t.Errorf("%d octets", len(text))
	}
}
