package certificate

import (
	"strings"
	"testing"
	"time"

	"kresd/internal/limits"
)

func TestDatesThatClientsWillNotLike(t *testing.T) {
	for says, from := range map[string]time.Time{
		"it has expired on 2026-11-29 11:59 UTC":      start.Add(-limits.CertificateLife - time.Minute),
		"it is not valid before 2026-11-29 12:01 UTC": start.Add(time.Hour + time.Minute),
	} {
		h := newHost(t)
		certFile, keyFile := write(t, t.TempDir(), "a.example", key(t), from)
		if err := h.Use(certFile, keyFile); err != nil {
			t.Fatal(err)
		}
		if told := h.told(); !strings.Contains(told, "'"+certFile+"': clients may refuse this certificate: "+says) {
			t.Errorf("told %q, want %s", told, says)
		}
	}
}

// A certificate that comes to its end while it is in use is told of 30 days, 7 days
// and a day before, and when it has expired, each once; a new one is told of anew.
func TestACertificateThatExpiresIsToldOf(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	use := func() {
		if err := h.Use(write(t, dir, "a.example", key(t), h.now.Now())); err != nil {
			t.Fatal(err)
		}
	}
	use()
	if got := h.End(); !got.Equal(start.Add(limits.CertificateLife)) {
		t.Errorf("its end is %v", got)
	}
	for _, step := range []struct {
		days int // before the end
		says string
	}{
		{31, ""}, {30, "expires in 30 days, on 2027-02-27 12:00 UTC"}, {29, ""}, {8, ""}, {7, "expires in 7 days"}, {2, ""},
		{1, "expires in less than a day"}, {0, ""}, {-1, "it has expired on 2027-02-27 12:00 UTC"}, {-2, ""},
	} {
		h.now.Advance(start.Add(limits.CertificateLife - time.Duration(step.days)*24*time.Hour).Sub(h.now.Now()))
		before := len(h.told())
		h.Reload()
		h.Reload()
		if told := h.told()[before:]; (told == "") != (step.says == "") || !strings.Contains(told, step.says) || strings.Count(told, "\n") > 1 {
			t.Errorf("%d days before the end: told %q, want %q", step.days, told, step.says)
		}
	}
	before := len(h.told())
	use()
	if told := h.told()[before:]; told != "" {
		t.Errorf("told of a new certificate: %q", told)
	}
}

// Who renews every few days does so late in the life of a certificate.
func TestAShortLifeIsNoReasonToWorry(t *testing.T) {
	c, err := selfSigned(key(t), "a.example", start)
	if err != nil {
		t.Fatal(err)
	}
	leaf := c.Leaf
	leaf.NotBefore, leaf.NotAfter = start, start.Add(6*24*time.Hour)
	if got := stage(leaf, start.Add(time.Hour)); got != 0 {
		t.Errorf("a certificate of six days is at stage %d in its first hour", got)
	}
	if got := stage(leaf, leaf.NotAfter.Add(-time.Hour)); got != len(stages) {
		t.Errorf("in its last hour it is at stage %d, want %d", got, len(stages))
	}
}

// The ephemeral certificate is replaced by itself.
func TestTheEphemeralCertificateHasNoEndToTell(t *testing.T) {
	h := newHost(t)
	h.leaf(t)
	if got := h.End(); !got.IsZero() {
		t.Errorf("its end is %v", got)
	}
}
