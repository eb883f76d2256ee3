package rules

import (
	"fmt"
	"strings"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// The name of a host, of which a certificate must be, has the letters of one, and gets one
// form.
func TestWhatIsAHostName(t *testing.T) {
	for text, want := range map[string]string{
		"dns.example": "dns.example", "DNS.Example.": "dns.example", "a-b_c.0z9.example": "a-b_c.0z9.example", "AZ.example": "az.example",
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:DB8::1": "2001:db8::1",
		"": "", ".": "", "a..b": "", "a b": "", "a\\046b": "", "*.example": "", "a@b": "", "a/b": "", "a:b": "", "a[b": "", "a`b": "", "a{b": "",
		strings.Repeat("a", 64): "", "fe80::1%eth0": "",
	} {
		if got, err := HostName(text); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// A URL of a server has a host, a port and a path. Each further part would mean nothing, and
// is refused.
func TestPartsOfAURLThatMeanNothing(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://192.0.2.1/dns-query": true, "https://192.0.2.1:8443/q": true, "https://192.0.2.1": true, "https://192.0.2.1/dns-query{?dns}": true,
		"https://me@192.0.2.1/": false, "https://192.0.2.1/?a=b": false, "https://192.0.2.1/#x": false, "https:192.0.2.1": false,
		"tls://192.0.2.1": true, "tls://192.0.2.1/": true, "tls://192.0.2.1/x": false, "tls://me@192.0.2.1": false, "tls://192.0.2.1?a=b": false,
		"tls://192.0.2.1#x": false, "quic://192.0.2.1:853": true, "quic://192.0.2.1/x": false,
	} {
		_, err := ForwardTLS([]Server{{Text: text}}, &Peers{})
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// So many servers can be named, be it one by one or by the addresses of some.
func TestHowManyServersCanBeNamed(t *testing.T) {
	addresses := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("192.0.2.%d", i+1))
		}
		return list
	}
	for n, ok := range map[int]bool{limits.ForwardTargets: true, limits.ForwardTargets + 1: false} {
		if _, err := Forward(plainly(addresses(n)...), nil); (err == nil) != ok {
			t.Errorf("%d servers: %v", n, err)
		}
		if _, err := ForwardTLS([]Server{{Text: "tls://dns.example", Addresses: addresses(n)}}, &Peers{}); (err == nil) != ok {
			t.Errorf("a server with %d addresses: %v", n, err)
		}
	}
}

// A failure of a rule for answers leaves nothing of the answer.
func TestAFailureLeavesNothingOfTheAnswer(t *testing.T) {
	req := &resolve.Request{}
	req.Result = resolve.Result{Rcode: wire.RcodeNXDomain, AA: true, EDE: ede.Blocked, EDEText: "x", Answer: []resolve.Set{{}}, Authority: []resolve.Set{{}}}
	(&Hit{Req: req, Post: true}).Fail(&resolve.Failure{EDE: ede.Prohibited, Text: "why"})
	if r := &req.Result; r.Rcode != wire.RcodeServFail || r.AA || r.EDE != ede.Prohibited || len(r.Answer)+len(r.Authority) != 0 {
		t.Errorf("%+v", r)
	}
}

// Who reads along with a subject is told of that request alone, and a table tells of each
// rule that comes and goes.
func TestASubjectThatBecomesAnotherWasShownToNobody(t *testing.T) {
	changes := 0
	table := NewTable(nil, func() { changes++ })
	table.Add(0, &Rule{Filter: All(), Action: Deny()})
	req := &resolve.Request{Question: resolve.Question{Name: "\x01a\x00", Type: wire.TypeA, Class: wire.ClassIN}}
	s := SubjectOf(req)
	if s.Shown() {
		t.Error("a new subject was shown")
	}
	if table.Try(req, s, false); !s.Shown() {
		t.Error("the action of a rule does not see the subject")
	}
	if s.Become(req); s.Shown() {
		t.Error("a subject that became another one was shown")
	}
	if !table.Delete(0) || table.Delete(0) || changes != 2 {
		t.Errorf("a rule came and went: told %d times", changes)
	}
	if s.Become(req); table.Try(req, s, false) != GoOn {
		t.Error("a deleted rule decides")
	}
}
