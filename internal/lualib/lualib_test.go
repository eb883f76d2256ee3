package lualib

import (
	"context"
	"testing"

	"kresd/internal/script"
)

// machine is one with all libraries.
func machine(t *testing.T) *script.VM {
	t.Helper()
	vm, err := script.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	if err := vm.Do(context.Background(), func(c *script.Call) error {
		vm.AddLibraries(Libraries()...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return vm
}

// Each library opens, once, under a name of its own, and says in a line what it is.
func TestLibrariesOpenWhenTheyAreRequired(t *testing.T) {
	names := map[string]bool{}
	vm := machine(t)
	for _, lib := range Libraries() {
		if names[lib.Name] || lib.Help == "" {
			t.Errorf("%s: twice, or without help", lib.Name)
		}
		names[lib.Name] = true
		command := "local lib = require('" + lib.Name + "') return tostring(lib ~= nil and require('" + lib.Name + "') == lib and package.loaded['" + lib.Name + "'] == lib)"
		if got, failed := vm.Eval(context.Background(), command); failed || got != "true" {
			t.Errorf("require('%s') shows %q", lib.Name, got)
		}
	}
}
