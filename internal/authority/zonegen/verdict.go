package zonegen

import (
	"strings"

	"github.com/miekg/dns"
)

// AnchorText is the trust anchor in the form of configuration files.
func (w *World) AnchorText() string { return strings.ReplaceAll(w.Anchor.String(), "\t", " ") }

// Msg is the question as a client asks it who wants to know whether the answer is
// secure (RFC 6840, section 5.7).
func (q Question) Msg() *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(q.Name, q.Type)
	m.SetEdns0(4096, false)
	m.AuthenticatedData = true
	return m
}

// Verdict is what a client sees of a validator's opinion; nil is no answer.
func Verdict(r *dns.Msg) string {
	switch {
	case r == nil:
		return "no answer"
	case r.Rcode == dns.RcodeServerFailure:
		return "bogus"
	case r.AuthenticatedData:
		return "secure " + dns.RcodeToString[r.Rcode]
	}
	return "insecure " + dns.RcodeToString[r.Rcode]
}

// Holds tells whether a verdict is the one that is known; where none is, any will do.
func (q Question) Holds(verdict string) bool {
	switch {
	case q.Want == Unclear || q.Want == Open:
		return true
	case q.Want == Bogus || q.Rcode >= 0:
		return verdict == q.Wanted()
	}
	return verdict == q.Want.String()+" NOERROR" || verdict == q.Want.String()+" NXDOMAIN"
}

// Wanted is the verdict that is known, as far as it is.
func (q Question) Wanted() string {
	if q.Want > Insecure || q.Rcode < 0 {
		return q.Want.String()
	}
	return q.Want.String() + " " + dns.RcodeToString[q.Rcode]
}
