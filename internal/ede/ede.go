// Package ede names the extended DNS errors (RFC 8914 and the IANA registry
// "Extended DNS Error Codes"): why a client is told what it is told.
//
// It decides nothing. Which error a failure has is decided in package resolve,
// how it stands in a message in package reply.
package ede

import "fmt"

// Code is the INFO-CODE of an extended error.
type Code uint16

// None says that there is no extended error: code 0 means "other error".
const None Code = 0xffff

// The codes of the registry.
const (
	Other Code = iota
	UnsupportedDNSKEYAlgorithm
	UnsupportedDSDigest
	StaleAnswer
	ForgedAnswer
	Indeterminate
	Bogus
	SignatureExpired
	SignatureNotYetValid
	DNSKEYMissing
	RRSIGsMissing
	NoZoneKeyBit
	NSECMissing
	CachedError
	NotReady
	Blocked
	Censored
	Filtered
	Prohibited
	StaleNXDomain
	NotAuthoritative
	NotSupported
	NoReachableAuthority
	NetworkError
	InvalidData
	ExpiredBeforeValid
	TooEarly
	UnsupportedNSEC3Iterations
	CannotConform
	Synthesized
	InvalidQueryType // RFC 9824, section 10.1
	RateLimited
	OverQuota
	NegativeTrustAnchor
)

// Name is the code's name in the registry in lower case, "" for one that has
// none here.
func (c Code) Name() string {
	names := [...]string{
		Other: "other error", UnsupportedDNSKEYAlgorithm: "unsupported DNSKEY algorithm",
		UnsupportedDSDigest: "unsupported DS digest type", StaleAnswer: "stale answer", ForgedAnswer: "forged answer",
		Indeterminate: "DNSSEC indeterminate", Bogus: "DNSSEC bogus", SignatureExpired: "signature expired",
		SignatureNotYetValid: "signature not yet valid", DNSKEYMissing: "DNSKEY missing", RRSIGsMissing: "RRSIGs missing",
		NoZoneKeyBit: "no zone key bit set", NSECMissing: "NSEC missing", CachedError: "cached error", NotReady: "not ready",
		Blocked: "blocked", Censored: "censored", Filtered: "filtered", Prohibited: "prohibited",
		StaleNXDomain: "stale NXDOMAIN answer", NotAuthoritative: "not authoritative", NotSupported: "not supported",
		NoReachableAuthority: "no reachable authority", NetworkError: "network error", InvalidData: "invalid data",
		ExpiredBeforeValid: "signature expired before valid", TooEarly: "too early",
		UnsupportedNSEC3Iterations: "unsupported NSEC3 iterations value", CannotConform: "unable to conform to policy",
		Synthesized: "synthesized", InvalidQueryType: "invalid query type", RateLimited: "rate limited",
		OverQuota: "over quota", NegativeTrustAnchor: "negative trust anchor",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return ""
}

// Text is an extended error in words, with the text that came with it if that is
// not "".
func Text(c Code, text string) string {
	line := fmt.Sprintf("extended error %d", c)
	if name := c.Name(); name != "" {
		line += " (" + name + ")"
	}
	if text != "" {
		line += ": " + text
	}
	return line
}
