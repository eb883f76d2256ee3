package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kresd/internal/clock"
)

// writePair writes a certificate of that number and its key.
func writePair(t *testing.T, certFile, keyFile string, number int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(number), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"dns.example"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: octets}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What is read again is in use when it is applied, and what cannot be used never is.
func TestRereadChangesNothingBeforeItIsApplied(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	s := NewStore(Options{Clock: clock.Real(), Hostname: func() string { return "dns.example" }, Notice: func(string) {}, Alert: func(string) {}, Warn: func(string) {}})
	if apply, err := s.Reread(); err != nil {
		t.Errorf("without files: %v", err)
	} else {
		apply()
	}
	serves := func(number int64) {
		t.Helper()
		if leaf, err := s.Leaf(); err != nil || leaf.SerialNumber.Int64() != number {
			t.Errorf("certificate %v serves, %v; want number %d", leaf, err, number)
		}
	}
	writePair(t, certFile, keyFile, 1)
	if err := s.Use(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	writePair(t, certFile, keyFile, 2)
	apply, err := s.Reread()
	if err != nil {
		t.Fatal(err)
	}
	serves(1)
	apply()
	serves(2)
	writePair(t, certFile, filepath.Join(dir, "another key"), 3)
	if _, err := s.Reread(); err == nil {
		t.Error("a certificate without its key was taken")
	}
	serves(2)
}
