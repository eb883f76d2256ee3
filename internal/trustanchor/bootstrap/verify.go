package bootstrap

import (
	"crypto/x509"
	_ "embed" // the certificate
	"errors"
	"fmt"
	"time"

	"github.com/smallstep/pkcs7"

	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/trustanchor"
)

// icann is the certificate that vouches for who signs IANA's trust anchors: ICANN
// Root CA, valid until 2029-12-18.
//
//go:embed icann-ca.pem
var icann []byte

// authority are the certificates in a file; those of ICANN for "".
func authority(path string) (pool *x509.CertPool, err error) {
	text := icann
	if path != "" {
		if text, err = textfile.Read(path, limits.BootstrapFile); err != nil {
			return nil, err
		}
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in PEM form", path)
	}
	return pool, nil
}

// verify checks a detached signature over a text at a time.
func verify(text, signature []byte, pool *x509.CertPool, now time.Time) error {
	p, err := pkcs7.Parse(signature)
	if err != nil {
		return fmt.Errorf("root-anchors.p7s is no signature: %w", err)
	}
	p.Content = text
	if err := p.VerifyWithChainAtTime(pool, now); err != nil {
		return fmt.Errorf("the signature of root-anchors.xml is not valid: %w", err)
	}
	return nil
}

// crossCheck compares fetched anchors with the built-in ones. What contradicts these
// is refused; where one must be among them, so is a set without any.
func crossCheck(fetched *trustanchor.KeySet, must bool) error {
	known, agree := trustanchor.Builtin(), false
	for i := range fetched.Keys {
		for j := range known.Keys {
			a, b := fetched.Keys[i].RData, known.Keys[j].RData
			switch {
			case string(a) == string(b):
				agree = true
			case string(a[:dsFixed]) == string(b[:dsFixed]):
				return fmt.Errorf("the digest of key %d is not the one that is built in", fetched.Keys[i].Tag)
			}
		}
	}
	if must && !agree {
		return errors.New("none of the trust anchors is one that is built in; is the clock right?")
	}
	return nil
}

// dsFixed is what comes before the digest in a DS record: key tag, algorithm and
// digest type.
const dsFixed = 4
