package machine

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"kresd/internal/limits"
)

// A memory watches what an evaluation takes. The machine does not count what is whose:
// it is the growth of the heap of the process, garbage not counted.
type memory struct {
	looked time.Time // last
	start  uint64    // octets of the heap when it was looked at first; 0: never
}

// lookInterval is how much time passes from look to look: a command that takes no longer
// is never looked at.
const lookInterval = 10 * time.Millisecond

// afterGC is how much later the next look is after garbage was collected for one.
const afterGC = 100 * time.Millisecond

// exceeded tells whether an evaluation that runs at a time, the present, took too much.
func (m *memory) exceeded(now time.Time) error {
	if now.Sub(m.looked) < lookInterval {
		return nil
	}
	m.looked = now
	heap := heapInUse()
	if m.start == 0 {
		m.start = heap
		return nil
	}
	if heap < m.start+limits.LuaMemory {
		return nil
	}
	runtime.GC()
	m.looked = now.Add(afterGC)
	if heapInUse() < m.start+limits.LuaMemory {
		return nil
	}
	return fmt.Errorf("ended: it took more than %d MB of memory", limits.LuaMemory>>20)
}

// heapInUse is the octets of the heap that are in use or were not found to be garbage.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
