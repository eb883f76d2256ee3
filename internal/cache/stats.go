package cache

import "sync/atomic"

// Stats counts what happened to questions; what happened to bytes is counted by
// the Store.
type Stats struct {
	AnswerHit, AnswerMiss uint64 // on the cached answer's way
	Hit, Miss             uint64 // on the driver's way
	Aggressive            uint64 // of the hits on both ways, made of a zone's validated denials (RFC 8198)
	Stashed, Answers      uint64 // entries kept: pieces, whole answers
	Damaged               uint64 // entries that were not what seal wrote
}

type counts struct {
	hit, miss, aggressive, stashed, answers, damaged atomic.Uint64
}

// fastCounts belong to one thread, so that threads share no cache line.
type fastCounts struct {
	_                  [64]byte
	hit, miss, damaged atomic.Uint64
	gap                atomic.Uint64 // of the hits
	_                  [64]byte
}

func (f *fastCounts) addTo(s *Stats) {
	s.AnswerHit += f.hit.Load()
	s.AnswerMiss += f.miss.Load()
	s.Damaged += f.damaged.Load()
	s.Aggressive += f.gap.Load()
}

// Stats sums the counters since the Cache was made.
func (c *Cache) Stats() Stats {
	s := Stats{
		Hit: c.n.hit.Load(), Miss: c.n.miss.Load(), Aggressive: c.n.aggressive.Load(),
		Stashed: c.n.stashed.Load(), Answers: c.n.answers.Load(), Damaged: c.n.damaged.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone.addTo(&s)
	for f := range c.fasts {
		f.n.addTo(&s)
	}
	return s
}
