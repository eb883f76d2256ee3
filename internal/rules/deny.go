package rules

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// MadeUpTTL is how long clients may keep what is said about a denied name, in
// seconds.
const MadeUpTTL = 10800

// explanation owns the text that comes with a denial.
const explanation dnsname.Name = "\x0bexplanation\x07invalid\x00"

// Deny answers that the name does not exist.
func Deny() *Action { return Say("DENY", denial("", ede.Blocked)) }

// DenyMessage is Deny with a text that tells the client why, and an extended
// error code, which is ede.Blocked unless a configuration names another.
func DenyMessage(text string, code ede.Code) (*Action, error) {
	if len(text) > limits.DenyMessage {
		return nil, fmt.Errorf("a message of %d octets is too long; at most %d", len(text), limits.DenyMessage)
	}
	args := Quoted(text)
	if code != ede.Blocked {
		args += fmt.Sprintf(", %d", code)
	}
	return Say("DENY_MSG", denial(text, code)).WithArgs(args), nil
}

func denial(text string, code ede.Code) *Saying {
	return NewSaying(func(qname dnsname.Name) resolve.Result {
		r := blank(code)
		r.Rcode, r.AA = wire.RcodeNXDomain, true
		r.Authority = []resolve.Set{SOA(qname, qname, MadeUpTTL)}
		if text != "" {
			r.Additional = []resolve.Set{Explanation(text)}
		}
		return r
	})
}

// Explanation is the record that tells clients why, in at most limits.DenyMessage octets.
func Explanation(text string) resolve.Set {
	return Record(explanation, wire.TypeTXT, MadeUpTTL, append([]byte{byte(len(text))}, text...))
}
