package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Pin is the pin-sha256 of a certificate: the digest of its public key in base64
// (RFC 7858, appendix A).
func Pin(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// files are two files as they were read.
type files struct {
	certFile, keyFile string
	cert, key         []byte
}

func readFiles(certFile, keyFile string) (f files, err error) {
	f = files{certFile: certFile, keyFile: keyFile}
	if f.cert, err = read(certFile); err == nil {
		f.key, err = read(keyFile)
	}
	return f, err
}

// read reads one file whole.
func read(name string) ([]byte, error) {
	f, err := textfile.Open(name)
	if err != nil {
		return nil, fmt.Errorf("'%s': %w", name, wording.Reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limits.CertificateFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("'%s': %w", name, wording.Reason(err))
	case len(text) > limits.CertificateFile:
		return nil, fmt.Errorf("'%s' is larger than %d KiB: that is no certificate or key", name, limits.CertificateFile>>10)
	}
	return text, nil
}

// equal tells whether both are the same files with the same octets.
func (f files) equal(g files) bool {
	return f.certFile == g.certFile && f.keyFile == g.keyFile && bytes.Equal(f.cert, g.cert) && bytes.Equal(f.key, g.key)
}

// pair is what the files say, if they belong together.
func (f files) pair() (*tls.Certificate, error) {
	if err := soundChain(f.cert); err != nil {
		return nil, fmt.Errorf("'%s': %w", f.certFile, err)
	}
	if err := hasKey(f.key); err != nil {
		return nil, fmt.Errorf("'%s': %w", f.keyFile, err)
	}
	pair, err := tls.X509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("'%s' and '%s' do not go together: %w", f.certFile, f.keyFile, err)
	}
	return &pair, nil
}

// soundChain tells whether a text has certificates, each of which can be read.
func soundChain(text []byte) error {
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("its certificate %d cannot be read: %w", n, err)
		}
	}
	if n == 0 {
		return errors.New("there is no certificate in it (-----BEGIN CERTIFICATE-----)")
	}
	return nil
}

// hasKey tells whether a text has a private key that needs no password.
func hasKey(text []byte) error {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return errors.New("its private key is protected by a password, which nobody is here to type")
		case block.Type == "PRIVATE KEY", bytes.HasSuffix([]byte(block.Type), []byte(" PRIVATE KEY")):
			return nil
		}
	}
	return errors.New("there is no private key in it (-----BEGIN PRIVATE KEY-----)")
}
