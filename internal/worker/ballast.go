package worker

import "kresd/internal/limits"

// newBallast is memory that is never touched, so that the system never gives any
// for it. What a worker keeps on Go's heap is a megabyte or two (its data is in
// the cache's map), and the collector runs whenever the heap has doubled: thirty
// times a second under load, each time interrupting all threads and shrinking
// stacks that are needed again at once. The ballast counts as heap, so that
// limits.GCBallast octets more become garbage before the collector runs. Unlike
// a higher GOGC it adds the same to a large heap as to a small one.
func newBallast() []byte { return make([]byte, limits.GCBallast) }
