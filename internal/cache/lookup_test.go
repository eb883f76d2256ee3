package cache

import (
	"testing"

	"kresd/internal/wire"
)

// Most look-ups of a resolution find nothing. Their keys lie on the stack, and what the
// Store is handed is used again.
func TestALookUpInVainAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("under the race detector pools forget on purpose")
	}
	w := newWorld(t)
	at := node{0, name(t, "ns1.provider.example.")}
	for what, look := range map[string]func(){
		"delegation": func() { w.loadCut(at, w.now()) },
		"set":        func() { w.loadRRset(at, wire.TypeA, wire.ClassIN, when{now: w.now()}) },
		"denial":     func() { w.loadNXDomain(at, wire.ClassIN, when{now: w.now()}) },
		"addresses":  func() { w.Cache.Addrs(0, at.name, w.now()) },
	} {
		if n := testing.AllocsPerRun(100, look); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
