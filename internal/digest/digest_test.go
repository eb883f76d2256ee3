package digest

import (
	"hash/fnv"
	"testing"
)

func TestTextsAreToldApart(t *testing.T) {
	seen := map[uint64][]string{}
	for _, texts := range [][]string{nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"cba"}} {
		n := Of(texts...)
		if other, ok := seen[n]; ok {
			t.Errorf("%q and %q have one number", texts, other)
		}
		seen[n] = texts
	}
}

// Processes of other versions have the same files: other numbers would make strangers
// of those that are configured alike.
func TestNumbersAreThoseOfFNV(t *testing.T) {
	h := fnv.New64a()
	h.Write([]byte("example.\xffNS\xff"))
	if got, want := Of("example.", "NS"), h.Sum64(); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	a, b := "example.", "NS"
	if n := testing.AllocsPerRun(100, func() { Of(a, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
