package kresc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A shownCertificate is the one that a worker shows to clients of encrypted transports.
type shownCertificate struct {
	File string    `json:"file,omitempty"` // "": it is ephemeral, and renewed by itself
	End  time.Time `json:"not_after"`
}

// shown is the certificate of a worker, nil where it shows none.
func (r *reading) shown() *shownCertificate {
	ends, ephemeral := r.tally["certificate_end"], r.tally["ephemeral_certificate_end"]
	switch {
	case r.certificate != "" && ends > 0:
		return &shownCertificate{r.certificate, time.Unix(int64(ends), 0).UTC()}
	case ephemeral > 0:
		return &shownCertificate{"", time.Unix(int64(ephemeral), 0).UTC()}
	}
	return nil
}

// certificateLines tell when the certificates of a group end, those of several workers
// together, the one that ends first at the top.
func certificateLines(group []reading, now time.Time) (lines []string) {
	var all []shownCertificate
	workers := map[shownCertificate][]string{}
	for i := range group {
		s := group[i].shown()
		if s == nil {
			continue
		}
		if len(workers[*s]) == 0 {
			all = append(all, *s)
		}
		workers[*s] = append(workers[*s], strconv.Itoa(group[i].Worker))
	}
	slices.SortStableFunc(all, func(a, b shownCertificate) int { return a.End.Compare(b.End) })
	for _, s := range all {
		whose := ""
		if len(workers[s]) < len(group) {
			whose = ", of worker " + strings.Join(workers[s], ", ")
		}
		lines = append(lines, fmt.Sprintf("%s %s%s", s.name(), endText(s.End, now), whose))
	}
	return lines
}

func (s *shownCertificate) name() string {
	if s.File == "" {
		return "ephemeral certificate, renewed by itself,"
	}
	return "certificate " + s.File
}

// endText says when a certificate ends, or did.
func endText(end, now time.Time) string {
	at := end.Format("2006-01-02 15:04 UTC")
	switch left := end.Sub(now); {
	case left < 0:
		return "has expired at " + at
	case left < 48*time.Hour:
		return fmt.Sprintf("expires at %s, in %d hours", at, int(left.Hours()))
	default:
		return fmt.Sprintf("expires at %s, in %d days", at, int(left.Hours())/24)
	}
}
