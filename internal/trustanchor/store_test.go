package trustanchor

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

const (
	rootDS = ". 3600 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
	// An Ed25519 key; what it is does not matter here.
	key        = "example.com. 300 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
	revoked385 = "example.com. 300 IN DNSKEY 385 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
)

func name(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAddTakesZoneFileText(t *testing.T) {
	s, changes := New(), 0
	s.OnChange(func() { changes++ })
	if err := s.Add(rootDS + "\n" + key); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(rootDS); err != nil { // once more changes nothing
		t.Fatal(err)
	}
	root, example := s.Snapshot().Sets["\x00"], s.Snapshot().Sets[name(t, "example.com")]
	if root == nil || len(root.Keys) != 1 || root.Keys[0].Tag != 20326 || example == nil || changes != 2 {
		t.Fatalf("root %+v, example %+v, %d changes", root, example, changes)
	}
	ds, dnskey := root.Anchors()
	if dnskey != nil || ds == nil || len(ds.Data[0]) != 36 || ds.Data[0][2] != 8 || ds.TTL != 3600 {
		t.Errorf("the DS set is %+v", ds)
	}
	ds, dnskey = example.Anchors()
	if ds != nil || dnskey == nil || dnskey.Type != wire.TypeDNSKEY || len(dnskey.Data[0]) != 36 {
		t.Errorf("the DNSKEY set is %+v", dnskey)
	}
}

func TestAddRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no DS or DNSKEY",
		"; nothing":                     "no DS or DNSKEY",
		"example.com. 5 IN A 192.0.2.1": "an anchor is a DS or DNSKEY record",
		"example.com. 5 CH DS 1 8 2 AB": "class IN",
		revoked385:                      "revoked",
		strings.Replace(key, "257 3", "257 2", 1): "protocol",
		strings.Replace(key, "257", "1", 1):       "zone key",
		"example.com. IN DS what":                 "DS",
		"$INCLUDE /etc/passwd":                    "",
	} {
		s := New()
		if err := s.Add(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
		if len(s.Snapshot().Sets) != 0 {
			t.Errorf("%q: something was taken", text)
		}
	}
}

func TestStatesStandInComments(t *testing.T) {
	path := file(t, key+" ; Valid: ; KeyTag:3613\n"+
		"; "+strings.Replace(key, "l02W", "m02W", 1)+" ; AddPend:1735689600 ; KeyTag:1\n"+
		"; a plain comment; with a semicolon\n")
	s := New()
	l, err := s.AddFile(path, true)
	if err != nil || l.Replaced {
		t.Fatalf("%v, %+v", err, l)
	}
	set := l.Set
	if len(set.Keys) != 2 || set.Trusted() != 1 || set.Keys[1].State != AddPend || set.Keys[1].Timer != 1735689600 {
		t.Errorf("keys are %+v", set.Keys)
	}
	if _, dnskey := set.Anchors(); len(dnskey.Data) != 1 {
		t.Error("a pending key is an anchor")
	}
	missing := file(t, key+" ; Missing:1735689600\n")
	if l, err = s.AddFile(missing, true); err != nil || !l.Replaced || l.Set.Trusted() != 1 {
		t.Errorf("a missing key is an anchor: %v, %+v", err, l)
	}
}

func TestAddFileRefuses(t *testing.T) {
	s := New()
	if _, err := s.AddFile(file(t, rootDS+"\n"+key), true); err == nil || !strings.Contains(err.Error(), "one zone") {
		t.Errorf("two zones: %v", err)
	}
	gone := filepath.Join(t.TempDir(), "keys")
	if _, err := s.AddFile(gone, false); !errors.Is(err, ErrNoFile) {
		t.Errorf("no file, managed: %v", err)
	}
	if _, err := s.AddFile(gone, true); err == nil || errors.Is(err, ErrNoFile) || !strings.HasPrefix(err.Error(), gone) {
		t.Errorf("no file, read-only: %v", err)
	}
	if _, err := s.AddFile("", false); err == nil || errors.Is(err, ErrNoFile) {
		t.Errorf("no name: %v", err)
	}
	if _, err := s.AddFile("/proc/nowhere/keys", false); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("no directory: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Dir(gone) + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if len(s.Snapshot().Sets) != 0 {
		t.Error("something was taken")
	}
}

func TestTheDeepestAnchorHolds(t *testing.T) {
	s := New()
	if err := s.Add(rootDS + "\n" + key); err != nil {
		t.Fatal(err)
	}
	s.SetNegatives([]Negative{{Name: name(t, "com"), Reason: "broken"}, {Name: name(t, "bad.example.com")}})
	for text, want := range map[string]string{
		"www.example.com": "example.com.", "example.com": "example.com.", "com": "", "other.com": "",
		"x.bad.example.com": "", "org": ".", ".": ".",
	} {
		got := ""
		if k := s.Snapshot().Closest(name(t, text)); k != nil {
			got = k.Owner.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	before := s.Snapshot().Fingerprint()
	if !s.Remove(name(t, "example.com")) || s.Remove(name(t, "example.com")) || s.Snapshot().Fingerprint() == before {
		t.Error("an anchor is removed once, and answers are made without it from then on")
	}
}

// FuzzParse: the text of a key file is read or refused; what was read holds keys.
func FuzzParse(f *testing.F) {
	f.Add(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
	f.Add(". 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3 ; KeyTag:20326 ; Valid: ; KeyState\n")
	f.Add("a\\.b.example. 5 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4= ;{id = 1} ;;state=1 [ ADDPEND ] ;;lastchange=5\n")
	f.Add("; . IN DS 1 8 2 00 ; Missing:1234\nexample. 3600 IN DS 1 8 2 0011\n")
	f.Fuzz(func(t *testing.T, text string) {
		sets, err := parse(text)
		for _, s := range sets {
			if err == nil && s == nil {
				t.Errorf("%q: a set that is none", text)
			}
			if again, err := parse(s.text()); err != nil || len(again) != 1 || !again[0].Equal(s) {
				t.Errorf("%q is written as %q, which is read as %v, %v", text, s.text(), again, err)
			}
		}
		_, _ = ParseName(text)
	})
}

func base64Of(octets []byte) string { return base64.StdEncoding.EncodeToString(octets) }

func tagOf(rdata []byte) uint16 { return dnssec.KeyTag(rdata) }

// dsText is the data of a DS record of the root with the SHA-256 digest of a key.
func dsText(rdata []byte) string {
	return fmt.Sprintf("%d %d 2 %x", tagOf(rdata), rdata[3], dnssec.Digest(dnssec.DigestSHA256, "\x00", rdata))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
