package worker

import (
	"strings"
	"sync"

	"kresd/internal/cache"
	"kresd/internal/logging"
	"kresd/internal/modules/policy"
	"kresd/internal/trustanchor"
)

// rulebook is what shapes answers besides the DNS itself: policy rules and trust
// anchors. Its fingerprint keeps answers that were made under other rules out of
// use.
type rulebook struct {
	policy  *policy.Policy
	anchors *trustanchor.Store
	warned  sync.Once
}

func newRulebook(c *cache.Cache, log *logging.Logger, leader bool) *rulebook {
	r := &rulebook{anchors: trustanchor.New()}
	shaped := func() {
		c.SetFingerprint(r.policy.Fingerprint() + r.anchors.Snapshot().Fingerprint())
	}
	r.policy = policy.New(func(text string) { logLines(log, text) }, func(uint64) { shaped() })
	r.anchors.Changed = func() {
		shaped()
		if len(r.anchors.Snapshot().Sets) > 0 && leader {
			r.warned.Do(func() {
				log.Warn("[ ta ] trust anchors are kept, but nothing is validated in this version: answers are not secure, and AD is never set")
			})
		}
	}
	return r
}

// logLines writes a text of several lines to the log.
func logLines(log *logging.Logger, text string) {
	for line := range strings.Lines(text) {
		log.Notice(strings.TrimRight(line, "\n"))
	}
}
