package upstream

import (
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"kresd/internal/zonecut"
)

// Without a name or a pin nobody is the right one, unless that is what was asked for.
func TestAServerOfWhichNothingIsKnownIsNotTrusted(t *testing.T) {
	shown := []*x509.Certificate{{}}
	if why := (&authenticator{}).proof(&zonecut.PeerConfig{Protocol: zonecut.DoT}, shown, time.Now()); why == "" {
		t.Error("it is trusted")
	}
	if why := (&authenticator{}).proof(&zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true}, shown, time.Now()); why != "" {
		t.Errorf("taken insecurely: %s", why)
	}
}

// Whose certificate is out of time, and since when, or until when.
func TestACertificateThatIsOutOfTime(t *testing.T) {
	at := func(year int) time.Time { return time.Date(year, 5, 6, 0, 0, 0, 0, time.UTC) }
	own := &x509.Certificate{Raw: []byte("own"), NotBefore: at(2020), NotAfter: at(2030)}
	authority := &x509.Certificate{Raw: []byte("authority"), NotBefore: at(2010), NotAfter: at(2025)}
	for _, c := range []struct {
		of   *x509.Certificate
		now  time.Time
		want string
	}{
		{own, at(2019), "its certificate begins on 2020-05-06"},
		{own, at(2031), "its certificate has ended on 2030-05-06"},
		{nil, at(2031), "its certificate has ended on 2030-05-06"},
		{authority, at(2026), "the certificate of its authority has ended on 2025-05-06"},
		{authority, at(2009), "the certificate of its authority begins on 2010-05-06"},
	} {
		if got := untrusted(x509.CertificateInvalidError{Cert: c.of, Reason: x509.Expired}, own, c.now); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A certificate is known by a few of its names and addresses, each of which is shortened, and
// none of which can do anything to a terminal.
func TestTheNamesInACertificate(t *testing.T) {
	address := net.IPv4(192, 0, 2, 1)
	for want, c := range map[string]*x509.Certificate{
		"no name":                           {},
		`"a.test"`:                          {DNSNames: []string{"a.test"}},
		`"a.test", "b.test"`:                {DNSNames: []string{"a.test", "b.test"}},
		`"192.0.2.1"`:                       {IPAddresses: []net.IP{address}},
		`"a\x1b[2J"`:                        {DNSNames: []string{"a\x1b[2J"}},
		`"a", "b", "c"`:                     {DNSNames: []string{"a", "b", "c"}},
		`"a", "b", "192.0.2.1" and 1 more`:  {DNSNames: []string{"a", "b"}, IPAddresses: []net.IP{address, address}},
		`"` + strings.Repeat("x", 80) + `"`: {DNSNames: []string{strings.Repeat("x", 200)}},
	} {
		if got := namesIn(c); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The end of a name is where its root label is, of names of all lengths that there are.
func TestTheEndOfAName(t *testing.T) {
	long := make([]byte, 0, 300)
	for range 3 {
		long = append(append(long, 63), make([]byte, 63)...)
	}
	for i := range long {
		if i%64 != 0 {
			long[i] = 'x'
		}
	}
	for _, c := range []struct {
		name string
		want int
	}{
		{"\x00", 1}, {"\x01a\x00rest", 3}, {"", -1}, {"\x01a", -1}, {"\x01", -1}, {"\xc0\x0c", -1}, {"\x40" + string(long[:64]) + "\x00", -1},
		{string(long[:64]) + "\x00", 65}, {string(long) + "\x3d" + string(long[1:62]) + "\x00", 255}, {string(long) + "\x3f" + string(long[1:64]) + "\x00", -1},
	} {
		if got := nameEnd([]byte(c.name)); got != c.want {
			t.Errorf("%q: %d, want %d", c.name, got, c.want)
		}
	}
}
