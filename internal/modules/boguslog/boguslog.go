// Package boguslog is the module bogus_log: a line for each name that fails
// validation, and how often each question does.
//
// A name is told once in limits.BogusLogPause. Whoever asks for many names of a
// broken zone fills no log: beyond limits.BogusLogLines in a minute the names are
// only counted, and the next line says how many were.
package boguslog

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

type bogusLog struct {
	host  *module.Host
	often *module.Frequent

	mu     sync.Mutex
	told   map[dnsname.Name]time.Duration // when, by the monotonic clock
	minute time.Duration                  // when the minute began whose lines are counted
	lines  int
	untold int // names, since the last line
}

func newBogusLog(h *module.Host) *bogusLog {
	return &bogusLog{host: h, often: module.NewFrequent(limits.FrequentNames), told: map[dnsname.Name]time.Duration{}}
}

// finalize notes a request that failed because something could not be proven. What
// an alias led to belongs to the request that the alias was asked by.
func (b *bogusLog) finalize(r *resolve.Request) {
	res := &r.Result
	if res.Failure == nil || r.Inner {
		return
	}
	code, text := resolve.Explain(res.Failure)
	if !bogus(code) {
		return
	}
	about := r.Question
	if f, ok := errors.AsType[*resolve.Failure](res.Failure); ok && f.About.Name != "" {
		about = f.About
	}
	b.often.Add(about)
	if line := b.line(about, text); line != "" {
		b.host.Warn(line)
	}
}

// bogus tells whether an extended error is about a proof that failed.
func bogus(code ede.Code) bool {
	switch code {
	case ede.UnsupportedDNSKEYAlgorithm, ede.UnsupportedDSDigest, ede.Indeterminate, ede.Bogus, ede.SignatureExpired, ede.SignatureNotYetValid,
		ede.DNSKEYMissing, ede.RRSIGsMissing, ede.NoZoneKeyBit, ede.NSECMissing, ede.ExpiredBeforeValid:
		return true
	}
	return false
}

// line is what the log is told of a failure; "" for nothing.
func (b *bogusLog) line(about resolve.Question, why string) string {
	now := b.host.Clock.Mono()
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.told[about.Name]; ok && now-at < limits.BogusLogPause {
		return ""
	}
	if b.lines > 0 && now-b.minute >= time.Minute {
		b.lines = 0
	}
	if b.lines >= limits.BogusLogLines {
		b.untold++
		return ""
	}
	if b.lines == 0 {
		b.minute = now
	}
	b.lines++
	if len(b.told) >= limits.FrequentNames {
		clear(b.told)
	}
	b.told[about.Name] = now
	text := fmt.Sprintf("DNSSEC validation failure %s %s", about.Name, wire.TypeText(about.Type))
	if why != "" {
		text += ": " + why
	}
	if b.untold > 0 {
		text += fmt.Sprintf(" (since the line before, %d other failures were only counted)", b.untold)
		b.untold = 0
	}
	return text
}
