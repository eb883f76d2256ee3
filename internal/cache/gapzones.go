package cache

import (
	"hash/maphash"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// gapZones tell of which zones there may be answers for gaps, so that a question below
// other zones costs a listener's thread no search. They are not exact: a zone may be taken
// for another one, and one that takes another's slot makes that be forgotten until this
// worker stores an answer for one of its gaps again.
type gapZones struct {
	seed maphash.Seed
	of   [limits.GapZones]atomic.Uint32
}

func newGapZones() *gapZones { return &gapZones{seed: maphash.MakeSeed()} }

// slot is where a zone is noted, by the key of its name, and the number that notes it.
func (g *gapZones) slot(in resolve.Partition, zone []byte) (at *atomic.Uint32, mark uint32) {
	sum := maphash.Bytes(g.seed, zone) ^ uint64(in)
	return &g.of[sum%limits.GapZones], uint32(sum>>32) | 1
}

func (g *gapZones) add(in resolve.Partition, zone []byte) {
	if at, mark := g.slot(in, zone); at.Load() != mark {
		at.Store(mark)
	}
}

// has tells whether there may be answers for gaps of a zone. It takes no lock and
// allocates nothing.
func (g *gapZones) has(in resolve.Partition, zone []byte) bool {
	at, mark := g.slot(in, zone)
	return at.Load() == mark
}
