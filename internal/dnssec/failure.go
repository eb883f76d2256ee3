package dnssec

import (
	"fmt"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/wire"
)

// Reason is why a set could not be verified, from what says least to what says
// most: of several signatures the failure with the highest Reason is told.
type Reason uint8

// Reasons.
const (
	NoSignature    Reason = iota // nothing covers the set
	Malformed                    // the signature is none
	WrongSigner                  // not the zone whose keys these are
	WrongLabels                  // the owner cannot have been signed like this
	NoSuchKey                    // no key with this tag and algorithm
	UnfitKey                     // the key is no zone key, or revoked
	NoAlgorithm                  // nothing here can check it
	NotYetValid                  // the clock is before its inception
	Expired                      // the clock is past its expiration
	EndsTooEarly                 // expiration before inception
	WrongSignature               // the key did not sign this
	TooDear                      // the Meter refused
)

// A Failure says why a set is not what its zone signed.
type Failure struct {
	Reason    Reason
	Owner     dnsname.Name
	Type      uint16
	Zone      dnsname.Name // whose keys were tried
	Tag       uint16
	Algorithm uint8
	At        time.Time // when the signature begins or ends to be valid
	Now       time.Time
	Err       error // of the Meter, or of the key
}

// Unwrap is the Meter's or the key's own error.
func (f *Failure) Unwrap() error { return f.Err }

// Error is the sentence for the operator and the client's extended error.
func (f *Failure) Error() string {
	set := f.Owner.String() + " " + wire.TypeText(f.Type)
	by := fmt.Sprintf("signature of %s by key %d of %s", set, f.Tag, f.Zone)
	switch f.Reason {
	case NoSignature:
		return fmt.Sprintf("%s has no signature by %s", set, f.Zone)
	case Malformed:
		return "the signature of " + set + " is malformed"
	case WrongSigner:
		return fmt.Sprintf("%s is signed by another zone than %s", set, f.Zone)
	case WrongLabels:
		return by + " was made for a name with another number of labels"
	case NoSuchKey:
		return by + " does not count: the zone has no such key"
	case UnfitKey:
		return by + " does not count: that key must not sign the zone's data"
	case NoAlgorithm:
		return fmt.Sprintf("%s cannot be checked: algorithm %d is not supported", by, f.Algorithm)
	case NotYetValid:
		return by + " becomes valid only in " + span(f.At.Sub(f.Now))
	case Expired:
		return by + " expired " + span(f.Now.Sub(f.At)) + " ago"
	case EndsTooEarly:
		return by + " expires before it becomes valid"
	case WrongSignature:
		return by + " is wrong"
	}
	return fmt.Sprintf("%s was not checked: %v", by, f.Err)
}

// Code is the extended error of a failure (RFC 8914, section 4).
func (f *Failure) Code() ede.Code {
	switch f.Reason {
	case NoSignature, WrongSigner:
		return ede.RRSIGsMissing
	case NoSuchKey:
		return ede.DNSKEYMissing
	case UnfitKey:
		return ede.NoZoneKeyBit
	case NoAlgorithm:
		return ede.UnsupportedDNSKEYAlgorithm
	case NotYetValid:
		return ede.SignatureNotYetValid
	case Expired:
		return ede.SignatureExpired
	case EndsTooEarly:
		return ede.ExpiredBeforeValid
	}
	return ede.Bogus
}

// span is a duration as people say it, in its largest unit.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := int64(d / u.unit); {
		case n == 1:
			return "1 " + u.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "less than a second"
}
