package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func denial(kind resolve.Kind, sets ...resolve.Set) resolve.Outcome {
	o := resolve.Outcome{Kind: kind, Authority: sets}
	if kind == resolve.NXDomain {
		o.Rcode = wire.RcodeNXDomain
	}
	return o
}

// RFC 2308, section 5.
func TestNegativeTTL(t *testing.T) {
	for _, c := range []struct{ ttl, minimum, want uint32 }{
		{900, 300, 300}, {300, 900, 300}, {86400, 86400, limits.MaxNegTTL}, {900, 0, limits.DefaultMinTTL},
	} {
		for _, kind := range []resolve.Kind{resolve.NoData, resolve.NXDomain} {
			w := newWorld(t)
			q := question(t, "www.example.", wire.TypeA)
			nsec := sign(rrset(t, insecure, "example.", wire.TypeNSEC, 80000, "\x00\x00\x01\x40"), 1)
			query := w.learn(q, denial(kind, soa(t, insecure, "example.", c.ttl, c.minimum), nsec))
			for i, s := range query.Outcome.Authority {
				if s.TTL != c.want {
					t.Errorf("SOA %d %d: first answer's set %d has %d, want %d", c.ttl, c.minimum, i, s.TTL, c.want)
				}
			}
			o := w.peek(q)
			if o.Kind != kind || o.Rcode != query.Outcome.Rcode || len(o.Authority) != 2 || o.Zone != name(t, "example.") {
				t.Fatalf("SOA %d %d: %+v", c.ttl, c.minimum, o)
			}
			if o.Authority[0].Type != wire.TypeSOA || o.Authority[0].TTL != c.want || len(o.Authority[1].Sigs) != 1 {
				t.Errorf("SOA %d %d: %+v", c.ttl, c.minimum, o.Authority)
			}
			w.pass(int(c.want))
			if o := w.peek(q); o.Kind != resolve.Pending {
				t.Errorf("SOA %d %d: found after its end", c.ttl, c.minimum)
			}
		}
	}
}

func TestWhatADenialCovers(t *testing.T) {
	w := newWorld(t)
	w.learn(question(t, "empty.example.", wire.TypeA), denial(resolve.NoData, soa(t, insecure, "example.", 60, 60)))
	w.learn(question(t, "no.example.", wire.TypeA), denial(resolve.NXDomain, soa(t, insecure, "example.", 60, 60)))
	w.learn(question(t, "never.example.", wire.TypeA), denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60)))
	for _, c := range []struct {
		name  string
		qtype uint16
		want  resolve.Kind
	}{
		{"empty.example.", wire.TypeA, resolve.NoData},
		{"empty.example.", wire.TypeAAAA, resolve.Pending},
		{"no.example.", wire.TypeMX, resolve.NXDomain},
		{"a.no.example.", wire.TypeA, resolve.Pending}, // servers that deny names with others below
		{"a.b.never.example.", wire.TypeA, resolve.NXDomain},
		{"xnever.example.", wire.TypeA, resolve.Pending},
	} {
		if o := w.peek(question(t, c.name, c.qtype)); o.Kind != c.want {
			t.Errorf("%s type %d: kind %d, want %d", c.name, c.qtype, o.Kind, c.want)
		}
	}
}

func TestDenialsThatAreNotKept(t *testing.T) {
	for what, o := range map[string]resolve.Outcome{
		"without SOA":        denial(resolve.NXDomain),
		"of another zone":    denial(resolve.NXDomain, soa(t, insecure, "example.net.", 60, 60)),
		"of a zone below":    denial(resolve.NoData, soa(t, insecure, "a.www.example.", 60, 60)),
		"with omitted proof": denial(resolve.NoData, soa(t, rank.Omit|rank.Auth, "example.", 60, 60)),
	} {
		w := newWorld(t)
		w.learn(question(t, "www.example.", wire.TypeA), o)
		if n, _ := w.Count(); n != 0 {
			t.Errorf("%s: %d entries", what, n)
		}
	}
}

// What proves too much fills the cache (CVE-2026-0398).
func TestProofSize(t *testing.T) {
	const each = 1000 // octets of a record
	q := question(t, "www.example.", wire.TypeA)
	for _, c := range []struct {
		records int
		kept    bool
	}{{7, true}, {8, true}, {9, false}, {60, false}} {
		for _, kind := range []resolve.Kind{resolve.NoData, resolve.NXDomain} {
			w := newWorld(t)
			sets := []resolve.Set{soa(t, insecure, "example.", 60, 60)}
			for i := range c.records {
				sets = append(sets, rrset(t, insecure, fmt.Sprintf("n%d.example.", i), wire.TypeNSEC, 60, "\x00"+strings.Repeat("x", each-50)))
			}
			w.learn(q, denial(kind, sets...))
			res := resultOf(insecure)
			res.Authority = sets
			w.answered(q, res)
			if n, _ := w.Count(); (n == 2) != c.kept || !c.kept && n != 0 {
				t.Errorf("kind %d, a proof of %d octets: %d entries, want kept: %t", kind, c.records*each, n, c.kept)
			}
			if hits := w.count.Get(limits.ProofBytes); hits > 0 == c.kept {
				t.Errorf("a proof of %d octets is counted %d times", c.records*each, hits)
			}
		}
	}
	// A wildcard's proof is one too.
	w := newWorld(t)
	sig := sign(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"), 1) // of *.example.
	o := positive(sig)
	o.Authority = []resolve.Set{rrset(t, secure, "a.example.", wire.TypeNSEC, 60, "\x00"+strings.Repeat("x", 9*each))}
	w.learn(q, o)
	if n, _ := w.Count(); n != 0 || w.count.Get(limits.ProofBytes) == 0 {
		t.Errorf("a wildcard's proof of %d octets: %d entries", 9*each, n)
	}
}

// A denial belongs to the end of the chain, not to its beginning.
func TestDenialBehindAlias(t *testing.T) {
	w := newWorld(t)
	o := denial(resolve.NXDomain, soa(t, insecure, "example.", 60, 60))
	o.Answer = []resolve.Set{rrset(t, insecure, "www.example.", wire.TypeCNAME, 60, "\x04gone\x07example\x00")}
	w.learn(question(t, "www.example.", wire.TypeA), o)
	if o := w.peek(question(t, "www.example.", wire.TypeA)); o.Kind != resolve.Alias || o.Target != name(t, "gone.example.") {
		t.Errorf("alias: %+v", o)
	}
	if o := w.peek(question(t, "gone.example.", wire.TypeA)); o.Kind != resolve.NXDomain {
		t.Errorf("target: %+v", o)
	}
}

func TestDenialOfMinimisedQuestion(t *testing.T) {
	w := newWorld(t)
	q := question(t, "a.b.example.", wire.TypeA)
	req := w.request(q)
	w.looked(req)
	query := &resolve.Query{Question: q, Asked: question(t, "b.example.", wire.TypeNS)}
	query.Outcome = denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60))
	query.Outcome.Origin = resolve.FromServer
	w.layer.Consume(req, query, &wire.Msg{})
	if o := w.peek(question(t, "b.example.", wire.TypeTXT)); o.Kind != resolve.NXDomain {
		t.Errorf("%+v", o)
	}
}

func TestDataAboveDenial(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	nx := denial(resolve.NXDomain, soa(t, insecure, "example.", 60, 60))
	a := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.learn(q, nx)
	w.learn(q, positive(a))
	if o := w.peek(question(t, "www.example.", wire.TypeAAAA)); o.Kind != resolve.Pending {
		t.Errorf("denied although it exists: %+v", o)
	}
	// A weaker word does not bring a name back.
	w.learn(q, denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60)))
	w.learn(question(t, "www.example.", wire.TypeMX), positive(rrset(t, insecure, "www.example.", wire.TypeMX, 60, "\x00\x01\x00")))
	if o := w.peek(question(t, "www.example.", wire.TypeAAAA)); o.Kind != resolve.NXDomain {
		t.Errorf("insecure data ended a secure denial: %+v", o)
	}
	// NODATA gives way to data and the reverse.
	w.learn(q, denial(resolve.NoData, soa(t, insecure, "example.", 60, 60)))
	if o := w.peek(q); o.Kind != resolve.NoData {
		t.Errorf("%+v", o)
	}
	w.learn(q, positive(a))
	if o := w.peek(q); o.Kind != resolve.Positive {
		t.Errorf("%+v", o)
	}
}

func TestAliases(t *testing.T) {
	w := newWorld(t)
	w.learn(question(t, "www.example.", wire.TypeA), resolve.Outcome{
		Kind: resolve.Alias, Target: name(t, "b.example."),
		Answer: []resolve.Set{
			rrset(t, insecure, "www.example.", wire.TypeCNAME, 60, "\x01a\x07example\x00"),
			rrset(t, insecure, "a.example.", wire.TypeCNAME, 60, "\x01b\x07example\x00"),
		},
	})
	if o := w.peek(question(t, "www.example.", wire.TypeMX)); o.Kind != resolve.Alias || o.Target != name(t, "a.example.") {
		t.Errorf("%+v", o)
	}
	if o := w.peek(question(t, "a.example.", wire.TypeA)); o.Target != name(t, "b.example.") {
		t.Errorf("%+v", o)
	}
	if o := w.peek(question(t, "www.example.", wire.TypeCNAME)); o.Kind != resolve.Positive {
		t.Errorf("CNAME asked for: %+v", o)
	}
	if o := w.peek(question(t, "www.example.", wire.TypeNSEC)); o.Kind != resolve.Pending {
		t.Errorf("NSEC beside a CNAME: %+v", o)
	}
}

func TestDNAME(t *testing.T) {
	w := newWorld(t)
	d := sign(rrset(t, secure, "old.example.", wire.TypeDNAME, 60, "\x03new\x07example\x00"), 2)
	c := rrset(t, secure, "www.old.example.", wire.TypeCNAME, 60, "\x03www\x03new\x07example\x00")
	w.learn(question(t, "www.old.example.", wire.TypeA), resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{d, c}})
	if n, _ := w.Count(); n != 1 {
		t.Errorf("%d entries; the synthesised CNAME is not one", n)
	}
	o := w.peek(question(t, "x.y.old.example.", wire.TypeA))
	if o.Kind != resolve.Alias || o.Target != name(t, "x.y.new.example.") || len(o.Answer) != 2 {
		t.Fatalf("%+v", o)
	}
	if s := o.Answer[1]; s.Owner != name(t, "x.y.old.example.") || s.Type != wire.TypeCNAME || dnsname.Name(s.Data[0]) != o.Target || s.Rank != secure || s.TTL != 60 {
		t.Errorf("synthesised: %+v", s)
	}
	if o := w.peek(question(t, "x.old.example.", wire.TypeCNAME)); o.Kind != resolve.Positive || len(o.Answer) != 2 {
		t.Errorf("CNAME asked for: %+v", o)
	}
	if o := w.peek(question(t, "old.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("owner itself: %+v", o)
	}
	long := name(t, "new.example.")
	for long.Len() < 190 {
		long, _ = long.Prepend(string(slices.Repeat([]byte{'x'}, 40)))
	}
	w.learn(question(t, "l.example.", wire.TypeDNAME), positive(rrset(t, secure, "l.example.", wire.TypeDNAME, 60, string(long))))
	below := name(t, "l.example.")
	for below.Len() < 150 {
		below, _ = below.Prepend(string(slices.Repeat([]byte{'y'}, 40)))
	}
	q := resolve.Question{Name: below, Type: wire.TypeA, Class: wire.ClassIN}
	if o := w.peek(q); o.Rcode != wire.RcodeYXDomain || len(o.Answer) != 1 {
		t.Errorf("too long a target: %+v", o)
	}
}

// A set that a wildcard made comes with its proof, and for its own name only
// (CVE-2026-46582).
func TestWildcard(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	a := sign(rrset(t, secure, "www.example.", wire.TypeA, 600, "\x01\x02\x03\x04"), 1)
	nsec := sign(rrset(t, secure, "example.", wire.TypeNSEC, 60, "\x00\x00\x01\x40"), 1)
	o := positive(a)
	o.Authority = []resolve.Set{nsec}
	w.learn(q, o)
	got := w.peek(q)
	if got.Kind != resolve.Positive || len(got.Authority) != 1 || got.Authority[0].Type != wire.TypeNSEC {
		t.Errorf("%+v", got)
	}
	if o := w.peek(question(t, "web.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("another name: %+v", o)
	}
	w.pass(60)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("without its proof: %+v", o)
	}
}

func TestReferralsDSIsKept(t *testing.T) {
	w := newWorld(t)
	ds := sign(rrset(t, secure, "sub.example.", wire.TypeDS, 60, "\x00\x01\x0d\x02digest"), 2)
	other := rrset(t, secure, "other.example.", wire.TypeDS, 60, "\x00\x01\x0d\x02digest")
	w.learn(question(t, "www.sub.example.", wire.TypeA), resolve.Outcome{
		Kind: resolve.Referral, Cut: cut(t, "sub.example.", w.now()+60), Authority: []resolve.Set{ds, other},
	})
	if o := w.peek(question(t, "sub.example.", wire.TypeDS)); o.Kind != resolve.Positive || len(o.Answer[0].Sigs) != 1 {
		t.Errorf("%+v", o)
	}
	if o := w.peek(question(t, "other.example.", wire.TypeDS)); o.Kind != resolve.Pending {
		t.Errorf("unasked: %+v", o)
	}
}

// Where nothing is known of a failure but that it happened, the next client hears
// that it is remembered (RFC 8914, section 4.14).
func TestAFailureWithoutAReason(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.None})
	if req := w.request(q); !w.fails(req) || req.Result.EDE != ede.CachedError || req.Result.EDEText == "" {
		t.Errorf("%+v", req.Result)
	}
}

// RFC 9520.
func TestFailure(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	res := resolve.Result{Rcode: wire.RcodeServFail, EDE: 22, EDEText: "why it failed", NoCache: true}
	failed := func(cd bool) bool {
		req := w.request(q, func(r *resolve.Request) { r.CD = cd })
		if !w.fails(req) {
			return false
		}
		if req.Result.Rcode != wire.RcodeServFail || req.Result.EDE != 22 || req.Result.EDEText != "why it failed" || !req.Result.Remembered || !req.Result.NoCache {
			t.Errorf("%+v", req.Result)
		}
		return true
	}
	for i, ttl := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
		var together []*resolve.Request
		for range 3 { // requests that fail together are one failure
			req := w.request(q)
			w.layer.Begin(req)
			w.layer.Produce(req, &resolve.Query{Question: q})
			req.Result = res
			together = append(together, req)
		}
		for _, req := range together {
			w.layer.Finalize(req)
		}
		w.pass(ttl - 1)
		if !failed(false) || failed(true) {
			t.Errorf("failure %d: not remembered for %d s, or for CD=1 as well", i, ttl)
		}
		w.pass(1)
		if failed(false) {
			t.Errorf("failure %d: remembered after %d s", i, ttl)
		}
	}
	w.pass(limits.ServfailMax + 1)
	w.answered(q, res)
	w.pass(5)
	if failed(false) {
		t.Error("a failure after long quiet counts like the first")
	}
	w.pass(2*limits.ServfailMax + 1)
	slow := res
	slow.Took = 8 * time.Second // longer than the first failure is remembered
	w.answered(q, slow)
	w.pass(8 + 4)
	if !failed(false) {
		t.Error("what took long to fail is not remembered")
	}
	w.pass(1)
	if failed(false) {
		t.Error("what took long to fail is remembered for longer")
	}
	w.answered(q, res)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	if failed(false) {
		t.Error("failed although there is data")
	}
}

func TestPolicysFailureIsNotKept(t *testing.T) {
	w := newWorld(t)
	req := w.request(question(t, "www.example.", wire.TypeA))
	w.layer.Begin(req)
	req.Result.Rcode = wire.RcodeServFail
	w.layer.Finalize(req)
	if n, _ := w.Count(); n != 0 {
		t.Errorf("%d entries", n)
	}
}
