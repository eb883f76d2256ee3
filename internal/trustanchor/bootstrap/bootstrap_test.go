package bootstrap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"kresd/internal/trustanchor"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// An authority of certificates, and one who signs by its leave.
type notary struct {
	ca, signer *x509.Certificate
	key        *ecdsa.PrivateKey
	file       string
}

func newNotary(t *testing.T, from, until time.Time) *notary {
	t.Helper()
	certificate := func(name string, ca bool, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
			BasicConstraintsValid: true, IsCA: ca, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
		if !ca {
			template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageServerAuth}
			template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		if parent == nil {
			parent, by = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out, key
	}
	n := &notary{file: filepath.Join(t.TempDir(), "ca.pem")}
	var root *ecdsa.PrivateKey
	n.ca, root = certificate("Test Root CA", true, nil, nil)
	n.signer, n.key = certificate("dnssec", false, n.ca, root)
	if err := os.WriteFile(n.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// sign is a detached signature.
func (n *notary) sign(t *testing.T, text string) []byte {
	t.Helper()
	data, err := pkcs7.NewSignedData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := data.SignWithoutAttr(n.signer, n.key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	data.Detach()
	out, err := data.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A place that serves files by HTTPS.
type place struct {
	*httptest.Server
	files map[string][]byte
}

func newPlace(t *testing.T, files map[string][]byte) *place {
	p := &place{files: files}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, ok := p.files[r.URL.Path]; ok {
			_, _ = w.Write(text)
			return
		}
		http.NotFound(w, r)
	}))
	p.Config.ErrorLog = nil
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

const (
	ksk2010 = `<KeyDigest id="A" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00"><KeyTag>19036</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType><Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest></KeyDigest>`
	ksk2017 = `<KeyDigest id="B" validFrom="2017-02-02T00:00:00+00:00"><KeyTag>20326</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType><Digest>e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d</Digest><Flags>257</Flags></KeyDigest>`
	foreign = `<KeyDigest id="C" validFrom="2017-02-02T00:00:00+00:00"><KeyTag>1</KeyTag><Algorithm>15</Algorithm><DigestType>2</DigestType><Digest>006d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d</Digest></KeyDigest>`
)

func rootAnchors(entries ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<TrustAnchor id="X" source="http://data.iana.org/root-anchors/root-anchors.xml"><Zone>.</Zone>` + strings.Join(entries, "\n") + "</TrustAnchor>\n"
}

// What is signed by the pinned authority is believed, whoever serves it; entries that
// are not valid are left out and told.
func TestAnchorsAreFetchedAndProved(t *testing.T) {
	n := newNotary(t, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	later := strings.NewReplacer("2017-02-02", "2027-02-02", "20326", "38697", `"B"`, `"D"`).Replace(ksk2017)
	for name, tc := range map[string]struct {
		text string
		want []string // records, or words of the error
		note string
		ok   bool
	}{
		"valid and invalid ones": {rootAnchors(ksk2010, ksk2017, later), []string{". 0 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"}, "key tag 19036, which was valid until 2019-01-11 00:00:00", true},
		"one's own":              {rootAnchors(foreign), []string{". 0 IN DS 1 15 2 006D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"}, "", true},
		"none valid":             {rootAnchors(ksk2010, later), []string{"no trust anchor that is valid now"}, "valid only from 2027", false},
		"none":                   {rootAnchors(), []string{"no trust anchor"}, "", false},
		"a contradiction":        {rootAnchors(strings.Replace(ksk2017, "e06d", "e16d", 1)), []string{"key 20326 is not the one that is built in"}, "", false},
		"no date":                {rootAnchors(strings.Replace(ksk2017, "2017-02-02", "soon", 1)), []string{"'B'", "validFrom is no date"}, "", false},
		"no end":                 {rootAnchors(strings.Replace(ksk2010, "2019-01-11", "soon", 1)), []string{"'A'", "validUntil is no date"}, "", false},
		"no tag":                 {rootAnchors(strings.Replace(ksk2017, "<KeyTag>20326</KeyTag>", "", 1)), []string{"KeyTag"}, "", false},
		"no digest":              {rootAnchors(strings.Replace(ksk2017, "e06d", "x06d", 1)), []string{"hexadecimal"}, "", false},
		"a short digest":         {rootAnchors(strings.Replace(ksk2017, "e06d", "", 1)), []string{"32 octets"}, "", false},
		"another zone":           {strings.Replace(rootAnchors(ksk2017), "<Zone>.<", "<Zone>com.<", 1), []string{"the zone '.'"}, "", false},
		"two documents":          {rootAnchors(ksk2017) + rootAnchors(foreign)[len(`<?xml version="1.0" encoding="UTF-8"?>`):], []string{"more than one"}, "", false},
		"XML 1.1":                {strings.Replace(rootAnchors(ksk2017), "1.0", "1.1", 1), []string{"unsupported version"}, "", false},
		"another document":       {"<html></html>", []string{"TrustAnchor"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, map[string][]byte{"/root-anchors.xml": []byte(tc.text), "/root-anchors.p7s": n.sign(t, tc.text)})
			var notes []string
			set, err := Fetch(t.Context(), Options{Source: trustanchor.Source{URL: p.URL + "/root-anchors.xml", CA: n.file}, Now: now, Note: func(s string) { notes = append(notes, s) }})
			if (err == nil) != tc.ok {
				t.Fatalf("%v", err)
			}
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = strings.Join(set.Records(), "\n")
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) || tc.ok && got != want {
					t.Errorf("%s\nwant %s", got, want)
				}
			}
			if all := strings.Join(notes, "\n"); !strings.Contains(all, tc.note) || !strings.Contains(all, "the server's certificate is not trusted") {
				t.Errorf("notes: %s", all)
			}
		})
	}
}

// Nothing is believed that the pinned authority did not sign.
func TestWhatIsNotSignedIsRefused(t *testing.T) {
	n := newNotary(t, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	other := newNotary(t, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	text := rootAnchors(ksk2017)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		xml, p7s string
		ca       string
		at       time.Time
		url      string
		want     string
	}{
		"another text":              {rootAnchors(ksk2017, foreign), string(n.sign(t, text)), n.file, now, "", "not valid"},
		"another authority":         {text, string(other.sign(t, text)), n.file, now, "", "unknown authority"},
		"not ICANN":                 {text, string(n.sign(t, text)), "", now, "", "unknown authority"},
		"an old signer":             {text, string(n.sign(t, text)), n.file, now.AddDate(2, 0, 0), "", "current time 2028-11-28"},
		"a clock that stands still": {text, string(n.sign(t, text)), n.file, time.Unix(0, 0), "", "current time 1970-01-01"},
		"no signature":              {text, "nonsense", n.file, now, "", "root-anchors.p7s is no signature"},
		"an empty signature":        {text, "", n.file, now, "", "root-anchors.p7s is no signature"},
		"too long":                  {strings.Repeat(" ", 1<<20) + text, string(n.sign(t, text)), n.file, now, "", "more than"},
		"not there":                 {text, "", n.file, now, "/nowhere.xml", "404"},
		"no CA":                     {text, string(n.sign(t, text)), garbage, now, "", "no certificate"},
		"no CA file":                {text, string(n.sign(t, text)), garbage + "x", now, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, map[string][]byte{"/root-anchors.xml": []byte(tc.xml), "/root-anchors.p7s": []byte(tc.p7s)})
			if tc.url == "" {
				tc.url = "/root-anchors.xml"
			}
			set, err := Fetch(t.Context(), Options{Source: trustanchor.Source{URL: p.URL + tc.url, CA: tc.ca}, Now: tc.at, Note: func(string) {}})
			if err == nil || set != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, %v; want %q", set, err, tc.want)
			}
		})
	}
	for _, url := range []string{"http://127.0.0.1/root-anchors.xml", "root-anchors.xml", "https://", ":"} {
		if _, err := Fetch(t.Context(), Options{Source: trustanchor.Source{URL: url}, Now: now, Note: func(string) {}}); err == nil || url != ":" && !strings.Contains(err.Error(), "is no https URL") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A server that the pinned authority vouches for gives no cause to tell anything.
func TestAServerThatIsVouchedForIsNotTold(t *testing.T) {
	n := newNotary(t, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	text := rootAnchors(ksk2017)
	p := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/root-anchors.p7s" {
			_, _ = w.Write(n.sign(t, text))
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	p.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{n.signer.Raw}, PrivateKey: n.key}}}
	p.StartTLS()
	t.Cleanup(p.Close)
	var notes []string
	if _, err := Fetch(t.Context(), Options{Source: trustanchor.Source{URL: p.URL + "/root-anchors.xml", CA: n.file}, Now: now, Note: func(s string) { notes = append(notes, s) }}); err != nil || len(notes) != 0 {
		t.Errorf("%v, told %q", err, notes)
	}
}

// With ICANN's certificate one of the anchors has to be a built-in one.
func TestBuiltInAnchorsAreComparedWith(t *testing.T) {
	for text, want := range map[string]string{ksk2017: "", foreign: "none of the trust anchors", ksk2017 + foreign: ""} {
		set, err := anchors([]byte(rootAnchors(text)), now, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := crossCheck(set, true); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if err := crossCheck(set, false); err != nil {
			t.Errorf("by an authority of one's own: %v", err)
		}
	}
}

// A host that the system cannot find is looked for by the resolver itself.
func TestTheResolverFindsTheServer(t *testing.T) {
	n := newNotary(t, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	text := rootAnchors(foreign)
	p := newPlace(t, map[string][]byte{"/a/root-anchors.xml": []byte(text), "/a/root-anchors.p7s": n.sign(t, text)})
	_, port, err := net.SplitHostPort(p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	set, err := Fetch(t.Context(), Options{
		Source: trustanchor.Source{URL: "https://root-anchors.invalid:" + port + "/a/root-anchors.xml", CA: n.file}, Now: now, Note: func(string) {},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			asked = host
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		},
	})
	if err != nil || set.Trusted() != 1 || asked != "root-anchors.invalid" {
		t.Errorf("%v, %v, asked for %q", set, err, asked)
	}
}

// The built-in certificates are ICANN's.
func TestTheBuiltInCertificatesAreThere(t *testing.T) {
	n := 0
	for rest := icann; strings.TrimSpace(string(rest)) != ""; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatal("something else than certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !c.IsCA || len(c.Subject.Organization) != 1 || !strings.Contains(c.Subject.Organization[0], "ICANN") && !strings.Contains(c.Subject.Organization[0], "Internet Corporation") {
			t.Errorf("%v, %v", c.Subject, err)
		}
	}
	if _, err := authority(""); err != nil || n == 0 {
		t.Errorf("%d certificates: %v", n, err)
	}
}

func FuzzAnchors(f *testing.F) {
	f.Add(rootAnchors(ksk2010, ksk2017))
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := anchors([]byte(text), now, func(string) {}); err == nil && (set.Trusted() == 0 || !set.Owner.IsRoot()) {
			t.Errorf("anchors without any: %+v", set)
		}
	})
}
