package certificate

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"time"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// selfSigned is a certificate for a host, valid from now on.
func selfSigned(key crypto.Signer, host string, now time.Time) (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName(host)},
		NotBefore:    now.Add(-time.Hour), // of clients whose clock is late
		NotAfter:     now.Add(limits.CertificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
	}
	if isHostName(host) {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("a certificate for '%s' cannot be made: %w", wording.Printable(host), err)
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// commonName is a host's name as a subject may have it: 64 characters at most
// (RFC 5280, appendix A.1).
func commonName(host string) string {
	text := []rune(strings.ToValidUTF8(host, "?"))
	return string(text[:min(len(text), 64)])
}

// isHostName tells whether clients may look for the name in a certificate.
func isHostName(host string) bool {
	return host != "" && len(host) < 254 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == "" &&
		!strings.Contains(host, "..") && !strings.HasPrefix(host, ".") && !strings.HasSuffix(host, ".")
}
