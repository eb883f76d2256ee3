package worker

import (
	"testing"

	"kresd/internal/bindings"
)

// A module that can be loaded is not said to be missing in this version.
func TestModulesThatExistAreNotCalledAbsent(t *testing.T) {
	for _, m := range laboratory(t).modules() {
		if bindings.AbsentModule(m.Name) {
			t.Errorf("module '%s' exists and is in the table of absent ones", m.Name)
		}
	}
	if !bindings.AbsentModule("dns64") {
		t.Error("dns64 is not in the table of absent modules")
	}
}
