package worker

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"kresd/internal/cache"
	"kresd/internal/roothints"
	"kresd/internal/textfile"
	"kresd/internal/wording"
	"kresd/internal/zonecut"
)

// roots are the root's name servers: built in, of the operator's, or learnt.
type roots struct {
	cache *cache.Cache
	files textfile.Reader
	hints atomic.Pointer[zonecut.Cut]
	// fingerprint tells the operator's own from others: 0 for those built in.
	fingerprint atomic.Uint64
	mu          sync.Mutex // held while they are changed
}

func newRoots(c *cache.Cache, files textfile.Reader) *roots {
	r := &roots{cache: c, files: files}
	r.SetRootHints(roothints.Builtin())
	return r
}

// RootHints implements module.Roots.
func (r *roots) RootHints() *zonecut.Cut { return r.hints.Load() }

// SetRootHints implements module.Roots.
func (r *roots) SetRootHints(cut *zonecut.Cut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hints.Store(cut)
	r.fingerprint.Store(fingerprint(cut))
	r.cache.SetHints(cut)
}

// ReadRootHints implements module.Roots.
func (r *roots) ReadRootHints(path string) (cut *zonecut.Cut, err error) {
	if path == "" {
		return roothints.Builtin(), nil
	}
	err = r.files(path, func(f io.Reader, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", path, wording.Reason(err))
		}
		cut, err = roothints.Parse(f, path)
		return err
	})
	return cut, err
}

// UseLearnt implements module.Roots.
func (r *roots) UseLearnt(hints, cut *zonecut.Cut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hints.Load() == hints {
		r.cache.SetHints(cut)
	}
}
