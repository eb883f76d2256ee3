package dnslua

import (
	"strings"
	"testing"

	"kresd/internal/limits"
)

// However long the keys are, they are bounded together.
func TestTheKeysOfAMapAreBounded(t *testing.T) {
	m := newLRU(limits.LuaMapEntries)
	for i := range 10 {
		m.insert(strings.Repeat(string(rune('a'+i)), limits.LuaString))
		if m.octets > limits.LuaMapKeys || m.order.Len() != len(m.entries) {
			t.Fatalf("%d octets in %d keys", m.octets, len(m.entries))
		}
	}
	if m.order.Len() != limits.LuaMapKeys/limits.LuaString {
		t.Errorf("%d keys are left", m.order.Len())
	}
}
