package worker

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"kresd/internal/cache"
	"kresd/internal/module"
	"kresd/internal/modules/priming"
	"kresd/internal/resolve"
	"kresd/internal/roothints"
	"kresd/internal/zonecut"
)

// roots are the root's name servers: built in, of the operator's, or learnt.
type roots struct {
	cache *cache.Cache
	hints atomic.Pointer[zonecut.Cut]
	mu    sync.Mutex // held while they are changed
}

func newRoots(c *cache.Cache) *roots {
	r := &roots{cache: c}
	r.SetRootHints(roothints.Builtin())
	return r
}

// RootHints implements hints.Roots.
func (r *roots) RootHints() *zonecut.Cut { return r.hints.Load() }

// SetRootHints implements hints.Roots.
func (r *roots) SetRootHints(cut *zonecut.Cut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hints.Store(cut)
	r.cache.SetHints(cut)
}

// ReadRootHints implements hints.Roots.
func (r *roots) ReadRootHints(path string) (*zonecut.Cut, error) {
	if path == "" {
		return roothints.Builtin(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return roothints.Parse(f, path)
}

// use takes servers that were learnt by means of hints, unless the operator has
// put others in their place meanwhile.
func (r *roots) use(hints, cut *zonecut.Cut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hints.Load() == hints {
		r.cache.SetHints(cut)
	}
}

func (w *Worker) openPriming() (*module.Instance, error) {
	return priming.Open(priming.Daemon{
		Clock: w.clock, Group: w.group, Context: w.ctx, Hints: w.roots.RootHints, Use: w.roots.use,
		Log: func(line string) { w.log.Notice("priming: " + line) },
		Resolve: func(ctx context.Context, q resolve.Question, options resolve.Options) resolve.Result {
			req := &resolve.Request{Question: q, RD: true, DO: true, Options: options}
			w.requests.enter(req)
			w.driver.Resolve(ctx, req)
			return req.Result
		},
	})
}
