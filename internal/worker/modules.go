package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"kresd/internal/bindings"
	"kresd/internal/cache"
	"kresd/internal/iterate"
	"kresd/internal/module"
	"kresd/internal/modules/hints"
	"kresd/internal/modules/stats"
	"kresd/internal/modules/timejump"
	"kresd/internal/modules/workarounds"
	"kresd/internal/resolve"
	"kresd/internal/validate"
)

// builtin is what is loaded before the configuration runs, in order:
//
//	iterate   first, because every later layer judges or keeps what it made of a message
//	validate  before the cache, so that nothing is kept with a rank that was not judged
//	cache     last of the three: it keeps what the others agreed on
//	policy    behind the cache, as the manual has it: its rules are asked before any
//	          layer produces, and its rules for answers after the answer was kept
//	priming, detect_time_jump
//	          they watch the root's servers and the clock
//	hints     so that hints.root() is there for every configuration; its table is empty
var builtin = []string{"iterate", "validate", "cache", "policy", "priming", "detect_time_jump", "hints"}

// modules are all that can be loaded.
func (w *Worker) modules() []module.Module {
	layer := func(name, help string, l func() *resolve.Layer) module.Module {
		return module.Module{Name: name, Help: help, Open: func() (*module.Instance, error) {
			return &module.Instance{Layer: l()}, nil
		}}
	}
	return []module.Module{
		layer("iterate", "asks and understands other servers", iterate.Layer),
		layer("validate", "judges how far answers can be believed", func() *resolve.Layer { return validate.Layer(w.rules.anchors.Snapshot) }),
		layer("cache", "answers what is known, keeps what comes", w.cache.Layer),
		{Name: "policy", Help: "rules about questions by their names", Open: w.rules.policy.Open},
		{Name: "priming", Help: "learns the root's servers from themselves", Open: w.openPriming},
		{Name: "detect_time_jump", Help: "clears the cache when the clock was set back", Open: w.openTimeJump},
		{Name: "hints", Help: "names and addresses of the operator's", Open: func() (*module.Instance, error) { return hints.Open(w.roots) }},
		{Name: "serve_stale", Help: "answers with what was known where nobody can be reached (load as 'serve_stale < cache')", Open: w.openServeStale},
		{Name: "workarounds", Help: "asks known broken servers differently (load as 'workarounds < iterate')", Open: func() (*module.Instance, error) {
			return workarounds.Open(workarounds.Names{Option: bindings.OptionByName, Of: bindings.OptionNames})
		}},
		{Name: "stats", Help: "counts answers, samples questions and round trips", Open: func() (*module.Instance, error) {
			return stats.Open(stats.Daemon{Mono: w.clock.Mono, Intn: rand.IntN})
		}},
	}
}

func (w *Worker) openTimeJump() (*module.Instance, error) {
	return timejump.Open(timejump.Daemon{
		Clock: w.clock,
		Clear: func() error {
			if _, err := w.cache.Clear(); err != nil && !errors.Is(err, cache.ErrClosed) {
				return err
			}
			return nil
		},
		Warn: func(line string) { w.log.Warn(fmt.Sprintf("detect_time_jump: %s", line)) },
	})
}
