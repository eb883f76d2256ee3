package validate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func inquiryAt(i int) inquiry { return inquiry{zoneAt(i), wire.TypeDNSKEY} }

// What failed is not asked for a while, which doubles with each failure soon after, up to
// a minute; an answer ends it.
func TestAFailureIsRememberedLongerEachTime(t *testing.T) {
	var m inquiries
	now := int64(1000)
	for _, want := range []int64{5, 10, 20, 40, 60, 60} {
		m.failed(inquiryAt(0), resolve.Failure{Text: "why"}, now)
		m.failed(inquiryAt(0), resolve.Failure{Text: "another request's"}, now+1)
		f, age, left := m.failure(inquiryAt(0), now+2)
		if f == nil || f.Text != "why" || !f.Remembered || age != 2 || left != want-2 {
			t.Fatalf("after 2 seconds: %+v, age %d, left %d; want %d", f, age, left, want-2)
		}
		if f, _, _ := m.failure(inquiryAt(1), now); f != nil {
			t.Errorf("another question: %v", f)
		}
		now += want
		if f, _, _ := m.failure(inquiryAt(0), now); f != nil {
			t.Fatalf("after %d seconds: %v", want, f)
		}
	}
	m.answered(inquiryAt(0))
	m.failed(inquiryAt(0), resolve.Failure{}, now)
	if _, _, left := m.failure(inquiryAt(0), now); left != limits.ServfailTTL {
		t.Errorf("after an answer a failure holds %d seconds", left)
	}
	now += limits.BogusTTL + limits.ServfailTTL
	m.failed(inquiryAt(0), resolve.Failure{}, now)
	if _, _, left := m.failure(inquiryAt(0), now); left != limits.ServfailTTL {
		t.Errorf("long after, a failure holds %d seconds", left)
	}
}

// A failure that only follows from one that is remembered does not outlive it by more
// than a few seconds. A clock that goes back ends it.
func TestWhatFollowsFromAFailureIsShort(t *testing.T) {
	var m inquiries
	now := int64(1000)
	for range 3 {
		m.failed(inquiryAt(0), resolve.Failure{Remembered: true}, now)
		if _, _, left := m.failure(inquiryAt(0), now); left != limits.ServfailTTL {
			t.Errorf("it holds %d seconds", left)
		}
		now += limits.ServfailTTL
	}
	m.failed(inquiryAt(0), resolve.Failure{}, now)
	if f, _, _ := m.failure(inquiryAt(0), now-1); f != nil {
		t.Error("a failure of the future is told")
	}
}

// What is remembered has bounded room.
func TestInquiriesAreBounded(t *testing.T) {
	var m inquiries
	for i := range 2 * limits.InquiriesKept {
		m.failed(inquiryAt(i), resolve.Failure{}, 1000)
		if f, _, _ := m.failure(inquiryAt(i), 1000); f == nil || len(m.m) > limits.InquiriesKept {
			t.Fatalf("question %d: %v, %d are kept", i, f, len(m.m))
		}
	}
	if len(m.m) < limits.InquiriesKept/2 {
		t.Errorf("only %d are kept", len(m.m))
	}
}

// A question that was asked anew is not asked anew again at once.
func TestAQuestionIsAskedAnewSeldom(t *testing.T) {
	var m inquiries
	m.answered(inquiryAt(0))
	if m.justRenewed(inquiryAt(0), 1000) {
		t.Error("it was not asked anew")
	}
	m.renewed(inquiryAt(0), 1000)
	for after, want := range map[int64]bool{-1: false, 0: true, limits.InquiryRenewal - 1: true, limits.InquiryRenewal: false} {
		if got := m.justRenewed(inquiryAt(0), 1000+after); got != want {
			t.Errorf("%d seconds after: %t", after, got)
		}
	}
	if f, _, _ := m.failure(inquiryAt(0), 1000); f != nil {
		t.Errorf("it was answered: %v", f)
	}
	if m.answered(inquiryAt(0)); !m.justRenewed(inquiryAt(0), 1000) {
		t.Error("its answer makes it be asked anew once more")
	}
}

// What only this request has met, or this resolver, is not held against a zone; else
// whoever makes a question dear could take zones down by aliases to them.
func TestWhatIsNotTheZonesDoingIsNotRemembered(t *testing.T) {
	bogus := func(err error) error { return &resolve.Failure{EDE: ede.Bogus, Text: "bogus", Err: err} }
	for what, c := range map[string]struct {
		err   error
		cache bool // a request that uses the cache
		want  bool
	}{
		"an answer that is not believed":         {bogus(nil), true, true},
		"a proof of one answer that is too dear": {bogus(resolve.Over(limits.SignatureChecks, resolve.ErrProof)), true, true},
		"all proofs of the request":              {bogus(resolve.Over(limits.SignatureChecks, resolve.ErrProofs)), true, false},
		"servers that answer with errors":        {fmt.Errorf("zone: %w", resolve.ErrErring), true, true},
		"servers that do not know the zone":      {fmt.Errorf("zone: %w", resolve.ErrLame), true, true},
		"servers that are silent":                {fmt.Errorf("zone: %w", resolve.ErrNoServer), true, false},
		"a network that is down":                 {fmt.Errorf("zone: %w", resolve.ErrUnreachable), true, false},
		"want of sockets":                        {resolve.ErrLocal, true, false},
		"the time of the request":                {resolve.ErrDeadline, true, false},
		"a request without cache":                {bogus(nil), false, false},
	} {
		v := &validator{}
		r := &resolve.Request{Now: time.Now().Unix()}
		r.Options.BypassCache = !c.cache
		p := &proof{v: v, r: r, q: &resolve.Query{}, past: &past{}}
		about := question(zoneAt(0).zone, wire.TypeDNSKEY)
		sub := &resolve.Query{Question: about, Err: c.err}
		f, ok := errors.AsType[*resolve.Failure](c.err)
		if !ok {
			f = &resolve.Failure{Text: "could not be had", Err: c.err}
		}
		p.ended(sub, c.err, f)
		if got := p.failedBefore(about) != nil; got != c.want {
			t.Errorf("%s: remembered %t", what, got)
		}
	}
}
