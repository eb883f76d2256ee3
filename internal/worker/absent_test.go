package worker

import (
	"testing"

	"kresd/internal/bindings/modules"
)

// A module that can be loaded is not said to be missing in this version.
func TestModulesThatExistAreNotCalledAbsent(t *testing.T) {
	for _, m := range laboratory(t).modules() {
		if modules.Absent(m.Name) {
			t.Errorf("module '%s' exists and is in the table of absent ones", m.Name)
		}
	}
	if !modules.Absent("fallback") {
		t.Error("fallback is not in the table of absent modules")
	}
}
