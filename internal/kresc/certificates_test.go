package kresc

import (
	"slices"
	"testing"
	"time"
)

// Each certificate is told once, with those that show it where not all do.
func TestTheEndsOfCertificates(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	shows := func(id int, file string, figure string, after time.Duration) reading {
		r := reading{worker: &worker{}, tally: tally{}, certificate: file}
		r.Worker = id
		if figure != "" {
			r.tally[figure] = float64(now.Add(after).Unix())
		}
		return r
	}
	const day, own, made = 24 * time.Hour, "certificate_end", "ephemeral_certificate_end"
	for what, c := range map[string]struct {
		group []reading
		want  []string
	}{
		"all alike":     {[]reading{shows(0, "/etc/a.pem", own, 30*day), shows(1, "/etc/a.pem", own, 30*day)}, []string{"certificate /etc/a.pem expires at 2026-12-29 12:00 UTC, in 30 days"}},
		"in a reload":   {[]reading{shows(0, "/etc/a.pem", own, 30*day), shows(1, "/etc/a.pem", own, 5*time.Hour), shows(2, "/etc/a.pem", own, 30*day)}, []string{"certificate /etc/a.pem expires at 2026-11-29 17:00 UTC, in 5 hours, of worker 1", "certificate /etc/a.pem expires at 2026-12-29 12:00 UTC, in 30 days, of worker 0, 2"}},
		"expired":       {[]reading{shows(0, "a.pem", own, -time.Hour)}, []string{"certificate a.pem has expired at 2026-11-29 11:00 UTC"}},
		"ephemeral":     {[]reading{shows(0, "", made, 90*day)}, []string{"ephemeral certificate, renewed by itself, expires at 2027-02-27 12:00 UTC, in 90 days"}},
		"none":          {[]reading{shows(0, "", "", 0), shows(1, "", "", 0)}, nil},
		"not of a file": {[]reading{shows(0, "", own, day)}, nil},
	} {
		if got := certificateLines(c.group, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
