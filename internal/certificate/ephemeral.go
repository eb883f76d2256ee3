package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// KeyFile is where the key of ephemeral certificates is kept, in the run
// directory.
const KeyFile = "ephemeral_key.pem"

// HandOver gives the key's file to the user that the group runs as from now on.
func HandOver(uid int) { _ = os.Lchown(KeyFile, uid, -1) } // it need not be there

// sharedKey is the key that the processes of a run directory have in common. Who
// comes first makes it. A file that holds none is filled anew: nobody else can
// have read a key from it.
func sharedKey() (crypto.Signer, error) {
	f, err := os.OpenFile(KeyFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, wording.Reason(err)
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return nil, err
	}
	if err := private(f); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limits.CertificateFile))
	if err != nil {
		return nil, wording.Reason(err)
	}
	if key := signerIn(text); key != nil {
		return key, nil
	}
	key, text, err := newKey()
	if err == nil {
		err = errors.Join(f.Truncate(0), rewrite(f, text))
	}
	return key, wording.Reason(err)
}

// lock waits until this process has the file alone. The system ends a lock with
// its holder. Who is frozen while it has it is not waited for.
func lock(f *os.File) error {
	for end := time.Now().Add(limits.CertificateLock); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return err
		case time.Now().After(end):
			return errors.New("another process has it and does not go on")
		}
	}
}

// private makes a file its owner's alone.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return wording.Reason(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return wording.Reason(f.Chmod(0o600))
	}
	return nil
}

func rewrite(f *os.File, text []byte) error {
	_, err := f.WriteAt(text, 0)
	return errors.Join(err, f.Sync())
}

// signerIn is the private key in a text, or nil.
func signerIn(text []byte) crypto.Signer {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key
		}
		key, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
		if signer, ok := key.(crypto.Signer); ok {
			return signer
		}
	}
	return nil
}

// newKey is a key, and the text of its file.
func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

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
