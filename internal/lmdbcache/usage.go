package lmdbcache

import "kresd/internal/limits"

// Usage is the share of the map's pages that hold something, in percent. Pages
// that were freed count as free, also those that an older snapshot still uses.
func (s *Store) Usage() float64 {
	percent := 0.0
	s.withReader(func(r *Reader) {
		percent = 100 * float64(r.usedPages()) / float64(r.m.pages)
	})
	return percent
}

// usedPages counts the pages of the reader's snapshot that are not free. LMDB
// keeps one record for each transaction that freed pages and whose pages were
// not all used again; each begins with its number of pages.
func (r *Reader) usedPages() (used uint64) {
	defer r.fault()
	for range looks {
		used = r.snap.last + 1
		r.cur.reset(r.m)
		for on := r.cur.ceil(r.snap.free, nil); on; on = r.cur.step(1) {
			_, val, ok := r.cur.entry()
			if !ok || len(val) < 8 || u64(val) >= used {
				break
			}
			used -= u64(val)
		}
		if !r.overtaken() || !r.look() {
			break
		}
	}
	return used
}

// room is how many octets of new entries the map may take; if it is below 1, new entries
// are dropped. The rest of the map is for the copies of pages that removing entries needs.
func (s *Store) room() (octets int64) {
	s.withReader(func(r *Reader) { octets = r.room() })
	if octets < 1 {
		s.health.askCollector()
	}
	return octets
}

func (r *Reader) room() int64 {
	limit := r.m.pages * limits.CollectHardPercent / 100
	if next := r.snap.last + 1; next < limit { // the file has never been that full
		if octets := int64(limit-next) * int64(r.m.psize); octets > enoughRoom {
			return octets
		}
	}
	return (int64(limit) - int64(r.usedPages())) * int64(r.m.psize)
}

// enoughRoom is more than any batch of honest answers needs, in octets.
const enoughRoom = 4 << 20
