// Package tasentinel is the module ta_sentinel: by the answers to special names
// clients can tell which keys of the root this resolver trusts (RFC 8509).
//
// A zone has addresses at root-key-sentinel-is-ta-NNNNN and
// root-key-sentinel-not-ta-NNNNN, where NNNNN is a key tag in five decimal digits.
// They are proven as any others, and then told or not by what the name asks.
package tasentinel

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

type sentinel struct {
	anchors func() *trustanchor.Snapshot
}

// statement is what the first label of a name says about a key of the root.
type statement struct {
	trusted bool
	tag     uint16
}

// The beginnings of the label; a key tag follows (RFC 8509, section 2.1).
const (
	isTA   = "root-key-sentinel-is-ta-"
	notTA  = "root-key-sentinel-not-ta-"
	digits = 5
)

// read is the statement of a name, which is in wire form and lower case; ok is false
// for a name that says nothing.
func read[T ~string | ~[]byte](name T) (s statement, ok bool) {
	if len(name) == 0 || len(name) <= int(name[0]) {
		return s, false
	}
	switch label := name[1 : 1+int(name[0])]; {
	case len(label) == len(isTA)+digits && string(label[:len(isTA)]) == isTA:
		s.trusted, name = true, label[len(isTA):]
	case len(label) == len(notTA)+digits && string(label[:len(notTA)]) == notTA:
		name = label[len(notTA):]
	default:
		return s, false
	}
	tag := 0
	for i := range digits {
		if name[i] < '0' || name[i] > '9' {
			return s, false
		}
		tag = 10*tag + int(name[i]-'0')
	}
	s.tag = uint16(tag)
	return s, tag <= 0xffff
}

// asksAddress tells whether questions of a type are concerned.
func asksAddress(rrtype uint16) bool { return rrtype == wire.TypeA || rrtype == wire.TypeAAAA }

// fast sends the names that say something to the driver.
func fast(q *module.Query) module.Disposition {
	if _, ok := read(q.Subject.Name()); ok && asksAddress(q.Subject.Type) {
		return module.Driver
	}
	return module.Pass
}

// finalize replaces a proven answer by SERVFAIL if what its name says of a trust anchor is
// not so (RFC 8509, section 2.2). An answer that is not proven stays, as do all for clients
// with CD=1.
func (s sentinel) finalize(r *resolve.Request) {
	res := &r.Result
	if r.CD || r.Inner || !asksAddress(r.Type) || !res.Rank.IsSecure() {
		return
	}
	said, ok := read(r.Name)
	if !ok || said.trusted == s.trusts(said.tag) {
		return
	}
	text := fmt.Sprintf("root key sentinel: key %d is a trust anchor of the root", said.tag)
	if said.trusted {
		text = fmt.Sprintf("root key sentinel: key %d is no trust anchor of the root", said.tag)
	}
	res.EDE = ede.None
	res.Fail(&resolve.Failure{EDE: ede.Other, Text: text})
}

// trusts tells whether a key with this tag is trusted for the root.
func (s sentinel) trusts(tag uint16) bool {
	root := s.anchors().Sets[dnsname.Root]
	if root == nil {
		return false
	}
	for i := range root.Keys {
		if k := &root.Keys[i]; k.Tag == tag && k.State.Trusted() {
			return true
		}
	}
	return false
}
