package trustanchor

import (
	"os"
	"strings"
	"testing"

	"kresd/internal/dnsname"
)

// Key files that are read again count when they are applied, all or none of them.
func TestKeyFilesAreReadAgain(t *testing.T) {
	const (
		old = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
		new = ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n"
	)
	s := New()
	root := file(t, old)
	other := file(t, strings.Replace(old, ".", "example.", 1))
	for _, path := range []string{root, other} {
		if _, err := s.AddFile(path, true); err != nil {
			t.Fatal(err)
		}
	}
	tag := func() uint16 { return s.Snapshot().Sets[dnsname.Root].Keys[0].Tag }
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(root, new)
	apply, err := s.RereadFiles()
	if err != nil || tag() != 20326 {
		t.Errorf("%v; before it is applied key %d is trusted", err, tag())
	}
	if changed := apply(); len(changed) != 1 || tag() != 38696 {
		t.Errorf("%d sets have changed, key %d is trusted", len(changed), tag())
	}
	if apply, err := s.RereadFiles(); err != nil || len(apply()) != 0 {
		t.Errorf("what is known already is said to have changed, %v", err)
	}
	for text, says := range map[string]string{
		"nonsense\n":        other,
		new:                 "anchors of example. are expected, not of .",
		"example. IN A x\n": other,
	} {
		write(other, text)
		write(root, old)
		if _, err := s.RereadFiles(); err == nil || !strings.Contains(err.Error(), says) || tag() != 38696 {
			t.Errorf("%q: %v; key %d is trusted", text, err, tag())
		}
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RereadFiles(); err == nil {
		t.Error("a file that is only read is missing, and that is no error")
	}
}
