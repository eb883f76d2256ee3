package ede

import "testing"

// The numbers are IANA's: a constant in the wrong place would tell clients a
// wrong reason.
func TestNumbersAreThoseOfTheRegistry(t *testing.T) {
	for code, want := range map[Code]uint16{
		Other: 0, StaleAnswer: 3, ForgedAnswer: 4, Bogus: 6, SignatureExpired: 7, SignatureNotYetValid: 8, DNSKEYMissing: 9,
		RRSIGsMissing: 10, NSECMissing: 12, CachedError: 13, NotReady: 14, Blocked: 15, Prohibited: 18, StaleNXDomain: 19,
		NotSupported: 21, NoReachableAuthority: 22, NetworkError: 23, InvalidData: 24, UnsupportedNSEC3Iterations: 27,
		Synthesized: 29, InvalidQueryType: 30, NegativeTrustAnchor: 33,
	} {
		if uint16(code) != want {
			t.Errorf("%s has the number %d, want %d", code.Name(), code, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		code Code
		text string
		want string
	}{
		{NetworkError, "", "extended error 23 (network error)"},
		{Blocked, "by the operator", "extended error 15 (blocked): by the operator"},
		{NegativeTrustAnchor, "", "extended error 33 (negative trust anchor)"},
		{4711, "who knows", "extended error 4711: who knows"},
	} {
		if got := Text(tt.code, tt.text); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
