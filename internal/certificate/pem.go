package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A section is a part of a text in PEM (RFC 7468) that begins as a block of a kind.
type section struct {
	kind  string
	block *pem.Block // nil: what begins is not whole, as in a file that is being written
}

// sections are those of a text. What pem.Decode passes over in silence is among them: a chain
// of which the end is missing is no shorter chain.
func sections(text []byte) (list []section) {
	begin := []byte("\n-----BEGIN ")
	for _, part := range bytes.Split(append([]byte{'\n'}, text...), begin)[1:] {
		kind, _, _ := strings.Cut(string(part), "-----")
		block, _ := pem.Decode(append(begin[1:len(begin):len(begin)], part...))
		list = append(list, section{kind, block})
	}
	return list
}

var errNotWhole = errors.New("a part of it is missing; is the file being written?")

// certificates are those in a text, maybe none.
func certificates(text []byte) (list []*x509.Certificate, err error) {
	for _, s := range sections(text) {
		if s.kind != "CERTIFICATE" {
			continue
		}
		var c *x509.Certificate
		err := errNotWhole
		if s.block != nil {
			c, err = x509.ParseCertificate(s.block.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(list)+1, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// soundKey tells whether a text has a private key that can be read without a password. The
// first one counts, as for tls.X509KeyPair.
func soundKey(text []byte) error {
	for _, s := range sections(text) {
		switch {
		case !strings.HasSuffix(" "+s.kind, " PRIVATE KEY"):
			continue
		case s.block == nil:
			return fmt.Errorf("its private key cannot be read: %w", errNotWhole)
		case s.kind == "ENCRYPTED PRIVATE KEY", s.block.Headers["DEK-Info"] != "":
			return errors.New("its private key is protected by a password, which nobody is here to type")
		}
		if err := readableKey(s.block.Bytes); err != nil {
			return fmt.Errorf("its private key cannot be read: it is damaged, or not of RSA, ECDSA (P-256, P-384, P-521) or Ed25519: %w", err)
		}
		return nil
	}
	return errors.New("there is no private key in it (-----BEGIN PRIVATE KEY-----)")
}

// readableKey fails for a private key in none of the forms that tls.X509KeyPair tries, by what
// is wrong with it as the usual one.
func readableKey(der []byte) error {
	_, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return nil
	}
	if _, rsa := x509.ParsePKCS1PrivateKey(der); rsa == nil {
		return nil
	}
	if _, ec := x509.ParseECPrivateKey(der); ec == nil {
		return nil
	}
	return err
}
