package worker

import (
	"strings"
	"sync/atomic"

	"kresd/internal/logging"
	"kresd/internal/modules/policy"
)

// rulebook is what shapes answers besides the DNS itself: policy rules and trust
// anchors.
type rulebook struct {
	policy  *policy.Policy
	anchors *anchors
	// fingerprint is that of the policy rules in force.
	fingerprint atomic.Uint64
}

func newRulebook(log *logging.Logger, anchors *anchors) *rulebook {
	r := &rulebook{anchors: anchors}
	r.policy = policy.New(func(text string) { logLines(log, text) }, r.fingerprint.Store)
	return r
}

// logLines writes a text of several lines to the log.
func logLines(log *logging.Logger, text string) {
	for line := range strings.Lines(text) {
		log.Notice(strings.TrimRight(line, "\n"))
	}
}
