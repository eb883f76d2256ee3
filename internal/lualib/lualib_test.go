package lualib

import (
	"context"
	"os"
	"strings"
	"testing"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// machine is one with all libraries.
func machine(t *testing.T, o script.Options) (*command.Interpreter, []script.Library) {
	t.Helper()
	vm, err := command.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	watcher := fdwatch.New(nil)
	t.Cleanup(watcher.Close)
	libraries, _ := Libraries(Host{VM: vm.VM, Alarms: clock.NewAlarms(clock.Real()), Watcher: watcher, Clock: clock.Real()})
	if err := vm.Do(context.Background(), func(c *script.Call) error { vm.AddLibraries(libraries...); return nil }); err != nil {
		t.Fatal(err)
	}
	return vm, libraries
}

// The manual names each library.
func TestTheManualNamesLibraries(t *testing.T) {
	manual, err := os.ReadFile("../../docs/manual.md")
	if err != nil {
		t.Fatal(err)
	}
	_, libraries := machine(t, script.Options{})
	for _, lib := range libraries {
		last := lib.Name[strings.LastIndexByte(lib.Name, '.')+1:]
		if !strings.Contains(string(manual), "`"+lib.Name+"`") && !strings.Contains(string(manual), "`"+last+"`") {
			t.Errorf("%s is not in docs/manual.md", lib.Name)
		}
	}
}

// Each library opens, once, under a name of its own, and says in a line what it is.
func TestLibrariesOpenWhenTheyAreRequired(t *testing.T) {
	names := map[string]bool{}
	vm, libraries := machine(t, script.Options{})
	for _, lib := range libraries {
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
