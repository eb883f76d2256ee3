package worker

import (
	"strings"
	"sync"
	"sync/atomic"

	"kresd/internal/logging"
	"kresd/internal/modules/policy"
	"kresd/internal/trustanchor"
)

// rulebook is what shapes answers besides the DNS itself: policy rules and trust
// anchors.
type rulebook struct {
	policy  *policy.Policy
	anchors *trustanchor.Store
	// fingerprint is that of the policy rules in force.
	fingerprint atomic.Uint64
	warned      sync.Once
}

func newRulebook(log *logging.Logger, leader bool) *rulebook {
	r := &rulebook{anchors: trustanchor.New()}
	r.policy = policy.New(func(text string) { logLines(log, text) }, r.fingerprint.Store)
	r.anchors.Changed = func() {
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
