package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
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

// readFiles reads them as they are now.
func readFiles(certFile, keyFile string) (f files, err error) {
	f = files{certFile: certFile, keyFile: keyFile}
	err = textfile.Disk(certFile, func(cert io.Reader, err error) error {
		f.cert, err = whole(certFile, cert, err)
		return err
	})
	if err == nil {
		err = textfile.Disk(keyFile, func(key io.Reader, err error) error {
			f.key, err = whole(keyFile, key, err)
			return err
		})
	}
	return f, err
}

// readPair reads two files that belong together. The Reader decides for each which text of
// it is tried next where they do not.
func readPair(read textfile.Reader, certFile, keyFile string) (f files, err error) {
	f = files{certFile: certFile, keyFile: keyFile}
	err = read(certFile, func(cert io.Reader, err error) error {
		if f.cert, err = whole(certFile, cert, err); err != nil {
			return err
		}
		return read(keyFile, func(key io.Reader, err error) error {
			if f.key, err = whole(keyFile, key, err); err == nil {
				_, err = f.pair()
			}
			return err
		})
	})
	return f, err
}

// whole is the text of a file, or what kept it from being opened, in words.
func whole(name string, f io.Reader, err error) ([]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("'%s': %w", name, wording.Reason(err))
	}
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
	chain, err := certificates(f.cert)
	switch {
	case err != nil:
		return nil, fmt.Errorf("'%s': its %w", f.certFile, err)
	case len(chain) == 0:
		return nil, fmt.Errorf("'%s': there is no certificate in it (-----BEGIN CERTIFICATE-----)", f.certFile)
	}
	if err := soundKey(f.key); err != nil {
		return nil, fmt.Errorf("'%s': %w", f.keyFile, err)
	}
	pair, err := tls.X509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("'%s' and '%s' do not go together: %w", f.certFile, f.keyFile, err)
	}
	if err := everyone().SupportsCertificate(&pair); err != nil {
		return nil, fmt.Errorf("'%s': no client could be shown its certificate: %w", f.certFile, err)
	}
	return &pair, nil
}

// everyone is a client that knows whatever this program speaks.
func everyone() *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{
			tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512, tls.Ed25519,
			tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
		},
	}
}
