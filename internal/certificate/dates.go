package certificate

import (
	"crypto/x509"
	"fmt"
	"time"

	"kresd/internal/limits"
)

// The dates of the operator's certificate. Most clients refuse one that is not valid
// (RFC 5280, section 4.1.2.5), and nobody sees that at the resolver; so it is told
// before, in stages, each once for a certificate.

// stages are how long before the end it is told that it comes near.
var stages = [...]time.Duration{limits.CertificateEndMonth, limits.CertificateEndWeek, limits.CertificateEndDay}

// The stages before and behind those: the certificate is not valid yet, or not any
// more.
const (
	early   = -1
	expired = len(stages) + 1
)

// stage is how near the end of a certificate is: 0 while it is far. One that is made
// for a short life is replaced late in it, and that is no reason to worry.
func stage(c *x509.Certificate, now time.Time) (n int) {
	switch {
	case now.Before(c.NotBefore):
		return early
	case now.After(c.NotAfter):
		return expired
	}
	life, left := c.NotAfter.Sub(c.NotBefore), c.NotAfter.Sub(now)
	for i, before := range stages {
		if left <= before && before <= life/2 {
			n = i + 1
		}
	}
	return n
}

// remindLocked tells which stage the certificate in use has reached since it was told
// last.
func (s *Store) remindLocked() {
	c := s.now.Load()
	if c == nil || c.ephemeral {
		return
	}
	now := s.o.Clock.Now()
	n := stage(c.Leaf, now)
	if n == s.told {
		return
	}
	s.told = n
	const minute = "2006-01-02 15:04 UTC"
	end := c.Leaf.NotAfter.UTC().Format(minute)
	var what string
	switch n {
	case 0:
		return
	case early:
		what = "clients may refuse this certificate: it is not valid before " + c.Leaf.NotBefore.UTC().Format(minute)
	case expired:
		what = "clients may refuse this certificate: it has expired on " + end + "; put a new one there, which is read at once"
	default:
		what = fmt.Sprintf("this certificate expires in %s, on %s; put a new one there before, which is read at once", days(c.Leaf.NotAfter.Sub(now)), end)
	}
	s.o.Alert(fmt.Sprintf("'%s': %s", s.files.certFile, what))
}

// days is a time in words, in whole days and rounded up.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if n := int((d + day - 1) / day); n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "less than a day"
}

// End is when the operator's certificate expires; the zero time where the ephemeral
// one serves, which is replaced by itself.
func (s *Store) End() time.Time { return s.end(false) }

// EphemeralEnd is when the ephemeral certificate expires that clients are shown; the zero
// time where the operator's serves, or none was needed yet.
func (s *Store) EphemeralEnd() time.Time { return s.end(true) }

func (s *Store) end(ephemeral bool) time.Time {
	if c := s.now.Load(); c != nil && c.ephemeral == ephemeral {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}
