package lualib

import (
	"bytes"
	"context"
	"testing"
	"time"

	"kresd/internal/script"
	"kresd/internal/script/sidebyside"
)

// Libraries do what those of the same names do in Lua.
func TestLibrariesPrintWhatTheirNamesakesPrint(t *testing.T) {
	sidebyside.Compare(t, "testdata", func(t *testing.T, path string) string {
		var out bytes.Buffer
		vm, _ := machine(t, script.Options{Stdout: &out, Stderr: &out})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := vm.RunFile(ctx, path)
		vm.Close()
		if err != nil {
			t.Errorf("it ends with: %v", err)
		}
		return out.String()
	})
}
