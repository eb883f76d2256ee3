package dnssec

import (
	"errors"
	"testing"
	"time"

	"kresd/internal/ede"
	"kresd/internal/wire"
)

// Each reason has a sentence of its own and the extended error that RFC 8914 has for
// it.
func TestFailuresAreToldInWords(t *testing.T) {
	at := time.Unix(now, 0)
	const by = "signature of www.example. A by key 7 of example."
	for _, c := range []struct {
		reason Reason
		want   string
		code   ede.Code
	}{
		{NoSignature, "www.example. A has no signature by example.", ede.RRSIGsMissing},
		{Malformed, "the signature of www.example. A is malformed", ede.Bogus},
		{WrongSigner, "www.example. A is signed by another zone than example.", ede.RRSIGsMissing},
		{WrongLabels, by + " was made for a name with another number of labels", ede.Bogus},
		{NoSuchKey, by + " does not count: the zone has no such key", ede.DNSKEYMissing},
		{UnfitKey, by + " does not count: that key must not sign the zone's data", ede.NoZoneKeyBit},
		{NoAlgorithm, by + " cannot be checked: algorithm 200 is not supported", ede.UnsupportedDNSKEYAlgorithm},
		{NotYetValid, by + " becomes valid only in 2 hours", ede.SignatureNotYetValid},
		{Expired, by + " expired 3 days ago", ede.SignatureExpired},
		{EndsTooEarly, by + " expires before it becomes valid", ede.ExpiredBeforeValid},
		{WrongSignature, by + " is wrong", ede.Bogus},
		{TooDear, by + " was not checked: spent", ede.Bogus},
	} {
		f := &Failure{Reason: c.reason, Owner: mustName(t, "www.example."), Type: wire.TypeA, Zone: mustName(t, "example."), Tag: 7, Algorithm: 200, Now: at, Err: errSpent}
		switch c.reason {
		case NotYetValid:
			f.At = at.Add(2*time.Hour + 59*time.Minute)
		case Expired:
			f.At = at.Add(-73 * time.Hour)
		}
		if got := f.Error(); got != c.want || f.Code() != c.code || !errors.Is(f, errSpent) {
			t.Errorf("reason %d: %q, code %d; want %q, code %d", c.reason, got, f.Code(), c.want, c.code)
		}
	}
}

func TestSpansAreSaidInTheirLargestUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than a second", 999 * time.Millisecond: "less than a second", time.Second: "1 second", 59 * time.Second: "59 seconds",
		time.Minute: "1 minute", 119 * time.Second: "1 minute", 59 * time.Minute: "59 minutes", time.Hour: "1 hour", 23 * time.Hour: "23 hours",
		24 * time.Hour: "1 day", 400 * 24 * time.Hour: "400 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
