package worker

import (
	"bytes"
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/explain"
	"kresd/internal/logging"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A trace tells, in order: what the cache knew, each zone cut, each server with
// transport, reason and time, what came back and what it means.
func TestTrace(t *testing.T) {
	w := laboratory(t)
	trace := func(name string, qtype uint16) string {
		return resolver{w.requests, w.ctx}.Trace(context.Background(), resolve.Question{Name: parse(t, name), Type: qtype, Class: wire.ClassIN})
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

// What decides is named, be it a rule, a module, the cache or the lack of servers;
// and what a client would be told is told.
func TestTraceTellsWhoDecides(t *testing.T) {
	l := newLawful(t)
	l.configure(`
		modules.load('hints')
		modules.load('serve_stale < cache')
		hints.set('printer.example.com 192.0.2.77')
		policy.add(policy.suffix(policy.DENY, policy.todnames({ 'denied.example' })))
		policy.add(policy.suffix(policy.DROP, policy.todnames({ 'dropped.example' })))
		policy.add(policy.suffix(policy.NO_ANSWER, policy.todnames({ 'silent.example' })))
		policy.add(policy.suffix(function(state, req) return policy.REFUSE(state, req) end, policy.todnames({ 'lua.example' })))
		policy.add(policy.suffix(policy.FORWARD({ '127.0.0.1@9' }), policy.todnames({ 'elsewhere.example' })))
		policy.add(policy.suffix(policy.DENY, policy.todnames({ 'mail.example.com' })), true)
	`)
	trace := func(name string) string {
		text := resolver{l.requests, l.ctx}.Trace(context.Background(), resolve.Question{Name: parse(t, name), Type: dns.TypeA, Class: wire.ClassIN})
		flush(t, l.Worker)
		return text
	}
	inOrder(t, trace("a.denied.example."), `^\S+ A +NXDOMAIN \d+\.\d\d ms, 0 questions`, `poli: rule 0 \(suffix\) says DENY: that is the answer`,
		`plan: the module policy decides: NXDOMAIN`, `result: NXDOMAIN`, `extended error 15 \(blocked\)$`)
	inOrder(t, trace("dropped.example."), `^\S+ A +SERVFAIL \d`, `rule 1 \(suffix\) says DROP: it fails`, `extended error 18 \(prohibited\)`)
	inOrder(t, trace("silent.example."), `^\S+ A +no answer`, `rule 2 \(suffix\) says NO_ANSWER`, `result: the client hears nothing`)
	inOrder(t, trace("lua.example."), `^\S+ A +REFUSED`, `rule 3 \(suffix\) says function: that is the answer`)
	inOrder(t, trace("localhost."), `the rule for names of special use says localhost: that is the answer`, `result: localhost\. A`)
	inOrder(t, trace("printer.example.com."), `plan: the module hints answers: NOERROR, printer\.example\.com\. A`)
	inOrder(t, trace("mail.example.com."), `answer: mail\.example\.com\. A`, `postrule 5 \(suffix\) says DENY`, `the module policy changes the answer: NXDOMAIN`, `result: NXDOMAIN`)

	forwarded := trace("www.elsewhere.example.")
	inOrder(t, forwarded, `rule 4 \(suffix\) says FORWARD: no further rule`, `by a rule for elsewhere\.example\.: 127\.0\.0\.1#9\s`,
		`asked forwarder 127\.0\.0\.1#9 by UDP: www\.elsewhere\.example\. A`, `nothing from 127\.0\.0\.1#9 by UDP`, `plan: failed: no forwarder `, `extended error 2[23] \(`)
	if strings.Contains(forwarded, `\`) || strings.Contains(forwarded, " of .") {
		t.Errorf("invented names in\n%s", forwarded)
	}
	inOrder(t, trace("www.elsewhere.example."), `0 questions to servers`, `cache: www\.elsewhere\.example\. A failed \d seconds ago and is not tried again for \d+ more: no forwarder`,
		`plan: failed: the module cache ends it`, `extended error 2[23] \([a-z ]+\): no forwarder`)
}

// A client gets old data where nobody answers, and so does a trace.
func TestTraceTellsStaleAnswers(t *testing.T) {
	w := laboratory(t)
	if out, isErr := w.vm.Eval(context.Background(), "modules.load('serve_stale < cache') serve_stale.timeout = 1"); isErr {
		t.Fatal(out)
	}
	q := resolve.Question{Name: parse(t, "www.example.com."), Type: dns.TypeA, Class: wire.ClassIN}
	// It was known an hour and a half ago; since then nobody can be asked.
	w.driver.Resolve(context.Background(), &resolve.Request{Question: q, RD: true, Now: w.clock.Unix() - 5400})
	flush(t, w)
	w.settings.Change(func(o *resolve.Options) { o.NoIPv4, o.NoIPv6 = true, true })
	text := resolver{w.requests, w.ctx}.Trace(context.Background(), q)
	inOrder(t, text, `^\S+ A +NOERROR stale \d`, `serve_stale: neither IPv4 nor IPv6 may be used, telling what was known: NOERROR, www`, `the module serve_stale changes the answer`, `extended error 3 \(stale answer\): neither`)
}

// The log has the same steps, indented, with a first and a last line.
func TestTheLogIsATree(t *testing.T) {
	w := laboratory(t)
	var lines []string
	s := explain.NewStory(w.clock.Mono)
	req := &resolve.Request{Question: resolve.Question{Name: parse(t, "www.example.com."), Type: dns.TypeA, Class: wire.ClassIN}, RD: true, Client: netip.MustParseAddrPort("192.0.2.9:4711")}
	s.Log = func(_ *resolve.Query, component string, level int, text string) {
		lines = append(lines, strings.Repeat("  ", level)+text)
	}
	s.Begin(req)
	w.driver.Resolve(context.Background(), req)
	if text := s.End(req); text != "" {
		t.Errorf("a tree was kept: %q", text)
	}
	inOrder(t, strings.Join(lines, "\n"),
		`^www\.example\.com\. A, asked by 192\.0\.2\.9#4711 by UDP`, `\n  found cut: \.`, `\n  asked \S+ \(\S+\) of \. by UDP`, `\n    chosen: `, `\n    answer from .* \d+\.\d\d ms`, `\n    referral to com\.`,
		`\n  asked `, `\n    answer: www`, `\n  result: www\.example\.com\. A, 2 with TTL \d+`, `\ndone: NOERROR insecure \d+\.\d\d ms, 3 questions to servers`)
}

// Steps of a request are lines of the group of what did them.
func TestStepsAreWrittenByGroup(t *testing.T) {
	var out bytes.Buffer
	r := &requests{log: logging.New(logging.Options{Out: &out})}
	r.log.SetGroups([]string{"iter"})
	write := r.storyLog(&resolve.Request{ID: 7})
	write(nil, "resl", 1, "of another group")
	write(&resolve.Query{ID: 2}, "iter", 1, "of this group")
	if got, want := out.String(), "[00007.02] [iter]   of this group\n"; got != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
}
