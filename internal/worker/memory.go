package worker

import (
	"os"
	"runtime/debug"

	"kresd/internal/cgroup"
	"kresd/internal/limits"
	"kresd/internal/settings"
)

// fitIntoMemory has Go's collector run earlier when memory becomes short, and fewer
// questions wait for servers, so that a worker in a small container is slow under a
// flood and not killed. Its share is that of one of n workers, without what the system
// needs beside the heap: the cache's pages, the buffers of sockets. With GOMEMLIMIT set the
// collector is left as it is.
func fitIntoMemory(getenv func(string) string, n int, s *settings.Settings) {
	all, err := cgroup.Memory(os.DirFS("/"))
	if err != nil {
		return
	}
	heap := heapShare(all, n)
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heap + limits.GCBallast) // of which the ballast takes nothing
	}
	c := *s.Clients.Load()
	c.Pending = pendingIn(heap)
	s.Clients.Store(&c)
}

// heapShare is how many octets the heap of one of n workers may take where all memory
// is that many.
func heapShare(all int64, n int) int64 {
	return max(all/100*limits.HeapPercent/int64(max(n, 1)), limits.HeapLeast)
}

// pendingIn is how many questions may wait for servers in a heap of that many octets.
func pendingIn(heap int64) int {
	return int(min((heap-limits.HeapBase)/limits.HeapPerQuestion, limits.PendingPerWorker))
}
