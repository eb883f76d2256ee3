package worker

import (
	"strings"
	"sync/atomic"

	"kresd/internal/logging"
	"kresd/internal/modules/daf"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/script"
)

// rulebook is what shapes answers besides the DNS itself: policy rules and trust
// anchors.
type rulebook struct {
	policy  *policy.Policy
	view    *view.View
	daf     *daf.DAF
	anchors *anchors
	// fingerprint is that of the policy rules in force.
	fingerprint atomic.Uint64
}

func newRulebook(log *logging.Logger, anchors *anchors) *rulebook {
	r := &rulebook{anchors: anchors}
	r.policy = policy.New(func(text string) { logLines(log, text) }, r.fingerprint.Store)
	r.view = view.New(r.policy.NextID)
	r.daf = daf.New(daf.Config{Rules: r.policy, Peers: &r.policy.Peers, Mirror: policy.Mirror, Data: policy.ParseTyped})
	return r
}

// renewRules is called when lists have changed that rules go by.
func (w *Worker) renewRules() {
	_ = w.vm.Do(w.ctx, func(*script.Call) error { // it fails when the worker ends
		w.rules.policy.Renew()
		w.rules.view.Renew()
		return nil
	})
}

// logLines writes a text of several lines to the log.
func logLines(log *logging.Logger, text string) {
	for line := range strings.Lines(text) {
		log.Notice(strings.TrimRight(line, "\n"))
	}
}
