package lmdbcache

import "sync/atomic"

// Stats counts what this process did to the cache since it was opened.
type Stats struct {
	Hit, Miss, Insert, Delete uint64 // the manual's four

	Open, Close, Count, Clear, Commit uint64
	Read, ReadMiss                    uint64 // Get
	ReadLeq, ReadLeqMiss              uint64 // Floor
	Match, MatchMiss                  uint64 // Range
	Write, Remove, RemoveMiss         uint64

	Queued      int    // writes that wait now
	QueueDrops  uint64 // writes dropped since too many waited
	FullDrops   uint64 // since the map was nearly full
	PauseDrops  uint64 // since writing had failed again and again
	StaleDrops  uint64 // since a clear came between
	RankDrops   uint64 // since what is stored was to be kept (PutIf)
	WriteErrors uint64 // transactions that failed
	Damaged     uint64 // lookups that met a damaged page
	Evicted     uint64 // entries that Collect removed

	UsagePercent float64
}

// readCounts are counted by one goroutine and published at the end of a batch,
// so that listener threads share no cache line.
type readCounts struct {
	read, readMiss, floor, floorMiss, match, matchMiss, damaged uint64
}

type readCounters struct {
	read, readMiss, floor, floorMiss, match, matchMiss, damaged atomic.Uint64
}

func (c *readCounters) publish(n *readCounts) {
	if c.read.Load() != n.read {
		c.read.Store(n.read)
		c.readMiss.Store(n.readMiss)
	}
	if c.floor.Load() != n.floor {
		c.floor.Store(n.floor)
		c.floorMiss.Store(n.floorMiss)
	}
	if c.match.Load() != n.match {
		c.match.Store(n.match)
		c.matchMiss.Store(n.matchMiss)
	}
	if c.damaged.Load() != n.damaged {
		c.damaged.Store(n.damaged)
	}
}

func (n *readCounts) add(c *readCounters) {
	n.read += c.read.Load()
	n.readMiss += c.readMiss.Load()
	n.floor += c.floor.Load()
	n.floorMiss += c.floorMiss.Load()
	n.match += c.match.Load()
	n.matchMiss += c.matchMiss.Load()
	n.damaged += c.damaged.Load()
}

// counters are those of the writer and of rare calls.
type counters struct {
	opened, closed, count, clear, commit                     atomic.Uint64
	write, remove, removeMiss                                atomic.Uint64
	pendingHit                                               atomic.Uint64
	queueDrops, fullDrops, pauseDrops, staleDrops, rankDrops atomic.Uint64
	writeErrors, evicted                                     atomic.Uint64
}

// Stats sums the counters of all readers and of the writer.
func (s *Store) Stats() Stats {
	var n readCounts
	s.readers.mu.Lock()
	n = s.readers.gone
	for _, r := range s.readers.all {
		n.add(&r.published)
	}
	s.readers.mu.Unlock()
	c := &s.stats
	pending := c.pendingHit.Load()
	st := Stats{
		Open: c.opened.Load(), Close: c.closed.Load(), Count: c.count.Load(),
		Clear: c.clear.Load(), Commit: c.commit.Load(),
		Read: n.read + pending, ReadMiss: n.readMiss,
		ReadLeq: n.floor, ReadLeqMiss: n.floorMiss,
		Match: n.match, MatchMiss: n.matchMiss,
		Write: c.write.Load(), Remove: c.remove.Load(), RemoveMiss: c.removeMiss.Load(),
		Queued:     s.queue.length(),
		QueueDrops: c.queueDrops.Load(), FullDrops: c.fullDrops.Load(), PauseDrops: c.pauseDrops.Load(),
		StaleDrops: c.staleDrops.Load(), RankDrops: c.rankDrops.Load(), WriteErrors: c.writeErrors.Load(),
		Damaged: n.damaged, Evicted: c.evicted.Load(),
		UsagePercent: s.Usage(),
	}
	st.Hit = st.Read - st.ReadMiss + st.ReadLeq - st.ReadLeqMiss
	st.Miss = st.ReadMiss + st.ReadLeqMiss
	st.Insert, st.Delete = st.Write, st.Remove
	return st
}
