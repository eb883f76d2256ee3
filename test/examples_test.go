package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// What the examples expect on a machine, beside what the package brings.
func expected(t *testing.T, x tree) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"dns.example"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return map[string]string{
		"/etc/knot-resolver/server-cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"/etc/knot-resolver/server-key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"/etc/knot-resolver/ticket-secret":   strings.Repeat("0123456789abcdef", 4),
		"/etc/knot-resolver/blocklist.rpz":   read(x.path + "/usr/share/doc/kresd/examples/blocklist.rpz"),
		"/etc/hosts":                         "127.0.0.1 localhost\n",
		// Of the package dns-root-data.
		"/usr/share/dns/root.hints": read(x.path + "/etc/knot-resolver/root.hints"),
		"/usr/share/dns/root.key": ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n" +
			". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n",
	}
}

// Every example that the package installs is loaded without a fault, on a machine that
// has what it names.
func TestExamplesAreLoaded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installing a package needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	x := debian(t).entered()
	x.install(packageOf(t, "1.0"))
	for path, text := range expected(t, x) {
		if err := os.MkdirAll(filepath.Dir(x.path+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(x.path+path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	examples, _ := filepath.Glob(x.path + "/usr/share/doc/kresd/examples/*.conf")
	if len(examples) != 7 {
		t.Errorf("the examples are %v, want 7", examples)
	}
	for _, path := range append(examples, x.path+"/etc/knot-resolver/kresd.conf") {
		path = strings.TrimPrefix(path, x.path)
		out, err := x.try("kresd", "--check-config", "-c", path, "/var/cache/knot-resolver")
		if want := path + ": no errors"; err != nil || !strings.Contains(out, want) || strings.Contains(out, "warning") {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
