package worker

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"kresd/internal/cache"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/modules/priming"
	"kresd/internal/resolve"
	"kresd/internal/roothints"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// roots are the root's name servers: built in, of the operator's, or learnt.
type roots struct {
	cache *cache.Cache
	hints atomic.Pointer[zonecut.Cut]
	// fingerprint tells the operator's own from others: 0 for those built in.
	fingerprint atomic.Uint64
	mu          sync.Mutex // held while they are changed
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
	r.fingerprint.Store(fingerprint(cut))
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
		Resolve: func(ctx context.Context, q resolve.Question, flags resolve.Flags) resolve.Result {
			req := &resolve.Request{Question: q, RD: true, DO: true, Flags: flags, Now: w.clock.Unix(), ID: w.ids.next()}
			w.driver.Resolve(ctx, req)
			// By a rule that forwards, others than the root's servers say who those are. What
			// is not forwarded is asked of the servers that the hints name, and kept for all
			// who have the same hints: nothing is learnt for it here.
			if req.Flags&(resolve.Forward|resolve.Stub) != 0 {
				return resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.None}
			}
			return req.Result
		},
	})
}
