package cache

import (
	"hash/maphash"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// hints tell of which zones there may be answers for gaps, so that a question below
// other zones costs a listener's thread no search. They say nothing for sure: a zone
// may be taken for another one, or be forgotten for it until this worker meets it
// again.
type hints struct {
	seed maphash.Seed
	of   [limits.HintedZones]atomic.Uint32
}

func newHints() *hints { return &hints{seed: maphash.MakeSeed()} }

// slot is where a zone is told of, by the key of its name, and by which number.
func (h *hints) slot(in resolve.Partition, zone []byte) (at *atomic.Uint32, mark uint32) {
	sum := maphash.Bytes(h.seed, zone) ^ uint64(in)
	return &h.of[sum%limits.HintedZones], uint32(sum>>32) | 1
}

func (h *hints) add(in resolve.Partition, zone []byte) {
	if at, mark := h.slot(in, zone); at.Load() != mark {
		at.Store(mark)
	}
}

// has tells whether there may be some. It takes no lock and allocates nothing.
func (h *hints) has(in resolve.Partition, zone []byte) bool {
	at, mark := h.slot(in, zone)
	return at.Load() == mark
}
