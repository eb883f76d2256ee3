// Package trust makes TLS settings of what a script says about a connection, in the words
// of LuaSec: cafile, capath, verify, certificate and key. A server has to prove who it is
// unless the script says otherwise.
//
// It opens no connection.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Fields are what a script says. The zero value demands a certificate by an authority that
// the system trusts.
type Fields struct {
	// CAFile and CAPath are where the authorities stand that are trusted instead.
	CAFile, CAPath string
	// Certificate and Key are files with this side's own.
	Certificate, Key string
	// Unverified lets the other side prove nothing.
	Unverified bool
}

// Read takes the fields out of a table.
func Read(t *luavalue.Table) (f Fields, err error) {
	for name, to := range map[string]*string{"cafile": &f.CAFile, "capath": &f.CAPath, "certificate": &f.Certificate, "key": &f.Key} {
		if *to, err = Text(t, name); err != nil {
			return f, err
		}
	}
	f.Unverified = t.Get("verify") == "none"
	return f, nil
}

// Text is a field of a table that is a string, "" where it is missing.
func Text(t *luavalue.Table, name string) (string, error) {
	switch v := t.Get(name).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("'%s' must be a string", name)
}

// Config makes settings of them. The files are read here.
func (f *Fields) Config() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: f.Unverified}
	files := []string{f.CAFile}
	if f.CAPath != "" {
		files, _ = filepath.Glob(filepath.Join(f.CAPath, "*"))
	}
	if f.CAFile != "" || f.CAPath != "" {
		config.RootCAs = x509.NewCertPool()
		for _, file := range files {
			if err := add(config.RootCAs, file); err != nil && f.CAPath == "" {
				return nil, err
			}
		}
	}
	if f.Certificate != "" {
		pair, err := pairOf(f.Certificate, f.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate '%s': %w", f.Certificate, wording.Reason(err))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// pairOf is a certificate and its key.
func pairOf(certificate, key string) (pair tls.Certificate, err error) {
	cert, err := textfile.Read(certificate, limits.LuaString)
	if err != nil {
		return pair, err
	}
	text, err := textfile.Read(key, limits.LuaString)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, text)
}

// add trusts the certificates of a file.
func add(pool *x509.CertPool, file string) error {
	f, err := textfile.Open(file)
	if err != nil {
		return fmt.Errorf("cafile '%s': %w", file, wording.Reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limits.LuaString))
	if err != nil || !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("cafile '%s' has no certificates", file)
	}
	return nil
}

// Reason is why the other side did not prove who it is, "" for an error about something
// else.
func Reason(err error) string {
	var proof *tls.CertificateVerificationError
	if !errors.As(err, &proof) {
		return ""
	}
	return "certificate verify failed: " + proof.Err.Error()
}
