package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// A host has a Store and what it told.
type host struct {
	*Store
	now  *clock.Fake
	name atomic.Pointer[string]
	mu   sync.Mutex
	said strings.Builder
}

// newHost works in a directory of its own.
func newHost(t *testing.T) *host {
	t.Helper()
	t.Chdir(t.TempDir())
	return newTenant()
}

// newTenant works in the directory of all: it must need none of its own.
func newTenant() *host {
	h := &host{now: clock.NewFake(start)}
	h.rename("resolver.example")
	tell := func(line string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		fmt.Fprintln(&h.said, line)
	}
	h.Store = NewStore(Options{Clock: &h.now.Clock, Hostname: func() string { return *h.name.Load() }, Notice: tell, Alert: tell, Warn: tell})
	return h
}

func (h *host) rename(name string) { h.name.Store(&name) }

func (h *host) told() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.String()
}

// leaf is what clients see.
func (h *host) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	c, err := h.Get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

// write makes a pair of files for a host and gives their names.
func write(t *testing.T, dir, name string, key crypto.Signer, from time.Time) (certFile, keyFile string) {
	t.Helper()
	made, err := selfSigned(key, name, from)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	put(t, certFile, pemOf("CERTIFICATE", made.Certificate[0]))
	put(t, keyFile, pemOf("PRIVATE KEY", der))
	return certFile, keyFile
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// put replaces a file as careful programs do.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T) crypto.Signer {
	t.Helper()
	k, _, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

func TestPairsOfFiles(t *testing.T) {
	h := newHost(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]crypto.Signer{"ecdsa.example": key(t), "rsa.example": rsaKey} {
		certFile, keyFile := write(t, t.TempDir(), name, k, start)
		if err := h.Use(certFile, keyFile); err != nil {
			t.Fatal(err)
		}
		if got := h.leaf(t); got.VerifyHostname(name) != nil {
			t.Errorf("clients see %v, want %s", got.Subject, name)
		}
		if c, k := h.Files(); c != certFile || k != keyFile {
			t.Errorf("files %s and %s", c, k)
		}
	}
	if told := h.told(); told != "" {
		t.Errorf("told: %s", told)
	}
}

// What cannot be used is refused by a sentence that names the file, and what was
// in use stays in use.
func TestBrokenPairsReplaceNothing(t *testing.T) {
	h := newHost(t)
	good, other := t.TempDir(), t.TempDir()
	certFile, keyFile := write(t, good, "good.example", key(t), start)
	if err := h.Use(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	otherCert, otherKey := write(t, other, "other.example", key(t), start)
	file := func(name, text string) string {
		path := filepath.Join(other, name)
		put(t, path, text)
		return path
	}
	for name, tc := range map[string]struct{ cert, key, says string }{
		"no certificate file": {"nosuch.crt", otherKey, "'nosuch.crt': no such file or directory"},
		"no key file":         {otherCert, "nosuch.key", "'nosuch.key': no such file or directory"},
		"a directory":         {other, otherKey, "'" + other + "': not a regular file"},
		"of each other":       {otherCert, keyFile, "'" + otherCert + "' and '" + keyFile + "' do not go together: tls: private key does not match public key"},
		"swapped":             {otherKey, otherCert, "'" + otherKey + "': there is no certificate in it (-----BEGIN CERTIFICATE-----)"},
		"a key in its place":  {otherCert, otherCert, "'" + otherCert + "': there is no private key in it (-----BEGIN PRIVATE KEY-----)"},
		"garbage":             {file("garbage.crt", "garbage"), otherKey, "garbage.crt': there is no certificate in it"},
		"cut off":             {file("cut.crt", pemOf("CERTIFICATE", []byte{0x30, 0x82})), otherKey, "cut.crt': its certificate 1 cannot be read: x509: "},
		"no key inside":       {otherCert, file("cut.key", pemOf("PRIVATE KEY", []byte{0x30})), "cut.key': its private key cannot be read: it is damaged, or not of "},
		"a password":          {otherCert, file("secret.key", pemOf("ENCRYPTED PRIVATE KEY", []byte{1})), "secret.key': its private key is protected by a password"},
		"endless":             {"/dev/zero", otherKey, "'/dev/zero': not a regular file"},
		"far too long":        {file("long.crt", strings.Repeat("x", limits.CertificateFile+1)), otherKey, "long.crt' is larger than 1024 KiB: that is no certificate or key"},
	} {
		err := h.Use(tc.cert, tc.key)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %s", name, err, tc.says)
		}
	}
	if got := h.leaf(t); got.VerifyHostname("good.example") != nil {
		t.Errorf("clients see %v", got.Subject)
	}
	if c, k := h.Files(); c != certFile || k != keyFile {
		t.Errorf("files %s and %s", c, k)
	}
}

// A file of which the end has not been written yet, or is lost, is no file with less in it:
// neither a chain without its last certificates, nor one without a key or a certificate.
func TestFilesThatAreCutOffAreToldFromEmptyOnes(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	certFile, keyFile := write(t, dir, "good.example", key(t), start)
	if err := h.Use(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	certText, keyText := text(certFile), text(keyFile)
	half := certText[:len(certText)/2]
	for _, tc := range []struct{ cert, key, says string }{
		{half, keyText, "cut.crt': its certificate 1 cannot be read: a part of it is missing"},
		{certText + half, keyText, "cut.crt': its certificate 2 cannot be read: a part of it is missing"},
		{certText + half + certText, keyText, "cut.crt': its certificate 2 cannot be read: a part of it is missing"},
		{strings.Replace(certText, "M", "!", 1), keyText, "cut.crt': its certificate 1 cannot be read: a part of it is missing"},
		{certText, keyText[:len(keyText)/2], "cut.key': its private key cannot be read: a part of it is missing"},
		{certText, "-----BEGIN PRIVATE KEY-----", "cut.key': its private key cannot be read: a part of it is missing"},
	} {
		put(t, filepath.Join(dir, "cut.crt"), tc.cert)
		put(t, filepath.Join(dir, "cut.key"), tc.key)
		if err := h.Use(filepath.Join(dir, "cut.crt"), filepath.Join(dir, "cut.key")); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v, want %s", err, tc.says)
		}
	}
	put(t, filepath.Join(dir, "whole.crt"), "of our own\r\n"+strings.ReplaceAll(certText, "\n", "\r\n")+"and of the root\r\n"+certText)
	if err := h.Use(filepath.Join(dir, "whole.crt"), keyFile); err != nil {
		t.Errorf("with words between: %v", err)
	}
	b := newBelievers()
	if err := b.Use(filepath.Join(dir, "whole.crt")); err != nil {
		t.Errorf("as authorities: %v", err)
	}
	put(t, filepath.Join(dir, "cut.crt"), certText+half)
	if err := b.Use(filepath.Join(dir, "cut.crt")); err == nil || !strings.HasSuffix(err.Error(), "cut.crt': certificate 2 cannot be read: "+errNotWhole.Error()) {
		t.Errorf("authorities without an end: %v", err)
	}
}

// A key that TLS does not know here is not said to belong to another certificate.
func TestKeysOfUnknownKindsAreSaidToBe(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	certFile, keyFile := write(t, dir, "good.example", key(t), start)
	ed448 := append([]byte{0x30, 0x47, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x71, 4, 0x3b, 4, 0x39}, make([]byte, 57)...) // RFC 8410
	put(t, keyFile, pemOf("PRIVATE KEY", ed448))
	want := "'" + keyFile + "': its private key cannot be read: it is damaged, or not of RSA, ECDSA (P-256, P-384, P-521) or Ed25519: x509: "
	if err := h.Use(certFile, keyFile); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "1.3.101.113") {
		t.Errorf("%v, want %s", err, want)
	}
	for name, tc := range map[string]struct {
		curve elliptic.Curve
		says  string
	}{
		"p224": {elliptic.P224(), "'" + certFile + "': no client could be shown its certificate: tls: unsupported "},
		"p521": {elliptic.P521(), "<nil>"},
	} {
		k, err := ecdsa.GenerateKey(tc.curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "good.example", k, start)
		put(t, keyFile, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"+pemOf("EC PRIVATE KEY", der))
		if err := h.Use(certFile, keyFile); !strings.HasPrefix(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: %v, want %s", name, err, tc.says)
		}
	}
}

func TestTheEphemeralCertificate(t *testing.T) {
	h := newHost(t)
	first := h.leaf(t)
	if err := first.VerifyHostname("resolver.example"); err != nil || first.Subject.CommonName != "resolver.example" {
		t.Errorf("%v: %v", first.Subject, err)
	}
	if first.NotAfter.Sub(start) != limits.CertificateLife {
		t.Errorf("it is valid for %v", first.NotAfter.Sub(start))
	}
	if told := h.told(); !strings.Contains(told, "an ephemeral certificate for 'resolver.example' serves clients until 2027-02-27, pin-sha256 '"+Pin(first)+"'") {
		t.Errorf("told %q", told)
	}
	if info, err := os.Stat(KeyFile); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if again := h.leaf(t); again != first {
		t.Error("a second client sees another certificate")
	}
	h.rename("other.example")
	renamed := h.leaf(t)
	if renamed.VerifyHostname("other.example") != nil || Pin(renamed) != Pin(first) {
		t.Errorf("after hostname('other.example'): %v, pin %s, was %s", renamed.Subject, Pin(renamed), Pin(first))
	}
	h.now.Advance(limits.CertificateLife - limits.CertificateRenewal - time.Second)
	if h.leaf(t) != renamed {
		t.Error("replaced before its last week")
	}
	h.now.Advance(2 * time.Second)
	last := h.leaf(t)
	if last == renamed || !last.NotAfter.After(renamed.NotAfter) || Pin(last) != Pin(first) {
		t.Errorf("not replaced a week before its end: until %v", last.NotAfter)
	}
}

func TestNamesOfHosts(t *testing.T) {
	for name, inside := range map[string]bool{
		"a.example": true, "a_b-1": true, "": false, "a b": false, "bücher.example": false, "a..b": false, ".a": false, "a.": false,
		strings.Repeat("a", 254): false, "\xff\x00": false, strings.Repeat("long.", 40) + "example": true,
	} {
		h := newHost(t)
		h.rename(name)
		leaf := h.leaf(t)
		if (len(leaf.DNSNames) == 1) != inside || len([]rune(leaf.Subject.CommonName)) > 64 {
			t.Errorf("%q: names %q, subject %q", name, leaf.DNSNames, leaf.Subject.CommonName)
		}
	}
}

func TestKeysOfOtherMakers(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	if signerIn([]byte(pemOf("PRIVATE KEY", pkcs8))) == nil {
		t.Error("a key for RSA is not read")
	}
}

// Pin is what tools of others say of the same key (openssl x509 -pubkey | openssl
// pkey -pubin -outform der | openssl dgst -sha256 -binary | base64).
func TestPin(t *testing.T) {
	block, _ := pem.Decode([]byte(knownCertificate))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := Pin(c); got != knownPin {
		t.Errorf("pin %s, want %s", got, knownPin)
	}
}

func FuzzPair(f *testing.F) {
	k, keyText, err := newKey()
	if err != nil {
		f.Fatal(err)
	}
	made, err := selfSigned(k, "a.example", start)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(pemOf("CERTIFICATE", made.Certificate[0])), keyText)
	f.Add([]byte("garbage"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		pair, err := files{certFile: "a", keyFile: "b", cert: cert, key: key}.pair()
		if (err == nil) != (pair != nil) || err == nil && (pair.Leaf == nil || pair.PrivateKey == nil) {
			t.Errorf("pair %v, %v", pair, err)
		}
		signerIn(key)
	})
}

const knownPin = "eK3uYIESk48Yw4UmM1s8ID5iQi0Rb81yCRSzGNzrzTU="

const knownCertificate = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUQQj+9MFgvbVgOI9/mdgrcdBYmk0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYS5leGFtcGxlMB4XDTI2MTEyOTA3NTcxMloXDTM2MTEyNjA3
NTcxMlowFDESMBAGA1UEAwwJYS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEym2WqVtHHAUr24H3l7dqX1TVmlzeXwgB8IGwVJmV4UXFmYV08fVj+By7
Xtx8k5kUBBb/UbwzI6Zoo+GurnzSgqNTMFEwHQYDVR0OBBYEFF3WitULcjD445AU
BlfTKaQDSH2uMB8GA1UdIwQYMBaAFF3WitULcjD445AUBlfTKaQDSH2uMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgIXPgqKwpiZbVvby2YMHnp6v5
bz1Jd2tMbSK1u1NmWNECIQDSYbUO1gVmDTUl0ikjjjaLVtwt0Gyvrwcr572It7/K
aw==
-----END CERTIFICATE-----
`
