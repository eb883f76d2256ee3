package proctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A CertificateAuthority signs certificates for one test.
type CertificateAuthority struct {
	// File has its own certificate, PEM.
	File string
	// DER is that certificate.
	DER []byte

	cert *x509.Certificate
	key  crypto.Signer
}

// A Certificate is a throwaway one with its key.
type Certificate struct {
	CertFile, KeyFile string // PEM, in the test's own directory
	TLS               tls.Certificate
	// Pin is the SHA-256 of the public key information in base64, and Hash its octets.
	Pin  string
	Hash [sha256.Size]byte
}

// NewCertificateAuthority makes an authority that ends with the test.
func NewCertificateAuthority(t testing.TB) *CertificateAuthority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority for tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(t)
	a := &CertificateAuthority{key: key}
	a.DER = sign(t, template, template, key.Public(), key)
	cert, err := x509.ParseCertificate(a.DER)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.File = cert, writePEM(t, "ca.crt", "CERTIFICATE", a.DER)
	return a
}

// Issue makes a certificate for host names and addresses, good from an hour before to
// the given time. A nil authority lets the certificate sign itself.
func (a *CertificateAuthority) Issue(t testing.TB, until time.Time, names ...string) *Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "a server"}, NotBefore: earlier(until, time.Now()).Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey(t)
	parent, signer := template, crypto.Signer(key)
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der := sign(t, template, parent, key.Public(), signer)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return &Certificate{
		CertFile: writePEM(t, "server.crt", "CERTIFICATE", der), KeyFile: writePEM(t, "server.key", "PRIVATE KEY", raw),
		TLS: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		Pin: base64.StdEncoding.EncodeToString(hash[:]), Hash: hash,
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public any, key crypto.Signer) []byte {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
