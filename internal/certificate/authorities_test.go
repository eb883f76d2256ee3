package certificate

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/textfile"
)

// believers has files of authorities, and what was told of them.
type believers struct {
	*Authorities
	mu      sync.Mutex
	lines   []string
	changed []string
}

func newBelievers() *believers {
	b := &believers{}
	note := func(list *[]string) func(string) {
		return func(text string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			*list = append(*list, text)
		}
	}
	b.Authorities = NewAuthorities(textfile.Disk, note(&b.lines), note(&b.lines), note(&b.changed))
	return b
}

// told is what was said since it was asked last.
func (b *believers) told() (lines, changed string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines, changed = strings.Join(b.lines, "\n"), strings.Join(b.changed, " ")
	b.lines, b.changed = nil, nil
	return lines, changed
}

// vouches tells whether a file has the certificate of another.
func (b *believers) vouches(t *testing.T, file, certFile string) bool {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: b.Pool([]string{file}), CurrentTime: c.NotBefore})
	return err == nil
}

// certificateFile is a new certificate that vouches for itself.
func certificateFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writePair(t, filepath.Join(dir, "cert"), filepath.Join(dir, "key"), 1)
	return filepath.Join(dir, "cert")
}

// become writes what another file has.
func become(t *testing.T, file, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, string(text))
}

// A file of authorities is read again when it changes; one that is broken leaves in force
// what was read before, and says so once, be it by the watch or by a reload.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	one, two := certificateFile(t), certificateFile(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	become(t, file, one)
	b := newBelievers()
	s := NewStore(Options{Authorities: b.Authorities, Warn: func(line string) { t.Error(line) }})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Watch(ctx); close(ended) }()
	if err := b.Use(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the directory is watched", func() bool { return s.watch.Seeing() })
	if !b.vouches(t, file, one) || b.vouches(t, file, two) || b.vouches(t, two, two) {
		t.Error("at first the file vouches for others than it has")
	}
	put(t, file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	var lines string
	eventually(t, "the damage is told", func() bool { lines, _ = b.told(); return lines != "" })
	if want := "the authorities that were read before stay in use: ca_file '" + file + "': certificate 1 cannot be read"; !strings.HasPrefix(lines, want) || !b.vouches(t, file, one) {
		t.Errorf("told %q, want %q, and the old one in use", lines, want)
	}
	b.Reload() // says nothing twice
	if apply, err := b.Reread(); err == nil || !strings.Contains(err.Error(), "certificate 1 cannot be read") {
		t.Errorf("a reload says %v", err)
	} else {
		apply()
	}
	if lines, changed := b.told(); lines != "" || changed != "" {
		t.Errorf("told again: %q %q", lines, changed)
	}
	become(t, file, two)
	eventually(t, "the new file is in use", func() bool { return b.vouches(t, file, two) })
	if b.vouches(t, file, one) {
		t.Error("the old one is still believed")
	}
	eventually(t, "it is told", func() bool {
		more, changed := b.told()
		lines += more
		return changed == file && strings.HasSuffix(lines, "ca_file '"+file+"' was read again: certificates of authorities: 1")
	})
	if apply, err := b.Reread(); err != nil {
		t.Error(err)
	} else {
		apply()
	}
	if lines, changed := b.told(); lines != "" || changed != "" {
		t.Errorf("without a change: %q %q", lines, changed)
	}
	end()
	<-ended
}

// A file that cannot be used changes nothing, also where it is in use; one that is named
// again is read again.
func TestAuthoritiesThatAreRefused(t *testing.T) {
	one, two := certificateFile(t), certificateFile(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	b := newBelievers()
	become(t, file, one)
	if err := b.Use(file); err != nil {
		t.Fatal(err)
	}
	for text, why := range map[string]string{
		"":     "has no certificate in PEM",
		"text": "has no certificate in PEM",
		strings.Repeat("x", limits.AuthoritiesFile+1): "longer than",
	} {
		put(t, file, text)
		if err := b.Use(file); err == nil || !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), "ca_file '"+file+"'") {
			t.Errorf("%.10q: %v", text, err)
		}
		if !b.vouches(t, file, one) {
			t.Errorf("%.10q is in use", text)
		}
	}
	if err := b.Use(filepath.Dir(file)); err == nil {
		t.Error("a directory is in use")
	}
	if _, changed := b.told(); changed != "" {
		t.Errorf("changed is %s", changed)
	}
	become(t, file, two)
	if err := b.Use(file); err != nil || !b.vouches(t, file, two) {
		t.Errorf("named again: %v", err)
	}
	if _, changed := b.told(); changed != file {
		t.Errorf("changed is %q", changed)
	}
}
