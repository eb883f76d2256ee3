package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority/zonegen"
	"kresd/internal/proctest"
)

// What AD, CD and DO come to (RFC 4035, section 3.2; RFC 6840, sections 5.7 to 5.9) for
// every name of a damaged world: with CD the bogus data itself, and never AD; after that
// still nothing of it without CD; AD for those alone who ask by AD or DO; with DO every
// signature and proof that a validator behind us needs.
func TestADAndCDAndDOOnDamagedZones(t *testing.T) {
	w := zonegen.New(51, 0, len(zonegen.Damages()), time.Now().Unix())
	if err := w.Net.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Net.Close)
	g := proctest.Start(t, proctest.On(t, w.Net, 2, "trust_anchors.remove('.')", "trust_anchors.add('"+w.AnchorText()+"')"))
	ask := func(change func(*dns.Msg)) []*dns.Msg {
		var asked []*dns.Msg
		for _, q := range w.Questions {
			m := q.Msg()
			change(m)
			asked = append(asked, m)
		}
		return proctest.ExchangeAll(g.Addr, asked, 12)
	}
	told := 0
	for i, r := range ask(func(m *dns.Msg) { m.CheckingDisabled = true }) {
		switch q := w.Questions[i]; {
		case r == nil || q.Want == zonegen.Bogus && r.AuthenticatedData || !r.CheckingDisabled:
			t.Errorf("with CD: %s %s: %s; %s", q.Name, dns.Type(q.Type), zonegen.Verdict(r), q.About)
		case q.Want == zonegen.Bogus && r.Rcode != dns.RcodeServerFailure:
			told++
		}
	}
	if told < 500 {
		t.Errorf("with CD %d bogus answers are told", told)
	}
	for i, r := range ask(func(*dns.Msg) {}) {
		if q := w.Questions[i]; !q.Holds(zonegen.Verdict(r)) {
			t.Errorf("after CD: %s %s: %s, want %s; %s", q.Name, dns.Type(q.Type), zonegen.Verdict(r), q.Wanted(), q.About)
		}
	}
	for i, r := range ask(func(m *dns.Msg) { m.AuthenticatedData = false; m.IsEdns0().SetDo() }) {
		q := w.Questions[i]
		if !q.Holds(zonegen.Verdict(r)) {
			t.Errorf("with DO: %s %s: %s, want %s; %s", q.Name, dns.Type(q.Type), zonegen.Verdict(r), q.Wanted(), q.About)
		} else if lack := lacking(r); r.AuthenticatedData && lack != "" {
			t.Errorf("with DO: %s %s: no %s in\n%s\n%s", q.Name, dns.Type(q.Type), lack, r, q.About)
		}
	}
	for i, r := range ask(func(m *dns.Msg) { m.AuthenticatedData = false }) {
		if q := w.Questions[i]; r == nil || r.AuthenticatedData || len(signatures(r.Answer)) > 0 || len(signatures(r.Ns)) > 0 {
			t.Errorf("with neither AD nor DO: %s %s: %v; %s", q.Name, dns.Type(q.Type), r, q.About)
		}
	}
}

// lacking is what a secure answer lacks for whoever wants to validate it again: the
// signature of a set, or any proof of what is not there; "" for nothing.
func lacking(r *dns.Msg) string {
	signed := append(signatures(r.Answer), signatures(r.Ns)...)
	var redirected string
	denials := 0
	for _, rr := range append(slices.Clone(r.Answer), r.Ns...) {
		h := rr.Header()
		switch h.Rrtype {
		case dns.TypeRRSIG:
			continue
		case dns.TypeDNAME:
			redirected = strings.ToLower(h.Name)
		case dns.TypeNSEC, dns.TypeNSEC3:
			denials++
		}
		made := h.Rrtype == dns.TypeCNAME && redirected != "" && dns.IsSubDomain(redirected, strings.ToLower(h.Name))
		if set := key(rr, h.Rrtype); !made && !slices.Contains(signed, set) {
			return "signature of " + set
		}
	}
	if len(r.Answer) == 0 && denials == 0 {
		return "denial"
	}
	return ""
}

// signatures are the sets that a section has signatures of.
func signatures(section []dns.RR) (out []string) {
	for _, rr := range section {
		if sig, ok := rr.(*dns.RRSIG); ok {
			out = append(out, key(sig, sig.TypeCovered))
		}
	}
	return out
}

func key(rr dns.RR, rrtype uint16) string {
	return fmt.Sprintf("%s %s", strings.ToLower(rr.Header().Name), dns.Type(rrtype))
}
