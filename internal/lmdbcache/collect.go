package lmdbcache

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"kresd/internal/limits"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// Worth is what an entry is worth keeping, as its owner judges it. Worthless
// entries (expired, damaged) go in any collection; of the others those with the
// least worth go first.
type Worth uint8

// Worthless is the Worth of an entry that nobody will use again.
const Worthless Worth = 0

// Collected says what a collection did.
type Collected struct {
	Removed   int
	Threshold Worth   // entries up to it were removed
	Before    float64 // Usage
	After     float64
}

// Collect makes room when the map is filled above limits.CollectHighPercent: it
// removes the entries that judge finds worth least, as many as stand between that
// and limits.CollectLowPercent. Otherwise it does nothing.
//
// It samples the map to find the worth below which enough would go, then walks
// it, from where the last collection stopped, and removes in small transactions.
// Removing entries here and there leaves pages half empty, which LMDB keeps, so
// neighbours that fit on one page are put together (squeeze.go). If the map is
// still over its mark, the next worth goes too.
//
// Judge is called on bytes of the map, also inside those transactions: it must be
// quick and must not call the Store. One process is to call this, every second
// or so; more do no harm. Its calls come from one goroutine.
func (s *Store) Collect(ctx context.Context, judge func(key, val []byte) Worth) (Collected, error) {
	return s.CollectBetween(ctx, limits.CollectHighPercent, limits.CollectLowPercent, judge)
}

// CollectBetween is Collect with other marks: above high percent what is worth least
// goes until low percent are left.
func (s *Store) CollectBetween(ctx context.Context, high, low float64, judge func(key, val []byte) Worth) (Collected, error) {
	var c Collected
	c.Before = s.Usage()
	c.After = c.Before
	if c.Before < high {
		return c, nil
	}
	return s.collect(ctx, c, high, low, judge)
}

// Foresee says what CollectBetween would do, without doing it.
func (s *Store) Foresee(ctx context.Context, high, low float64, judge func(key, val []byte) Worth) (c Collected, err error) {
	c.Before = s.Usage()
	c.After = c.Before
	if c.Before < high {
		return c, nil
	}
	c.Threshold = s.sample(judge).threshold(1 - low/c.Before)
	c.After = low
	for walk := (&exporter{s: s}); !walk.ended && err == nil; {
		err = walk.batch(ctx)
		for i, k := range walk.keys {
			if !isOwn(k) && judge(k, walk.vals[i]) <= c.Threshold {
				c.Removed++
			}
		}
	}
	return c, err
}

// Prune removes what judge finds worthless, however full the map is, and returns
// how many entries went.
func (s *Store) Prune(ctx context.Context, judge func(key, val []byte) Worth) (int, error) {
	w := &collection{s: s, judge: judge, goal: -1}
	err := w.evict(ctx)
	return w.removed, err
}

func (s *Store) collect(ctx context.Context, c Collected, high, low float64, judge func(key, val []byte) Worth) (Collected, error) {
	w := &collection{s: s, judge: judge, goal: low}
	if at := s.collectAt.Load(); at != nil {
		w.from = *at
	}
	w.threshold = s.sample(judge).threshold(1 - low/c.Before)
	err := w.turn(ctx)
	for err == nil && !w.reached(max(low, high-collectSlack)) {
		if w.threshold == 255 {
			break // all there is was judged worthless by now
		}
		w.threshold = Worth(min(255, int(w.threshold)+16))
		err = w.turn(ctx)
	}
	s.collectAt.Store(&w.from)
	s.stats.evicted.Add(uint64(w.removed))
	c.Removed, c.Threshold, c.After = w.removed, w.threshold, s.Usage()
	if c.After < limits.CollectHighPercent {
		s.health.recovered()
	}
	return c, err
}

// collectSlack is how far below its high mark the map must be, in percent, for a
// collection to end: not so little that the next second needs another.
const collectSlack = 3

// A histogram holds, for each worth, the bytes of sampled entries.
type histogram [256]float64

// threshold is the least worth up to which a share of the bytes lies.
func (h *histogram) threshold(share float64) Worth {
	total, sum := 0.0, 0.0
	for _, n := range h {
		total += n
	}
	for w, n := range h {
		if sum += n; sum >= total*share {
			return Worth(w)
		}
	}
	return 255
}

// sampleLeaves is how many leaf pages a sample looks at, some ten entries each.
const sampleLeaves = 500

// sample judges the entries on leaves that are reached by random turns from the
// root.
func (s *Store) sample(judge func(key, val []byte) Worth) *histogram {
	var h histogram
	for range sampleLeaves / 50 {
		s.withReader(func(r *Reader) {
			defer r.fault()
			for range 50 {
				if r.cur.reset(r.m); r.cur.random(r.snap.root) {
					h.addLeaf(&r.cur, judge)
				}
			}
		})
	}
	return &h
}

func (h *histogram) addLeaf(c *cursor, judge func(key, val []byte) Worth) {
	l := &c.level[c.depth-1]
	for l.i = 0; l.i < l.n; l.i++ {
		k, val, ok := c.entry()
		if !ok {
			return
		}
		if isOwn(k) {
			continue
		}
		cost := float64(len(k) + len(val) + nodeHeader)
		if cost > float64(c.m.psize)/2 { // stands on pages of its own
			cost = float64((len(val)+pageHeader+int(c.m.psize)-1)/int(c.m.psize)) * float64(c.m.psize)
		}
		h[judge(k, val)] += cost
	}
}

// random goes to a leaf by chance.
func (c *cursor) random(root uint64) bool {
	if root == noPage || !c.push(root) {
		return false
	}
	for {
		l := &c.level[c.depth-1]
		l.i = rand.IntN(l.n)
		if isLeaf(l.page) {
			return true
		}
		nd, _, ok := node(l.page, l.i)
		if !ok || !c.push(child(nd)) {
			return c.fail()
		}
	}
}

// A collection is a walk that removes.
type collection struct {
	s         *Store
	judge     func(key, val []byte) Worth
	threshold Worth
	goal      float64 // usage to reach; below 0: one full turn
	from      []byte  // next key to look at
	removed   int
	keys      [][]byte // for one transaction
}

// lookAhead is how many entries are judged in one snapshot at most.
const lookAhead = 2000

func (w *collection) reached(percent float64) bool { return w.s.Usage() <= percent }

// turn evicts and then squeezes until the goal is reached or all was seen.
func (w *collection) turn(ctx context.Context) error {
	if err := w.evict(ctx); err != nil || w.reached(w.goal) {
		return err
	}
	return w.squeeze(ctx)
}

// evict goes once around the map.
func (w *collection) evict(ctx context.Context) error {
	began := bytes.Clone(w.from)
	for passedEnd := len(began) == 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		atEnd := false
		if !w.s.withReader(func(r *Reader) { atEnd = w.choose(r) }) {
			return ErrClosed
		}
		if len(w.keys) > 0 {
			if err := w.removeChosen(ctx); err != nil {
				return err
			}
			if w.goal >= 0 && w.reached(w.goal) {
				return nil
			}
		}
		switch {
		case atEnd && passedEnd, passedEnd && len(began) > 0 && bytes.Compare(w.from, began) >= 0:
			return nil
		case atEnd:
			passedEnd = true
		}
		if atEnd {
			w.from = nil
		}
	}
}

// choose collects the keys of entries to remove and tells whether the walk has
// passed the last entry.
func (w *collection) choose(r *Reader) (atEnd bool) {
	defer r.fault()
	w.keys = w.keys[:0]
	most := w.s.batchSize()
	r.at = append(r.at[:0], w.from...)
	on := r.seek()
	for n := 0; on; n++ {
		k, val, ok := r.cur.entry()
		if r.overtaken() {
			break
		}
		if !ok {
			return true
		}
		r.at = append(r.at[:0], k...)
		if n == lookAhead || len(w.keys) == most {
			w.from = bytes.Clone(k)
			return false
		}
		if !isOwn(k) && w.judge(k, val) <= w.threshold {
			w.keys = append(w.keys, bytes.Clone(k))
		}
		on = r.cur.step(1)
	}
	if r.overtaken() { // the walk goes on in the next snapshot
		w.from = bytes.Clone(r.at)
		return false
	}
	return true
}

// patience is how often a removal is tried again, freshWait later and with half
// the entries. Removing needs pages for copies; there may be free ones, but those
// that the latest transactions freed cannot be used yet.
const patience = 20

// removeChosen removes them. Where there is no room even for that the map is
// cleared, unless it has free pages.
func (w *collection) removeChosen(ctx context.Context) error {
	for range patience {
		err := w.removeOnce(ctx)
		if !lmdb.IsMapFull(err) {
			return err
		}
		w.keys = w.keys[:(len(w.keys)+1)/2]
		w.s.health.rest(freshWait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(freshWait):
		}
	}
	if err := w.removeOnce(ctx); !lmdb.IsMapFull(err) || w.s.Usage() < limits.CollectHardPercent {
		return err
	}
	w.s.opts.Warn("no room is left to remove entries in: all are dropped")
	n, err := w.s.Clear()
	w.removed += n
	return err
}

// removeOnce removes them, unless they were replaced by something better.
func (w *collection) removeOnce(ctx context.Context) error {
	removed := 0
	err := w.s.do(ctx, func(txn *lmdb.Txn) (err error) {
		removed, err = w.remove(txn)
		return err
	})
	if err == nil {
		w.removed += removed
		w.s.stats.remove.Add(uint64(removed))
	}
	return err
}

// remove is the transaction that does it.
func (w *collection) remove(txn *lmdb.Txn) (n int, err error) {
	for _, k := range w.keys {
		val, err := txn.Get(w.s.dbi, k)
		if err == nil && w.judge(k, val) <= w.threshold {
			err = txn.Del(w.s.dbi, k, nil)
			n++
		}
		if err != nil && !lmdb.IsNotFound(err) {
			return 0, err
		}
	}
	return n, nil
}
