package worker

import (
	"strings"
	"sync"

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

func (w *Worker) newRulebook() *rulebook {
	r := &rulebook{anchors: trustanchor.New()}
	shaped := func() {
		w.cache.SetFingerprint(r.policy.Fingerprint() + r.anchors.Snapshot().Fingerprint())
	}
	r.policy = policy.New(w.logLines, func(uint64) { shaped() })
	r.anchors.Changed = func() {
		shaped()
		if len(r.anchors.Snapshot().Sets) > 0 && w.siblings.id == 0 {
			r.warned.Do(func() {
				w.log.Warn("[ ta ] trust anchors are kept, but nothing is validated in this version: answers are not secure, and AD is never set")
			})
		}
	}
	return r
}

// logLines writes a text of several lines to the log.
func (w *Worker) logLines(text string) {
	for line := range strings.Lines(text) {
		w.log.Notice(strings.TrimRight(line, "\n"))
	}
}
