package dnssec

import (
	"encoding/binary"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// A Signature is the RDATA of one RRSIG record (RFC 4034, section 3.1).
type Signature struct {
	Covered     uint16
	Algorithm   uint8
	Labels      int
	OriginalTTL uint32
	// Expiration and Inception are seconds since 1970, of which only the last 32 bits
	// are there (section 3.1.5).
	Expiration, Inception uint32
	Tag                   uint16
	Signer                dnsname.Name
	head                  []byte // all before the signature, the signer in lower case
	octets                []byte // the signature itself
}

// ParseSignature reads the RDATA of an RRSIG record; ok is false for what is none.
func ParseSignature(rdata []byte) (s Signature, ok bool) {
	if len(rdata) <= wire.SigFixed {
		return s, false
	}
	signer, err := dnsname.FromWire(rdata[wire.SigFixed:])
	if err != nil {
		return s, false
	}
	end := wire.SigFixed + signer.Len()
	s = Signature{
		Covered: binary.BigEndian.Uint16(rdata), Algorithm: rdata[2], Labels: int(rdata[3]),
		OriginalTTL: binary.BigEndian.Uint32(rdata[4:]),
		Expiration:  binary.BigEndian.Uint32(rdata[8:]), Inception: binary.BigEndian.Uint32(rdata[12:]),
		Tag: binary.BigEndian.Uint16(rdata[16:]), Signer: signer, head: rdata[:end:end], octets: rdata[end:],
	}
	if string(s.head[wire.SigFixed:]) != string(signer) {
		s.head = append(s.head[:wire.SigFixed:wire.SigFixed], signer...)
	}
	return s, len(s.octets) > 0
}

// fits judges everything about a signature over a set that needs no key: whose it
// is, what it covers, how many labels its owner had. Each of these has been the way
// of a forgery where somebody left it out.
func (s *Signature) fits(set *wire.RRset, zone dnsname.Name) (why Reason, ok bool) {
	switch {
	case s.Covered != set.Type:
		return Malformed, false
	case s.Signer != zone || !mayOwn(zone, set):
		return WrongSigner, false
	}
	labels := set.Owner.Labels()
	if set.Owner.IsWildcard() {
		labels--
	}
	if s.Labels > labels || s.Labels < zone.Labels() {
		return WrongLabels, false
	}
	// A denial speaks of the name that owns it, and keys belong to one apex: neither is
	// what a wildcard is expanded to.
	if s.Labels < labels && (wire.IsDenial(set.Type) || set.Type == wire.TypeDNSKEY || set.Type == wire.TypeDS) {
		return WrongLabels, false
	}
	return 0, true
}

// mayOwn tells whether a set can be data of a zone: it lies at or below the apex, a
// DS set strictly below (RFC 4035, section 2.4), one of an apex at it.
func mayOwn(zone dnsname.Name, set *wire.RRset) bool {
	switch {
	case wire.OnlyAtApex(set.Type):
		return set.Owner == zone
	case set.Type == wire.TypeDS:
		return set.Owner.IsStrictlyBelow(zone)
	}
	return set.Owner.IsSubdomainOf(zone)
}

// current judges a signature's time at now, wall seconds since 1970, in serial
// number arithmetic (RFC 4034, section 3.1.5; RFC 1982). at is the instant that is
// missed.
func (s *Signature) current(now int64) (why Reason, at int64, ok bool) {
	until, since := near(s.Expiration, now), near(s.Inception, now)
	switch {
	case until < since:
		return EndsTooEarly, until, false
	case now < since:
		return NotYetValid, since, false
	case now > until:
		return Expired, until, false
	}
	return 0, 0, true
}

// near is the second whose last 32 bits are low and that is less than 68 years away
// from now.
func near(low uint32, now int64) int64 { return now + int64(int32(low-uint32(now))) }

// Ends is the wall second, of those less than 68 years away from now, at which a
// signature expires.
func (s *Signature) Ends(now int64) int64 { return near(s.Expiration, now) }

// Begins is the wall second, of those less than 68 years away from now, at which a
// signature begins to be valid.
func (s *Signature) Begins(now int64) int64 { return near(s.Inception, now) }

func instant(sec int64) time.Time { return time.Unix(sec, 0).UTC() }
