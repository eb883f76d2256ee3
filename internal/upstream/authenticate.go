package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"kresd/internal/clock"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// authenticator makes sure that the server at the other end of a TLS connection is the
// one that its peer means. It does so in place of package crypto/tls, which knows
// neither pins nor several names, and looks at a resumed session as at a new one: what
// has ended meanwhile, or was configured otherwise, is not believed any longer.
type authenticator struct {
	clock       *clock.Clock
	sessions    *sessions
	authorities func(files []string) *x509.CertPool
}

// config is what a client of TLS, or QUIC, needs to speak to a server. Its handshake
// fails with a resolve.Unauthenticated, before anything was asked, where the server does
// not prove who it is. alpn is the protocol's name in the handshake (RFC 7301); a server
// without ALPN is spoken to all the same.
func (a *authenticator) config(to zonecut.Endpoint, alpn string) *tls.Config {
	peer := to.Peer.Config()
	return &tls.Config{
		MinVersion:         tls.VersionTLS12, // RFC 8310, section 8.2
		ServerName:         serverName(&peer),
		NextProtos:         []string{alpn},
		Time:               a.clock.Now,
		ClientSessionCache: a.sessions.of(to),
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			if why := a.proof(&peer, s.PeerCertificates, a.clock.Now()); why != "" {
				return &resolve.Unauthenticated{Server: to, Why: why}
			}
			return nil
		},
	}
}

// serverName is what a server is told that it is called (RFC 6066, section 3); "":
// nothing.
func serverName(peer *zonecut.PeerConfig) string {
	if peer.Host == "" && len(peer.Names) > 0 {
		return peer.Names[0]
	}
	return peer.Host
}

// proof says why a server with these certificates, its own first, is not the one that is
// meant; "": it is.
func (a *authenticator) proof(peer *zonecut.PeerConfig, shown []*x509.Certificate, now time.Time) (why string) {
	switch {
	case peer.Insecure:
		return ""
	case len(peer.Pins)+len(peer.Names) == 0:
		return "nothing is known by which it could be recognised"
	case len(shown) == 0:
		return "it has no certificate"
	}
	var reasons []string
	if len(peer.Pins) > 0 {
		why := pinned(peer.Pins, shown[0])
		if why == "" {
			return ""
		}
		reasons = append(reasons, why)
	}
	if len(peer.Names) > 0 {
		why := named(peer, shown, a.roots(peer), now)
		if why == "" {
			return ""
		}
		reasons = append(reasons, why)
	}
	return strings.Join(reasons, "; and ")
}

// pinned looks for the key of the server's own certificate among the pins. Further
// certificates of the handshake prove nothing: anybody can send them. All else in the
// certificate, such as its end date, does not matter (RFC 7858, section 4.2).
func pinned(pins []zonecut.Pin, own *x509.Certificate) (why string) {
	pin := sha256.Sum256(own.RawSubjectPublicKeyInfo)
	if slices.Contains(pins, pin) {
		return ""
	}
	expected := "not " + quotedPin(pins[0])
	if len(pins) > 1 {
		expected = fmt.Sprintf("none of the %d that are trusted, such as %s", len(pins), quotedPin(pins[0]))
	}
	return fmt.Sprintf("the pin of its key is %s, %s", quotedPin(pin), expected)
}

func quotedPin(pin zonecut.Pin) string {
	return "'" + base64.StdEncoding.EncodeToString(pin[:]) + "'"
}

// roots are the authorities that may vouch for a server; nil: those of the system.
func (a *authenticator) roots(peer *zonecut.PeerConfig) *x509.CertPool {
	if len(peer.Authorities) == 0 {
		return nil
	}
	return a.authorities(peer.Authorities)
}

// named looks whether an authority that is trusted vouches for one of the names (RFC
// 8310, section 8.1).
func named(peer *zonecut.PeerConfig, shown []*x509.Certificate, roots *x509.CertPool, now time.Time) (why string) {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range shown[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := shown[0].Verify(opts); err != nil {
		return untrusted(err, shown[0], now)
	}
	for _, name := range peer.Names {
		if shown[0].VerifyHostname(name) == nil {
			return ""
		}
	}
	return fmt.Sprintf("its certificate is for %s, and not for %s", namesIn(shown[0]), strings.Join(peer.Names, " or "))
}

// untrusted says why no authority vouches for a certificate.
func untrusted(err error, own *x509.Certificate, now time.Time) string {
	var none x509.SystemRootsError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &none):
		return "this machine has no certificates of authorities (package ca-certificates); ca_file names others"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return outOfTime(invalid.Cert, own, now)
	case errors.As(err, &unknown) && own.Issuer.String() == own.Subject.String():
		return "its certificate is signed by itself, and by no authority that is trusted"
	case errors.As(err, &unknown):
		return "its certificate is signed by no authority that is trusted"
	}
	return "its certificate is of no use: " + strings.TrimPrefix(err.Error(), "x509: ")
}

// outOfTime says of which certificate it is not the time.
func outOfTime(c, own *x509.Certificate, now time.Time) string {
	whose := "its certificate"
	if c != nil && !c.Equal(own) {
		whose = "the certificate of its authority"
	} else {
		c = own
	}
	if now.Before(c.NotBefore) {
		return fmt.Sprintf("%s begins on %s", whose, c.NotBefore.UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("%s has ended on %s", whose, c.NotAfter.UTC().Format(time.DateOnly))
}

// namesIn lists a few of the names in a certificate, which come from outside.
func namesIn(c *x509.Certificate) string {
	const shown = 3
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, net.IP.String(ip))
	}
	more := ""
	if len(names) > shown {
		more, names = fmt.Sprintf(" and %d more", len(names)-shown), names[:shown]
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%.80q", name)
	}
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ") + more
}
