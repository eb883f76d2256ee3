package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/smallstep/pkcs7"

	"kresd/internal/proctest"
)

// iana stands in for IANA: it serves the digests of keys of the root, signed by an
// authority of its own, whose certificate is in a file.
func iana(t *testing.T, letters string) (url, ca string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A test's root"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(err)
	signer, err := x509.ParseCertificate(der)
	must(err)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	must(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))

	text := `<?xml version="1.0" encoding="UTF-8"?><TrustAnchor id="X" source="x"><Zone>.</Zone>`
	for i := range len(letters) {
		ds := rootKey(letters[i]).DS(dns.SHA256)
		text += fmt.Sprintf(`<KeyDigest id="%c" validFrom="2020-01-01T00:00:00+00:00"><KeyTag>%d</KeyTag><Algorithm>%d</Algorithm><DigestType>%d</DigestType><Digest>%s</Digest></KeyDigest>`,
			letters[i], ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	}
	text += "</TrustAnchor>"
	data, err := pkcs7.NewSignedData([]byte(text))
	must(err)
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	must(data.SignWithoutAttr(signer, private, pkcs7.SignerInfoConfig{}))
	data.Detach()
	signature, err := data.Finish()
	must(err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/root-anchors.xml":
			_, _ = w.Write([]byte(text))
		case "/root-anchors.p7s":
			_, _ = w.Write(signature)
		default:
			http.NotFound(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL + "/root-anchors.xml", ca
}

// A key file that does not exist is made of what IANA publishes, once for all
// workers; the keys of the root are looked at at once. The log says so in the words
// of the manual.
func TestAMissingKeyFileIsFetched(t *testing.T) {
	r := newSignedRoot(t)
	r.publish("ab", "a")
	url, ca := iana(t, "a")
	c := proctest.On(t, r.net, 2, fmt.Sprintf("trust_anchors.bootstrap_url = '%s'\ntrust_anchors.bootstrap_ca = '%s'", url, ca))
	c.Args = []string{"-k", "root.keys"}
	c.Env = append(c.Env, "KRESD_CLOCK_OFFSET_FILE="+r.offset)
	g := proctest.Start(t, c)
	r.eventually(g, "a:Valid b:AddPend")
	for _, text := range []string{
		"\n[ ta ] keyfile 'root.keys': doesn't exist, bootstrapping\n",
		"\n[ ta ] Root trust anchors bootstrapped over https with pinned certificate.\n       You SHOULD verify them manually against original source:\n       https://www.iana.org/dnssec/files\n" +
			"[ ta ] Current root trust anchors are:\n. 0 IN DS " + strings.ToUpper(strings.Join(strings.Fields(rootKey('a').DS(dns.SHA256).String())[4:], " ")) + "\n",
		"\n[ ta ] next refresh for . in 24 hours\n",
	} {
		proctest.Eventually(t, 10*time.Second, "the log has"+text, func() bool { return strings.Contains(g.Log(), text) })
		if n := strings.Count(g.Log(), text); n != 1 {
			t.Errorf("%d times in the log, and not once:%s\nlog:\n%s", n, text, g.Log())
		}
	}
}

// What cannot be fetched, or is not signed by the pinned authority, ends the start
// with a line that says what to do.
func TestWhatCannotBeFetchedEndsTheStart(t *testing.T) {
	url, _ := iana(t, "a")
	_, other := iana(t, "a")
	for name, tc := range map[string]struct{ lua, says string }{
		"another authority": {fmt.Sprintf("trust_anchors.bootstrap_url = '%s' trust_anchors.bootstrap_ca = '%s'", url, other), "unknown authority"},
		"not ICANN's":       {fmt.Sprintf("trust_anchors.bootstrap_url = '%s'", url), "unknown authority"},
		"no server":         {"trust_anchors.bootstrap_url = 'https://127.0.0.1:1/root-anchors.xml'", "connection refused"},
	} {
		dir := proctest.RunDir(t)
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(tc.lua+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		stderr := failure(t, "-n", "-a", strings.Replace(proctest.FreePort(t).String(), ":", "@", 1), "-k", "root.keys", dir)
		for _, word := range []string{"root.keys", tc.says, "by hand", "https://www.iana.org/dnssec/files"} {
			if !strings.Contains(stderr, word) {
				t.Errorf("%s: no %q in %s", name, word, stderr)
			}
		}
		if strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: not one line:\n%s", name, stderr)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "root.keys*")); len(left) != 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

// A key file that a crash cut off does not end validation: the built-in keys are
// trusted, the log says so, and kresd starts.
func TestACutOffKeyFileDoesNotEndValidation(t *testing.T) {
	whole := "; a comment\n" + rootKey('a').DS(dns.SHA256).String() + "\n"
	for _, cut := range []int{0, 5, len(whole) - 30} {
		dir := proctest.RunDir(t)
		if err := os.WriteFile(filepath.Join(dir, "root.keys"), []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		at := proctest.FreePort(t)
		g := proctest.Launch(t, proctest.Config{Dir: dir, Addr: at, Args: []string{"-k", "root.keys", "-a", strings.Replace(at.String(), ":", "@", 1)}, Lua: "modules.unload('ta_update') modules.unload('priming')"})
		proctest.Eventually(t, 20*time.Second, "the worker is there", func() bool { return len(g.Workers()) == 1 })
		if got := strings.TrimSpace(g.Eval(t, "#trust_anchors.keysets['\\0'] == 2 and trust_anchors.keysets['\\0'][1].key_tag")); got != "20326" {
			t.Errorf("cut at %d: %s", cut, got)
		}
		proctest.Eventually(t, 10*time.Second, "the log says that the file is not believed", func() bool { return strings.Contains(g.Log(), "this file is not believed") })
	}
}
