package worker

import (
	"testing"

	"kresd/internal/limits"
)

func TestWorkersShareWhatMemoryThereIs(t *testing.T) {
	for _, c := range []struct {
		all     int64
		workers int
		want    int64
		pending int
	}{
		{10 << 30, 4, 10 << 30 / 100 * limits.HeapPercent / 4, limits.PendingPerWorker},
		{10 << 30, 0, 10 << 30 / 100 * limits.HeapPercent, limits.PendingPerWorker},
		{64 << 20, 1, 64 << 20 / 100 * limits.HeapPercent, 955},
		{64 << 20, 4, limits.HeapLeast, 341},
	} {
		heap := heapShare(c.all, c.workers)
		if pending := pendingIn(heap); heap != c.want || pending != c.pending {
			t.Errorf("%d octets, %d workers: a heap of %d, %d questions; want %d, %d", c.all, c.workers, heap, pending, c.want, c.pending)
		}
	}
}
